/*-------------------------------------------------------------------------
 *
 * query_track.c
 *		Statements while they run: which one it is, and how long it takes.
 *
 * Only what a client has sent counts.  What runs inside of it (functions,
 * triggers, what EXPLAIN ANALYZE or CREATE TABLE AS execute) is a part of its
 * time.  There is one such statement at a time, and what is known of it stays
 * here until the next one, for an error to be told whose it is.
 *
 * No error is caught: a statement that fails leaves this state as it is, and
 * the time at which its message came tells that it is over.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"

#include "compat.h"
#include "stats/counters.h"
#include "stats/queries.h"

/* The last statement that the client has sent. */
typedef struct SgCurrentQuery
{
	bool		once;			/* it is run for the first time, and no cursor */
	TimestampTz message;		/* statement_timestamp() of its message */
	SgSource	source;
	int			end;			/* of it in the client's text, see note() */
	const QueryDesc *queryDesc; /* only to compare */
	uint64		start;			/* nanoseconds */
	uint64		elapsed;		/* the same, if it has been passed over */
	uint64		rows;
} SgCurrentQuery;

static SgCurrentQuery current;
SgQueryPhase sg_query_phase = SG_QUERY_NONE;
bool		sg_query_declares = false;

/* ---------------- which one ---------------- */

static inline bool
of_this_message(void)
{
	return current.message == GetCurrentStatementStartTimestamp();
}

static inline bool
is_running(void)
{
	return sg_query_phase == SG_QUERY_RUNNING && of_this_message();
}

/*
 * Is what begins a part of another statement?
 */
static inline bool
is_part(void)
{
	return is_running() || IsParallelWorker() ||
		(error_context_stack != NULL && !sg_is_top_level());
}

/*
 * Where it ends in the text that the client has sent: -1 is not known, and
 * PG_INT32_MAX at the end of the text.  EXECUTE has a place there, what it
 * executes has another text.
 */
static inline void
note(const char *text, int location, int len, uint64 queryid)
{
	TimestampTz message = GetCurrentStatementStartTimestamp();

	if (text == debug_query_string)
		current.end = len > 0 ? location + len : PG_INT32_MAX;
	else if (current.message != message)
		current.end = -1;
	sg_query_phase = SG_QUERY_PREPARING;
	current.message = message;
	current.source.text = text;
	current.source.location = location;
	current.source.len = len;
	current.source.queryid = queryid;
	current.queryDesc = NULL;
}

/*
 * A statement is about to be planned.  Of what runs inside of another, only
 * what planning itself calls gets far here.  The query of a cursor has no
 * place of its own in the text.
 */
void
sg_query_note(const char *text, int location, int len, uint64 queryid)
{
	if (is_part() || (sg_query_declares && of_this_message()))
		return;
	note(text, location, len, queryid);
}

/*
 * Is it a commit by Sync, with other messages between it and the statement
 * that ran last?  Sync has neither text nor time; a call of the fast path
 * shows as another state.
 */
static bool
is_commit_of_it(void)
{
	return debug_query_string == NULL &&
		(sg_query_phase == SG_QUERY_DONE || sg_query_phase == SG_QUERY_PASSED) &&
		current.message >= GetCurrentTransactionStartTimestamp() &&
		MyBEEntry != NULL && MyBEEntry->st_state == STATE_RUNNING;
}

/*
 * What is known of the statement for which an error has come; *end is where
 * it ends in the text that the client has sent, see note().
 */
SgQueryPhase
sg_query_current(SgQueryCall *call, int *end)
{
	bool		present = of_this_message();

	if (sg_query_phase == SG_QUERY_NONE || (!present && !is_commit_of_it()))
		return SG_QUERY_NONE;
	call->source = current.source;
	*end = current.end;

	/* its portal may have made room for another one */
	if (!present)
		call->source.text = NULL;
	if (sg_query_phase == SG_QUERY_PASSED)
	{
		call->elapsed = current.elapsed;
		call->rows = current.rows;
	}
	if (sg_query_phase != SG_QUERY_RUNNING)
		return sg_query_phase;

	call->now = sg_nanoseconds();
	call->elapsed = call->now - current.start;
	if (sg_open_queries != NULL)
		sg_cursor_failed(current.queryDesc, call);
	return SG_QUERY_RUNNING;
}

