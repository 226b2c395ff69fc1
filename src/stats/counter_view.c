/*-------------------------------------------------------------------------
 *
 * counter_view.c
 *		The function behind the totals of safeguard.metrics().
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"

#include "safeguard.h"
#include "stats/counters.h"

#define STATEMENT_COUNTS_COLUMNS	2

PG_FUNCTION_INFO_V1(sg_statement_counts);

/*
 * Statements of the whole server.  Unlike sums over safeguard.query_stats
 * these never fall but by a reset.
 */
Datum
sg_statement_counts(PG_FUNCTION_ARGS)
{
	Datum		values[STATEMENT_COUNTS_COLUMNS];
	bool		nulls[STATEMENT_COUNTS_COLUMNS] = {0};
	TupleDesc	tupdesc;

	sg_require_shmem();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(sg_counter_get(SG_COUNT_STATEMENTS));
	values[1] = Int64GetDatum(sg_counter_get(SG_COUNT_ERRORS));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}
