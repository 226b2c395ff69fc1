/*-------------------------------------------------------------------------
 *
 * restore_write.c
 *		Puts rows back as the query of restore_query.c says.
 *
 * All tables of a call are written within one level of the server's queue of
 * AFTER triggers, as if one statement had done it: foreign keys between them
 * are verified when all is done.
 *
 * What is overwritten or added here is kept itself, so that a restore can be
 * restored.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "compat_write.h"
#include "rows/restore.h"

/* ---------------- beginning ---------------- */

static SgRestoreTarget *
make_target(EState *estate, Relation rel, Index rti)
{
	SgRestoreTarget *target = palloc0(sizeof(SgRestoreTarget));

	target->rel = rel;
	target->estate = estate;
	target->root = makeNode(ResultRelInfo);
	InitResultRelInfo(target->root, rel, rti, NULL, 0);
	estate->es_opened_result_relations =
		lappend(estate->es_opened_result_relations, target->root);
	target->old = table_slot_create(rel, &estate->es_tupleTable);
	target->new = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel),
										 &TTSOpsVirtual);
	target->twin = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel),
										  &TTSOpsVirtual);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		target->mtstate = makeNode(ModifyTableState);
		target->mtstate->ps.state = estate;
		target->mtstate->operation = CMD_INSERT;
		target->mtstate->resultRelInfo = target->root;
		target->mtstate->rootResultRelInfo = target->root;
		target->proute = ExecSetupPartitionTupleRouting(estate, rel);
	}
	return target;
}

/*
 * Begin to put rows back into these relations, which the caller has locked.
 * *targets gets a SgRestoreTarget for each.
 */
EState *
sg_restore_begin(List *rels, List **targets)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	List	   *rtes = NIL;
	Index		rti = 0;
	ListCell   *lc;

	foreach(lc, rels)
	{
		Relation	rel = lfirst(lc);
		RangeTblEntry *rte = makeNode(RangeTblEntry);

		rte->rtekind = RTE_RELATION;
		rte->relid = RelationGetRelid(rel);
		rte->relkind = rel->rd_rel->relkind;
		rte->rellockmode = ExclusiveLock;
		rtes = lappend(rtes, rte);
	}
	sg_init_range_table(estate, rtes);
	estate->es_output_cid = GetCurrentCommandId(true);
	*targets = NIL;
	foreach(lc, rels)
		*targets = lappend(*targets, make_target(estate, lfirst(lc), ++rti));
	MemoryContextSwitchTo(caller);
	AfterTriggerBeginQuery();
	return estate;
}

/* Does the query give the values of a column? */
static bool
has_value(const SgRestoreQuery *query, AttrNumber attnum)
{
	for (int i = 0; i < query->nvalues; i++)
		if (query->attnums[i] == attnum)
			return true;
	return false;
}

/*
 * Begin with what one query says.
 */
void
sg_restore_pass_begin(SgRestoreTarget *target, const SgRestoreQuery *query)
{
	MemoryContext caller = MemoryContextSwitchTo(target->estate->es_query_cxt);
	TupleDesc	desc = RelationGetDescr(target->rel);

	target->query = query;
	target->extra = false;
	target->coercions = palloc0(desc->natts * sizeof(ExprState *));
	target->defaults = palloc0(desc->natts * sizeof(ExprState *));
	for (int i = 0; i < query->nvalues; i++)
		if (query->coercions[i] != NULL)
			target->coercions[i] = ExecInitExpr(query->coercions[i], NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *expr;

		if (att->attisdropped || att->attgenerated != '\0' ||
			has_value(query, att->attnum))
			continue;
		target->extra = true;
		expr = build_column_default(target->rel, att->attnum);
		if (expr != NULL)
			target->defaults[i] = ExecInitExpr(expression_planner((Expr *) expr),
											   NULL);
	}
	MemoryContextSwitchTo(caller);
}

/* ---------------- values ---------------- */