/*
 * It has failed, and that has been taken note of.
 */
void
sg_query_failed(void)
{
	sg_query_phase = SG_QUERY_NONE;
}

/* ---------------- how long ---------------- */

static inline void
push(ErrorContextCallback *callback)
{
	callback->callback = sg_violation_callback;
	callback->arg = NULL;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/*
 * What was noted of violations has been dealt with: the statement goes on.
 */
static inline void
pop(ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
	sg_violation_noted = false;
}

static pg_noinline void
store(const SgSource *source, uint64 now, uint64 elapsed, uint64 rows,
	  bool slow)
{
	SgQueryCall call = {0};

	call.source = *source;
	call.roleid = GetOuterUserId();
	call.rows = rows;
	call.elapsed = elapsed;
	call.now = now;
	call.slow = slow;
	sg_query_store(&call);
}

/*
 * Is it counted however fast it was?  Where identifiers are computed, some
 * statements have none all the same, such as utility commands that another
 * library has hidden.
 */
static inline bool
wanted(const SgSource *source)
{
	return sg_track_queries != SG_TRACK_SLOW &&
		(source->queryid != 0 || IsQueryIdEnabled());
}

/*
 * A statement has come to its end without an error.  Returns false if it is
 * passed over: it has been fast, and only what is slow counts.
 */
static inline bool
count(const SgSource *source, uint64 now, uint64 elapsed, uint64 rows)
{
	bool		slow = sg_query_is_slow(elapsed);

	if (sg_query_has_client())
	{
		sg_count_statement();
		if (slow)
			sg_count_slow_query();
	}
	if (!slow && !wanted(source))
		return false;
	store(source, now, elapsed, rows, slow);
	return true;
}

/*
 * The same for the present one.  If it is passed over, its commit may fail
 * yet, and make a call of it.
 */
static inline void
count_current(uint64 rows)
{
	uint64		now = sg_nanoseconds();
	uint64		elapsed = now - current.start;

	sg_query_phase = SG_QUERY_DONE;
	if (!count(&current.source, now, elapsed, rows))
	{
		sg_query_phase = SG_QUERY_PASSED;
		current.elapsed = elapsed;
		current.rows = rows;
	}
}

/*
 * The same for a cursor that is closed.
 */
void
sg_query_count(const SgSource *source, uint64 elapsed, uint64 rows)
{
	if (sg_queries_tracked())
		(void) count(source, sg_nanoseconds(), elapsed, rows);
}

/*
 * DECLARE CURSOR has come to ExecutorStart: it alone knows which part of the
 * text the cursor's query is, and before 18 its identifier.
 */
void
sg_query_declare(QueryDesc *queryDesc)
{
	SgSource	source = current.source;

	if (is_part() || !of_this_message() || !sg_queries_tracked())
		return;

	/* the portal keeps its own copy */
	source.text = queryDesc->sourceText;
	if (queryDesc->plannedstmt->queryId != 0)
		source.queryid = (uint64) queryDesc->plannedstmt->queryId;
	sg_cursor_open(queryDesc, &source);
}

/* ---------------- a run ---------------- */

/*
 * ExecutorRun begins.  Returns false if what runs is a part of a statement
 * that runs already.
 */
bool
sg_query_run_begin(ErrorContextCallback *callback, QueryDesc *queryDesc)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;

	if (is_part())
		return false;
	push(callback);
	if (unlikely(sg_track_queries == SG_TRACK_OFF))
	{
		sg_query_phase = SG_QUERY_NONE;
		return true;
	}
	note(queryDesc->sourceText, plan->stmt_location, plan->stmt_len,
		 (uint64) plan->queryId);
	current.queryDesc = queryDesc;
	current.once = !queryDesc->already_executed;
	if (unlikely(sg_open_queries != NULL) &&
		sg_cursor_source(queryDesc, &current.source))
		current.once = false;
	sg_query_phase = SG_QUERY_RUNNING;
	current.start = sg_nanoseconds();
	return true;
}

