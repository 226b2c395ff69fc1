/*-------------------------------------------------------------------------
 *
 * query_views.c
 *		The functions behind safeguard.query_stats and
 *		safeguard.constraint_violations.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "stats/findings.h"
#include "stats/queries.h"

#define QUERY_COLUMNS		13
#define VIOLATION_COLUMNS	6

/* the share of calls that took no longer than what p95_ms shows */
#define PERCENTILE			0.95

PG_FUNCTION_INFO_V1(sg_query_stats);
PG_FUNCTION_INFO_V1(sg_constraint_violations);

static void
require_memory(const void *memory)
{
	if (memory == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"));
}

static double
milliseconds(double nanoseconds)
{
	return nanoseconds / 1000000.0;
}

/* The least time of a bucket, in nanoseconds. */
static double
bucket_start(int bucket)
{
	double		power = (double) (UINT64CONST(1) << (SG_QUERY_FIRST_POWER + bucket / 2));

	if (bucket == 0)
		return 0;
	return bucket % 2 == 0 ? power : power * 1.5;
}

/*
 * The time that 95 per cent of the calls did not exceed, in nanoseconds: as
 * far into its bucket as the calls before it fill it.
 */
static double
percentile(const SgQueryEntry *entry)
{
	uint64		all = 0;
	uint64		below = 0;
	double		wanted;

	for (int i = 0; i < SG_QUERY_BUCKETS; i++)
		all += entry->bucket[i];
	wanted = PERCENTILE * (double) all;
	for (int i = 0; i < SG_QUERY_BUCKETS; i++)
	{
		double		from = bucket_start(i);
		double		to = Min(bucket_start(i + 1), (double) entry->max);

		if (entry->bucket[i] > 0 && below + entry->bucket[i] >= wanted)
			return from + Max(to - from, 0) * (wanted - below) / entry->bucket[i];
		below += entry->bucket[i];
	}
	return (double) entry->max;
}

static void
put_text(Datum *value, bool *isnull, const char *text, int encoding)
{
	*value = sg_text_column(text == NULL ? "" : text, encoding, isnull);
}

/*
 * A name from a shared catalog, where each database writes in its encoding:
 * it need not be valid in this one.
 */
static void
put_name(Datum *value, bool *isnull, char *name)
{
	put_text(value, isnull, name, GetDatabaseEncoding());
}

static void
put_query(ReturnSetInfo *rsinfo, const SgQueryEntry *entry)
{
	Datum		values[QUERY_COLUMNS] = {0};
	bool		nulls[QUERY_COLUMNS] = {0};
	int			n = 0;

	nulls[n] = entry->key.hashed != 0;
	values[n++] = Int64GetDatum((int64) entry->key.id);
	put_name(&values[n], &nulls[n], get_database_name(entry->key.dbid));
	n++;
	put_name(&values[n], &nulls[n],
			 GetUserNameFromId(entry->key.roleid, true));
	n++;
	put_text(&values[n], &nulls[n], entry->query, entry->encoding);
	n++;
	values[n++] = Int64GetDatum(entry->calls);
	values[n++] = Int64GetDatum(entry->errors);
	values[n++] = Float8GetDatum(milliseconds((double) entry->total));
	nulls[n] = entry->calls == 0;
	values[n++] = Float8GetDatum(milliseconds((double) entry->total) /
								 Max(entry->calls, 1));
	values[n++] = Float8GetDatum(milliseconds((double) entry->max));
	nulls[n] = entry->calls == 0;
	values[n++] = Float8GetDatum(milliseconds(percentile(entry)));
	values[n++] = Int64GetDatum(entry->slow_calls);
	values[n++] = Int64GetDatum(entry->rows);
	nulls[n] = entry->last == 0;
	values[n++] = TimestampTzGetDatum(entry->last);
	Assert(n == QUERY_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * All statements that the current user may see: his own, or with the rights of
 * pg_read_all_stats everybody's.
 */
Datum
sg_query_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		sees_all = has_privs_of_role(GetUserId(),
											 ROLE_PG_READ_ALL_STATS);
	SgQueryEntry *entries;
	uint64		nentries;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	entries = sg_queries_collect(&nentries,
								 sees_all ? InvalidOid : GetUserId(), false);
	require_memory(entries);
	for (uint64 i = 0; i < nentries; i++)
		put_query(rsinfo, &entries[i]);
	pfree(entries);
	return (Datum) 0;
}

/* ---------------- violations ---------------- */

static const char *
kind_of(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			return "foreign key";
		case ERRCODE_UNIQUE_VIOLATION:
			return "unique";
		case ERRCODE_CHECK_VIOLATION:
			return "check";
		case ERRCODE_NOT_NULL_VIOLATION:
			return "not null";
		case ERRCODE_EXCLUSION_VIOLATION:
			return "exclusion";
		case ERRCODE_RESTRICT_VIOLATION:
			return "restrict";
		default:
			return "other";
	}
}

/*
 * May the current user know of the relation?  As for the server's own
 * statistics of tables: those of this database that he may do something with.
 */
static bool
may_use(const SgViolationKey *key)
{
	AclMode		mode = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE |
		ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER;
	Oid			nspid;
	Oid			relid;

	if (key->dbid != MyDatabaseId)
		return false;
	nspid = get_namespace_oid(key->schema, true);
	relid = OidIsValid(nspid) ? get_relname_relid(key->relation, nspid) :
		InvalidOid;
	return OidIsValid(relid) &&
		(pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK ||
		 pg_attribute_aclcheck_all(relid, GetUserId(),
								   ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_REFERENCES,
								   ACLMASK_ANY) == ACLCHECK_OK);
}

static void
put_violation(ReturnSetInfo *rsinfo, const SgViolationEntry *entry)
{
	const SgViolationKey *key = &entry->key;
	const char *relation = "";
	Datum		values[VIOLATION_COLUMNS] = {0};
	bool		nulls[VIOLATION_COLUMNS] = {0};
	int			n = 0;

	if (key->relation[0] != '\0')
		relation = quote_qualified_identifier(key->schema[0] == '\0' ? NULL : key->schema,
											  key->relation);
	put_name(&values[n], &nulls[n], get_database_name(key->dbid));
	n++;
	put_text(&values[n], &nulls[n], relation, entry->encoding);
	n++;
	put_text(&values[n], &nulls[n], key->constraint, entry->encoding);
	n++;
	values[n++] = CStringGetTextDatum(kind_of(key->sqlstate));
	values[n++] = Int64GetDatum(entry->count);
	values[n++] = TimestampTzGetDatum(entry->last);
	Assert(n == VIOLATION_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Violated constraints of relations that the current user may know of.
 */
Datum
sg_constraint_violations(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		sees_all = has_privs_of_role(GetUserId(),
											 ROLE_PG_READ_ALL_STATS);
	SgViolationEntry *entries;
	uint64		nentries;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	entries = sg_violations_collect(&nentries, false);
	require_memory(entries);
	for (uint64 i = 0; i < nentries; i++)
	{
		if (sees_all || may_use(&entries[i].key))
			put_violation(rsinfo, &entries[i]);
	}
	pfree(entries);
	return (Datum) 0;
}
