/*-------------------------------------------------------------------------
 *
 * account.c
 *		Counts what becomes of the rows of an upsert, while it runs.
 *
 * Nothing is added to a plan.  The ModifyTable node is given the instrument
 * that EXPLAIN ANALYZE would give it, in which the server counts conflicts;
 * and the function that fetches a row from the node below is replaced by one
 * that counts it and hashes its key on the way.
 *
 * Trackers are in a static list, since all that such a function is told is its
 * node.  When a subtransaction aborts, executor state goes without any hook
 * being called; so each tracker takes itself off the list when the memory of
 * its EState is reset.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "failopen.h"
#include "upsert/upsert.h"

static dlist_head trackers = DLIST_STATIC_INIT(trackers);

/* length of that list */
int			sg_upserts_running = 0;

/* ---------------- rows ---------------- */

/*
 * A good hash of an integer, the same for all widths; the way through its
 * type's hash function would cost as much as all the rest.
 */
static inline uint64
hash_integer(int64 value)
{
	uint64		hash = (uint64) value;

	hash ^= hash >> 33;
	hash *= UINT64CONST(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xc4ceb9fe1a85ec53);
	return hash ^ (hash >> 33);
}

static inline uint64
hash_value(const SgHashed *hashed, Datum value)
{
	if (hashed->width == sizeof(int32))
		return hash_integer(DatumGetInt32(value));
	if (hashed->width == sizeof(int64))
		return hash_integer(DatumGetInt64(value));
	if (hashed->width == sizeof(int16))
		return hash_integer(DatumGetInt16(value));
	return DatumGetUInt64(FunctionCall2Coll(&hashed->type->hash_extended_proc_finfo,
											hashed->collation, value,
											UInt64GetDatum(0)));
}

static inline Datum
get_value(const SgHashed *hashed, TupleTableSlot *slot, EState *estate,
		  bool *isnull)
{
	ExprContext *econtext;

	if (hashed->state == NULL)
		return slot_getattr(slot, hashed->attnum, isnull);
	econtext = GetPerTupleExprContext(estate);
	econtext->ecxt_innertuple = slot;
	return ExecEvalExpr(hashed->state, econtext, isnull);
}

static void
hash_key(SgTracker *tracker, TupleTableSlot *slot)
{
	EState	   *estate = tracker->mt->ps.state;
	uint64		hash = 0;

	for (int i = 0; i < tracker->nhashed; i++)
	{
		const SgHashed *hashed = &tracker->hashed[i];
		bool		isnull;
		Datum		value = get_value(hashed, slot, estate, &isnull);
		uint64		part = isnull ? 0 : hash_value(hashed, value);

		hash = i == 0 ? part : hash_combine64(hash, part);
	}
	if (tracker->nhashed > 0)
		sg_hashes_add(&tracker->keys, hash);
}

static void
hash_candidates(SgTracker *tracker, TupleTableSlot *slot)
{
	EState	   *estate = tracker->mt->ps.state;

	for (int i = 0; i < tracker->ncandidates; i++)
	{
		SgCandidate *candidate = &tracker->candidates[i];
		const SgHashed *hashed = &candidate->hashed;
		bool		isnull;
		Datum		value = get_value(hashed, slot, estate, &isnull);
		uint64		hash = 0;

		/* what can be no key counts as repetitions of one value */
		if (!isnull && (hashed->type->typlen != -1 || sg_could_be_key(value)))
			hash = hash_value(hashed, value);
		sg_hashes_add(&candidate->seen, hash);
	}
}

static inline SgTracker *
find_tracker(const PlanState *source)
{
	dlist_iter	iter;

	if (likely(!dlist_is_empty(&trackers)))
	{
		SgTracker  *latest = dlist_head_element(SgTracker, link, &trackers);

		if (likely(latest->source == source))
			return latest;
	}

	dlist_foreach(iter, &trackers)
	{
		SgTracker  *tracker = dlist_container(SgTracker, link, iter.cur);

		if (tracker->source == source)
		{
			/* the next row is asked of the same node, most likely */
			dlist_move_head(&trackers, &tracker->link);
			return tracker;
		}
	}
	return NULL;
}

/*
 * Fetch a row, as the node would, and count it.
 */
static TupleTableSlot *
count_row(PlanState *source)
{
	SgTracker  *tracker = find_tracker(source);
	TupleTableSlot *slot;
	MemoryContext caller = NULL;

	if (unlikely(tracker == NULL))
		elog(ERROR, "rows of an unknown upsert");
	slot = (*tracker->next) (source);
	if (TupIsNull(slot))
		return slot;

	tracker->proposed++;
	/* reset by ModifyTable for each row */
	if (tracker->allocates)
		caller = MemoryContextSwitchTo(GetPerTupleMemoryContext(source->state));
	hash_key(tracker, slot);
	if (caller != NULL)
	{
		hash_candidates(tracker, slot);
		MemoryContextSwitchTo(caller);
	}
	return slot;
}