/*
 * ExecutorRun has returned; it was to fetch so many rows, 0 for all.
 */
void
sg_query_run_end(ErrorContextCallback *callback, QueryDesc *queryDesc,
				 uint64 fetched)
{
	uint64		rows = queryDesc->estate->es_processed;

	pop(callback);
	if (unlikely(sg_query_phase != SG_QUERY_RUNNING))
		return;

	/* a portal runs what changes data to its end, and finishes it, at once */
	if (sg_query_modifies(queryDesc))
	{
		current.rows = rows;
		return;
	}
	if (likely(current.once && fetched == 0))
		count_current(rows);
	else
	{
		sg_query_phase = SG_QUERY_DONE;
		sg_cursor_run(queryDesc, &current.source, current.once,
					  sg_nanoseconds() - current.start);
	}
}

/*
 * ExecutorFinish begins, in which AFTER triggers run.  Returns false if that
 * is a part of something else.
 */
bool
sg_query_finish_begin(ErrorContextCallback *callback, QueryDesc *queryDesc)
{
	if ((current.queryDesc != queryDesc && is_running()) ||
		IsParallelWorker() || !sg_is_top_level())
		return false;
	push(callback);
	return true;
}

void
sg_query_finish_end(ErrorContextCallback *callback, QueryDesc *queryDesc)
{
	pop(callback);
	if (current.queryDesc == queryDesc && is_running())
		count_current(current.rows);
}

/* ---------------- utility commands ---------------- */

/*
 * Commands that run a statement which counts itself, or none.
 */
static bool
is_counted(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_PrepareStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
			return false;
		default:
			return true;
	}
}

/*
 * A command begins.  Returns false if it is a part of another statement, or
 * nothing is to be known of it.
 */
bool
sg_query_utility_begin(ErrorContextCallback *callback,
					   const PlannedStmt *pstmt, const char *text,
					   ProcessUtilityContext context)
{
	uint64		queryid = (uint64) pstmt->queryId;

	if (is_part() || context == PROCESS_UTILITY_SUBCOMMAND)
		return false;
	if (sg_track_queries == SG_TRACK_OFF)
		sg_query_phase = SG_QUERY_NONE;
	else
	{
		/* pg_stat_statements hides it from those whom it calls */
		if (queryid == 0)
			queryid = pgstat_get_my_query_id();
		note(text, pstmt->stmt_location, pstmt->stmt_len, queryid);
	}
	if (sg_query_phase != SG_QUERY_NONE && is_counted(pstmt->utilityStmt))
	{
		sg_query_phase = SG_QUERY_RUNNING;
		current.start = sg_nanoseconds();
	}
	sg_query_declares = IsA(pstmt->utilityStmt, DeclareCursorStmt);
	push(callback);
	return true;
}

static uint64
rows_of(const QueryCompletion *qc)
{
	if (qc != NULL &&
		(qc->commandTag == CMDTAG_COPY || qc->commandTag == CMDTAG_SELECT ||
		 qc->commandTag == CMDTAG_REFRESH_MATERIALIZED_VIEW))
		return qc->nprocessed;
	return 0;
}

/*
 * It has ended without an error.  Its tree may be gone.
 */
void
sg_query_utility_end(ErrorContextCallback *callback, const QueryCompletion *qc)
{
	pop(callback);
	sg_query_declares = false;
	if (sg_query_phase == SG_QUERY_PREPARING)
		sg_query_phase = SG_QUERY_DONE;
	if (sg_query_phase == SG_QUERY_RUNNING)
		count_current(rows_of(qc));
}
