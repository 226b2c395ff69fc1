/*-------------------------------------------------------------------------
 *
 * conflict_silent.c
 *		Finds upserts that can never conflict or lose their write in silence.
 *
 * The planner has said which indexes arbitrate; what they promise is asked of
 * catalog/arbiter.c.  There is at most one finding for an upsert, in the order
 * of what hurts first: the arbiter is refused, is lost to a generic plan,
 * does not exist, does not see NULLs; or nothing is written.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"
#include "safeguard.h"
#include "upsert/silent.h"

/* What the SET of a DO UPDATE does. */
typedef enum SetKind
{
	SET_WRITES,					/* something, or what we do not know */
	SET_ARBITER,				/* columns of the arbiter, which are equal */
	SET_OWN						/* columns their own values, others as well */
} SetKind;

static RangeTblEntry *
target_of(const SgUpsert *upsert)
{
	return rt_fetch(upsert->query->resultRelation, upsert->query->rtable);
}

/* Is a column one that all arbiters hold equal to what was proposed? */
typedef bool (*ExactTest) (const void *arbiters, AttrNumber att);

/*
 * Looks at the SET without any catalog, so that the everyday upsert is known
 * as one that writes.
 */
static SetKind
set_kind(const SgUpsert *upsert, ExactTest exact, const void *arbiters)
{
	const OnConflictExpr *conflict = upsert->query->onConflict;
	List	   *cols = upsert->node->onConflictCols;
	SetKind		kind = SET_ARBITER;
	ListCell   *lc;
	int			n = 0;

	if (conflict->action != ONCONFLICT_UPDATE)
		return SET_WRITES;
	foreach(lc, conflict->onConflictSet)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Var		   *var = (Var *) tle->expr;

		if (tle->resjunk)
			continue;
		/* the planner may have taken the column numbers out of the Query */
		if (n >= list_length(cols) ||
			!IsA(var, Var) || var->varlevelsup != 0 ||
			var->varattno != list_nth_int(cols, n++))
			return SET_WRITES;
		if (var->varno == upsert->query->resultRelation)
		{
			if (!exact(arbiters, var->varattno))
				kind = SET_OWN;
		}
		else if (var->varno != conflict->exclRelIndex ||
				 !exact(arbiters, var->varattno))
			return SET_WRITES;
	}
	return kind;
}

/*
 * Is it nothing that a DO UPDATE writes?  Who has RETURNING give him the row
 * knows that.
 */
static bool
writes_nothing(const SgUpsert *upsert, SetKind kind)
{
	return kind != SET_WRITES && upsert->query->returningList == NIL;
}

/* ---------------- before the frame ---------------- */

static bool
exact_in_sound(const void *arbiters, AttrNumber att)
{
	ListCell   *lc;

	foreach(lc, (const List *) arbiters)
	{
		const SgKnownKey *key = sg_known_key(lfirst_oid(lc));
		bool		found = false;

		for (int i = 0; key != NULL && i < key->nexact && !found; i++)
			found = key->exact[i] == att;
		if (!found)
			return false;
	}
	return true;
}

/* Is a key known to be sound?  A partial one is not, if "total". */
static bool
is_sound(Oid oid, bool total)
{
	const SgKnownKey *key = sg_known_key(oid);

	return key != NULL && key->sound && !(total && key->partial);
}

/*
 * May there be something to say about an upsert?  Not if all it relies on is
 * known to be sound.
 */
bool
sg_conflict_silent_wants(const SgUpsert *upsert)
{
	List	   *arbiters = upsert->node->arbiterIndexes;
	RangeTblEntry *rte = target_of(upsert);
	ListCell   *lc;

	if (rte->relkind != RELKIND_RELATION &&
		rte->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	if (arbiters == NIL)
		return !is_sound(rte->relid, false);
	foreach(lc, arbiters)
	{
		if (!is_sound(lfirst_oid(lc), upsert->where != NULL))
			return true;
	}
	return writes_nothing(upsert, set_kind(upsert, exact_in_sound, arbiters));
}

/* ---------------- behind it ---------------- */

/* The WHERE of the conflict target as conditions on range table entry 1. */
static List *
target_conditions(const SgUpsert *upsert)
{
	const Node *where = upsert->where ? upsert->where :
		upsert->query->onConflict->arbiterWhere;
	Node	   *copy;

	if (where == NULL)
		return NIL;
	copy = copyObject(unconstify(Node *, where));
	if (IsA(copy, List))
		copy = (Node *) make_ands_explicit((List *) copy);
	ChangeVarNodes(copy, upsert->query->resultRelation, 1, 0);
	copy = eval_const_expressions(NULL, copy);
	return make_ands_implicit(canonicalize_qual((Expr *) copy, false));
}

static bool
has_triggers(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Does anything happen when a row is updated, though with its own values?
 * Nobody has locked the partitions, which may have triggers of their own.
 */
static bool
has_update_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;
	ListCell   *lc;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
		{
			if (has_triggers(lfirst_oid(lc)))
				return true;
		}
		return false;
	}

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (!trigger->tgisinternal && TRIGGER_FOR_UPDATE(trigger->tgtype) &&
			trigger->tgenabled != TRIGGER_DISABLED)
			return true;
	}
	return false;
}

