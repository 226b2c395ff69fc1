/*-------------------------------------------------------------------------
 *
 * log_view.c
 *		The functions behind safeguard.migration_log and
 *		safeguard.migration_stats().
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/findings.h"

#define LOG_COLUMNS		19
#define TOTALS_COLUMNS	9

PG_FUNCTION_INFO_V1(sg_migration_log);
PG_FUNCTION_INFO_V1(sg_migration_totals);

/*
 * A migration of a role is for that role: its error may tell what only it may
 * read.
 */
bool
sg_log_may_see(Oid roleid)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), roleid);
}

/* a number that may not be known */
static Datum
known(int64 value, bool *isnull)
{
	*isnull = value < 0;
	return Int64GetDatum(value);
}

static Datum
xids_column(const SgLogEntry *entry)
{
	Datum		xids[SG_LOG_XIDS];

	for (int i = 0; i < entry->nxids; i++)
		xids[i] = TransactionIdGetDatum(entry->xids[i]);
	return PointerGetDatum(construct_array(xids, entry->nxids, XIDOID,
										   sizeof(TransactionId), true,
										   TYPALIGN_INT));
}

static void
put_entry(ReturnSetInfo *rsinfo, const SgLogEntry *entry)
{
	Datum		values[LOG_COLUMNS] = {0};
	bool		nulls[LOG_COLUMNS] = {0};
	const char *table = quote_qualified_identifier(entry->schema,
												   entry->relation);
	int			n = 0;

#define TEXT(value) \
	values[n] = sg_text_column(value, entry->encoding, &nulls[n]), n++
#define KNOWN(value) values[n] = known(value, &nulls[n]), n++
	TEXT(entry->database);
	nulls[n] = entry->xid == 0;
	values[n++] = FullTransactionIdGetDatum(FullTransactionIdFromU64(entry->xid));
	TEXT(entry->project);
	TEXT(entry->tool);
	TEXT(table);
	TEXT(entry->version);
	values[n++] = TimestampTzGetDatum(entry->started_at);
	values[n++] = Float8GetDatum(entry->duration_ms);
	KNOWN(entry->ddl_count);
	KNOWN(entry->rows.inserted);
	KNOWN(entry->rows.updated);
	KNOWN(entry->rows.deleted);
	KNOWN(entry->wal_bytes);
	nulls[n] = entry->lock_wait_ms < 0;
	values[n++] = Float8GetDatum(entry->lock_wait_ms);
	values[n++] = BoolGetDatum(entry->succeeded);
	TEXT(entry->error);
	KNOWN(entry->findings);
	nulls[n] = !OidIsValid(entry->relid) || entry->dbid != MyDatabaseId;
	values[n++] = ObjectIdGetDatum(entry->relid);
	values[n++] = xids_column(entry);
#undef TEXT
#undef KNOWN
	Assert(n == LOG_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * The migrations of the log that the current user may see, oldest first.
 */
Datum
sg_migration_log(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SgLogEntry *entries;
	uint64		n;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	entries = sg_log_copy(&n, false);
	if (entries == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"));
	for (uint64 i = 0; i < n; i++)
	{
		if (sg_log_may_see(entries[i].roleid))
			put_entry(rsinfo, &entries[i]);
	}
	pfree(entries);
	return (Datum) 0;
}

/*
 * The totals of this database, or of all.
 */
Datum
sg_migration_totals(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[TOTALS_COLUMNS] = {0};
	bool		nulls[TOTALS_COLUMNS] = {0};
	SgMigrationTotals totals;
	int64		tried;
	int			n = 0;

	sg_require_shmem();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(&totals, 0, sizeof(totals));
	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		sg_log_totals_sum(&totals);
	else
		sg_log_totals(MyDatabaseId, &totals);
	tried = totals.applied + totals.failed;

	values[n++] = Int64GetDatum(totals.applied);
	values[n++] = Int64GetDatum(totals.failed);
	values[n++] = Int64GetDatum(totals.skipped);
	nulls[n] = tried == 0;
	values[n++] = Float8GetDatum(tried == 0 ? 0 : 100.0 * totals.applied / tried);
	nulls[n] = totals.applied == 0;
	values[n++] = Float8GetDatum(totals.applied == 0 ? 0 :
								 totals.total_ms / totals.applied);
	nulls[n] = totals.applied == 0;
	values[n++] = Float8GetDatum(totals.max_ms);
	values[n++] = Int64GetDatum(totals.rows_changed);
	values[n] = sg_text_column(totals.last_version, totals.encoding, &nulls[n]);
	if (OidIsValid(totals.last_role) && !sg_log_may_see(totals.last_role))
		nulls[n] = true;
	n++;
	nulls[n] = totals.last_applied_at == 0;
	values[n++] = TimestampTzGetDatum(totals.last_applied_at);
	Assert(n == TOTALS_COLUMNS);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}
