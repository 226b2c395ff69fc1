/*-------------------------------------------------------------------------
 *
 * query_cursor.c
 *		Cursors, and statements that a client fetches by pieces: one call each,
 *		whose time is that of all its runs.
 *
 * What is known of one lives in the memory of its executor state, and goes
 * with it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/execnodes.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "stats/queries.h"

typedef struct SgOpenQuery
{
	MemoryContextCallback callback;
	struct SgOpenQuery *next;
	const QueryDesc *queryDesc;
	SgSource	source;			/* the text is the portal's */
	uint64		elapsed;		/* nanoseconds */
	uint64		rows;
	bool		counted;
} SgOpenQuery;

SgOpenQuery *sg_open_queries = NULL;

static SgOpenQuery *
find(const QueryDesc *queryDesc)
{
	SgOpenQuery *open = sg_open_queries;

	while (open != NULL && open->queryDesc != queryDesc)
		open = open->next;
	return open;
}

static void
forget(SgOpenQuery *open)
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
gone(void *arg)
{
	forget((SgOpenQuery *) arg);
}

static SgOpenQuery *
make(QueryDesc *queryDesc, const SgSource *source)
{
	MemoryContext context = queryDesc->estate->es_query_cxt;
	SgOpenQuery *open = MemoryContextAllocExtended(context, sizeof(SgOpenQuery),
												   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

	if (open == NULL)
		return NULL;
	open->queryDesc = queryDesc;
	open->source = *source;
	open->callback.func = gone;
	open->callback.arg = open;
	MemoryContextRegisterResetCallback(context, &open->callback);
	open->next = sg_open_queries;
	sg_open_queries = open;
	return open;
}

/*
 * A cursor has been declared.
 */
void
sg_cursor_open(QueryDesc *queryDesc, const SgSource *source)
{
	(void) make(queryDesc, source);
}

/*
 * Is it a cursor that is about to run?  Then what statement it is.
 */
bool
sg_cursor_source(const QueryDesc *queryDesc, SgSource *source)
{
	const SgOpenQuery *open = find(queryDesc);

	if (open == NULL)
		return false;
	*source = open->source;
	return true;
}

/*
 * Is this the run by which the server takes all rows of a cursor WITH HOLD at
 * commit, after it has gone back to the first one?
 */
static bool
begins_anew(const QueryDesc *queryDesc)
{
	return ActivePortal != NULL && ActivePortal->queryDesc == queryDesc &&
		ActivePortal->holdStore != NULL &&
		(ActivePortal->cursorOptions & CURSOR_OPT_SCROLL) != 0;
}

/*
 * A run that need not be the last one.
 */
void
sg_cursor_run(QueryDesc *queryDesc, const SgSource *source, bool first,
			  uint64 elapsed)
{
	SgOpenQuery *open = find(queryDesc);

	if (open == NULL)
	{
		open = make(queryDesc, source);
		if (open == NULL)
			return;

		/* it was counted when all of it was fetched, and is read again */
		open->counted = !first;
	}
	if (begins_anew(queryDesc))
		open->rows = 0;
	open->elapsed += elapsed;
	open->rows += queryDesc->estate->es_processed;
}

/*
 * A statement has failed while it ran: if it is a cursor, add what it has done
 * before, and do not count it again.
 */
void
sg_cursor_failed(const QueryDesc *queryDesc, SgQueryCall *call)
{
	SgOpenQuery *open = queryDesc == NULL ? NULL : find(queryDesc);

	if (open == NULL)
		return;
	call->elapsed += open->elapsed;
	call->rows = open->rows;
	call->known = open->counted;
	open->counted = true;
}

/*
 * ExecutorEnd begins: no more runs.  One that was never run is no call.
 */
void
sg_cursor_close(const QueryDesc *queryDesc)
{
	SgOpenQuery *open = find(queryDesc);

	if (open == NULL)
		return;
	forget(open);
	if (!open->counted && queryDesc->already_executed)
		sg_query_count(&open->source, open->elapsed, open->rows);
}