static Datum
evaluate(SgRestoreTarget *target, ExprState *expr, bool *isnull)
{
	ExprContext *context = GetPerTupleExprContext(target->estate);

	return ExecEvalExprSwitchContext(expr, context, isnull);
}

/*
 * A row that is put back: what was kept, and of "base" the columns that were
 * not; NULL: these get their defaults.
 */
static TupleTableSlot *
make_row(SgRestoreTarget *target, TupleTableSlot *base, HeapTuple row,
		 TupleDesc desc)
{
	const SgRestoreQuery *query = target->query;
	TupleTableSlot *slot = target->new;
	int			natts = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	if (base != NULL)
	{
		slot_getallattrs(base);
		memcpy(slot->tts_values, base->tts_values, natts * sizeof(Datum));
		memcpy(slot->tts_isnull, base->tts_isnull, natts * sizeof(bool));
	}
	else
	{
		for (int i = 0; i < natts; i++)
		{
			slot->tts_isnull[i] = true;
			if (target->defaults[i] != NULL)
				slot->tts_values[i] = evaluate(target, target->defaults[i],
											   &slot->tts_isnull[i]);
		}
	}
	for (int i = 0; i < query->nvalues; i++)
	{
		int			to = query->attnums[i] - 1;
		bool		isnull;
		Datum		value = heap_getattr(row, SG_QUERY_VALUES + i, desc, &isnull);

		if (target->coercions[i] != NULL)
		{
			ExprContext *context = GetPerTupleExprContext(target->estate);

			context->caseValue_datum = value;
			context->caseValue_isNull = isnull;
			value = evaluate(target, target->coercions[i], &isnull);
		}
		slot->tts_values[to] = value;
		slot->tts_isnull[to] = isnull;
	}
	return ExecStoreVirtualTuple(slot);
}

/* A place that the query has found; false if there is none. */
static bool
get_place(HeapTuple row, TupleDesc desc, int column, Oid *relid,
		  ItemPointer tid)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	if (isnull)
		return false;
	*relid = DatumGetObjectId(value);
	value = heap_getattr(row, column + 1, desc, &isnull);
	if (isnull)
		return false;
	*tid = *(ItemPointer) DatumGetPointer(value);
	return true;
}

/*
 * The row that one has become, which is elsewhere; NULL if there is none.
 */
static TupleTableSlot *
get_twin(SgRestoreTarget *target, HeapTuple row, TupleDesc desc)
{
	Oid			relid;
	ItemPointerData tid;

	if (!get_place(row, desc, SG_QUERY_TWIN_TABLE, &relid, &tid))
		return NULL;
	return ExecCopySlot(target->twin,
						sg_leaf_fetch(sg_restore_leaf(target, relid), &tid,
									  target->old));
}

static bool
has_moved(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Datum		moved = heap_getattr(row, SG_QUERY_MOVED, desc, &isnull);

	return !isnull && DatumGetBool(moved);
}

/* ---------------- rows ---------------- */

/*
 * Keep one change.
 */
static void
keep(SgRestoreTarget *target, TupleTableSlot *old, TupleTableSlot *new)
{
	ListCell   *lc;

	if (target->writers == NIL)
	{
		MemoryContext caller = MemoryContextSwitchTo(target->estate->es_query_cxt);

		for (SgKeepLabel *label = sg_keep_labels; label != NULL;
			 label = label->next)
			if (sg_keeps(label, target->rel))
				target->writers = lappend(target->writers,
										  sg_keep_writer_open(label, target->rel));
		MemoryContextSwitchTo(caller);
	}
	foreach(lc, target->writers)
		sg_keep_write(lfirst(lc), old, new, GetCurrentCommandId(true));
}

/*
 * Insert a row, which had been "old" or NULL.
 */
