/*-------------------------------------------------------------------------
 *
 * restore_leaf.c
 *		Writes the rows that are put back into their tables.
 *
 * Each row is written as the server's own apply of replicated changes does it:
 * CHECKs, NOT NULL, generated columns and indexes hold, and no rule, no default
 * and none of the users' triggers has a say.  Those have acted when the
 * migration ran, and what they did to other rows is undone there.
 *
 * Foreign keys are verified by the server's own triggers, but not until all
 * rows of all tables are back, and without their actions: a key that is gone
 * must not take the rows with it that have just been put back.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "compat_write.h"
#include "rows/restore.h"

/* columns of a row of SgRestoreTarget.late */
#define LATE_TABLE		1
#define LATE_OLD		2		/* its places before and now */
#define LATE_NEW		3
#define LATE_SUMMARIZING	4	/* only summarizing indexes need it */
#define LATE_COLUMNS	4

/* ---------------- triggers ---------------- */

/*
 * The function of a trigger while rows are put back; 0: it does not fire.
 */
static Oid
restore_function(const Trigger *trigger)
{
	if (!trigger->tgisinternal || trigger->tgenabled == TRIGGER_DISABLED)
		return InvalidOid;
	switch (trigger->tgfoid)
	{
		case F_UNIQUE_KEY_RECHECK:
		case F_RI_FKEY_CHECK_INS:
		case F_RI_FKEY_CHECK_UPD:
			return trigger->tgfoid;
		case F_RI_FKEY_CASCADE_DEL:
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_RESTRICT_DEL:
		case F_RI_FKEY_NOACTION_DEL:
			return F_RI_FKEY_NOACTION_DEL;
		case F_RI_FKEY_CASCADE_UPD:
		case F_RI_FKEY_SETNULL_UPD:
		case F_RI_FKEY_SETDEFAULT_UPD:
		case F_RI_FKEY_RESTRICT_UPD:
		case F_RI_FKEY_NOACTION_UPD:
			return F_RI_FKEY_NOACTION_UPD;
		default:
			return InvalidOid;
	}
}

/*
 * Leave a result relation the triggers that verify constraints.  They fire
 * under session_replication_role = replica, too: what is put back is right or
 * is not put back.
 */
static void
filter_triggers(ResultRelInfo *rri)
{
	TriggerDesc *all = rri->ri_TrigDesc;
	TriggerDesc *desc;

	if (all == NULL)
		return;
	desc = palloc0(sizeof(TriggerDesc));
	desc->triggers = palloc0(all->numtriggers * sizeof(Trigger));
	for (int i = 0; i < all->numtriggers; i++)
	{
		Oid			function = restore_function(&all->triggers[i]);
		Trigger    *trigger = &desc->triggers[desc->numtriggers];

		if (!OidIsValid(function))
			continue;
		*trigger = all->triggers[i];
		trigger->tgfoid = function;
		trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
		desc->numtriggers++;
		desc->trig_insert_after_row |= TRIGGER_FOR_INSERT(trigger->tgtype);
		desc->trig_update_after_row |= TRIGGER_FOR_UPDATE(trigger->tgtype);
		desc->trig_delete_after_row |= TRIGGER_FOR_DELETE(trigger->tgtype);
	}
	rri->ri_TrigDesc = desc->numtriggers > 0 ? desc : NULL;
}

/* ---------------- tables ---------------- */

static bool
is_itself(const SgRestoreTarget *target, const SgRestoreLeaf *leaf)
{
	return leaf->rri->ri_RelationDesc == target->rel;
}

/*
 * Rows may exchange what is unique besides the key, so that no entry can be
 * made before all of them have changed.
 */
static bool
needs_late_entries(const SgRestoreTarget *target, ResultRelInfo *rri)
{
	int			unique = 0;

	for (int i = 0; i < rri->ri_NumIndices; i++)
	{
		IndexInfo  *info = rri->ri_IndexRelationInfo[i];

		if (info->ii_Unique || info->ii_ExclusionOps != NULL)
			unique++;
	}
	return unique > (OidIsValid(target->query->key) ? 1 : 0);
}

static SgRestoreLeaf *
open_leaf(SgRestoreTarget *target, Oid relid)
{
	EState	   *estate = target->estate;
	SgRestoreLeaf *leaf = palloc0(sizeof(SgRestoreLeaf));
	Relation	rel = target->rel;

	if (relid == RelationGetRelid(rel))
		leaf->rri = target->root;
	else
	{
		/* locked with the table that it is a partition of */
		rel = table_open(relid, RowExclusiveLock);
		leaf->rri = makeNode(ResultRelInfo);
		InitResultRelInfo(leaf->rri, rel, target->root->ri_RangeTableIndex,
						  NULL, 0);
		estate->es_opened_result_relations =
			lappend(estate->es_opened_result_relations, leaf->rri);
		leaf->to_root = convert_tuples_by_name(RelationGetDescr(rel),
											   RelationGetDescr(target->rel));
		leaf->from_root = convert_tuples_by_name(RelationGetDescr(target->rel),
												 RelationGetDescr(rel));
	}
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot put rows back into \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("It is not a table of this database."));
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	CheckCmdReplicaIdentity(rel, CMD_DELETE);
	filter_triggers(leaf->rri);
	ExecOpenIndices(leaf->rri, false);
	leaf->late = needs_late_entries(target, leaf->rri);
	leaf->old = table_slot_create(rel, &estate->es_tupleTable);
	leaf->new = table_slot_create(rel, &estate->es_tupleTable);
	return leaf;
}

