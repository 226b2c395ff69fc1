/*-------------------------------------------------------------------------
 *
 * context.c
 *		What is looked at when a statement is planned, and who is exempt when
 *		it is executed.
 *
 * Detection reads catalogs inside the planning of somebody else's statement.
 * Whatever goes wrong there must not become that statement's error: it goes
 * on unjudged, which is counted and shown by safeguard.status().
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "safeguard.h"

/* ---------------- planning ---------------- */

static bool
is_judged_command(const Query *query)
{
	return query->commandType == CMD_UPDATE ||
		query->commandType == CMD_DELETE ||
		query->commandType == CMD_MERGE;
}

static List *
find_in(Query *query, List *parents, List **consulted)
{
	SgStatement stmt = {0};

	if (!is_judged_command(query) || !sg_registry_wants_dml(query))
		return NIL;
	stmt.query = query;
	stmt.parents = parents;
	sg_registry_detect_dml(&stmt);
	*consulted = list_concat_unique_oid(*consulted, stmt.consulted);
	return stmt.findings;
}

/*
 * Let the rules look at a rewritten statement and its data-modifying CTEs,
 * which the grammar allows at its top level only.  Returns a list of
 * SgFinding in the current memory context, and in *consulted the OIDs of
 * relations that the verdict depends on besides those of the statement.
 * Raises what the rules raise.
 */
List *
sg_find(Query *parse, List **consulted)
{
	List	   *findings = NIL;

	if (parse->hasModifyingCTE)
	{
		ListCell   *lc;

		foreach(lc, parse->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

			if (IsA(cte->ctequery, Query))
				findings = list_concat(findings,
									   find_in((Query *) cte->ctequery,
											   list_make1(parse), consulted));
		}
	}
	return list_concat(findings, find_in(parse, NIL, consulted));
}

/*
 * Is there anything for which the frame of sg_detect must be set up?
 */
static bool
worth_looking(const Query *parse)
{
	return parse->hasModifyingCTE ||
		(is_judged_command(parse) && sg_registry_wants_dml(parse));
}

/*
 * Errors that are no trouble of our own and must reach the user: cancellation
 * and shutdown, want of resources, corruption.
 */
static bool
must_rethrow(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_INSUFFICIENT_RESOURCES ||
		sqlstate == ERRCODE_DATA_CORRUPTED ||
		sqlstate == ERRCODE_INDEX_CORRUPTED;
}

static void
release_resources(ResourceOwner owner, bool success)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, success, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, success, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, success, false);
	ResourceOwnerDelete(owner);
}

/*
 * Take back what a failed detection has left behind, short of what needs a
 * subtransaction: a read of catalogs leaves nothing else.  The caller has
 * made sure that no lightweight lock was held before, so that releasing all
 * of them releases only ours.
 */
static void
clean_up_after_error(ResourceOwner owner)
{
	LWLockReleaseAll();
	sg_io_error_cleanup();
	ConditionVariableCancelSleep();
	LockErrorCleanup();
	release_resources(owner, false);
}

/*
 * Find, encode, and contain errors.  Everything detection allocates is in
 * "work", which the caller deletes; the result is in the current context.
 */
static List *
detect_contained(Query *parse, MemoryContext work, List **consulted)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(outer, "safeguard detection");
	bool		interruptible = InterruptHoldoffCount == 0;
	List	   *volatile marks = NIL;

	CurrentResourceOwner = owner;
	PG_TRY();
	{
		List	   *findings;
		List	   *relations = NIL;

		MemoryContextSwitchTo(work);
		findings = sg_find(parse, &relations);
		MemoryContextSwitchTo(caller);
		*consulted = list_copy(relations);
		marks = sg_planmark_encode(findings);
		CurrentResourceOwner = outer;
		release_resources(owner, true);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		CurrentResourceOwner = outer;
		MemoryContextSwitchTo(work);
		edata = CopyErrorData();
		MemoryContextSwitchTo(caller);

		/*
		 * An error resets the holdoff count, so that a lock our caller may
		 * hold can no longer be told from ours.
		 */
		if (!interruptible || must_rethrow(edata->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		clean_up_after_error(owner);
		sg_unjudged_count(edata);
		marks = NIL;
	}
	PG_END_TRY();

	return marks;
}

/*
 * Look at a statement that is about to be planned.  Returns marks for its
 * plan (see planmark.c), NIL if nothing was found.  Levels are not asked:
 * they are decided at each execution, and the plan may be cached.  *consulted
 * gets the relations whose change must invalidate the plan, besides its own.
 */
List *
sg_detect(Query *parse, List **consulted)
{
	MemoryContext work;
	List	   *marks;

	if (!worth_looking(parse) || IsBinaryUpgrade || IsLogicalWorker())
		return NIL;

	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard detection",
								 ALLOCSET_DEFAULT_SIZES);
	marks = detect_contained(parse, work, consulted);
	MemoryContextDelete(work);
	return marks;
}

/* ---------------- execution ---------------- */

/*
 * Statements that nobody wrote, or that are run on purpose as they are.
 */
static bool
execution_is_exempt(int eflags)
{
	/* the leader has judged it */
	if (IsParallelWorker())
		return true;

	/* what the publisher let through has to be applied */
	if (IsLogicalWorker())
		return true;

	/*
	 * Queries of referential integrity, and only these, run in this context
	 * and without triggers; a user's trigger that one of them fires runs in
	 * the context too, but with triggers.
	 */
	if (InNoForceRLSOperation() && (eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0)
		return true;

	return creating_extension || IsBinaryUpgrade;
}

/*
 * Findings about a relation that is not judged are dropped: a temporary table
 * unless asked for, and a materialized view, on which only REFRESH
 * CONCURRENTLY runs a DELETE of its own.
 */
static List *
drop_exempt_relations(List *findings)
{
	ListCell   *lc;

	foreach(lc, findings)
	{
		Oid			relid = ((SgFinding *) lfirst(lc))->relid;
		char		relkind = get_rel_relkind(relid);

		if (relkind == '\0')
			continue;			/* no relation, or one that is gone */
		if (relkind == RELKIND_MATVIEW ||
			(!sg_temp_tables &&
			 get_rel_persistence(relid) == RELPERSISTENCE_TEMP))
			findings = foreach_delete_current(findings, lc);
	}
	return findings;
}

/*
 * Judge the execution of a plan that may carry marks; called when the executor
 * has checked privileges, and before it looks at any row.  Raises the ERROR of a rule whose level says so.
 */
void
sg_judge(QueryDesc *queryDesc, int eflags)
{
	MemoryContext work;
	MemoryContext caller;

	if (!sg_enabled || !sg_planmark_any(queryDesc->plannedstmt))
		return;
	if (execution_is_exempt(eflags))
		return;

	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard judgement",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	sg_report(drop_exempt_relations(sg_planmark_get(queryDesc->plannedstmt)),
			  queryDesc, (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
