/*-------------------------------------------------------------------------
 *
 * preview_outside.c
 *		Functions and relations by which a statement reaches out of the
 *		transaction, so that no rollback takes it back.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/ddl.h"
#include "review/preview.h"

bool
sg_refuse(SgRefusal *refusal, const char *what, const char *why,
		  const char *hint)
{
	refusal->what = what;
	refusal->why = why;
	refusal->hint = hint;
	return true;
}

/* ---------------- functions ---------------- */

/*
 * A function is the one that it calls in C, whatever it is named and wherever
 * it is installed.  An asterisk stands for anything that follows.
 */
typedef struct Outside
{
	const char *file;			/* its library; NULL: the server itself */
	const char *name;			/* in the library, or in pg_catalog */
} Outside;

static const Outside outside[] = {
	{NULL, "lo_export"},
	{NULL, "pg_advisory_unlock*"},
	{NULL, "pg_backup_*"},
	{NULL, "pg_cancel_backend"},
	{NULL, "pg_copy_logical_replication_slot"},
	{NULL, "pg_copy_physical_replication_slot"},
	{NULL, "pg_create_logical_replication_slot"},
	{NULL, "pg_create_physical_replication_slot"},
	{NULL, "pg_create_restore_point"},
	{NULL, "pg_drop_replication_slot"},
	{NULL, "pg_log_backend_memory_contexts"},
	{NULL, "pg_logical_emit_message"},
	{NULL, "pg_logical_slot_get_*"},
	{NULL, "pg_promote"},
	{NULL, "pg_reload_conf"},
	{NULL, "pg_replication_origin_*"},
	{NULL, "pg_replication_slot_advance"},
	{NULL, "pg_rotate_logfile"},
	{NULL, "pg_stat_reset*"},
	{NULL, "pg_switch_wal"},
	{NULL, "pg_sync_replication_slots"},
	{NULL, "pg_terminate_backend"},
	{NULL, "pg_wal_replay_*"},
	{"adminpack", "pg_file_*"},
	{"dblink", "dblink_cancel_query"},
	{"dblink", "dblink_close"},
	{"dblink", "dblink_connect"},
	{"dblink", "dblink_disconnect"},
	{"dblink", "dblink_exec"},
	{"dblink", "dblink_fetch"},
	{"dblink", "dblink_get_result"},
	{"dblink", "dblink_open"},
	{"dblink", "dblink_record"},
	{"dblink", "dblink_send_query"},
	{"pg_background", "pg_background_launch*"},
	{"pg_stat_statements", "pg_stat_statements_reset*"},
	{"pg_surgery", "heap_force_*"},
	{"pg_visibility", "pg_truncate_visibility_map"},
	{"safeguard", "sg_findings_reset"},
	{"safeguard", "sg_stats_reset"}
};

static bool
name_matches(const char *name, const char *pattern)
{
	size_t		len = strlen(pattern);

	if (pattern[len - 1] == '*')
		return strncmp(name, pattern, len - 1) == 0;
	return strcmp(name, pattern) == 0;
}

/*
 * Does the session hold an advisory lock that the script could give back?  Its
 * own ones it may.
 */
static bool
session_holds_advisory(void)
{
	SgHeldLocks held;

	if (sg_rehearsal != NULL)
		return sg_rehearsal->holds_advisory;
	sg_held_locks(&held);
	return sg_holds_advisory(&held);
}

/* The name of a library's file alone: no folder, no suffix. */
static char *
library_name(const char *path)
{
	const char *slash = last_dir_separator(path);
	char	   *name = pstrdup(slash ? slash + 1 : path);
	size_t		len = strlen(name);
	size_t		suffix = strlen(DLSUFFIX);

	if (len > suffix && strcmp(name + len - suffix, DLSUFFIX) == 0)
		name[len - suffix] = '\0';
	return name;
}

static char *
proc_text(HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(PROCOID, tuple, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(datum);
}

/*
 * What a function is in C: the name in a library, or that of the server's own
 * function; NULL if it is written in another language.
 */
static char *
name_in_c(Oid function, char **library)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	char	   *path = NULL;
	char	   *name = NULL;

	*library = NULL;
	if (!HeapTupleIsValid(tuple))
		return NULL;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (function < FirstGenbkiObjectId)
		name = pstrdup(NameStr(proc->proname));
	else if (proc->prolang == INTERNALlanguageId)
	{
		/* the server's, under another name */
		char	   *symbol = proc_text(tuple, Anum_pg_proc_prosrc);
		Oid			same = symbol ? fmgr_internal_function(symbol) : InvalidOid;

		name = OidIsValid(same) ? get_func_name(same) : NULL;
	}
	else if (proc->prolang == ClanguageId)
	{
		path = proc_text(tuple, Anum_pg_proc_probin);
		name = path ? proc_text(tuple, Anum_pg_proc_prosrc) : NULL;
		*library = path ? library_name(path) : NULL;
	}
	ReleaseSysCache(tuple);
	return name;
}

/* Does this function reach out of the transaction? */
static bool
is_outside(Oid function)
{
	char	   *library;
	char	   *name = name_in_c(function, &library);

	for (int i = 0; name != NULL && i < lengthof(outside); i++)
	{
		const Outside *it = &outside[i];

		if (name_matches(name, it->name) &&
			(it->file == NULL ? library == NULL :
			 library != NULL && strcmp(library, it->file) == 0))
			return strncmp(name, "pg_advisory", strlen("pg_advisory")) != 0 ||
				session_holds_advisory();
	}
	return false;
}