static void
insert_row(SgRestoreTarget *target, TupleTableSlot *old, TupleTableSlot *row)
{
	Oid			relid = RelationGetRelid(target->rel);

	if (target->proute != NULL)
	{
		ResultRelInfo *rri = ExecFindPartition(target->mtstate, target->root,
											   target->proute, row,
											   target->estate);

		relid = RelationGetRelid(rri->ri_RelationDesc);
	}
	keep(target, old,
		 sg_leaf_insert(target, sg_restore_leaf(target, relid), row));
}

/*
 * Delete a row; if it is one to insert, that is kept with it.
 */
static void
delete_row(SgRestoreTarget *target, Oid relid, ItemPointer tid, bool moved)
{
	SgRestoreLeaf *leaf = sg_restore_leaf(target, relid);

	sg_leaf_delete(target, leaf, tid);
	if (!moved)
		keep(target, sg_leaf_fetch(leaf, tid, target->old), NULL);
}

static void
update_row(SgRestoreTarget *target, Oid relid, ItemPointer tid, HeapTuple row,
		   TupleDesc desc)
{
	TupleTableSlot *twin = target->extra ? get_twin(target, row, desc) : NULL;
	SgRestoreLeaf *leaf = sg_restore_leaf(target, relid);
	TupleTableSlot *old = sg_leaf_fetch(leaf, tid, target->old);
	TupleTableSlot *new = make_row(target, twin ? twin : old, row, desc);

	if (sg_leaf_takes(target, leaf, new))
	{
		new = sg_leaf_update(target, leaf, tid, new);
		keep(target, old, new);
		return;
	}

	/* it belongs to another partition */
	delete_row(target, relid, tid, true);
	insert_row(target, old, new);
}

/*
 * Do with a row of the query what it says.
 */
void
sg_restore_row(SgRestoreTarget *target, char act, HeapTuple row,
			   TupleDesc desc)
{
	bool		moved = has_moved(row, desc);
	TupleTableSlot *twin;
	Oid			relid;
	ItemPointerData tid;

	switch (act)
	{
		case SG_ACT_UPDATE:
		case SG_ACT_CHANGED:
		case SG_ACT_TAKEN:
			if (get_place(row, desc, SG_QUERY_TABLE, &relid, &tid))
				update_row(target, relid, &tid, row, desc);
			break;
		case SG_ACT_DELETE:
		case SG_ACT_REMOVE:
		case SG_ACT_MOVED:
			if (get_place(row, desc, SG_QUERY_TABLE, &relid, &tid))
				delete_row(target, relid, &tid, moved);
			break;
		case SG_ACT_INSERT:
		case SG_ACT_GONE:
			twin = get_twin(target, row, desc);
			insert_row(target, moved ? twin : NULL,
					   make_row(target, twin, row, desc));
			break;
	}
	ResetPerTupleExprContext(target->estate);
}

/* ---------------- end ---------------- */

static void
close_writers(SgRestoreTarget *target)
{
	ListCell   *lc;

	foreach(lc, target->writers)
		sg_keep_writer_close(lfirst(lc));
	target->writers = NIL;
}

/*
 * All rows of a query are back, and can be seen by the next.
 */
void
sg_restore_pass_end(SgRestoreTarget *target)
{
	sg_restore_late(target);
	close_writers(target);
	CommandCounterIncrement();
}

/*
 * Verify what spans tables, and be done.
 */
void
sg_restore_end(EState *estate, List *targets)
{
	ListCell   *lc;

	AfterTriggerEndQuery(estate);
	foreach(lc, targets)
	{
		SgRestoreTarget *target = lfirst(lc);
		ListCell   *lc2;

		if (target->proute != NULL)
			ExecCleanupTupleRouting(target->mtstate, target->proute);
		foreach(lc2, target->leaves)
		{
			SgRestoreLeaf *leaf = lfirst(lc2);

			ExecCloseIndices(leaf->rri);
			if (leaf->rri != target->root)
				table_close(leaf->rri->ri_RelationDesc, NoLock);
		}
	}
	estate->es_opened_result_relations = NIL;
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	FreeExecutorState(estate);
}
