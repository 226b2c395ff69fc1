/*-------------------------------------------------------------------------
 *
 * context.c
 *		What is looked at when a statement is planned, and who is exempt when
 *		it is executed.
 *
 * Detection and judgement read catalogs inside of somebody else's statement, so
 * they run under sg_fail_open().
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
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#include "compat.h"
#include "detect.h"
#include "failopen.h"
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

static void
find_in(Query *query, List *parents, SgFound *found)
{
	SgStatement stmt = {0};

	if (!is_judged_command(query) || !sg_registry_wants_dml(query))
		return;
	stmt.query = query;
	stmt.parents = parents;
	sg_registry_detect_dml(&stmt, found);
}

/*
 * Let the rules look at a rewritten statement and its data-modifying CTEs,
 * which the grammar allows at its top level only.  What they find is in the
 * current memory context.  Raises what the rules raise.
 */
void
sg_find(Query *parse, SgFound *found)
{
	if (parse->hasModifyingCTE)
	{
		ListCell   *lc;

		foreach(lc, parse->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

			if (IsA(cte->ctequery, Query))
				find_in((Query *) cte->ctequery, list_make1(parse), found);
		}
	}
	find_in(parse, NIL, found);
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

static bool
find_in_upsert(SgUpsert *upsert, void *arg)
{
	sg_registry_detect_upsert(upsert, (SgFound *) arg);
	return false;
}

/*
 * The same as sg_find for the upserts of a statement that has been planned;
 * "where" is what sg_upsert_where has said before.
 */
void
sg_find_upserts(Query *parse, PlannedStmt *plan, const Node *where,
				SgFound *found)
{
	walk_upserts(parse, plan, where, find_in_upsert, found);
}

/* What is to be looked at so that its failure is not the statement's. */
typedef struct Detection
{
	Query	   *parse;
	PlannedStmt *plan;			/* NULL: not planned yet */
	const Node *where;			/* see SgUpsert, of the statement itself */
	MemoryContext work;
	MemoryContext caller;
	SgFound		found;			/* in "work" */
	bool		passing;		/* out: something has failed that need not fail
								 * the next time */
	List	   *marks;			/* out */
	List	   *consulted;		/* out: OIDs, see SgStatement */
} Detection;

static void
run_rules(Detection *detection)
{
	MemoryContextSwitchTo(detection->work);
	sg_fault(detection->plan == NULL ? "detect" : "detect_upserts");
	detection->found.turn = 0;
	if (detection->plan == NULL)
		sg_find(detection->parse, &detection->found);
	else
		sg_find_upserts(detection->parse, detection->plan, detection->where,
						&detection->found);
}

/* Called by sg_fail_open() */
static void
run_detection(void *arg)
{
	Detection  *detection = (Detection *) arg;

	run_rules(detection);
	MemoryContextSwitchTo(detection->caller);
	detection->consulted = list_copy(detection->found.consulted);
	sg_fault("encode");
	detection->marks = sg_planmark_encode(detection->found.findings);
}

/*
 * After a failure the rules behind the one that failed get their turn, and what
 * all of them have found counts.
 */
static List *
detect(Detection *detection)
{
	int			looked = -1;
	bool		done = false;

	detection->caller = CurrentMemoryContext;
	detection->work = AllocSetContextCreate(CurrentMemoryContext,
											"safeguard detection",
											ALLOCSET_DEFAULT_SIZES);
	while (!done && detection->found.looked > looked)
	{
		looked = detection->found.looked;
		done = sg_fail_open(run_detection, detection);
		if (!done && sg_failure != ERRCODE_STATEMENT_TOO_COMPLEX)
			detection->passing = true;
	}
	if (!done)
		detection->marks = detection->consulted = NIL;
	MemoryContextDelete(detection->work);
	return detection->marks;
}

/*
 * Look at a statement that is about to be planned.  Returns marks for its
 * plan (see planmark.c), NIL if nothing was found.  Levels are not asked:
 * they are decided at each execution, and the plan may be cached.  *consulted
 * gets the relations whose change must invalidate the plan, besides its own;
 * *passing is set if a look at the next plan may see more.
 */
List *
sg_detect(Query *parse, List **consulted, bool *passing)
{
	Detection	detection = {.parse = parse};
	List	   *marks;

	if (!worth_looking(parse) || IsBinaryUpgrade || IsLogicalWorker())
		return NIL;

	marks = detect(&detection);
	*consulted = detection.consulted;
	*passing |= detection.passing;
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
 * sg_upsert_where has said before.  Returns marks, appends to *consulted and
 * sets *passing, as sg_detect does.
 */
List *
sg_detect_upserts(Query *parse, PlannedStmt *plan, Node *where,
				  List **consulted, bool *passing)
{
	Detection	detection = {.parse = parse, .plan = plan, .where = where};
	List	   *marks;

	if (!walk_upserts(parse, plan, where, wanted_upsert, NULL) ||
		IsBinaryUpgrade || IsLogicalWorker())
		return NIL;
	marks = detect(&detection);
	*consulted = list_concat_unique_oid(*consulted, detection.consulted);
	*passing |= detection.passing;
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

/* A statement that is being started. */
typedef struct Judgement
{
	QueryDesc  *queryDesc;
	int			eflags;
	MemoryContext work;
} Judgement;

static void
run_judgement(void *arg)
{
	Judgement  *judgement = (Judgement *) arg;
	QueryDesc  *queryDesc = judgement->queryDesc;
	SgSource	source;

	MemoryContextSwitchTo(judgement->work);
	sg_fault("judge");
	sg_query_source(&source, queryDesc);
	sg_report(sg_planmark_get(queryDesc->plannedstmt), &source,
			  (judgement->eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0);
}

/*
 * Judge the execution of a plan that may carry marks; called when the executor
 * has checked privileges, and before it looks at any row.  Raises the ERROR of
 * a rule whose level says so.
 */
void
sg_judge(QueryDesc *queryDesc, int eflags)
{
	Judgement	judgement = {queryDesc, eflags, NULL};

	if (!sg_enabled || !sg_planmark_any(queryDesc->plannedstmt))
		return;
	if (sg_execution_is_exempt(eflags))
		return;

	judgement.work = AllocSetContextCreate(CurrentMemoryContext,
										   "safeguard judgement",
										   ALLOCSET_DEFAULT_SIZES);
	(void) sg_fail_open(run_judgement, &judgement);
	MemoryContextDelete(judgement.work);
}
