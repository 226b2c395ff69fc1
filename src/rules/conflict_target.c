/*-------------------------------------------------------------------------
 *
 * conflict_target.c
 *		Says why no unique key serves the ON CONFLICT of a statement.
 *
 * The planner is the judge: nothing is found unless it raises its error, so
 * there is no second inference that could disagree with it.  At the point
 * where it does, it has closed all that it had opened and the transaction is
 * still in progress, so that catalogs can be read; at any other error they
 * could not, and it passes untouched.
 *
 * The error keeps its SQLSTATE and message.  Planning comes before the
 * executor checks privileges, so they are checked here first: who may not
 * execute the statement sees the server's error and no more.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "failopen.h"
#include "safeguard.h"
#include "upsert/arbiter.h"

/*
 * Put into ErrorData.saved_errno, which is of no use once the message is
 * made, to know an error that has been here before: planning can run a
 * function whose own statements are planned.
 */
#define SEEN_ERRNO	(-0x5347)

/* ---------------- what is looked at ---------------- */

static bool
has_arbiter(const Query *query)
{
	return query->commandType == CMD_INSERT && query->onConflict != NULL &&
		query->onConflict->arbiterElems != NIL;
}

/*
 * Has a statement, or a data-modifying CTE of it, an ON CONFLICT for which
 * the planner has to find an index?
 */
bool
sg_conflict_target_wanted(const Query *parse)
{
	ListCell   *lc;

	if (has_arbiter(parse))
		return true;
	if (!parse->hasModifyingCTE)
		return false;
	foreach(lc, parse->cteList)
	{
		Node	   *query = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (IsA(query, Query) && has_arbiter((Query *) query))
			return true;
	}
	return false;
}

/* ---------------- privileges ---------------- */

static bool
lacks_permission(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		return !sg_check_permissions(query) ||
			query_tree_walker(query, lacks_permission, context, 0);
	}
	return expression_tree_walker(node, lacks_permission, context);
}

/*
 * May the current user execute the statement?  As the executor decides it,
 * less the hook for other extensions: one that audits would record an
 * execution that does not come.
 */
static bool
may_execute(Query *parse)
{
	ExecutorCheckPerms_hook_type hook = ExecutorCheckPerms_hook;
	bool		result = false;

	ExecutorCheckPerms_hook = NULL;
	PG_TRY();
	{
		result = !lacks_permission((Node *) parse, NULL);
	}
	PG_FINALLY();
	{
		ExecutorCheckPerms_hook = hook;
	}
	PG_END_TRY();
	return result;
}

/* ---------------- the finding ---------------- */

/* Where the ON CONFLICT (...) stands in the source text, or -1. */
static int
clause_location(const Query *query)
{
	ListCell   *lc;

	/* a plain column has the location of the parenthesis */
	foreach(lc, query->onConflict->arbiterElems)
	{
		Node	   *expr = (Node *) lfirst_node(InferenceElem, lc)->expr;

		if (IsA(expr, Var) && ((Var *) expr)->location >= 0)
			return ((Var *) expr)->location;
	}
	return exprLocation((Node *) query->onConflict->arbiterElems);
}

static SgFinding *
make_finding(const Query *query, SgArbitration *arb)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	const char *closed = "INSERT into %s \"%s\": no unique key serves its ON CONFLICT";

	finding->rule = SG_RULE_CONFLICT_TARGET;
	finding->relid = arb->relid;
	finding->location = clause_location(query);
	finding->reads = sg_arbiter_reads(arb);
	finding->schema_name = get_namespace_name(RelationGetNamespace(arb->rel));
	finding->table_name = pstrdup(arb->relation);
	finding->message = psprintf("INSERT into table \"%s\": no unique key serves ON CONFLICT %s",
								arb->relation, arb->columns);
	finding->detail = sg_arbiter_detail(arb);
	finding->hint = sg_arbiter_hint(arb);
	if (arb->view != NULL)
		finding->closed_message = psprintf(closed, "view", arb->view);
	else
		finding->closed_message = psprintf(closed, "table", arb->relation);
	return finding;
}

static SgFinding *
find_in(Query *query, ParamListInfo params, bool *parameter)
{
	SgArbitration *arb;
	SgFinding  *finding;

	if (!has_arbiter(query))
		return NULL;
	arb = sg_arbitrate(query, params);
	if (arb == NULL)
		return NULL;
	*parameter = sg_has_parameter((Node *) arb->elems, NULL) ||
		(arb->closest != NULL &&
		 arb->closest->misfit == SG_MISFIT_PARAMETER);
	finding = make_finding(query, arb);
	table_close(arb->rel, NoLock);
	return finding;
}

/*
 * The finding about the INSERT for which the planner has found no index: the
 * first in the order of planning, CTEs before the statement.  NULL if there is
 * none, or none for the current user.  *parameter tells whether it may be
 * that a parameter alone prevents it.
 */
static SgFinding *
find(Query *parse, ParamListInfo params, bool *parameter)
{
	SgFinding  *finding = NULL;
	ListCell   *lc;

	if (!may_execute(parse))
		return NULL;
	foreach(lc, parse->cteList)
	{
		Node	   *query = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (finding == NULL && IsA(query, Query))
			finding = find_in((Query *) query, params, parameter);
	}
	return finding != NULL ? finding : find_in(parse, params, parameter);
}

