/*-------------------------------------------------------------------------
 *
 * views.c
 *		The functions behind safeguard.rules and safeguard.findings.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "stats/area.h"
#include "stats/collector.h"
#include "stats/findings.h"

#define RULES_COLUMNS		8
#define FINDINGS_COLUMNS	16

PG_FUNCTION_INFO_V1(sg_rules_view);
PG_FUNCTION_INFO_V1(sg_findings_view);
PG_FUNCTION_INFO_V1(sg_own_trouble);
PG_FUNCTION_INFO_V1(sg_findings_reset);
PG_FUNCTION_INFO_V1(sg_stats_reset);

/*
 * Raise the error of a function that has nothing to show without shared
 * memory.
 */
void
sg_require_shmem(void)
{
	if (!sg_has_shmem())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("safeguard must be loaded via \"shared_preload_libraries\""),
				errdetail("Figures are counted in shared memory, which is only there when the server has started with safeguard."),
				errhint("Add safeguard to \"shared_preload_libraries\" and restart the server."));
}

/*
 * The counters of a rule, NULL without shared memory.  Returns how many.
 */
static int
put_counters(int rule, Datum *values, bool *nulls)
{
	if (sg_shared == NULL)
		nulls[0] = nulls[1] = true;
	else
	{
		values[0] = Int64GetDatum(pg_atomic_read_u64(&sg_shared->seen[rule]));
		values[1] =
			Int64GetDatum(pg_atomic_read_u64(&sg_shared->rejected[rule]));
	}
	return 2;
}

/*
 * One row per rule: what it is, its level in this session, its counters.
 */
