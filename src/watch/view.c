/*-------------------------------------------------------------------------
 *
 * view.c
 *		The function behind safeguard.watched.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "compat.h"
#include "stats/findings.h"
#include "watch/watch.h"

#define WATCHED_COLUMNS	9

PG_FUNCTION_INFO_V1(sg_watched_view);

/*
 * May the current user see the figures of a table?  A scope holds values of
 * its rows, so it takes the right to read all of them.
 */
static bool
may_see(const SgWatchedEntry *entry)
{
	Oid			relid = entry->key.relid;
	bool		gone = false;

	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return true;
	if (entry->key.dbid != MyDatabaseId ||
		get_rel_relkind(relid) == '\0')
		return false;
	if (sg_owns_relation(relid, GetUserId()))
		return true;
	return pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT,
								 &gone) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

/*
 * A crash can bring back figures of a table whose watch ended after they were
 * saved.  Of other databases nobody can tell from here.
 */
static bool
is_watched(const SgWatchedEntry *entry, List *watches)
{
	ListCell   *lc;

	if (entry->key.dbid != MyDatabaseId)
		return true;
	foreach(lc, watches)
	{
		if (((SgWatch *) lfirst(lc))->relid == entry->key.relid)
			return true;
	}
	return false;
}

static Datum
scope_column(const SgWatchedEntry *entry, bool *isnull)
{
	Datum		stored = sg_text_column(entry->scope, entry->encoding, isnull);

	if (*isnull)
		return (Datum) 0;
	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(TextDatumGetCString(stored)));
}

static void
put_entry(ReturnSetInfo *rsinfo, const SgWatchedEntry *entry)
{
	Datum		values[WATCHED_COLUMNS] = {0};
	bool		nulls[WATCHED_COLUMNS] = {0};
	char	   *relation = "";

	if (entry->relation[0] != '\0')
		relation = quote_qualified_identifier(entry->schema, entry->relation);
	values[0] = sg_text_column(entry->database, entry->encoding, &nulls[0]);
	values[1] = sg_text_column(relation, entry->encoding, &nulls[1]);
	values[2] = scope_column(entry, &nulls[2]);
	values[3] = Int64GetDatum(entry->inserted);
	values[4] = Int64GetDatum(entry->updated);
	values[5] = Int64GetDatum(entry->deleted);
	values[6] = TimestampTzGetDatum(entry->last_changed_at);
	values[7] = sg_text_column(entry->role, entry->encoding, &nulls[7]);
	values[8] = sg_text_column(entry->application, entry->encoding, &nulls[8]);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Changes of watched tables that the current user may see.
 */
Datum
sg_watched_view(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SgWatchedEntry *entries;
	uint64		n;
	List	   *watches;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	watches = sg_watch_all();
	entries = sg_watched_copy(0, false, &n);
	for (uint64 i = 0; i < n; i++)
	{
		if (is_watched(&entries[i], watches) && may_see(&entries[i]))
			put_entry(rsinfo, &entries[i]);
	}
	pfree(entries);
	return (Datum) 0;
}
