/*-------------------------------------------------------------------------
 *
 * upsert_view.c
 *		The function behind safeguard.upsert_stats.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "upsert/upsert.h"

#define UPSERT_STATS_COLUMNS	9

PG_FUNCTION_INFO_V1(sg_upsert_stats);

/*
 * May the current user see figures about a table?  Who may read all of it
 * could count its rows himself.
 */
static bool
may_see(Oid relid)
{
	bool		gone = false;

	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		sg_owns_relation(relid, GetUserId()))
		return true;
	return pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT,
								 &gone) == ACLCHECK_OK &&
		!gone && check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

/*
 * The elements of a target as an array of names, NULL if one of its columns
 * has been dropped.
 */
static ArrayType *
columns_array(const SgUpsertEntry *entry)
{
	const char *expr = entry->exprs;
	Datum	   *names = palloc((entry->nkeys + 1) * sizeof(Datum));

	for (int i = 0; i < entry->nkeys; i++)
	{
		NameData   *name = palloc0(sizeof(NameData));
		const char *str = expr;

		if (entry->keys[i] > 0)
			str = get_attname(entry->key.relid, entry->keys[i], true);
		else if (expr < entry->exprs + sizeof(entry->exprs) - 1)
			expr += strlen(expr) + 1;
		if (str == NULL ||
			(entry->keys[i] > 0 &&
			 !OidIsValid(get_atttype(entry->key.relid, entry->keys[i]))))
			return NULL;
		namestrcpy(name, str);
		names[i] = NameGetDatum(name);
	}
	return construct_array(names, entry->nkeys, NAMEOID, NAMEDATALEN, false,
						   TYPALIGN_CHAR);
}

static void
put_entry(ReturnSetInfo *rsinfo, const SgUpsertEntry *entry)
{
	Datum		values[UPSERT_STATS_COLUMNS];
	bool		nulls[UPSERT_STATS_COLUMNS] = {0};
	ArrayType  *columns = columns_array(entry);
	int			n = 0;

	if (columns == NULL)
		return;
	values[n++] = ObjectIdGetDatum(entry->key.relid);
	values[n++] = PointerGetDatum(columns);
	values[n++] = Int64GetDatum(entry->statements);
	values[n++] = Int64GetDatum(entry->proposed);
	values[n++] = Int64GetDatum(entry->inserted);
	values[n++] = Int64GetDatum(entry->replaced);
	values[n++] = Int64GetDatum(entry->skipped);
	nulls[n] = !entry->sketched;
	values[n++] = Int64GetDatum(entry->sketched ?
								sg_registers_count(entry->registers) : 0);
	values[n++] = TimestampTzGetDatum(entry->last_seen);
	Assert(n == UPSERT_STATS_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Figures of the upserts on the tables of this database that the current user
 * may see.
 */
Datum
sg_upsert_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, sg_upserts_of(InvalidOid))
	{
		const SgUpsertEntry *entry = lfirst(lc);

		if (get_rel_relkind(entry->key.relid) != '\0' &&
			may_see(entry->key.relid))
			put_entry(rsinfo, entry);
	}
	return (Datum) 0;
}
