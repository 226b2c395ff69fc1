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
	SgQueryPhase phase;			/* as long as its message is the present one */
	bool		first;			/* run of its executor state */
	TimestampTz message;		/* statement_timestamp() of its message */
	SgSource	source;
	int			end;			/* of it in the client's text, see note() */
	const QueryDesc *queryDesc; /* only to compare */
	uint64		start;			/* nanoseconds */
	uint64		rows;
} SgCurrentQuery;

/* A cursor, or a statement that its client fetches by pieces. */
typedef struct SgOpenQuery
{
	MemoryContextCallback callback; /* it goes with its executor state */
	struct SgOpenQuery *next;
	QueryDesc  *queryDesc;
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
	return current.phase == SG_QUERY_RUNNING && of_this_message();
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
	current.phase = SG_QUERY_PREPARING;
	current.message = message;
	current.source.text = text;
	current.source.location = location;
	current.source.len = len;
	current.source.queryid = queryid;
	current.queryDesc = NULL;
}

/*
 * A statement is about to be planned.  Of what runs inside of another, only
 * what planning itself calls gets far here.
 */
void
sg_query_note(const char *text, int location, int len, uint64 queryid)
{
	if (!is_part())
		note(text, location, len, queryid);
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
 * it ends in the text that the client has sent, see note().
 */
SgQueryPhase
sg_query_current(SgQueryCall *call, int *end)
{
	SgOpenQuery *open;

	if (current.phase == SG_QUERY_NONE || !of_this_message())
		return SG_QUERY_NONE;
	call->source = current.source;
	*end = current.end;
	if (current.phase != SG_QUERY_RUNNING)
		return current.phase;

	call->now = sg_nanoseconds();
	call->elapsed = call->now - current.start;
	open = current.queryDesc == NULL ? NULL : find_open(current.queryDesc);
	if (open != NULL)
	{
		call->elapsed += open->elapsed;
		call->rows = open->rows;
		call->known = open->counted;
		open->counted = true;
	}
	return SG_QUERY_RUNNING;
}

/*
 * It has failed, and that has been taken note of.
 */
void
sg_query_failed(void)
{
	current.phase = SG_QUERY_NONE;
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
 * A statement has come to its end without an error.  "identified" says that it
 * can be told from others.
 */
static inline void
count(const SgSource *source, bool identified, uint64 now, uint64 elapsed,
	  uint64 rows)
{
	bool		slow = sg_query_is_slow(elapsed);

	if (sg_query_has_client())
	{
		sg_count_statement();
		if (slow)
			sg_count_slow_query();
	}
	if (slow || (identified && sg_track_queries != SG_TRACK_SLOW))
		store(source, now, elapsed, rows, slow);
}

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
		current.phase = SG_QUERY_NONE;
		return true;
	}
	note(queryDesc->sourceText, plan->stmt_location, plan->stmt_len,
		 (uint64) plan->queryId);
	current.queryDesc = queryDesc;
	current.first = !queryDesc->already_executed;
	current.phase = SG_QUERY_RUNNING;
	current.start = sg_nanoseconds();
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
add_run(QueryDesc *queryDesc, uint64 elapsed)
{
	SgOpenQuery *open = current.first ? NULL : find_open(queryDesc);

	if (open == NULL)
	{
		open = make_open(queryDesc);
		if (open == NULL)
			return;

		/* it has been counted when all of it was fetched, and is read again */
		open->counted = !current.first;
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
	SgSource	source;

	if (open == NULL)
		return;
	unlink_open(open);
	if (open->counted || !sg_queries_tracked())
		return;
	source.text = queryDesc->sourceText;
	source.location = plan->stmt_location;
	source.len = plan->stmt_len;
	source.queryid = (uint64) plan->queryId;
	count(&source, source.queryid != 0, sg_nanoseconds(), open->elapsed,
		  open->rows);
}

/* ---------------- the ends of runs ---------------- */

/*
 * ExecutorRun has returned; it was to fetch so many rows, 0 for all.
 */
void
sg_query_run_end(ErrorContextCallback *callback, QueryDesc *queryDesc,
				 uint64 fetched)
{
	uint64		rows = queryDesc->estate->es_processed;
	uint64		now;

	pop(callback);
	if (unlikely(current.phase != SG_QUERY_RUNNING))
		return;

	/* a portal runs what changes data to its end, and finishes it, at once */
	if (sg_query_modifies(queryDesc))
	{
		current.rows = rows;
		return;
	}
	now = sg_nanoseconds();
	current.phase = SG_QUERY_DONE;
	if (likely(current.first && fetched == 0))
		count(&current.source, current.source.queryid != 0, now,
			  now - current.start, rows);
	else
		add_run(queryDesc, now - current.start);
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
	uint64		now;

	pop(callback);
	if (current.queryDesc != queryDesc || !is_running())
		return;
	now = sg_nanoseconds();
	current.phase = SG_QUERY_DONE;
	count(&current.source, current.source.queryid != 0, now,
		  now - current.start, current.rows);
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
		current.phase = SG_QUERY_NONE;
	else
	{
		/* pg_stat_statements hides it from those whom it calls */
		if (queryid == 0)
			queryid = pgstat_get_my_query_id();
		note(text, pstmt->stmt_location, pstmt->stmt_len, queryid);
	}
	if (current.phase != SG_QUERY_NONE && is_counted(pstmt->utilityStmt))
	{
		current.phase = SG_QUERY_RUNNING;
		current.start = sg_nanoseconds();
	}
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
	uint64		now;

	pop(callback);
	if (current.phase == SG_QUERY_PREPARING)
		current.phase = SG_QUERY_DONE;
	if (current.phase != SG_QUERY_RUNNING)
		return;
	now = sg_nanoseconds();
	current.phase = SG_QUERY_DONE;
	count(&current.source, current.source.queryid != 0 || IsQueryIdEnabled(),
		  now, now - current.start, rows_of(qc));
}
