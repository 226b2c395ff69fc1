/*-------------------------------------------------------------------------
 *
 * query_error.c
 *		Statements that fail: whose error it is, counted when that is safe.
 *
 * An error is seen on its way to the log, when nothing may be allocated and
 * locks may still be held.  So it is only noted there, and counted when its
 * transaction has been rolled back, which comes next: locks are free by then,
 * and the text that the client has sent is still there.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

#include "failopen.h"
#include "review/review.h"
#include "safeguard.h"
#include "stats/queries.h"

/* An error that has not been counted yet. */
typedef struct SgFailure
{
	bool		there;
	TimestampTz message;		/* see SgCurrentQuery */
	SgQueryCall call;
	const char *text;			/* that the client has sent, or NULL */
	int			next;			/* the statement is the one after this place in
								 * the text, if there is one; -1: no */
	bool		or_known;		/* and if there is none, it is that of "call" */
} SgFailure;

static SgFailure failure;

static uint64
since_message(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = GetCurrentStatementStartTimestamp();

	return now > then ? (uint64) (now - then) * 1000 : 0;
}

/*
 * Nothing of the message has been planned or executed: either it cannot be
 * parsed at all, or its first statement cannot be analysed or bound.
 */
static bool
note_unseen(int sqlstate)
{
	if (debug_query_string == NULL)
		return false;
	failure.call.source.text = debug_query_string;
	failure.call.source.location = -1;
	failure.call.elapsed = since_message();
	failure.next = sqlstate == ERRCODE_SYNTAX_ERROR ? -1 : 0;
	return true;
}

/*
 * Is the text still there?  It is that of a portal, and most clients use the
 * one without a name, which stays until the next Bind.
 */
static bool
has_text(const SgQueryCall *call)
{
	Portal		portal = GetPortalByName("");

	return call->source.text != NULL && PortalIsValid(portal) &&
		portal->sourceText == call->source.text;
}

/*
 * The text of what is known may be gone, with its portal or its prepared
 * statement.  Only an identifier helps, and only where calls are counted with
 * their text.
 */
static bool
known_without_text(SgQueryCall *call)
{
	call->source.text = NULL;
	return call->source.queryid != 0 &&
		(call->known || sg_track_queries != SG_TRACK_SLOW);
}

/*
 * The last statement seen has ended: what fails is the next one of the
 * message, or the commit of this one, which has been counted or not.
 */
static bool
note_after(bool counted, int end)
{
	SgQueryCall *call = &failure.call;

	call->known = counted;

	/* Sync commits */
	if (debug_query_string == NULL)
		return has_text(call) || known_without_text(call);

	/* EXECUTE, FETCH, and COMMIT by the extended protocol */
	if (call->source.text != debug_query_string && !has_text(call) &&
		!known_without_text(call))
		call->source.queryid = 0;	/* an error of no text, not a text of none */
	if (end >= 0 && end < PG_INT32_MAX)
	{
		failure.next = end;
		failure.or_known = true;
	}
	return true;
}

/*
 * A message of the extended protocol that names what is not there fails
 * before any statement is known.
 */
static bool
names_nothing(int sqlstate)
{
	return debug_query_string == NULL &&
		(sqlstate == ERRCODE_UNDEFINED_PSTATEMENT ||
		 sqlstate == ERRCODE_UNDEFINED_CURSOR);
}

static bool
note_failure(int sqlstate)
{
	int			end = -1;

	if (names_nothing(sqlstate))
		return false;
	memset(&failure, 0, sizeof(failure));
	failure.next = -1;
	failure.call.failed = true;

	/* not the owner of a function that the error may have left */
	failure.call.roleid = GetOuterUserId();

	/* the server forgets it before it rolls back, but leaves it in place */
	failure.text = debug_query_string;
	switch (sg_query_current(&failure.call, &end))
	{
		case SG_QUERY_NONE:
			return note_unseen(sqlstate);
		case SG_QUERY_PREPARING:
			failure.call.elapsed = since_message();

			/* Sync commits after Bind: Close may have dropped the text */
			return debug_query_string != NULL ||
				known_without_text(&failure.call);
		case SG_QUERY_RUNNING:
			return true;
		case SG_QUERY_DONE:
			return note_after(true, end);
		case SG_QUERY_PASSED:
			return note_after(false, end);
	}
	return false;
}

/*
 * An error is on its way to the log.  Called in any process.  Neither
 * allocates, locks nor raises.
 */
void
sg_query_log(ErrorData *edata)
{
	if (!sg_queries_on || (edata->elevel != ERROR && edata->elevel != FATAL) ||
		MyProc == NULL || proc_exit_inprogress)
		return;
	if (!sg_query_has_client())
	{
		sg_query_failed();
		return;
	}
	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) ==
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		sg_violation_note(edata);

	/* what comes in a transaction that has failed already is not looked at */
	if (!sg_queries_tracked() || !IsTransactionState())
		return;

	/* a session that is told to go has no statement, unless it runs one */
	if (edata->elevel == FATAL && debug_query_string == NULL)
		return;
	failure.there = false;
	if (note_failure(edata->sqlerrcode))
	{
		/* what has no identifier may have had one before */
		failure.call.seek = edata->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
			ERRCODE_TO_CATEGORY(edata->sqlerrcode) !=
			ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION;
		failure.message = GetCurrentStatementStartTimestamp();
		failure.there = true;
	}
	sg_query_failed();
}

/*
 * Find out which statement of several it was.
 */
static void
find_statement(void)
{
	SgQueryCall *call = &failure.call;
	int			location;
	int			len;

	if (failure.next < 0)
		return;
	if (sg_next_statement(failure.text, failure.next, &location, &len))
	{
		call->source.text = failure.text;
		call->source.location = location;
		call->source.len = len;
		call->source.queryid = 0;
		if (failure.or_known)
		{
			call->elapsed = since_message();
			call->rows = 0;
		}
		call->known = false;
	}
	else if (!failure.or_known)
	{
		call->source.text = failure.text;
		call->source.location = -1;
		call->source.len = 0;
	}
}

static void
count_failure(void)
{
	SgQueryCall *call = &failure.call;

	sg_fault("failed_query");
	find_statement();
	if (call->source.text == NULL)
		call->seek = false;
	if (call->now == 0)
		call->now = sg_nanoseconds();
	call->slow = !call->known && sg_query_is_slow(call->elapsed);
	sg_query_store(call);
}

/*
 * Count the error that has been noted.  The text may be anything, and memory
 * may be short: an error of ours is counted, and goes nowhere.
 */
static void
count_contained(void)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext volatile work = NULL;
	uint32		holdoff = InterruptHoldoffCount;

	PG_TRY();
	{
		work = AllocSetContextCreate(TopMemoryContext,
									 "safeguard failed query",
									 ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(work);
		count_failure();
	}
	PG_CATCH();
	{
		ErrorData  *edata = sg_keep_error(caller);

		/* which is what it has failed for, perhaps */
		if (!sg_is_text_error(edata->sqlerrcode))
			sg_unjudged_count(edata);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(caller);
	if (work != NULL)
		MemoryContextDelete(work);

	/* any error, one that was caught further down too, has set it to zero */
	InterruptHoldoffCount = holdoff;
}

/*
 * A transaction or subtransaction has been rolled back.
 */
void
sg_query_rolled_back(void)
{
	sg_violation_count();
	if (!failure.there)
		return;
	failure.there = false;
	if (failure.message == GetCurrentStatementStartTimestamp())
		count_contained();
}