/* ---------------- beginning ---------------- */

static void
unlink_tracker(void *arg)
{
	SgTracker  *tracker = arg;

	if (tracker->link.next != NULL)
	{
		dlist_delete(&tracker->link);
		sg_upserts_running--;
	}
	tracker->link.next = NULL;
}

/*
 * Without a key to hash, the rows need not be looked at if each becomes part
 * of the command tag or is counted by the server as a conflict.
 */
static bool
needs_rows(const SgTracker *tracker)
{
	const ResultRelInfo *info = tracker->mt->rootResultRelInfo;
	const TriggerDesc *triggers = info->ri_TrigDesc;

	return tracker->nhashed > 0 || tracker->merge ||
		!tracker->mt->canSetTag ||
		info->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		(triggers != NULL && (triggers->trig_insert_before_row ||
							  triggers->trig_update_before_row));
}

/*
 * Begin to count, and to look at the rows that the node below returns.
 */
static void
attach(SgTracker *tracker)
{
	ModifyTableState *mt = tracker->mt;

	if (mt->ps.instrument == NULL)
		mt->ps.instrument = InstrAlloc(1, INSTRUMENT_ROWS, false);
	tracker->unlink.func = unlink_tracker;
	tracker->unlink.arg = tracker;
	MemoryContextRegisterResetCallback(mt->ps.state->es_query_cxt,
									   &tracker->unlink);
	dlist_push_head(&trackers, &tracker->link);
	sg_upserts_running++;
	tracker->source = needs_rows(tracker) ? outerPlanState(mt) : NULL;
	if (tracker->source == NULL)
		return;
	tracker->next = tracker->source->ExecProcNodeReal;
	ExecSetExecProcNode(tracker->source, count_row);
}

/*
 * Prepare for what the load that the upsert is part of wants to know.
 */
static void
prepare_hashes(SgTracker *tracker)
{
	MemoryContext context = tracker->mt->ps.state->es_query_cxt;
	SgLoad	   *load;

	tracker->nhashed = 0;
	tracker->ncandidates = 0;
	if (!tracker->merge)
	{
		tracker->nhashed = tracker->target.nhashed;
		memcpy(tracker->hashed, tracker->target.hashed,
			   tracker->nhashed * sizeof(SgHashed));
	}
	else if (!sg_merge_hashed(tracker))
		tracker->nhashed = 0;

	tracker->replacing = false;
	if (tracker->nhashed == 0)
		return;
	sg_hashes_init(&tracker->keys, context);
	tracker->replacing = sg_assign_replaces(tracker);
	if (!tracker->replacing)
		return;
	load = sg_load_find(tracker);
	if (load != NULL && load->window.open)
		sg_assign_candidates(tracker);
}

/*
 * Integers of the row itself are hashed without any memory.
 */
static bool
hashing_allocates(const SgTracker *tracker)
{
	for (int i = 0; i < tracker->nhashed; i++)
	{
		if (tracker->hashed[i].width == 0 || tracker->hashed[i].state != NULL)
			return true;
	}
	return tracker->ncandidates > 0;
}

static inline bool
may_be_upsert(const ModifyTableState *mt)
{
	return mt->operation == CMD_MERGE ||
		((ModifyTable *) mt->ps.plan)->onConflictAction != ONCONFLICT_NONE;
}

static void
start_one(ModifyTableState *mt, const PlannedStmt *plan)
{
	ModifyTable *node = (ModifyTable *) mt->ps.plan;
	Relation	rel = mt->rootResultRelInfo->ri_RelationDesc;
	Oid			index = InvalidOid;
	SgUpsertNote note;
	SgTracker  *tracker;

	if (!may_be_upsert(mt))
		return;
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP && !sg_temp_tables)
		return;
	if (!sg_upsert_note(plan, RelationGetRelid(rel), &note) &&
		mt->operation == CMD_MERGE)
		return;
	if (mt->operation == CMD_MERGE && note.nkeys == 0)
		return;
	if (node->arbiterIndexes != NIL)
		index = linitial_oid(node->arbiterIndexes);

	tracker = palloc(sizeof(SgTracker));
	tracker->mt = mt;
	tracker->started = GetCurrentTimestamp();
	tracker->relid = RelationGetRelid(rel);
	tracker->merge = mt->operation == CMD_MERGE;
	tracker->constraint = note.constraint;
	tracker->judged = false;
	tracker->proposed = 0;
	if (!tracker->merge)
		note.nkeys = 0;
	sg_target_get(&tracker->target, rel, index, &note);
	if (tracker->target.uncounted)
	{
		pfree(tracker);
		return;
	}
	prepare_hashes(tracker);
	tracker->allocates = hashing_allocates(tracker);
	attach(tracker);
}

