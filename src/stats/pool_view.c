/*-------------------------------------------------------------------------
 *
 * pool_view.c
 *		safeguard.pool_stats(), and the functions behind safeguard.pool_history,
 *		safeguard.pool_failures and safeguard.acquisition_histogram.
 *
 * They are sums over all clients and name none, so everybody may read them, as
 * pg_stat_database.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "safeguard.h"
#include "stats/pool.h"

#define POOL_STATS_COLUMNS		16
#define POOL_FAILURES_COLUMNS	3
#define HISTOGRAM_COLUMNS		2

PG_FUNCTION_INFO_V1(sg_pool_stats);
PG_FUNCTION_INFO_V1(sg_pool_history);
PG_FUNCTION_INFO_V1(sg_pool_failures);
PG_FUNCTION_INFO_V1(sg_acquisition_histogram);

static void
put_stats(const SgPoolStats *stats, Datum *values)
{
	int			n = 0;

	values[n++] = TimestampTzGetDatum(stats->ts);
	values[n++] = Int32GetDatum(stats->pool_size);
	values[n++] = Int32GetDatum(stats->available);
	values[n++] = Int32GetDatum(stats->active);
	values[n++] = Int32GetDatum(stats->idle);
	values[n++] = Int32GetDatum(stats->idle_in_transaction);
	values[n++] = Int32GetDatum(stats->waiting);
	values[n++] = Int64GetDatum(stats->acquisitions);
	values[n++] = Int64GetDatum(stats->failures);
	values[n++] = Float8GetDatum(stats->avg_acquisition_ms);
	values[n++] = Float8GetDatum(stats->max_acquisition_ms);
	values[n++] = Int64GetDatum(stats->slow_queries);
	values[n++] = Float8GetDatum(stats->utilization);
	values[n++] = Int64GetDatum(stats->timeouts);
	values[n++] = Int64GetDatum(stats->exhaustion_events);
	values[n++] = Float8GetDatum(stats->error_rate);
	Assert(n == POOL_STATS_COLUMNS);
}

/*
 * The pool as it is now.
 */
Datum
sg_pool_stats(PG_FUNCTION_ARGS)
{
	Datum		values[POOL_STATS_COLUMNS];
	bool		nulls[POOL_STATS_COLUMNS] = {0};
	SgPoolStats stats;
	TupleDesc	tupdesc;

	sg_require_shmem();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	sg_pool_look(&stats);
	put_stats(&stats, values);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}

/*
 * The samples that have been kept, or those since a time.
 */
Datum
sg_pool_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz since = PG_ARGISNULL(0) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(0);
	SgPoolStats *samples;
	int			nsamples;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	samples = sg_history_copy(since, &nsamples);
	for (int i = 0; i < nsamples; i++)
	{
		Datum		values[POOL_STATS_COLUMNS];
		bool		nulls[POOL_STATS_COLUMNS] = {0};

		put_stats(&samples[i], values);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	pfree(samples);
	return (Datum) 0;
}

/*
 * One row per reason for which clients are refused, also if none was.
 */
Datum
sg_pool_failures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < SG_NUM_REFUSALS; i++)
	{
		TimestampTz last =
			pg_atomic_read_u64(&sg_acquisitions->refused_at[i]);
		Datum		values[POOL_FAILURES_COLUMNS];
		bool		nulls[POOL_FAILURES_COLUMNS] = {0};

		values[0] = CStringGetTextDatum(sg_refusal_name((SgRefusal) i));
		values[1] =
			Int64GetDatum(pg_atomic_read_u64(&sg_acquisitions->refused[i]));
		values[2] = TimestampTzGetDatum(last);
		nulls[2] = last == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * How many session starts took up to so many milliseconds, each bucket with
 * those of the smaller ones.
 */
Datum
sg_acquisition_histogram(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		count = 0;

	sg_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < SG_ACQUISITION_BUCKETS; i++)
	{
		Datum		values[HISTOGRAM_COLUMNS];
		bool		nulls[HISTOGRAM_COLUMNS] = {0};

		count += pg_atomic_read_u64(&sg_acquisitions->bucket[i]);
		values[0] = Float8GetDatum(sg_acquisition_limit(i));
		values[1] = Int64GetDatum(count);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
