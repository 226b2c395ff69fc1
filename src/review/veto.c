/*-------------------------------------------------------------------------
 *
 * veto.c
 *		Keeps a review from executing functions that are not the server's own.
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

#include "access/transam.h"
#include "utils/regproc.h"

#include "review/review.h"
#include "safeguard.h"

static const char veto_message[] = "function %s is not executed by a review";

/* Reviews that are under way, one inside of another. */
int			sg_reviewing = 0;

/* What the outermost of them was refused, even if the inner ones go on. */
static ErrorData *refused = NULL;

/*
 * The server is about to execute a function for a review.
 */
void
sg_veto_function(Oid function)
{
	if (function >= FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg(veto_message, format_procedure(function))));
}

/*
 * Is it the error of sg_veto_function()?
 */
bool
sg_is_veto(const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE &&
		edata->message_id != NULL &&
		strcmp(edata->message_id, veto_message) == 0;
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