Datum
sg_rules_view(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		const SgRule *rule = &sg_rules[i];
		SgLevel		level = sg_level_for((SgRuleId) i, InvalidOid);
		Datum		values[RULES_COLUMNS];
		bool		nulls[RULES_COLUMNS] = {0};
		int			n = 0;

		values[n++] = CStringGetTextDatum(rule->name);
		values[n++] = CStringGetTextDatum(unpack_sql_state(rule->sqlstate));
		values[n++] = CStringGetTextDatum(sg_level_name(level));
		values[n++] = CStringGetTextDatum(sg_level_name(rule->default_level));
		values[n++] = CStringGetTextDatum(rule->page);
		values[n++] = CStringGetTextDatum(rule->description);
		n += put_counters(i, &values[n], &nulls[n]);
		Assert(n == RULES_COLUMNS);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * A stored text as a Datum, or NULL for an empty one.  It may come from a
 * database of another encoding, or from a file; what is not valid here is
 * replaced, since one row must not make the view fail.
 */
Datum
sg_text_column(const char *stored, int encoding, bool *isnull)
{
	char	   *str;

	if (stored[0] == '\0')
	{
		*isnull = true;
		return (Datum) 0;
	}
	str = pstrdup(stored);
	if (encoding != GetDatabaseEncoding() ||
		!pg_verify_mbstr(encoding, str, (int) strlen(str), true))
	{
		for (char *p = str; *p != '\0'; p++)
		{
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		}
	}
	*isnull = false;
	return CStringGetTextDatum(str);
}

static Datum
relation_column(const SgFindingEntry *entry, bool *isnull)
{
	if (entry->relation[0] == '\0')
		return sg_text_column("", entry->encoding, isnull);
	return sg_text_column(quote_qualified_identifier(entry->schema[0] == '\0' ?
												  NULL : entry->schema,
												  entry->relation),
					   entry->encoding, isnull);
}

static void
put_finding(ReturnSetInfo *rsinfo, const SgFindingEntry *entry)
{
	const SgRule *rule = &sg_rules[entry->key.rule];
	Datum		values[FINDINGS_COLUMNS];
	bool		nulls[FINDINGS_COLUMNS] = {0};
	int			n = 0;

#define PUT_TEXT(stored) \
	do { \
		values[n] = sg_text_column(stored, entry->encoding, &nulls[n]); \
		n++; \
	} while (0)

	values[n++] = CStringGetTextDatum(rule->name);
	values[n++] = CStringGetTextDatum(unpack_sql_state(rule->sqlstate));
	values[n++] = CStringGetTextDatum(sg_level_name((SgLevel) entry->key.level));
	PUT_TEXT(entry->database);
	PUT_TEXT(entry->role);
	values[n] = relation_column(entry, &nulls[n]);
	n++;
	nulls[n] = !entry->has_queryid;
	values[n++] = Int64GetDatum((int64) entry->key.query);
	PUT_TEXT(entry->query);
	PUT_TEXT(entry->application);
	PUT_TEXT(entry->client);
	values[n++] = Int64GetDatum(entry->calls);
	values[n++] = Int64GetDatum(entry->rejected);
	values[n++] = TimestampTzGetDatum(entry->first_seen);
	values[n++] = TimestampTzGetDatum(entry->last_seen);
	PUT_TEXT(entry->message);
	PUT_TEXT(entry->hint);
	Assert(n == FINDINGS_COLUMNS);

#undef PUT_TEXT

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Copy the entries that the current user may see.  *nentries says how many.
 */
static SgFindingEntry *
copy_visible_entries(int *nentries)
{
	bool		sees_all = has_privs_of_role(GetUserId(),
											 ROLE_PG_READ_ALL_STATS);
	Oid			roleid = GetUserId();
	HASH_SEQ_STATUS seq;
	SgFindingEntry *entry;
	SgFindingEntry *copy;
	int			n = 0;

	/* made before the lock is taken; pages that are not used cost nothing */
	copy = palloc_extended(sg_max_findings * sizeof(SgFindingEntry),
						   MCXT_ALLOC_HUGE);
	LWLockAcquire(sg_shared->lock, LW_SHARED);
	hash_seq_init(&seq, sg_finding_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (n >= sg_max_findings)
		{
			hash_seq_term(&seq);
			break;
		}
		if (sees_all || entry->key.roleid == roleid)
			memcpy(&copy[n++], entry, sizeof(*entry));
	}
	LWLockRelease(sg_shared->lock);
	*nentries = n;
	return copy;
}

/*
 * All findings that the current user may see: his own, or with the rights of
 * pg_read_all_stats everybody's.
 */
Datum
sg_findings_view(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SgFindingEntry *entries;
	int			nentries;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	entries = copy_visible_entries(&nentries);
	for (int i = 0; i < nentries; i++)
		put_finding(rsinfo, &entries[i]);
	pfree(entries);
	return (Datum) 0;
}

/*
 * Forget all findings, and the counters of the rules.
 */
void
sg_findings_forget(void)
{
	HASH_SEQ_STATUS seq;
	SgFindingEntry *entry;

	LWLockAcquire(sg_shared->lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, sg_finding_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		hash_search(sg_finding_table, &entry->key, HASH_REMOVE, NULL);
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		pg_atomic_write_u64(&sg_shared->seen[i], 0);
		pg_atomic_write_u64(&sg_shared->rejected[i], 0);
	}
	pg_atomic_write_u64(&sg_shared->evicted, 0);
	LWLockRelease(sg_shared->lock);
}

Datum
sg_findings_reset(PG_FUNCTION_ARGS)
{
	sg_require_shmem();
	sg_findings_forget();
	/* or a crash would bring them back */
	sg_persist_write(false);
	PG_RETURN_VOID();
}

/*
 * Forget all figures of the cluster, findings included.
 */
Datum
sg_stats_reset(PG_FUNCTION_ARGS)
{
	sg_require_shmem();
	sg_shmem_reset();
	PG_RETURN_VOID();
}

/*
 * When a statement went through unjudged the last time, NULL if none has since
 * the server was started; and can the statistics file not be written?
 */
Datum
sg_own_trouble(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	uint64		at;

	sg_require_shmem();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	at = pg_atomic_read_u64(&sg_shared->unjudged_at);
	nulls[0] = at == 0;
	values[0] = TimestampTzGetDatum((TimestampTz) at);
	values[1] = BoolGetDatum(sg_collector != NULL &&
							 pg_atomic_read_u32(&sg_collector->failing) != 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
