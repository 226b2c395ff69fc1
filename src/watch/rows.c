/*-------------------------------------------------------------------------
 *
 * rows.c
 *		The trigger of watched tables.
 *
 * A trigger sees what no hook of ours does: rows of COPY, of foreign keys'
 * actions, of MERGE, of other triggers and of logical replication, and in
 * which partition they ended up.  It writes to no table.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "watch/watch.h"

PG_FUNCTION_INFO_V1(sg_watch_rows);

/* a table of so many blocks is read before it is truncated */
#define COUNTED_BLOCKS	1024

/* trigger clones whose origin is remembered */
#define KNOWN_CLONES	64

/* ---------------- which table ---------------- */

/*
 * The trigger that a partition's trigger is a clone of, and its table.
 */
static Oid
parent_trigger(Oid tgoid, Oid *relid)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	Oid			parent = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(tgoid));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		parent = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
		*relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return parent;
}

/*
 * The table that watch() was called for.  A clone keeps its origin for life.
 */
static Oid
declared_table(const Trigger *trigger, Relation rel)
{
	static struct
	{
		Oid			tgoid;
		Oid			relid;
	}			known[KNOWN_CLONES];
	int			slot = trigger->tgoid % KNOWN_CLONES;
	Oid			relid = RelationGetRelid(rel);
	Oid			tgoid = trigger->tgoid;

	if (!trigger->tgisclone)
		return relid;
	if (known[slot].tgoid == tgoid)
		return known[slot].relid;
	while (OidIsValid(tgoid))
		tgoid = parent_trigger(tgoid, &relid);
	known[slot].tgoid = trigger->tgoid;
	known[slot].relid = relid;
	return relid;
}

/* ---------------- rows ---------------- */

static void
note_row(const Trigger *trigger, Relation rel, HeapTuple tuple,
		 SgChange change)
{
	sg_watch_note(declared_table(trigger, rel),
				  sg_watch_scope(trigger, tuple, RelationGetDescr(rel)),
				  change, 1);
}

/*
 * A row that changes its scope is gone from one and new in the other, as it
 * is when it moves to another partition.
 */
static void
note_update(TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	Oid			relid = declared_table(data->tg_trigger, data->tg_relation);
	char	   *before = sg_watch_scope(data->tg_trigger, data->tg_trigtuple,
										desc);
	char	   *after = sg_watch_scope(data->tg_trigger, data->tg_newtuple,
									   desc);

	if (before == after ||
		(before != NULL && after != NULL && strcmp(before, after) == 0))
		sg_watch_note(relid, after, SG_CHANGE_UPDATE, 1);
	else
	{
		sg_watch_note(relid, before, SG_CHANGE_DELETE, 1);
		sg_watch_note(relid, after, SG_CHANGE_INSERT, 1);
	}
}

/* ---------------- TRUNCATE ---------------- */

/*
 * Note each row of a table that is about to be emptied.
 */
static void
note_all_rows(const Trigger *trigger, Relation rel, Oid relid)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext,
											  "safeguard watched row",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		free;
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &free);

		CHECK_FOR_INTERRUPTS();
		sg_watch_note(relid,
					  sg_watch_scope(trigger, tuple, RelationGetDescr(rel)),
					  SG_CHANGE_DELETE, 1);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
}

/*
 * A large table is not read: its rows are those that the planner counts on,
 * of no scope.
 */
static void
note_emptied(const Trigger *trigger, Relation rel, Oid relid)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);

	if (blocks <= COUNTED_BLOCKS)
		note_all_rows(trigger, rel, relid);
	else
		sg_watch_note(relid, NULL, SG_CHANGE_DELETE,
					  (int64) Max(rel->rd_rel->reltuples, 1));
}

/*
 * TRUNCATE has locked the table and its partitions, and emptied none yet.
 */
static void
note_truncate(TriggerData *data)
{
	Relation	rel = data->tg_relation;
	ListCell   *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		note_emptied(data->tg_trigger, rel, RelationGetRelid(rel));
		return;
	}
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		if (leaf->rd_rel->relkind == RELKIND_RELATION)
			note_emptied(data->tg_trigger, leaf, RelationGetRelid(rel));
		table_close(leaf, NoLock);
	}
}

/*
 * safeguard.watch_rows(): AFTER ROW and BEFORE TRUNCATE trigger; its arguments
 * are the columns of the scope.
 */
Datum
sg_watch_rows(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" was not called by the trigger manager",
					   "safeguard.watch_rows"));
	event = data->tg_event;
	if (!sg_has_shmem())
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_TRUNCATE(event) && TRIGGER_FIRED_BEFORE(event))
		note_truncate(data);
	else if (!TRIGGER_FIRED_FOR_ROW(event) || !TRIGGER_FIRED_AFTER(event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" serves AFTER ROW and BEFORE TRUNCATE triggers only",
					   "safeguard.watch_rows"),
				errhint("Use safeguard.watch() to make them."));
	else if (TRIGGER_FIRED_BY_UPDATE(event))
		note_update(data);
	else if (TRIGGER_FIRED_BY_DELETE(event))
		note_row(data->tg_trigger, data->tg_relation, data->tg_trigtuple,
				 SG_CHANGE_DELETE);
	else if (!sg_session_is_restore())

		/*
		 * pg_restore -j may load a partition when the trigger of its
		 * partitioned table is there already: their rows are no new ones.
		 */
		note_row(data->tg_trigger, data->tg_relation, data->tg_trigtuple,
				 SG_CHANGE_INSERT);
	return PointerGetDatum(NULL);
}
