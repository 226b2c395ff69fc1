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

/* An asterisk stands for anything that follows. */
typedef struct Outside
{
	const char *schema;			/* NULL: any, as with extensions */
	const char *name;
} Outside;

static const Outside outside[] = {
	{"pg_catalog", "lo_export"},
	{"pg_catalog", "pg_advisory_unlock*"},
	{"pg_catalog", "pg_backup_*"},
	{"pg_catalog", "pg_cancel_backend"},
	{"pg_catalog", "pg_copy_logical_replication_slot"},
	{"pg_catalog", "pg_copy_physical_replication_slot"},
	{"pg_catalog", "pg_create_logical_replication_slot"},
	{"pg_catalog", "pg_create_physical_replication_slot"},
	{"pg_catalog", "pg_create_restore_point"},
	{"pg_catalog", "pg_drop_replication_slot"},
	{"pg_catalog", "pg_log_backend_memory_contexts"},
	{"pg_catalog", "pg_logical_emit_message"},
	{"pg_catalog", "pg_logical_slot_get_*"},
	{"pg_catalog", "pg_promote"},
	{"pg_catalog", "pg_reload_conf"},
	{"pg_catalog", "pg_replication_origin_*"},
	{"pg_catalog", "pg_replication_slot_advance"},
	{"pg_catalog", "pg_rotate_logfile"},
	{"pg_catalog", "pg_stat_reset*"},
	{"pg_catalog", "pg_switch_wal"},
	{"pg_catalog", "pg_sync_replication_slots"},
	{"pg_catalog", "pg_terminate_backend"},
	{"pg_catalog", "pg_wal_replay_*"},
	{"safeguard", "findings_reset"},
	{"safeguard", "stats_reset"},
	{NULL, "dblink"},
	{NULL, "dblink_cancel_query"},
	{NULL, "dblink_close"},
	{NULL, "dblink_connect*"},
	{NULL, "dblink_disconnect"},
	{NULL, "dblink_exec"},
	{NULL, "dblink_fetch"},
	{NULL, "dblink_get_result"},
	{NULL, "dblink_open"},
	{NULL, "dblink_send_query"},
	{NULL, "heap_force_*"},
	{NULL, "pg_background_launch"},
	{NULL, "pg_file_*"},
	{NULL, "pg_truncate_visibility_map"},
	{NULL, "pg_stat_statements_reset"}
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

/* Does this function reach out of the transaction? */
static bool
is_outside(const char *schema, const char *name)
{
	for (int i = 0; i < lengthof(outside); i++)
	{
		const Outside *it = &outside[i];

		if (name_matches(name, it->name) &&
			(it->schema == NULL || strcmp(schema, it->schema) == 0))
			return strncmp(name, "pg_advisory", strlen("pg_advisory")) != 0 ||
				session_holds_advisory();
	}
	return false;
}

/*
 * A call as it is written: which function it will be is not known yet, so it
 * goes by its name.
 */
bool
sg_refuse_call(SgRefusal *refusal, const FuncCall *call)
{
	int			n = list_length(call->funcname);
	const char *name = strVal(llast(call->funcname));
	const char *schema = n > 1 ? strVal(list_nth(call->funcname, n - 2)) :
		"pg_catalog";

	if (!is_outside(schema, name))
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
	char	   *schema = NULL;
	char	   *name;

	if (sg_rehearsal->current == NULL)
		return;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	name = pstrdup(NameStr(proc->proname));
	if (proc->prolang == INTERNALlanguageId || proc->prolang == ClanguageId)
		schema = get_namespace_name(proc->pronamespace);
	ReleaseSysCache(tuple);
	if (schema != NULL && is_outside(schema, name))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("safeguard.preview() cannot rehearse function %s()",
					   name),
				errdetail(SG_NO_ROLLBACK));
	if (schema != NULL)
		pfree(schema);
	pfree(name);
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
