/*-------------------------------------------------------------------------
 *
 * report.c
 *		What safeguard.schema_report() reads of tables.
 *
 * Nobody has named them, so nothing that their owners have attached to them
 * must run as the role that asks.  The report leaves out those where something
 * would (migrate/trust.c).  But an owner can attach more until the table is
 * read, and no lock that a reader may take keeps him from it: so the functions
 * are refused once more when they are about to run.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "review/review.h"
#include "schema/keys.h"

typedef struct Reading
{
	FunctionCallInfo fcinfo;
	Datum		result;
} Reading;

PG_FUNCTION_INFO_V1(sg_report_key);
PG_FUNCTION_INFO_V1(sg_report_orphans);

extern Datum sg_check_key(PG_FUNCTION_ARGS);

/*
 * Read a table.  Returns false, with a word to the user, if that would have
 * run a function of another role.
 */
static bool
read_rows(void (*work) (void *arg), Reading *reading)
{
	ErrorData  *edata = sg_contained_read(work, reading);
	const char *name;

	if (edata == NULL)
		return true;
	if (!sg_is_veto(edata))
		ReThrowError(edata);
	name = get_rel_name(DatumGetObjectId(reading->fcinfo->args[0].value));
	ereport(WARNING,
			errcode(edata->sqlerrcode),
			errmsg("table \"%s\" was not examined: %s",
				   name ? name : "?", edata->message));
	return false;
}

static void
read_key(void *arg)
{
	Reading    *reading = (Reading *) arg;

	reading->result = sg_check_key(reading->fcinfo);
}

static void
read_orphans(void *arg)
{
	sg_put_orphans(((Reading *) arg)->fcinfo);
}

/*
 * safeguard.check_key() for a report; NULL for what must not be read.
 */
Datum
sg_report_key(PG_FUNCTION_ARGS)
{
	Reading		reading = {.fcinfo = fcinfo};

	if (!read_rows(read_key, &reading))
		PG_RETURN_NULL();
	return reading.result;
}

/*
 * safeguard.orphans() for a report; none for what must not be read.
 */
Datum
sg_report_orphans(PG_FUNCTION_ARGS)
{
	Reading		reading = {.fcinfo = fcinfo};

	/* not in the subtransaction, which takes its files along */
	InitMaterializedSRF(fcinfo, 0);
	if (!read_rows(read_orphans, &reading))
		tuplestore_clear(((ReturnSetInfo *) fcinfo->resultinfo)->setResult);
	return (Datum) 0;
}