/*
 * The relation, or a partition of it.
 */
SgRestoreLeaf *
sg_restore_leaf(SgRestoreTarget *target, Oid relid)
{
	MemoryContext caller;
	SgRestoreLeaf *leaf;
	ListCell   *lc;

	foreach(lc, target->leaves)
	{
		leaf = lfirst(lc);
		if (RelationGetRelid(leaf->rri->ri_RelationDesc) != relid)
			continue;

		/* most rows go where the one before went */
		if (foreach_current_index(lc) > 0)
		{
			target->leaves = list_delete_nth_cell(target->leaves,
												  foreach_current_index(lc));
			target->leaves = lcons(leaf, target->leaves);
		}
		return leaf;
	}
	caller = MemoryContextSwitchTo(target->estate->es_query_cxt);
	leaf = open_leaf(target, relid);
	target->leaves = lcons(leaf, target->leaves);
	MemoryContextSwitchTo(caller);
	return leaf;
}

/* ---------------- rows ---------------- */

/*
 * A row in the row type of the target as one of the leaf.
 */
static TupleTableSlot *
as_leaf_row(SgRestoreLeaf *leaf, TupleTableSlot *slot)
{
	TupleTableSlot *new = leaf->new;

	if (leaf->from_root != NULL)
		return execute_attr_map_slot(leaf->from_root->attrMap, slot, new);
	slot_getallattrs(slot);
	ExecClearTuple(new);
	memcpy(new->tts_values, slot->tts_values,
		   new->tts_tupleDescriptor->natts * sizeof(Datum));
	memcpy(new->tts_isnull, slot->tts_isnull,
		   new->tts_tupleDescriptor->natts * sizeof(bool));
	return ExecStoreVirtualTuple(new);
}

/*
 * Compute and check what the server does of a row before it is stored.
 */
static void
check_row(SgRestoreTarget *target, SgRestoreLeaf *leaf, TupleTableSlot *slot)
{
	Relation	rel = leaf->rri->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	slot->tts_tableOid = RelationGetRelid(rel);
	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(leaf->rri, target->estate, slot, CMD_INSERT);
	if (constr != NULL)
		ExecConstraints(leaf->rri, slot, target->estate);
	if (is_itself(target, leaf) && rel->rd_rel->relispartition)
		(void) ExecPartitionCheck(leaf->rri, slot, target->estate, true);
}

static void
report_result(SgRestoreLeaf *leaf, TM_Result result)
{
	if (result == TM_Ok)
		return;
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not serialize access due to concurrent update"));
	elog(ERROR, "a row of table \"%s\" was changed while it was put back",
		 RelationGetRelationName(leaf->rri->ri_RelationDesc));
}

/*
 * What is stored in a leaf, as a row of the target: in "root", unless the row
 * types are the same.
 */
static TupleTableSlot *
as_root_row(SgRestoreLeaf *leaf, TupleTableSlot *slot, TupleTableSlot *root)
{
	if (leaf->to_root == NULL)
		return slot;
	return execute_attr_map_slot(leaf->to_root->attrMap, slot, root);
}

/*
 * The current row at a place that the query has found.
 */
TupleTableSlot *
sg_leaf_fetch(SgRestoreLeaf *leaf, ItemPointer tid, TupleTableSlot *root)
{
	Relation	rel = leaf->rri->ri_RelationDesc;

	if (!table_tuple_fetch_row_version(rel, tid, SnapshotAny, leaf->old))
		elog(ERROR, "could not find a row of table \"%s\"",
			 RelationGetRelationName(rel));
	return as_root_row(leaf, leaf->old, root);
}

/*
 * Is this the partition for a row?
 */
bool
sg_leaf_takes(SgRestoreTarget *target, SgRestoreLeaf *leaf,
			  TupleTableSlot *row)
{
	return is_itself(target, leaf) ||
		ExecPartitionCheck(leaf->rri, as_leaf_row(leaf, row), target->estate,
						   false);
}

/* ---------------- writing ---------------- */

/*
 * Each of these returns the row as it is stored now, as a row of the target.
 */
TupleTableSlot *
sg_leaf_insert(SgRestoreTarget *target, SgRestoreLeaf *leaf,
			   TupleTableSlot *row)
{
	ResultRelInfo *rri = leaf->rri;
	TupleTableSlot *slot = as_leaf_row(leaf, row);
	List	   *recheck = NIL;

	check_row(target, leaf, slot);
	table_tuple_insert(rri->ri_RelationDesc, slot, GetCurrentCommandId(true), 0,
					   NULL);
	if (rri->ri_NumIndices > 0)
		recheck = sg_insert_index_entries(rri, slot, target->estate, false);
	ExecARInsertTriggers(target->estate, rri, slot, recheck, NULL);
	list_free(recheck);
	return as_root_row(leaf, slot, target->new);
}

