/*-------------------------------------------------------------------------
 *
 * preview_count.c
 *		Counts which rows of which relations a rehearsed statement changes.
 *
 * In the executor: each ModifyTable node that is started while a statement
 * runs is counted, those of its triggers, foreign keys and functions too, and
 * the circumstances tell them apart.  The server's own counters per relation
 * (pg_stat_xact_user_tables) see more kinds of writes, but cannot say who has
 * written, depend on track_counts, and are not to be had by relation at once.
 * What does not run in the executor, COPY FROM and the like, tells its number
 * itself.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "ddl/ddl.h"
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
	SgTap		source;
	List	   *members;		/* of Member; the last one used comes first */
	MemoryContext row_context;
} Watch;

const char *
sg_operation_name(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		case CMD_MERGE:
			return "MERGE";
		default:
			return "COPY";
	}
}

/* ---------------- hits ---------------- */

/*
 * What a relation goes by in this statement, made when it is hit for the
 * first time.  The operation is CMD_UTILITY for COPY.
 */
static SgHit *
get_hit(SgHitKind kind, CmdType operation, Relation rel)
{
	MemoryContext caller;
	SgHit	   *hit;
	ListCell   *lc;

	foreach(lc, sg_rehearsal->hits)
	{
		hit = lfirst(lc);
		if (hit->kind == kind && hit->operation == operation &&
			hit->relid == RelationGetRelid(rel))
			return hit;
	}

	if (sg_writes_foreign(RelationGetRelid(rel)))
		sg_refuse_foreign(RelationGetRelid(rel));

	caller = MemoryContextSwitchTo(sg_rehearsal->work);
	hit = palloc0(sizeof(SgHit));
	hit->kind = kind;
	hit->operation = operation;
	hit->relid = RelationGetRelid(rel);
	hit->name = DatumGetCString(DirectFunctionCall1(regclassout,
													ObjectIdGetDatum(hit->relid)));
	sg_hit_columns(hit, rel);
	sg_rehearsal->hits = lappend(sg_rehearsal->hits, hit);
	MemoryContextSwitchTo(caller);
	return hit;
}

static SgHitKind
kind_of_nested(int eflags)
{
	int			depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth,
														  (Datum) 0));

	if (InNoForceRLSOperation() && (eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0)
		return SG_HIT_CASCADE;
	return depth > sg_rehearsal->trigger_depth ? SG_HIT_TRIGGER :
		SG_HIT_FUNCTION;
}

/* ---------------- rows ---------------- */

/* The node returns. */
static void
node_returns(SgRowCount *rows)
{
	Watch	   *watch = (Watch *) rows;

	watch->hit->rows += rows->affected - watch->told;
	watch->told = rows->affected;
}

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
 * A row that is there already will be changed: look at it, since the row
 * from below has only its place and what is set.
 */
static void
see_old_row(Watch *watch, TupleTableSlot *slot)
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
	if (!table_tuple_fetch_row_version(info->ri_RelationDesc,
									   (ItemPointer) DatumGetPointer(tid),
									   SnapshotAny, member->slot))
		return;
	sg_hit_row(watch->hit, member->slot, member->attnums);
	ExecClearTuple(member->slot);
}

static void
see_new_row(Watch *watch, TupleTableSlot *slot)
{
	SgHit	   *hit = watch->hit;
	AttrNumber	attnums[INDEX_MAX_KEYS + MaxHeapAttributeNumber];

	for (int i = 0; i < hit->ncolumns; i++)
		attnums[i] = hit->columns[i].attnum;
	sg_hit_row(hit, slot, attnums);
}

