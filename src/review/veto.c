/*-------------------------------------------------------------------------
 *
 * veto.c
 *		Keeps a review from executing functions that are not the server's own,
 *		and a report those of whoever owns a table.
 *
 * Analysis and planning evaluate what has constant arguments: conditions of
 * tables, domains and indexes, too, which others have written.  They would run
 * with the rights of who asks for the review.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "migrate/history.h"
#include "review/review.h"
#include "safeguard.h"

static const char review_message[] = "function %s is not executed by a review";
static const char read_message[] = "function %s is not executed by a report";

/* Reviews that are under way, one inside of another. */
int			sg_reviewing = 0;

/* What the outermost of them was refused, even if the inner ones go on. */
static ErrorData *refused = NULL;

/* Is it tables that are read, and nothing reviewed? */
static bool reading = false;

/*
 * What a query needs to read a table: comparisons of a type that an extension
 * has made, say.
 */
static bool
is_for_reading(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_proc) GETSTRUCT(tuple))->provolatile == PROVOLATILE_IMMUTABLE &&
		sg_role_is_trusted(((Form_pg_proc) GETSTRUCT(tuple))->proowner);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The server is about to execute a function for a review.
 */
void
sg_veto_function(Oid function)
{
	if (function < FirstNormalObjectId || (reading && is_for_reading(function)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg(reading ? read_message : review_message,
					format_procedure(function))));
}

/*
 * Is it the error of sg_veto_function()?
 */
bool
sg_is_veto(const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE &&
		edata->message_id != NULL &&
		(strcmp(edata->message_id, review_message) == 0 ||
		 strcmp(edata->message_id, read_message) == 0);
}

/*
 * As sg_contained(), for work that is to execute nothing.  The outermost call
 * returns a veto also if an inner one has coped with it.
 */
ErrorData *
sg_contained_review(void (*work) (void *arg), void *arg)
{
	ErrorData  *volatile edata = NULL;

	if (sg_reviewing == 0)
		refused = NULL;
	sg_reviewing++;
	PG_TRY();
	{
		edata = sg_contained(work, arg);
	}
	PG_FINALLY();
	{
		sg_reviewing--;
	}
	PG_END_TRY();

	if (edata != NULL && sg_is_veto(edata) && refused == NULL)
		refused = edata;
	return edata == NULL && sg_reviewing == 0 ? refused : edata;
}

/*
 * As sg_contained(), for reading tables that nobody has named: it runs no
 * function of a role that could not make the reader run it anyway.
 */
ErrorData *
sg_contained_read(void (*work) (void *arg), void *arg)
{
	bool		outer = reading;
	ErrorData  *volatile edata = NULL;

	reading = sg_reviewing == 0 || outer;
	sg_reviewing++;
	PG_TRY();
	{
		edata = sg_contained(work, arg);
	}
	PG_FINALLY();
	{
		sg_reviewing--;
		reading = outer;
	}
	PG_END_TRY();
	return edata;
}
