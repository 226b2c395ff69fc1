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
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "ddl/ddl.h"
#include "review/preview.h"

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

/* ---------------- statements ---------------- */

static void
watch_node(ModifyTableState *node, SgHitKind kind)
{
	sg_watch_keys(node, get_hit(kind, node->operation,
								node->rootResultRelInfo->ri_RelationDesc));
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
	hit->keys_unknown = true;
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

	if (hit->keys_unknown)
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
