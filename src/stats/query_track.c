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
	SgSource	source;
	Oid			roleid;
	TimestampTz message;		/* statement_timestamp() of its message */
	int			end;			/* of it in the client's text; -1: unknown */
	bool		running;		/* look at "message" too */
	bool		done;
	const QueryDesc *queryDesc; /* only to compare */
	uint64		start;			/* microseconds */
	uint64		rows;
} SgCurrentQuery;

/* A cursor, or a statement that its client fetches by pieces. */
typedef struct SgOpenQuery
{
	MemoryContextCallback callback; /* it goes with its executor state */
	struct SgOpenQuery *next;
	QueryDesc  *queryDesc;
	Oid			roleid;
	uint64		elapsed;
	uint64		rows;
	bool		counted;
} SgOpenQuery;

static SgCurrentQuery current;
SgOpenQuery *sg_open_queries = NULL;

/* ---------------- which one ---------------- */

static inline bool
of_this_message(void)
{
	return current.message == GetCurrentStatementStartTimestamp();
}

static inline bool
is_running(void)
{
	return current.running && of_this_message();
}

static inline void
note(const char *text, int location, int len, uint64 queryid)
{
	TimestampTz message = GetCurrentStatementStartTimestamp();

	if (current.message != message)
	{
		current.message = message;
		current.end = -1;
	}
	current.source.text = text;
	current.source.location = location;
	current.source.len = len;
	current.source.queryid = queryid;
	current.running = current.done = false;
	current.queryDesc = NULL;
	if (text == debug_query_string)
		current.end = len > 0 && location >= 0 ? location + len : PG_INT32_MAX;
}

/*
 * A statement is about to be planned or executed.  Nothing of what runs inside
 * of another gets here but what planning calls.
 */
void
sg_query_note(const char *text, int location, int len, uint64 queryid)
{
	if (is_running() || !sg_is_top_level() || IsParallelWorker())
		return;
	note(text, location, len, queryid);
	current.roleid = GetUserId();
}

static inline void
note_execution(QueryDesc *queryDesc)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;

	note(queryDesc->sourceText, plan->stmt_location, plan->stmt_len,
		 (uint64) plan->queryId);
	current.roleid = GetUserId();
	current.queryDesc = queryDesc;
}

void
sg_query_note_start(QueryDesc *queryDesc)
{
	if (is_running() || !sg_is_top_level() || IsParallelWorker())
		return;
	note_execution(queryDesc);
}

static SgOpenQuery *
find_open(const QueryDesc *queryDesc)
{
	SgOpenQuery *open = sg_open_queries;

	while (open != NULL && open->queryDesc != queryDesc)
		open = open->next;
	return open;
}

/*
 * What is known of the statement for which an error has come; *end is where
 * it ends in the text that the client has sent, -1 if that is not known.
 */
SgQueryPhase
sg_query_current(SgQueryCall *call, int *end)
{
	SgOpenQuery *open;

	if (!of_this_message())
		return SG_QUERY_NONE;
	call->source = current.source;
	call->roleid = current.roleid;
	*end = current.end;
	if (current.running)
	{
		call->now = sg_microseconds();
		call->elapsed = call->now - current.start;
		open = find_open(current.queryDesc);
		if (open != NULL)
		{
			call->elapsed += open->elapsed;
			call->rows = open->rows;
			call->known = open->counted;
			open->counted = true;
		}
		return SG_QUERY_RUNNING;
	}
	return current.done ? SG_QUERY_DONE : SG_QUERY_PREPARING;
}

/*
 * It has failed, and that has been taken note of.
 */
void
sg_query_forget_current(void)
{
	current.running = false;
	current.done = true;
}

/* ---------------- how long ---------------- */

static inline void
push(SgQueryFrame *frame)
{
	frame->callback.callback = sg_violation_callback;
	frame->callback.arg = NULL;
	frame->callback.previous = error_context_stack;
	error_context_stack = &frame->callback;
}

static inline void
pop(SgQueryFrame *frame)
{
	error_context_stack = frame->callback.previous;
	sg_violation_forget();
}

static inline bool
is_slow(uint64 elapsed)
{
	return unlikely(elapsed > (uint64) sg_slow_query_ms * 1000) ||
		unlikely(sg_slow_query_ms == 0);
}

/*
 * The statement has come to its end without an error.
 */
static inline void
count(SgQueryCall *call)
{
	bool		client = sg_query_has_client();

	call->slow = is_slow(call->elapsed);
	if (client)
		sg_count_statement();
	if (call->slow && client)
		sg_count_slow_query();
	if (call->slow || (call->all && sg_track_queries != SG_TRACK_SLOW))
		sg_query_store(call);
}

static inline void
count_current(uint64 now, uint64 elapsed, uint64 rows, bool all)
{
	SgQueryCall call = {0};

	call.source = current.source;
	call.roleid = current.roleid;
	call.all = all;
	call.rows = rows;
	call.elapsed = elapsed;
	call.now = now;
	current.running = false;
	current.done = true;
	count(&call);
}

/*
 * Can ExecutorFinish have something to do, and is it called right after the
 * only ExecutorRun?  Portals run whatever changes data to its end at once.
 */
static inline bool
modifies(const QueryDesc *queryDesc)
{
	return queryDesc->operation != CMD_SELECT ||
		queryDesc->plannedstmt->hasModifyingCTE;
}

/*
 * ExecutorRun begins.  Returns false if what runs is a part of a statement
 * that runs already.
 */