static bool
exact_in_all(const void *arbiters, AttrNumber att)
{
	ListCell   *lc;

	foreach(lc, (const List *) arbiters)
	{
		if (!bms_is_member(att, ((SgArbiter *) lfirst(lc))->exact))
			return false;
	}
	return true;
}

/*
 * Says again what was said of an arbiter, or of a table, if that does not
 * depend on the statement.
 */
static bool
say_again(SgUpsert *upsert, Oid oid)
{
	const SgKnownKey *key = sg_known_key(oid);

	if (key == NULL || key->note == NULL)
		return false;
	sg_silent_again(upsert, (const SgFinding *) key->note);
	return true;
}

/*
 * Looks at an upsert whose target names no arbiter.  What is said of a
 * partitioned table depends on others.
 */
static void
detect_any(SgUpsert *upsert, Relation rel)
{
	uint64		before = sg_key_generation();
	Oid			relid = RelationGetRelid(rel);
	SgTableKeys keys;

	if (say_again(upsert, relid))
		return;
	keys = sg_table_keys(rel, &upsert->consulted);
	if (OidIsValid(keys.deferrable))
		sg_silent_deferrable(upsert, keys.deferrable, NULL, keys.immediate);
	else if (!keys.any)
	{
		sg_silent_no_key(upsert, rel);
		if (rel->rd_rel->relkind == RELKIND_RELATION &&
			sg_key_generation() == before)
			sg_remember_note(relid, relid, sg_silent_copy,
							 llast(upsert->findings));
	}
}

/*
 * Looks at the arbiters.  A row conflicts if any of them says so, and an
 * index on the same columns that serves makes up for one that does not.
 */
static bool
detect_arbiters(SgUpsert *upsert, Relation rel, List *arbiters, uint64 before)
{
	List	   *conditions = target_conditions(upsert);
	SgArbiter  *by_parameter = NULL;
	SgArbiter  *nullable = NULL;
	bool		served = false;
	bool		sound = false;
	ListCell   *lc;

	foreach(lc, arbiters)
	{
		SgArbiter  *arbiter = lfirst(lc);

		if (!arbiter->immediate)
		{
			sg_silent_deferrable(upsert, arbiter->indexid, arbiter->columns,
								 false);
			return true;
		}
		if (upsert->where == NULL ||
			predicate_implied_by(arbiter->predicate, conditions, false))
			served = true;
		else if (by_parameter == NULL)
			by_parameter = arbiter;
		sg_arbiter_restrict(arbiter, rel, conditions);
		if (bms_is_empty(arbiter->nullable))
			sound = true;
		else if (nullable == NULL)
			nullable = arbiter;
	}
	if (!served && by_parameter != NULL)
		sg_silent_parameter(upsert, by_parameter);
	else if (!sound && nullable != NULL)
	{
		sg_silent_nullable(upsert, nullable);
		if (list_length(arbiters) == 1 && conditions == NIL &&
			nullable->steady && sg_key_generation() == before)
			sg_remember_note(nullable->indexid, nullable->relid,
							 sg_silent_copy, llast(upsert->findings));
	}
	else
		return false;
	return true;
}

/* Looks at an upsert with arbiters. */
static void
detect_named(SgUpsert *upsert, Relation rel)
{
	uint64		before = sg_key_generation();
	List	   *indexes = upsert->node->arbiterIndexes;
	List	   *arbiters = NIL;
	ListCell   *lc;
	SetKind		kind;

	if (list_length(indexes) == 1 &&
		upsert->query->onConflict->arbiterWhere == NULL &&
		say_again(upsert, linitial_oid(indexes)))
		return;
	foreach(lc, indexes)
		arbiters = lappend(arbiters, sg_arbiter(rel, lfirst_oid(lc)));
	if (detect_arbiters(upsert, rel, arbiters, before))
		return;
	kind = set_kind(upsert, exact_in_all, arbiters);
	if (writes_nothing(upsert, kind) && !has_update_trigger(rel))
		sg_silent_own_values(upsert, kind == SET_OWN, RelationGetRelid(rel));
}

/*
 * Looks at one planned upsert and appends at most one finding.  Raises what
 * catalog look-ups raise.
 */
void
sg_conflict_silent_detect(SgUpsert *upsert)
{
	Relation	rel = table_open(target_of(upsert)->relid, NoLock);

	if (upsert->node->arbiterIndexes == NIL)
		detect_any(upsert, rel);
	else
		detect_named(upsert, rel);
	table_close(rel, NoLock);
}
