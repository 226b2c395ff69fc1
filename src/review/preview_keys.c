/*-------------------------------------------------------------------------
 *
 * preview_keys.c
 *		Which rows a ModifyTable node has hit, while it runs.
 *
 * A row that is there already is looked at when it comes from below the node,
 * since that row has only its place and what is set.  It counts when the node
 * asks for the next row and has affected this one: a trigger, a condition of
 * MERGE or DO NOTHING may have passed it over.  A new row is looked at then
 * only, as it was stored, with what triggers and generated columns have put
 * into it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "exec/exec.h"
#include "review/preview.h"

/* One of the relations in which rows are found. */
typedef struct Member
{
	ResultRelInfo *info;
	TupleTableSlot *slot;
	AttrNumber *attnums;		/* of the hit's columns in it */
} Member;

/* A ModifyTable node that is running; lives as long as its EState. */
typedef struct Watch
{
	SgRowCount	rows;			/* MUST BE FIRST */
	SgHit	   *hit;
	int64		told;			/* of rows.affected */
	int64		changed;		/* of rows.changed */
	SgTap		source;
	TupleTableSlot *below;		/* the row from below the node, or NULL */
	Member	   *old;			/* in whose slot the row is that it means */
	List	   *members;		/* of Member; the last one used comes first */
	MemoryContext row_context;
} Watch;

/* The relation that a row from below the node belongs to, or NULL. */
static ResultRelInfo *
relation_of_row(const ModifyTableState *node, TupleTableSlot *slot)
{
	Datum		oid;
	bool		isnull;

	if (!AttributeNumberIsValid(node->mt_resultOidAttno))
		return node->resultRelInfo;
	oid = ExecGetJunkAttribute(slot, node->mt_resultOidAttno, &isnull);
	if (isnull)
		return NULL;
	return ExecLookupResultRelByOid(unconstify(ModifyTableState *, node),
									DatumGetObjectId(oid), true, false);
}

static Member *
get_member(Watch *watch, ResultRelInfo *info)
{
	EState	   *estate = watch->rows.node->ps.state;
	const SgHit *hit = watch->hit;
	MemoryContext caller;
	Member	   *member;
	ListCell   *lc;

	foreach(lc, watch->members)
	{
		member = lfirst(lc);
		if (member->info != info)
			continue;
		if (lc != list_head(watch->members))
		{
			watch->members = list_delete_cell(watch->members, lc);
			watch->members = lcons(member, watch->members);
		}
		return member;
	}

	caller = MemoryContextSwitchTo(estate->es_query_cxt);
	member = palloc(sizeof(Member));
	member->info = info;
	member->slot = table_slot_create(info->ri_RelationDesc,
									 &estate->es_tupleTable);
	member->attnums = palloc(hit->ncolumns * sizeof(AttrNumber));
	for (int i = 0; i < hit->ncolumns; i++)
		member->attnums[i] = get_attnum(RelationGetRelid(info->ri_RelationDesc),
										NameStr(hit->columns[i].name));
	watch->members = lcons(member, watch->members);
	MemoryContextSwitchTo(caller);
	return member;
}

/*
 * A row that is there already may be changed: keep it.
 */
static void
keep_old_row(Watch *watch, TupleTableSlot *slot)
{
	ResultRelInfo *info = relation_of_row(watch->rows.node, slot);
	Member	   *member;
	Datum		tid;
	bool		isnull;

	if (info == NULL || !AttributeNumberIsValid(info->ri_RowIdAttNo) ||
		info->ri_RelationDesc->rd_rel->relkind != RELKIND_RELATION)
		return;
	tid = ExecGetJunkAttribute(slot, info->ri_RowIdAttNo, &isnull);
	if (isnull)
		return;					/* MERGE has not matched it */
	member = get_member(watch, info);
	if (table_tuple_fetch_row_version(info->ri_RelationDesc,
									  (ItemPointer) DatumGetPointer(tid),
									  SnapshotAny, member->slot))
		watch->old = member;
}

/*
 * The row that an INSERT has stored, or put in the place of one that ON
 * CONFLICT has found.  NULL if it is not known: then what the server was given
 * is gone.
 */