/* Called by sg_fail_open() */
static void
start_all(void *arg)
{
	QueryDesc  *queryDesc = (QueryDesc *) arg;
	EState	   *estate = queryDesc->estate;
	ListCell   *lc;

	MemoryContextSwitchTo(estate->es_query_cxt);
	sg_fault("upsert");
	if (IsA(queryDesc->planstate, ModifyTableState))
		start_one((ModifyTableState *) queryDesc->planstate,
				  queryDesc->plannedstmt);
	foreach(lc, estate->es_auxmodifytables)
	{
		ModifyTableState *node = lfirst_node(ModifyTableState, lc);

		/* the action of a rule, which sets no command tag, is here too */
		if (&node->ps != queryDesc->planstate)
			start_one(node, queryDesc->plannedstmt);
	}
}

/*
 * Is there an upsert, or what may be one?  A data-modifying CTE need be none.
 */
static bool
has_upsert(const QueryDesc *queryDesc)
{
	ListCell   *lc;

	if (IsA(queryDesc->planstate, ModifyTableState) &&
		may_be_upsert((ModifyTableState *) queryDesc->planstate))
		return true;
	foreach(lc, queryDesc->estate->es_auxmodifytables)
	{
		if (may_be_upsert(lfirst_node(ModifyTableState, lc)))
			return true;
	}
	return false;
}

/*
 * An execution begins.  Called when the executor has been started.
 */
void
sg_upsert_start(QueryDesc *queryDesc, int eflags)
{
	if (!sg_enabled || !has_upsert(queryDesc) || (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 ||
		sg_execution_is_exempt(eflags))
		return;
	(void) sg_fail_open(start_all, queryDesc);
}

/* ---------------- the result ---------------- */

/*
 * Bring the statement into its load, and let the rule look at that.
 */
static void
judge(SgTracker *tracker, QueryDesc *queryDesc)
{
	SgLoad	   *load;

	tracker->judged = true;
	if (!tracker->replacing || tracker->proposed == 0)
		return;
	load = sg_load_make(tracker);
	sg_load_see(load, tracker);
	sg_upsert_overwrite_judge(load, tracker, queryDesc);
}

/* An upsert whose rows are there. */
typedef struct Done
{
	SgTracker  *tracker;
	QueryDesc  *queryDesc;
} Done;

/* Called by sg_fail_open() */
static void
finish_one(void *arg)
{
	Done	   *done = (Done *) arg;

	sg_fault("upsert_finish");
	sg_count_outcome(done->tracker);
	judge(done->tracker, done->queryDesc);
}

/*
 * All rows of the statement itself are there, and no AFTER trigger has run.
 * Its data-modifying CTEs may not have come to their end.
 */
void
sg_upsert_finish(QueryDesc *queryDesc)
{
	dlist_iter	iter;

	dlist_foreach(iter, &trackers)
	{
		SgTracker  *tracker = dlist_container(SgTracker, link, iter.cur);
		Done		done = {tracker, queryDesc};

		if (&tracker->mt->ps != queryDesc->planstate)
			continue;
		/* what does not replace is counted at the end, and not judged */
		if (!tracker->replacing)
			return;
		/* what may be half done has no part in its load */
		if (!sg_fail_open(finish_one, &done))
		{
			tracker->judged = true;
			tracker->replacing = false;
		}
		return;
	}
}

/* Called by sg_fail_open() */
static void
end_one(void *arg)
{
	Done	   *done = (Done *) arg;
	SgTracker  *tracker = done->tracker;
	SgLoad	   *load;

	sg_fault("upsert_end");
	sg_count_outcome(tracker);
	if (!tracker->judged)
		judge(tracker, done->queryDesc);
	load = tracker->replacing ? sg_load_find(tracker) : NULL;
	if (load != NULL)
		sg_load_commit(load, tracker);
	/* what is rehearsed has not been written */
	if (sg_capture == NULL)
		sg_upserts_count(tracker, done->queryDesc);
}

/*
 * The statement is over.  What failed before has not come here and counts
 * nothing.
 */
void
sg_upsert_end(QueryDesc *queryDesc)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &trackers)
	{
		SgTracker  *tracker = dlist_container(SgTracker, link, iter.cur);
		Done		done = {tracker, queryDesc};

		if (tracker->mt->ps.state != queryDesc->estate)
			continue;
		unlink_tracker(tracker);
		if (queryDesc->estate->es_finished)
			(void) sg_fail_open(end_one, &done);
	}
}
