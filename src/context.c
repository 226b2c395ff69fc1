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
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "replication/logicalworker.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"

#include "compat.h"
#include "review/rehearse.h"
#include "safeguard.h"
#include "stats/queries.h"

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
bool
sg_must_rethrow(int sqlstate)
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

static bool
has_extern_param(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXTERN;
	return expression_tree_walker(node, has_extern_param, context);
}

/* The WHERE of a conflict target if it has a parameter, else NULL. */
static Node *
where_with_param(const Query *query)
{
	Node	   *where = query->onConflict ? query->onConflict->arbiterWhere : NULL;

	return has_extern_param(where, NULL) ? where : NULL;
}

/* Called for each upsert of a statement; true ends the walk. */
typedef bool (*UpsertVisitor) (SgUpsert *upsert, void *arg);

static bool
visit_upsert(Plan *node, SgUpsert *upsert, const Query *query,
			 const Node *where, UpsertVisitor visit, void *arg)
{
	if (node == NULL || !IsA(node, ModifyTable) || query->onConflict == NULL ||
		((ModifyTable *) node)->onConflictAction == ONCONFLICT_NONE)
		return false;
	upsert->node = (ModifyTable *) node;
	upsert->query = query;
	upsert->where = where;
	return visit(upsert, arg);
}

/*
 * Visit the upserts of a planned statement: its data-modifying CTEs, whose
 * plans stand among the subplans in the order of the CTEs, and the statement
 * itself.  The planner works on copies of the CTEs' queries.
 */
static bool
walk_upserts(Query *parse, PlannedStmt *plan, const Node *where,
			 UpsertVisitor visit, void *arg)
{
	SgUpsert	upsert = {0};
	ListCell   *lc;
	int			n = 0;

	upsert.plan = plan;
	foreach(lc, plan->subplans)
	{
		Plan	   *node = lfirst(lc);
		Query	   *query = NULL;

		if (node == NULL || !IsA(node, ModifyTable))
			continue;
		while (query == NULL && n < list_length(parse->cteList))
		{
			CommonTableExpr *cte = list_nth_node(CommonTableExpr,
												 parse->cteList, n++);

			if (IsA(cte->ctequery, Query) &&
				((Query *) cte->ctequery)->commandType != CMD_SELECT)
				query = (Query *) cte->ctequery;
		}
		if (query == NULL)
			break;
		if (visit_upsert(node, &upsert, query, where_with_param(query), visit,
						 arg))
			return true;
	}
	return visit_upsert(plan->planTree, &upsert, parse, where, visit, arg);
}

static bool
wanted_upsert(SgUpsert *upsert, void *arg)
{
	return sg_registry_wants_upsert(upsert);
}

/* What the rules have said about the upserts so far. */
typedef struct UpsertResult
{
	List	   *findings;
	List	   *consulted;
} UpsertResult;

static bool
find_in_upsert(SgUpsert *upsert, void *arg)
{
	UpsertResult *result = (UpsertResult *) arg;

	upsert->findings = upsert->consulted = NIL;
	sg_registry_detect_upsert(upsert);
	result->findings = list_concat(result->findings, upsert->findings);
	result->consulted = list_concat_unique_oid(result->consulted,
											   upsert->consulted);
	return false;
}

/*
 * The same as sg_find for the upserts of a statement that has been planned;
 * "where" is what sg_upsert_where has said before.
 */
List *
sg_find_upserts(Query *parse, PlannedStmt *plan, const Node *where,
				List **consulted)
{
	UpsertResult result = {NIL, NIL};

	walk_upserts(parse, plan, where, find_in_upsert, &result);
	*consulted = result.consulted;
	return result.findings;
}

/* What is to be looked at with errors contained. */
typedef struct Detection
{
	Query	   *parse;
	PlannedStmt *plan;			/* NULL: not planned yet */
	const Node *where;			/* see SgUpsert, of the statement itself */
	List	   *consulted;		/* out: OIDs, see SgStatement */
} Detection;

/*
 * Find, encode, and contain errors.  Everything detection allocates is in
 * "work", which the caller deletes; the result is in the current context.
 */
static List *
detect_contained(Detection *detection, MemoryContext work)
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
		if (detection->plan == NULL)
			findings = sg_find(detection->parse, &relations);
		else
			findings = sg_find_upserts(detection->parse, detection->plan,
									   detection->where, &relations);
		MemoryContextSwitchTo(caller);
		detection->consulted = list_copy(relations);
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
		if (!interruptible || sg_must_rethrow(edata->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		clean_up_after_error(owner);
		sg_unjudged_count(edata);
		marks = NIL;
	}
	PG_END_TRY();

	return marks;
}

