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
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

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

/* of the server; an asterisk stands for anything that follows */
static const char *const refused_functions[] = {
	"lo_export", "pg_advisory_unlock*", "pg_backup_*", "pg_cancel_backend",
	"pg_copy_logical_replication_slot", "pg_copy_physical_replication_slot",
	"pg_create_logical_replication_slot",
	"pg_create_physical_replication_slot", "pg_create_restore_point",
	"pg_drop_replication_slot", "pg_file_*", "pg_logical_emit_message",
	"pg_logical_slot_get_*", "pg_log_backend_memory_contexts", "pg_promote",
	"pg_reload_conf", "pg_replication_slot_advance", "pg_rotate_logfile",
	"pg_stat_reset*", "pg_switch_wal", "pg_terminate_backend",
	"pg_wal_replay_pause", "pg_wal_replay_resume"
};

static bool
name_matches(const char *name, const char *pattern)
{
	size_t		len = strlen(pattern);

	if (pattern[len - 1] == '*')
		return strncmp(name, pattern, len - 1) == 0;
	return strcmp(name, pattern) == 0;
}

/* Is it one of the server's functions that reach out of the transaction? */
static bool
is_refused_name(const char *name)
{
	for (int i = 0; i < lengthof(refused_functions); i++)
	{
		if (name_matches(name, refused_functions[i]))
			return true;
	}
	return false;
}

/*
 * A call as it is written: which function it will be is not known yet.  The
 * ones of dblink go by their names, wherever the extension was put.
 */
bool
sg_refuse_call(SgRefusal *refusal, const FuncCall *call)
{
	const char *name = strVal(llast(call->funcname));
	const char *schema = list_length(call->funcname) > 1 ?
		strVal(linitial(call->funcname)) : "pg_catalog";

	if (!name_matches(name, "dblink*") &&
		(strcmp(schema, "pg_catalog") != 0 || !is_refused_name(name)))
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
	HeapTuple	tuple;
	Form_pg_proc proc;
	bool		refused;
	char		name[NAMEDATALEN];

	if (sg_rehearsal->current == NULL)
		return;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	strlcpy(name, NameStr(proc->proname), NAMEDATALEN);
	refused = (proc->prolang == INTERNALlanguageId ||
			   proc->prolang == ClanguageId) &&
		(name_matches(name, "dblink*") ||
		 (proc->pronamespace == PG_CATALOG_NAMESPACE &&
		  is_refused_name(name)));
	ReleaseSysCache(tuple);
	if (refused)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("safeguard.preview() cannot rehearse function %s()",
					   name),
				errdetail(SG_NO_ROLLBACK));
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
