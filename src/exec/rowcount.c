/*-------------------------------------------------------------------------
 *
 * rowcount.c
 *		Counts the rows that a ModifyTable node affects and changes, exactly
 *		and while it runs.
 *
 * The server counts in es_processed the rows that a statement has really
 * affected, which is less than its source has: a BEFORE trigger may return
 * NULL, a row of the target be found twice or have been deleted by somebody
 * else meanwhile.  That number is the command tag's, so it leaves out
 * data-modifying CTEs and what rules add.  To count these as well, their node
 * is told that it sets the tag, for as long as it is called, and what it has
 * added is taken out again when it returns, so that nobody else ever sees it.
 *
 * Whoever else counts the same node follows the one who came first, since
 * what has been taken out cannot be counted again.
 *
 * The source of the node is tapped: the server asks for the next row when it
 * is done with the last one.  So whoever watches the count can stop the
 * statement before another row is touched.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/nodeFuncs.h"

#include "exec/exec.h"

/*
 * The rows that count for the command tag so far.  Rows that wait to be sent
 * to a foreign table together with others count as if they had been: whose
 * node happens to be running when they are sent does not matter then.
 */
static uint64
tag_rows(EState *estate)
{
	uint64		rows = estate->es_processed;
	ListCell   *relation;
	ListCell   *node;

	forboth(relation, estate->es_insert_pending_result_relations,
			node, estate->es_insert_pending_modifytables)
	{
		if (lfirst_node(ModifyTableState, node)->canSetTag)
			rows += lfirst_node(ResultRelInfo, relation)->ri_NumSlots;
	}
	return rows;
}

/*
 * The rows that foreign servers have changed by themselves for a node without
 * part in the command tag: nobody adds them to any number but EXPLAIN's.
 */
static int64
foreign_rows(const SgRowCount *count)
{
	double		rows = 0;
	ListCell   *lc;

	foreach(lc, count->foreign)
	{
		const Instrumentation *instrument =
			((PlanState *) lfirst(lc))->instrument;

		rows += instrument->ntuples + instrument->tuplecount;
	}
	return (int64) rows;
}

/*
 * How many of these rows, which have been affected since the last call, were
 * there before?  Nobody asks unless each row is watched.  Then MERGE and ON
 * CONFLICT come here after every source row, and both their own figures and
 * the command tag's have to say so: some versions of the server count there
 * what a trigger has turned down.
 */
static int64
rows_changed(SgRowCount *count, int64 rows)
{
	const ModifyTableState *node = count->node;
	double		now;
	double		before = count->own_figure;

	if (!count->counts_changed)
		return 0;
	rows = Max(rows, 0);
	switch (node->operation)
	{
		case CMD_UPDATE:
		case CMD_DELETE:
			return rows;
		case CMD_MERGE:
			now = node->mt_merge_updated + node->mt_merge_deleted;
			break;
		default:
			if (!count->upsert)
				return 0;
			now = node->ps.instrument->ntuples2;
			break;
	}
	count->own_figure = now;
	return Min(rows, (int64) (now - before));
}

/*
 * Add what has happened since the last call.  The number can become smaller:
 * a foreign server may refuse rows that have waited for it.
 */
static void
settle(SgRowCount *count)
{
	uint64		now = tag_rows(count->node->ps.state);
	int64		rows = (int64) (now - count->seen);
	int64		changed;

	count->seen = now;
	count->added += rows;
	if (count->foreign != NIL)
	{
		int64		foreign = foreign_rows(count);

		rows += foreign - count->foreign_seen;
		count->foreign_seen = foreign;
	}
	changed = rows_changed(count, rows);
	for (; count != NULL; count = count->next)
	{
		count->affected += rows;
		count->changed += changed;
	}
}

/* The node is about to ask for a row. */
static void
before_source(SgTap *tap)
{
	SgRowCount *count = tap->arg;

	if (count->node->ps.state->es_processed < count->quiet &&
		count->next == NULL)
		return;
	settle(count);
	for (; count != NULL; count = count->next)
	{
		if (count->each_row)
			count->watch(count);
	}
}