static List *
detect(Detection *detection)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard detection",
											   ALLOCSET_DEFAULT_SIZES);
	List	   *marks = detect_contained(detection, work);

	MemoryContextDelete(work);
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
	Detection	detection = {parse, NULL, NULL, NIL};
	List	   *marks;

	if (!worth_looking(parse) || IsBinaryUpgrade || IsLogicalWorker())
		return NIL;

	marks = detect(&detection);
	*consulted = detection.consulted;
	return marks;
}

/*
 * The WHERE of the statement's conflict target as it was written, or NULL if
 * it has no parameter: planning replaces parameters whose values are known.
 */
Node *
sg_upsert_where(Query *parse)
{
	return copyObject(where_with_param(parse));
}

/*
 * Look at the upserts of a statement that has been planned.  "where" is what
 * sg_upsert_where has said before.  Returns marks, and appends to *consulted,
 * as sg_detect does.
 */
List *
sg_detect_upserts(Query *parse, PlannedStmt *plan, Node *where,
				  List **consulted)
{
	Detection	detection = {parse, plan, where, NIL};
	List	   *marks;

	if (!walk_upserts(parse, plan, where, wanted_upsert, NULL) ||
		IsBinaryUpgrade || IsLogicalWorker())
		return NIL;
	marks = detect(&detection);
	*consulted = list_concat_unique_oid(*consulted, detection.consulted);
	return marks;
}

/* ---------------- execution ---------------- */

/*
 * Processes that run statements which somebody has let through elsewhere, and
 * times at which statements run that nobody wrote for this moment.
 */
bool
sg_process_is_exempt(void)
{
	/* the leader has judged it */
	if (IsParallelWorker())
		return true;

	/* what the publisher let through has to be applied */
	if (IsLogicalWorker())
		return true;

	return creating_extension || IsBinaryUpgrade;
}

/*
 * Is an execution with these flags of ExecutorStart not to be judged?
 */
bool
sg_execution_is_exempt(int eflags)
{
	/*
	 * Queries of referential integrity, and only these, run in this context
	 * and without triggers; a user's trigger that one of them fires runs in
	 * the context too, but with triggers.
	 */
	if (InNoForceRLSOperation() && (eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0)
		return true;

	return sg_process_is_exempt();
}

/*
 * Is this a session that restores a dump?  Every script of pg_dump, and every
 * connection of pg_restore, begins with these two settings.
 */
bool
sg_session_is_restore(void)
{
	return !check_function_bodies && !row_security;
}

/*
 * A relation that is not judged: a temporary table unless asked for, and a
 * materialized view, on which only REFRESH CONCURRENTLY runs a DELETE of its
 * own.
 */
bool
sg_relation_is_exempt(Oid relid)
{
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if (relkind == '\0')
		return false;			/* no relation, or one that is gone */
	return relkind == RELKIND_MATVIEW ||
		(!sg_temp_tables &&
		 get_rel_persistence(relid) == RELPERSISTENCE_TEMP);
}

/*
 * Is the statement that is being started one that a client has sent, and not
 * one of a function, a procedure, a DO block or a trigger?
 *
 * Whatever runs statements inside of another says so in the context of error
 * messages (SPI, SQL functions, the procedural languages, COPY FROM), while
 * EXECUTE, EXPLAIN ANALYZE, COPY (...) TO and CREATE TABLE AS, which run what
 * the client has written, say nothing; parameters and the look-out for
 * violations are no sign of nesting.  To count levels in the executor hooks
 * would cost every statement something, and could not see what runs in no
 * executor, such as deferred triggers at commit.  What is rehearsed counts as
 * sent by the client, wherever the rehearsal was called.
 */
bool
sg_is_top_level(void)
{
	for (ErrorContextCallback *context = error_context_stack;
		 context != NULL && context != sg_top_context;
		 context = context->previous)
	{
		if (context->callback != ParamsErrorCallback &&
			context->callback != sg_violation_callback)
			return false;
	}
	return true;
}

/*
 * Judge the execution of a plan that may carry marks; called when the executor
 * has checked privileges, and before it looks at any row.  Raises the ERROR of
 * a rule whose level says so.
 */
void
sg_judge(QueryDesc *queryDesc, int eflags)
{
	MemoryContext work;
	MemoryContext caller;
	SgSource	source;

	if (!sg_enabled || !sg_planmark_any(queryDesc->plannedstmt))
		return;
	if (sg_execution_is_exempt(eflags))
		return;

	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard judgement",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	sg_query_source(&source, queryDesc);
	sg_report(sg_planmark_get(queryDesc->plannedstmt), &source,
			  (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