/*
 * The functions that a call as it is written may mean.  What the caller may
 * not look up, or what the script has yet to make, shows when it is called.
 */
static FuncCandidateList
candidates(const FuncCall *call)
{
	List	   *name = call->funcname;
	int			n = list_length(name);
	Oid			schema;

	if (n > 1)
	{
		name = list_copy_tail(name, n - 2);
		schema = get_namespace_oid(strVal(linitial(name)), true);
		if (!OidIsValid(schema) || !sg_may_use_schema(schema, GetUserId()))
			return NULL;
	}
	return FuncnameGetCandidates(name, list_length(call->args), NIL, true, true,
								 false, true);
}

/*
 * Is it the name of a library's function that reaches out?  One that is not
 * there yet may be made by the script, with its extension.
 */
static bool
is_name_outside(const char *name)
{
	for (int i = 0; i < lengthof(outside); i++)
	{
		if (outside[i].file != NULL && name_matches(name, outside[i].name))
			return true;
	}
	return strcmp(name, "dblink") == 0;
}

/*
 * A call as it is written.
 */
bool
sg_refuse_call(SgRefusal *refusal, const FuncCall *call)
{
	const char *name = strVal(llast(call->funcname));
	FuncCandidateList first = candidates(call);
	bool		found = first == NULL && is_name_outside(name);

	for (FuncCandidateList one = first; one != NULL && !found; one = one->next)
		found = OidIsValid(one->oid) && is_outside(one->oid);
	if (!found)
		return false;
	refusal->location = call->location;
	return sg_refuse(refusal, psprintf("function %s()", name),
					 SG_NO_ROLLBACK, NULL);
}

/*
 * A function is about to be called, whoever calls it.
 */
void
sg_rehearse_function(Oid function)
{
	MemoryContext caller;
	bool		found;

	if (sg_rehearsal->current == NULL)
		return;
	caller = MemoryContextSwitchTo(sg_rehearsal->names);
	found = is_outside(function);
	MemoryContextSwitchTo(caller);
	if (found)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("safeguard.preview() cannot rehearse function %s()",
					   get_func_name(function)),
				errdetail(SG_NO_ROLLBACK));
	MemoryContextReset(sg_rehearsal->names);
}

/* ---------------- foreign tables ---------------- */

#define FOREIGN_DETAIL	"Another server may not take it back."

/* Is it a foreign table, or has it got partitions or children that are? */
bool
sg_writes_foreign(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	ListCell   *lc;

	if (relkind == RELKIND_FOREIGN_TABLE)
		return true;
	if (relkind != RELKIND_PARTITIONED_TABLE &&
		!(relkind == RELKIND_RELATION && has_subclass(relid)))
		return false;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

/*
 * Is it a foreign table of file_fdw, under whatever name, that runs a program
 * when it is read?  Its handler tells.
 */
static bool
reads_program(Oid relid)
{
	ForeignTable *table;
	char	   *library;
	char	   *symbol;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;
	table = GetForeignTable(relid);
	symbol = name_in_c(GetForeignDataWrapper(GetForeignServer(table->serverid)->fdwid)->fdwhandler,
					   &library);
	if (symbol == NULL || library == NULL ||
		strcmp(library, "file_fdw") != 0 ||
		strcmp(symbol, "file_fdw_handler") != 0)
		return false;
	foreach(lc, table->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "program") == 0)
			return true;
	}
	return false;
}

static char *
program_read(const char *name)
{
	return psprintf("a read of foreign table \"%s\", which runs a program",
					name);
}

bool
sg_refuse_read(SgRefusal *refusal, const RangeVar *name)
{
	Oid			relid = sg_find_relation(name);

	if (!OidIsValid(relid) || !reads_program(relid))
		return false;
	refusal->location = name->location;
	return sg_refuse(refusal, program_read(name->relname), SG_NO_ROLLBACK, NULL);
}

/*
 * A statement is about to be started, whoever has sent it.
 */
void
sg_rehearse_reads(const PlannedStmt *plan)
{
	ListCell   *lc;

	if (sg_rehearsal->current == NULL)
		return;
	foreach(lc, plan->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION &&
			rte->relkind == RELKIND_FOREIGN_TABLE && reads_program(rte->relid))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("safeguard.preview() cannot rehearse %s",
						   program_read(get_rel_name(rte->relid))),
					errdetail(SG_NO_ROLLBACK));
	}
}

/* A relation that sg_writes_foreign(), in words. */
static char *
foreign_write(Oid relid, const char *name)
{
	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		return psprintf("a write to foreign table \"%s\"", name);
	return psprintf("a write to table \"%s\", which has foreign partitions or children",
					name);
}

void
sg_refuse_foreign(Oid relid)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("safeguard.preview() cannot rehearse %s",
				   foreign_write(relid, get_rel_name(relid))),
			errdetail(FOREIGN_DETAIL));
}

bool
sg_refuse_target(SgRefusal *refusal, const RangeVar *name)
{
	Oid			relid = name ? sg_find_relation(name) : InvalidOid;

	if (!OidIsValid(relid) || !sg_writes_foreign(relid))
		return false;
	refusal->location = name->location;
	return sg_refuse(refusal, foreign_write(relid, name->relname),
					 FOREIGN_DETAIL, NULL);
}
