/*-------------------------------------------------------------------------
 *
 * marks.c
 *		Which of the gathered rows the transaction has inserted itself.
 *
 * What a migration inserts is not kept, so neither is what it does to such a
 * row later: it would come back as a row that never was there.  But a transition
 * table has no system columns that would tell.  So each target also gets a row
 * trigger for each event, whose WHEN condition is a function of ours: the server
 * asks it right after it has gathered the row.  It looks at the stored old row,
 * notes what it has seen, and is never true, so that no row waits to fire.
 *
 * What is not certain is not marked, and is kept.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "rows/rows.h"

/* Of what one statement has done to one table, in the order of gathering. */
struct SgKeepMarks
{
	MemoryContext context;		/* that of the statement */
	int64		rows;			/* so many have been seen */
	int64		marked;
	uint8	   *bits;			/* one for each, as far as "size" bytes go */
	Size		size;
};

SgKeepMarks *
sg_keep_marks_make(MemoryContext context)
{
	SgKeepMarks *marks = MemoryContextAllocZero(context, sizeof(SgKeepMarks));

	marks->context = context;
	return marks;
}

static bool
is_heap(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID;
}

/*
 * Can the rows that the node changes be marked?  DO UPDATE comes to partitions
 * that are not known when the statement starts.
 */
bool
sg_keep_can_mark(const ModifyTableState *node)
{
	Relation	root = node->rootResultRelInfo->ri_RelationDesc;

	if (node->rootResultRelInfo == node->resultRelInfo)
		return node->mt_nrels == 1 && is_heap(root);
	if (root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	for (int i = 0; i < node->mt_nrels; i++)
		if (!is_heap(node->resultRelInfo[i].ri_RelationDesc))
			return false;
	return true;
}

/* ---------------- rows that move ---------------- */

/* The commands that may have moved rows from one partition to another. */
static SgKeepMarks *moves = NULL;

static void mark(SgKeepMarks *marks, int64 row);
static bool is_marked(const SgKeepMarks *marks, int64 row);

/*
 * A row that has moved to a partition looks there like one that was inserted:
 * what tells them apart is the command that has put it there.
 */
void
sg_keep_moves(CommandId command)
{
	if (moves == NULL)
		moves = sg_keep_marks_make(TopTransactionContext);
	mark(moves, command);
}

/* The transaction has ended, and its memory. */
void
sg_keep_moves_forget(void)
{
	moves = NULL;
}

/* ---------------- rows of a statement ---------------- */

/*
 * Has this transaction inserted the row, since the last label was begun?  One
 * that has been updated is another version, and was looked at before.
 */
static bool
was_inserted(TupleTableSlot *slot)
{
	HeapTupleHeader header;
	CommandId	command;

	if (TupIsNull(slot) || !TTS_IS_BUFFERTUPLE(slot) ||
		((BufferHeapTupleTableSlot *) slot)->base.tuple == NULL)
		return false;
	header = ((BufferHeapTupleTableSlot *) slot)->base.tuple->t_data;
	if ((header->t_infomask & (HEAP_UPDATED | HEAP_MOVED)) != 0 ||
		HeapTupleHeaderXminCommitted(header) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header)))
		return false;
	command = HeapTupleHeaderGetCmin(header);
	if (moves != NULL && is_marked(moves, command))
		return false;
	for (const SgKeepLabel *label = sg_keep_labels; label != NULL;
		 label = label->next)
		if (command < label->since)
			return false;
	return true;
}

static void
mark(SgKeepMarks *marks, int64 row)
{
	Size		byte = row / BITS_PER_BYTE;

	if (byte >= marks->size)
	{
		Size		size = Max(byte + 1, marks->size * 2);

		if (marks->bits == NULL)
			marks->bits = MemoryContextAllocHuge(marks->context, size);
		else
			marks->bits = repalloc_huge(marks->bits, size);
		memset(marks->bits + marks->size, 0, size - marks->size);
		marks->size = size;
	}
	marks->bits[byte] |= 1 << (row % BITS_PER_BYTE);
	marks->marked++;
}

static bool
is_marked(const SgKeepMarks *marks, int64 row)
{
	return row / BITS_PER_BYTE < marks->size &&
		(marks->bits[row / BITS_PER_BYTE] & (1 << (row % BITS_PER_BYTE))) != 0;
}

/* The WHEN condition. */
static Datum
look_at(ExprState *state, ExprContext *econtext, bool *isnull)
{
	SgKeepMarks *marks = state->evalfunc_private;

	if (was_inserted(econtext->ecxt_innertuple))
		mark(marks, marks->rows);
	marks->rows++;
	*isnull = false;
	return BoolGetDatum(false);
}

/*
 * The condition of a trigger that marks rows.
 */
ExprState *
sg_keep_marks_condition(SgKeepMarks *marks)
{
	ExprState  *state = makeNode(ExprState);

	state->flags = EEO_FLAG_IS_QUAL;
	state->evalfunc = look_at;
	state->evalfunc_private = marks;
	return state;
}

/*
 * The marks that a condition makes; NULL if it is another one.
 */
SgKeepMarks *
sg_keep_marks_of(const ExprState *state)
{
	return state != NULL && state->evalfunc == look_at ?
		state->evalfunc_private : NULL;
}

/* Are these marks of as many rows, and all of them? */
static bool
fit(const SgKeepMarks *marks, int64 rows)
{
	return marks != NULL && marks->rows == rows;
}

bool
sg_keep_marked(const SgKeepMarks *marks, int64 rows, int64 row)
{
	return fit(marks, rows) && is_marked(marks, row);
}

bool
sg_keep_all_marked(const SgKeepMarks *marks, int64 rows)
{
	return fit(marks, rows) && marks->marked == rows;
}

/*
 * The rows have been kept; others may be gathered.
 */
void
sg_keep_marks_clear(SgKeepMarks *marks)
{
	if (marks == NULL)
		return;
	if (marks->bits != NULL)
		pfree(marks->bits);
	marks->bits = NULL;
	marks->size = 0;
	marks->rows = 0;
	marks->marked = 0;
}