static void
add_late_row(SgRestoreTarget *target, SgRestoreLeaf *leaf, ItemPointer old,
			 ItemPointer new, bool summarizing)
{
	MemoryContext caller = MemoryContextSwitchTo(target->estate->es_query_cxt);
	Datum		values[LATE_COLUMNS];
	bool		nulls[LATE_COLUMNS] = {0};

	if (target->late == NULL)
	{
		TupleDesc	desc = CreateTemplateTupleDesc(LATE_COLUMNS);

		TupleDescInitEntry(desc, LATE_TABLE, "relation", OIDOID, -1, 0);
		TupleDescInitEntry(desc, LATE_OLD, "old", TIDOID, -1, 0);
		TupleDescInitEntry(desc, LATE_NEW, "new", TIDOID, -1, 0);
		TupleDescInitEntry(desc, LATE_SUMMARIZING, "summarizing", BOOLOID, -1, 0);
		target->late = tuplestore_begin_heap(false, false, work_mem);
		target->late_row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	}
	values[LATE_TABLE - 1] = ObjectIdGetDatum(RelationGetRelid(leaf->rri->ri_RelationDesc));
	values[LATE_OLD - 1] = PointerGetDatum(old);
	values[LATE_NEW - 1] = PointerGetDatum(new);
	values[LATE_SUMMARIZING - 1] = BoolGetDatum(summarizing);
	tuplestore_putvalues(target->late, target->late_row->tts_tupleDescriptor,
						 values, nulls);
	MemoryContextSwitchTo(caller);
}

/* Entries in indexes for a row that was updated, and what verifies it. */
static void
finish_update(SgRestoreTarget *target, SgRestoreLeaf *leaf, ItemPointer old,
			  TupleTableSlot *slot, bool entries, bool summarizing)
{
	List	   *recheck = NIL;

	if (entries)
		recheck = sg_insert_index_entries(leaf->rri, slot, target->estate,
										  summarizing);
	ExecARUpdateTriggers(target->estate, leaf->rri, NULL, NULL, old, NULL, slot,
						 recheck, NULL, false);
	list_free(recheck);
}

TupleTableSlot *
sg_leaf_update(SgRestoreTarget *target, SgRestoreLeaf *leaf, ItemPointer tid,
			   TupleTableSlot *row)
{
	ResultRelInfo *rri = leaf->rri;
	TupleTableSlot *slot = as_leaf_row(leaf, row);
	TM_FailureData tmfd;
	bool		entries;
	bool		summarizing;

	check_row(target, leaf, slot);
	report_result(leaf,
				  sg_update_tuple(rri->ri_RelationDesc, tid, slot,
								  GetCurrentCommandId(true),
								  GetActiveSnapshot(), &tmfd, &entries,
								  &summarizing));
	entries = entries && rri->ri_NumIndices > 0;
	if (entries && leaf->late)
		add_late_row(target, leaf, tid, &slot->tts_tid, summarizing);
	else
		finish_update(target, leaf, tid, slot, entries, summarizing);
	return as_root_row(leaf, slot, target->new);
}

void
sg_leaf_delete(SgRestoreTarget *target, SgRestoreLeaf *leaf, ItemPointer tid)
{
	TM_FailureData tmfd;

	report_result(leaf,
				  table_tuple_delete(leaf->rri->ri_RelationDesc, tid,
									 GetCurrentCommandId(true),
									 GetActiveSnapshot(), InvalidSnapshot, true,
									 &tmfd, false));
	ExecARDeleteTriggers(target->estate, leaf->rri, tid, NULL, NULL, false);
}

/*
 * All rows are where they belong: now the entries that had to wait.
 */
void
sg_restore_late(SgRestoreTarget *target)
{
	TupleTableSlot *late = target->late_row;

	if (target->late == NULL)
		return;
	while (tuplestore_gettupleslot(target->late, true, false, late))
	{
		SgRestoreLeaf *leaf;
		ItemPointer old;
		ItemPointer new;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(late);
		leaf = sg_restore_leaf(target,
							   DatumGetObjectId(late->tts_values[LATE_TABLE - 1]));
		old = (ItemPointer) DatumGetPointer(late->tts_values[LATE_OLD - 1]);
		new = (ItemPointer) DatumGetPointer(late->tts_values[LATE_NEW - 1]);
		if (!table_tuple_fetch_row_version(leaf->rri->ri_RelationDesc, new,
										   SnapshotAny, leaf->new))
			elog(ERROR, "could not find a row of table \"%s\"",
				 RelationGetRelationName(leaf->rri->ri_RelationDesc));
		finish_update(target, leaf, old, leaf->new, true,
					  DatumGetBool(late->tts_values[LATE_SUMMARIZING - 1]));
		ResetPerTupleExprContext(target->estate);
	}
	ExecDropSingleTupleTableSlot(late);
	tuplestore_end(target->late);
	target->late = NULL;
}