/* A row comes from below the node. */
static void
source_returns(SgTap *tap, TupleTableSlot *slot)
{
	Watch	   *watch = tap->arg;
	MemoryContext caller;

	if (TupIsNull(slot))
		return;
	watch->hit->source++;
	if (watch->hit->ncolumns == 0)
		return;
	if (watch->row_context == NULL)
		watch->row_context =
			AllocSetContextCreate(watch->rows.node->ps.state->es_query_cxt,
								  "safeguard row", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(watch->row_context);
	if (watch->rows.node->operation == CMD_INSERT)
		see_new_row(watch, slot);
	else
		see_old_row(watch, slot);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(watch->row_context);
}

static void
watch_node(ModifyTableState *node, SgHitKind kind)
{
	Watch	   *watch = palloc0(sizeof(Watch));

	watch->hit = get_hit(kind, node->operation,
						 node->rootResultRelInfo->ri_RelationDesc);
	watch->rows.node = node;
	watch->rows.watch = node_returns;
	sg_rowcount_attach(&watch->rows, false);
	watch->source.after = source_returns;
	watch->source.arg = watch;
	sg_tap_attach(outerPlanState(node), &watch->source);
}

/*
 * A statement has been started while another one is rehearsed.
 */
void
sg_rehearse_executor(QueryDesc *queryDesc, int eflags)
{
	EState	   *estate = queryDesc->estate;
	PlanState  *top = queryDesc->planstate;
	bool		own = sg_is_top_level();
	SgHitKind	kind = SG_HIT_OWN;
	MemoryContext caller;

	if (sg_rehearsal->current == NULL ||
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 ||
		(!IsA(top, ModifyTableState) && estate->es_auxmodifytables == NIL))
		return;
	if (!own)
		kind = kind_of_nested(eflags);
	else if (!queryDesc->plannedstmt->canSetTag)
		kind = SG_HIT_RULE;

	caller = MemoryContextSwitchTo(estate->es_query_cxt);
	if (IsA(top, ModifyTableState))
		watch_node((ModifyTableState *) top, kind);
	for (int i = list_length(estate->es_auxmodifytables) - 1; i >= 0; i--)
	{
		ModifyTableState *node = list_nth_node(ModifyTableState,
											   estate->es_auxmodifytables, i);

		/* what sets no command tag is in the list too */
		if (&node->ps != top)
			watch_node(node, kind == SG_HIT_OWN ? SG_HIT_CTE : kind);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * A COPY FROM has ended; its rows have not been in the executor.
 */
void
sg_rehearse_copied(const RangeVar *name, uint64 rows)
{
	Relation	rel;
	SgHit	   *hit;

	/* it holds the lock that it has taken */
	rel = relation_openrv_extended(name, NoLock, true);
	if (rel == NULL)
		return;
	hit = get_hit(sg_is_top_level() ? SG_HIT_OWN : kind_of_nested(0),
				  CMD_UTILITY, rel);
	hit->rows += (int64) rows;
	/* which keys these had is not known */
	hit->ncolumns = 0;
	relation_close(rel, NoLock);
}

/* ---------------- the result ---------------- */

/* No more than the text itself is kept. */
static char *
keep_text(char *text)
{
	return text == NULL ? NULL :
		MemoryContextStrdup(sg_rehearsal->context, text);
}

static SgChanged *
make_changed(const SgHit *hit)
{
	SgChanged  *changed = MemoryContextAllocZero(sg_rehearsal->context,
												 sizeof(SgChanged));

	changed->kind = hit->kind;
	changed->operation = hit->operation;
	changed->relid = hit->relid;
	changed->name = keep_text(hit->name);
	changed->rows = hit->countable ? hit->rows : -1;

	/*
	 * Keys are seen before a trigger, a condition of MERGE or DO NOTHING may
	 * pass a row over: then it is not known whose they were.
	 */
	if (hit->countable && hit->source != hit->rows)
		return changed;
	changed->scope = keep_text(sg_hit_scope(hit));
	changed->sample = keep_text(sg_hit_sample(hit));
	return changed;
}

/*
 * What the statement has changed, as it is told: a list of SgChanged that
 * outlives the statement, in the order of SgHitKind.
 */
List *
sg_preview_changed(SgRehearsal *rehearsal)
{
	List	   *result = NIL;
	MemoryContext caller;
	ListCell   *lc;

	for (SgHitKind kind = SG_HIT_OWN; kind <= SG_HIT_CASCADE; kind++)
	{
		foreach(lc, rehearsal->hits)
		{
			const SgHit *hit = lfirst(lc);
			SgChanged  *changed;

			if (hit->kind != kind)
				continue;
			/* a cascade that finds nothing is everyday work */
			if (kind >= SG_HIT_FUNCTION && hit->rows == 0)
				continue;
			changed = make_changed(hit);
			caller = MemoryContextSwitchTo(rehearsal->context);
			result = lappend(result, changed);
			MemoryContextSwitchTo(caller);
		}
	}
	return result;
}