/* ---------------- the planner's error ---------------- */

/*
 * Is the error that is being handled the planner's complaint about an ON
 * CONFLICT?  Returns a copy of it and ends its handling, else NULL.
 */
static ErrorData *
take_error(MemoryContext context)
{
	ErrorData  *edata;

	if (geterrcode() != ERRCODE_INVALID_COLUMN_REFERENCE)
		return NULL;
	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	if (edata->saved_errno == SEEN_ERRNO || edata->funcname == NULL ||
		strcmp(edata->funcname, "infer_arbiter_indexes") != 0)
	{
		FreeErrorData(edata);
		return NULL;
	}
	FlushErrorState();
	edata->saved_errno = SEEN_ERRNO;
	return edata;
}

/* Point at the clause if the server points at nothing; as finding.c does. */
static void
add_position(ErrorData *edata, const SgFinding *finding, const char *source)
{
	int			position;

	if (edata->cursorpos > 0 || edata->internalpos > 0 ||
		finding->location < 0 || source == NULL ||
		finding->location > strlen(source))
		return;
	position = pg_mbstrlen_with_len(source, finding->location) + 1;
	if (debug_query_string != NULL && strcmp(source, debug_query_string) == 0)
		edata->cursorpos = position;
	else
	{
		edata->internalpos = position;
		edata->internalquery = pstrdup(source);
	}
}

/* Give the error what the finding tells, if it acts and may be shown. */
static void
complete_error(ErrorData *edata, const SgDecision *decision,
			   const char *source)
{
	const SgFinding *finding = decision->finding;

	if (decision->level < SG_LEVEL_WARNING || !decision->readable)
		return;
	if (edata->detail == NULL)
		edata->detail = finding->detail;
	if (edata->hint == NULL)
		edata->hint = finding->hint;
	add_position(edata, finding, source);
}

/* An error of the planner, and what it has been asked to plan. */
typedef struct PlannerError
{
	ErrorData  *edata;
	Query	   *parse;
	const char *query_string;
	ParamListInfo params;
} PlannerError;

/* Called by sg_fail_open() */
static void
explain_error(void *arg)
{
	PlannerError *error = (PlannerError *) arg;
	Query	   *parse = error->parse;
	SgSource	source = {error->query_string, parse->stmt_location,
		parse->stmt_len, (uint64) parse->queryId};
	bool		parameter = false;
	SgFinding  *finding = find(parse, error->params, &parameter);
	List	   *decisions;

	sg_fault("explain");
	if (finding == NULL)
		return;
	decisions = sg_decide(list_make1(finding));
	if (decisions == NIL)
		return;
	/* plain EXPLAIN plans, too, and counts nothing */
	sg_deliver(decisions, &source, sg_utility_is_explain());
	complete_error(error->edata, linitial(decisions), error->query_string);
}

/*
 * Plan a statement for which sg_conflict_target_wanted() is true.
 */
PlannedStmt *
sg_conflict_target_plan(planner_hook_type planner, Query *parse,
						const char *query_string, int cursorOptions,
						ParamListInfo boundParams)
{
	MemoryContext caller = CurrentMemoryContext;
	PlannedStmt *volatile plan = NULL;

	PG_TRY();
	{
		plan = (*planner) (parse, query_string, cursorOptions, boundParams);
	}
	PG_CATCH();
	{
		ErrorData  *edata = take_error(caller);

		if (edata == NULL)
			PG_RE_THROW();
		/* the server's error is worth more than one of our own */
		if (sg_enabled && !sg_process_is_exempt())
		{
			PlannerError error = {edata, parse, query_string, boundParams};

			(void) sg_fail_open(explain_error, &error);
		}
		ReThrowError(edata);
	}
	PG_END_TRY();

	return plan;
}

/*
 * Plan a copy of a statement, generically and for nothing but to see whether
 * the planner complains.  Returns the finding then, NULL if it does not, and
 * in *plan, unless that is NULL, the plan if there is one.  "planned" is what
 * is planned in the place of the statement: the same, less what must not be
 * evaluated.  Runs in a subtransaction that the caller rolls back; raises any
 * other error.
 *
 * Other extensions' planner hooks are passed by, since nothing is to be run.
 */
SgFinding *
sg_conflict_target_try(Query *query, Query *planned, const char *query_string,
					   PlannedStmt **plan)
{
	MemoryContext caller = CurrentMemoryContext;
	SgFinding  *volatile finding = NULL;

	PG_TRY();
	{
		PlannedStmt *result = standard_planner(copyObject(planned),
											   query_string, 0, NULL);

		if (plan != NULL)
			*plan = result;
	}
	PG_CATCH();
	{
		bool		parameter = false;

		if (take_error(caller) == NULL)
			PG_RE_THROW();
		finding = find(query, NULL, &parameter);

		/* it fails in a generic plan only, and that may never be made */
		if (parameter)
			finding = NULL;
	}
	PG_END_TRY();

	return finding;
}