bool
sg_query_run_begin(SgQueryFrame *frame, QueryDesc *queryDesc)
{
	if (!sg_queries_on || is_running() || !sg_is_top_level() ||
		IsParallelWorker())
		return false;
	frame->timed = sg_track_queries != SG_TRACK_OFF;
	frame->first = !queryDesc->already_executed;
	push(frame);
	if (!frame->timed)
		return true;
	if (unlikely(current.queryDesc != queryDesc || !of_this_message()))
		note_execution(queryDesc);
	current.done = false;
	current.running = true;
	current.start = sg_microseconds();
	return true;
}

/* ---------------- more than one run ---------------- */

static void
unlink_open(SgOpenQuery *open)
{
	SgOpenQuery **link = &sg_open_queries;

	while (*link != NULL && *link != open)
		link = &(*link)->next;
	if (*link == open)
		*link = open->next;
}

/*
 * Its executor state is gone without having been ended: the transaction has
 * been rolled back.  Nothing can be looked at any more.
 */
static void
open_gone(void *arg)
{
	unlink_open((SgOpenQuery *) arg);
}

static SgOpenQuery *
make_open(QueryDesc *queryDesc)
{
	MemoryContext context = queryDesc->estate->es_query_cxt;
	SgOpenQuery *open = MemoryContextAllocExtended(context, sizeof(SgOpenQuery),
												   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

	if (open == NULL)
		return NULL;
	open->queryDesc = queryDesc;
	open->roleid = current.roleid;
	open->callback.func = open_gone;
	open->callback.arg = open;
	MemoryContextRegisterResetCallback(context, &open->callback);
	open->next = sg_open_queries;
	sg_open_queries = open;
	return open;
}

/*
 * A run that need not be the last one.
 */
static pg_noinline void
add_run(SgQueryFrame *frame, QueryDesc *queryDesc, uint64 elapsed)
{
	SgOpenQuery *open = frame->first ? NULL : find_open(queryDesc);

	current.running = false;
	current.done = true;
	if (open == NULL)
	{
		open = make_open(queryDesc);
		if (open == NULL)
			return;

		/* it has been counted when all of it was fetched, and is read again */
		open->counted = !frame->first;
	}
	open->elapsed += elapsed;
	open->rows += queryDesc->estate->es_processed;
}

/*
 * ExecutorEnd begins: no more runs.
 */
void
sg_query_close(QueryDesc *queryDesc)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;
	SgOpenQuery *open = find_open(queryDesc);
	SgQueryCall call = {0};

	if (open == NULL)
		return;
	unlink_open(open);
	if (open->counted || !sg_queries_tracked())
		return;
	call.source.text = queryDesc->sourceText;
	call.source.location = plan->stmt_location;
	call.source.len = plan->stmt_len;
	call.source.queryid = (uint64) plan->queryId;
	call.roleid = open->roleid;
	call.all = call.source.queryid != 0;
	call.rows = open->rows;
	call.elapsed = open->elapsed;
	call.now = sg_microseconds();
	count(&call);
}

/* ---------------- the ends of runs ---------------- */

/*
 * ExecutorRun has returned.
 */
void
sg_query_run_end(SgQueryFrame *frame, QueryDesc *queryDesc, uint64 fetched)
{
	uint64		now;
	uint64		elapsed;

	pop(frame);
	if (!frame->timed)
		return;
	if (modifies(queryDesc))
	{
		current.rows = queryDesc->estate->es_processed;
		return;
	}
	now = sg_microseconds();
	elapsed = now - current.start;
	if (likely(frame->first && fetched == 0))
		count_current(now, elapsed, queryDesc->estate->es_processed,
					  current.source.queryid != 0);
	else
		add_run(frame, queryDesc, elapsed);
}

/*
 * ExecutorFinish begins, in which AFTER triggers run.  Returns false if that
 * is a part of something else, or of no interest.
 */
bool
sg_query_finish_begin(SgQueryFrame *frame, QueryDesc *queryDesc)
{
	if (!sg_queries_on || !modifies(queryDesc) || IsParallelWorker())
		return false;
	frame->timed = is_running() && current.queryDesc == queryDesc;
	if (!frame->timed && (is_running() || !sg_is_top_level()))
		return false;
	push(frame);
	return true;
}

void
sg_query_finish_end(SgQueryFrame *frame, QueryDesc *queryDesc)
{
	uint64		now;

	pop(frame);
	if (!frame->timed)
		return;
	now = sg_microseconds();
	count_current(now, now - current.start, current.rows,
				  current.source.queryid != 0);
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
		case T_ExecuteStmt:
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
sg_query_utility_begin(SgQueryFrame *frame, const PlannedStmt *pstmt,
					   const char *text, ProcessUtilityContext context)
{
	uint64		queryid = (uint64) pstmt->queryId;

	if (!sg_queries_on || context == PROCESS_UTILITY_SUBCOMMAND ||
		is_running() || !sg_is_top_level() || IsParallelWorker())
		return false;
	frame->timed = sg_track_queries != SG_TRACK_OFF;
	frame->first = is_counted(pstmt->utilityStmt);
	if (!frame->timed && !frame->first)
		return false;
	if (frame->timed)
	{
		/* pg_stat_statements hides it from those whom it calls */
		if (queryid == 0 && frame->first)
			queryid = pgstat_get_my_query_id();
		note(text, pstmt->stmt_location, pstmt->stmt_len, queryid);
		current.roleid = GetUserId();
	}
	if (!frame->first)
		return true;
	push(frame);
	if (frame->timed)
	{
		current.running = true;
		current.start = sg_microseconds();
	}
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
sg_query_utility_end(SgQueryFrame *frame, const QueryCompletion *qc)
{
	uint64		now;

	if (!frame->first)
	{
		current.done = true;
		return;
	}
	pop(frame);
	if (!frame->timed)
		return;
	now = sg_microseconds();
	count_current(now, now - current.start, rows_of(qc),
				  current.source.queryid != 0 || IsQueryIdEnabled());
}