/* The node is called. */
static void
before_node(SgTap *tap)
{
	SgRowCount *count = tap->arg;

	if (!count->untagged)
		return;
	count->node->canSetTag = true;
	count->seen = tag_rows(count->node->ps.state);
	count->added = 0;
}

/* The node returns, with a row of RETURNING, or NULL when it is done. */
static void
after_node(SgTap *tap, TupleTableSlot *slot)
{
	SgRowCount *count = tap->arg;
	EState	   *estate = count->node->ps.state;

	settle(count);
	if (count->untagged)
	{
		estate->es_processed -= count->added;
		count->node->canSetTag = false;
	}
	for (; count != NULL; count = count->next)
	{
		count->done = TupIsNull(slot);
		count->watch(count);
	}
}

static bool
collect_foreign(PlanState *node, void *context)
{
	List	  **found = context;

	if (IsA(node, ForeignScanState) &&
		((ForeignScanState *) node)->resultRelInfo != NULL)
		*found = lappend(*found, node);
	return planstate_tree_walker(node, collect_foreign, context);
}

static void
want_figures(PlanState *node)
{
	if (node->instrument == NULL)
		node->instrument = InstrAlloc(1, INSTRUMENT_ROWS, false);
}

/*
 * Look at the node after every row.
 */
static void
watch_each_row(SgRowCount *first)
{
	ModifyTableState *node = first->node;

	if (first->source_tap.before != NULL)
		return;
	first->counts_changed = true;
	if (first->upsert)
		want_figures(&node->ps);
	first->source_tap.arg = first;
	sg_tap_attach(outerPlanState(node), &first->source_tap);
	/* that it has been attached */
	first->source_tap.before = before_source;
}

/*
 * Be the first to count the rows of a node.
 */
static void
begin_count(SgRowCount *count)
{
	ModifyTableState *node = count->node;
	const ModifyTable *plan = (const ModifyTable *) node->ps.plan;
	ListCell   *lc;

	count->untagged = !node->canSetTag;
	count->upsert = plan->onConflictAction == ONCONFLICT_UPDATE;
	if (count->untagged && !bms_is_empty(plan->fdwDirectModifyPlans))
		(void) collect_foreign(outerPlanState(node), &count->foreign);
	foreach(lc, count->foreign)
		want_figures(lfirst(lc));

	count->node_tap.before = before_node;
	count->node_tap.after = after_node;
	count->node_tap.arg = count;
	sg_tap_attach(&node->ps, &count->node_tap);
}

/*
 * Count the rows of a node of a statement that has been started and not run
 * yet.  The caller, in the statement's memory context, has filled in "node"
 * and "watch".  The latter is called when the node returns and, if
 * "each_row", after every row, and may raise an error; "changed" is
 * counted with each_row only.
 */
void
sg_rowcount_attach(SgRowCount *count, bool each_row)
{
	SgTap	   *tap = sg_tap_find(&count->node->ps, before_node);
	SgRowCount *first = count;

	count->each_row = each_row;
	if (tap == NULL)
		begin_count(count);
	else
	{
		first = tap->arg;
		count->next = first->next;
		first->next = count;
	}
	if (each_row)
		watch_each_row(first);
}

/*
 * Nobody needs to be called before a node has affected more than so many rows:
 * saves some 100 instructions a row.  Until then the numbers stay behind, so
 * only for UPDATE and DELETE, where they can be had at once from the command
 * tag's, and for a statement without another node that changes data.
 */
void
sg_rowcount_quiet(SgRowCount *count, uint64 rows)
{
	const ModifyTableState *node = count->node;

	if (node->canSetTag && node->ps.state->es_auxmodifytables == NIL &&
		(node->operation == CMD_UPDATE || node->operation == CMD_DELETE))
		count->quiet = rows + 1;
}