static TupleTableSlot *
stored_row(const Watch *watch, bool replaced)
{
	const ModifyTableState *node = watch->rows.node;
	const ResultRelInfo *info = node->rootResultRelInfo;
	TupleTableSlot *slot = info->ri_newTupleSlot;

	if (replaced)
		slot = info->ri_onConflict ? info->ri_onConflict->oc_ProjSlot : NULL;
	else if (node->operation == CMD_INSERT && info->ri_projectNew == NULL &&
			 slot != NULL && watch->below != NULL &&
			 slot->tts_ops == watch->below->tts_ops)
		slot = watch->below;	/* without a copy in between */

	/* what the table has stored, it has made the slot's own */
	return slot == NULL || TTS_EMPTY(slot) || !TTS_SHOULDFREE(slot) ? NULL :
		slot;
}

/* Is what the server stores as key other than what it was given? */
static bool
changes_keys(const Watch *watch)
{
	const Relation rel = watch->rows.node->rootResultRelInfo->ri_RelationDesc;
	const SgHit *hit = watch->hit;

	if (rel->trigdesc != NULL && rel->trigdesc->trig_insert_before_row)
		return true;
	for (int i = 0; i < hit->ncolumns; i++)
	{
		if (TupleDescAttr(RelationGetDescr(rel),
						  hit->columns[i].attnum - 1)->attgenerated != '\0')
			return true;
	}
	return false;
}

/*
 * See a new row.  That of a partition has been stored from another slot, so
 * the row from below has to do.
 */
static bool
see_new_row(Watch *watch, bool replaced)
{
	const ModifyTableState *node = watch->rows.node;
	SgHit	   *hit = watch->hit;
	AttrNumber	attnums[INDEX_MAX_KEYS + MaxHeapAttributeNumber];
	TupleTableSlot *slot;

	if (node->mt_partition_tuple_routing == NULL)
		slot = stored_row(watch, replaced);
	else
		slot = node->operation == CMD_MERGE || changes_keys(watch) ? NULL :
			watch->below;
	if (slot == NULL)
		return false;
	for (int i = 0; i < hit->ncolumns; i++)
		attnums[i] = hit->columns[i].attnum;
	sg_hit_row(hit, slot, attnums);
	return true;
}

/*
 * The node is done with a row.  Returns whether its keys have been seen.
 */
static bool
see_row(Watch *watch, bool replaced)
{
	if (watch->old != NULL)
	{
		sg_hit_row(watch->hit, watch->old->slot, watch->old->attnums);
		return true;
	}
	return (watch->rows.node->operation == CMD_INSERT ||
			watch->rows.node->operation == CMD_MERGE) &&
		see_new_row(watch, replaced);
}

/* The node returns, or asks for the next row. */
static void
node_returns(SgRowCount *rows)
{
	Watch	   *watch = (Watch *) rows;
	SgHit	   *hit = watch->hit;
	int64		affected = rows->affected - watch->told;
	bool		replaced = rows->changed > watch->changed;

	hit->rows += affected;
	watch->told = rows->affected;
	watch->changed = rows->changed;
	if (affected != 0 && hit->ncolumns > 0 && !hit->keys_unknown)
	{
		MemoryContext caller = MemoryContextSwitchTo(watch->row_context);

		if (affected != 1 || !see_row(watch, replaced))
			hit->keys_unknown = true;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(watch->row_context);
	}
	if (affected != 0 || rows->done)
		watch->old = NULL;
}

/* A row comes from below the node. */
static void
source_returns(SgTap *tap, TupleTableSlot *slot)
{
	Watch	   *watch = tap->arg;
	MemoryContext caller;

	watch->below = NULL;
	watch->old = NULL;
	if (TupIsNull(slot))
		return;
	watch->hit->source++;
	watch->below = slot;
	if (watch->hit->ncolumns == 0 || watch->rows.node->operation == CMD_INSERT)
		return;
	caller = MemoryContextSwitchTo(watch->row_context);
	keep_old_row(watch, slot);
	MemoryContextSwitchTo(caller);
}

/*
 * Count the rows of a node as those of a hit.  The current memory context is
 * the statement's.
 */
void
sg_watch_keys(ModifyTableState *node, SgHit *hit)
{
	Watch	   *watch = palloc0(sizeof(Watch));

	watch->hit = hit;
	watch->rows.node = node;
	watch->rows.watch = node_returns;
	watch->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard row",
											   ALLOCSET_SMALL_SIZES);
	sg_rowcount_attach(&watch->rows, hit->ncolumns > 0);
	watch->source.after = source_returns;
	watch->source.arg = watch;
	sg_tap_attach(outerPlanState(node), &watch->source);
}
