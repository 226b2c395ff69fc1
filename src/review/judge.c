/*-------------------------------------------------------------------------
 *
 * judge.c
 *		What enforcing would say of a statement, without executing it.
 *
 * The rules look at the rewritten Query as they do when it is planned, and
 * sg_decide() says at which level each finding would act now.  Only an INSERT
 * ... ON CONFLICT is planned, since the planner alone knows which unique key
 * serves it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "detect.h"
#include "review/review.h"
#include "safeguard.h"

/* ---------------- planning ---------------- */

/* Does the planner evaluate it if its arguments are constants? */
static bool
is_evaluated(Node *node)
{
	return !IsA(node, Aggref) && !IsA(node, WindowFunc);
}

/*
 * Puts a parameter of the same type in the place of each call of a function
 * that is not the server's own: planning evaluates those whose arguments are
 * constants, and a review is to execute nothing.  What chooses the unique key
 * stays as it is.
 */
static Node *
without_calls(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, without_calls,
										   context, 0);
	if (IsA(node, OnConflictExpr))
	{
		OnConflictExpr *conflict = (OnConflictExpr *) node;
		OnConflictExpr *result = copyObject(conflict);

		result->onConflictSet = (List *)
			without_calls((Node *) conflict->onConflictSet, context);
		result->onConflictWhere =
			without_calls(conflict->onConflictWhere, context);
		return (Node *) result;
	}
	if (is_evaluated(node) &&
		check_functions_in_node(node, sg_is_made_function, NULL))
	{
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = PG_UINT16_MAX;
		param->paramtype = exprType(node);
		param->paramtypmod = exprTypmod(node);
		param->paramcollid = exprCollation(node);
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, without_calls, context);
}

/*
 * A copy of a statement to be planned for a review.
 */
Query *
sg_without_calls(Query *query)
{
	return (Query *) without_calls((Node *) query, NULL);
}

/* A statement with upserts, and what is found in it. */
typedef struct UpsertTrial
{
	Query	   *query;
	const char *text;
	List	   *findings;		/* out */
} UpsertTrial;

static void
try_upserts(void *arg)
{
	UpsertTrial *trial = (UpsertTrial *) arg;
	Query	   *planned = sg_without_calls(trial->query);
	PlannedStmt *plan = NULL;
	SgFinding  *finding;
	SgFound		found = {NIL};

	finding = sg_conflict_target_try(trial->query, planned, trial->text,
									 &plan);
	if (finding != NULL)
		trial->findings = list_make1(finding);
	if (plan != NULL)
	{
		sg_find_upserts(trial->query, plan, sg_upsert_where(trial->query),
						&found);
		trial->findings = list_concat(trial->findings, found.findings);
	}
}

static bool
has_upsert(const Query *query)
{
	ListCell   *lc;

	if (query->onConflict != NULL)
		return true;
	if (!query->hasModifyingCTE)
		return false;
	foreach(lc, query->cteList)
	{
		Node	   *cte = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (IsA(cte, Query) && ((Query *) cte)->onConflict != NULL)
			return true;
	}
	return false;
}

/*
 * What the rules say of the upserts of a statement.  An error of the planner
 * says nothing about a rule; executing the statement will tell.
 */
static List *
find_in_upserts(Query *query, const char *text)
{
	UpsertTrial trial = {query, text, NIL};

	if (!has_upsert(query))
		return NIL;
	(void) sg_contained_review(try_upserts, &trial);
	return trial.findings;
}

/* ---------------- writes with enforcement switched off ---------------- */

static List *
find_in_write(const Query *query)
{
	if (query->resultRelation == 0)
		return NIL;
	return list_make1(sg_bypass_write_finding(query->commandType,
											  rt_fetch(query->resultRelation,
													   query->rtable)->relid));
}

/* The first write of a transaction under session_replication_role = replica. */
static List *
find_bypass(const Query *query)
{
	ListCell   *lc;

	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		return NIL;
	if (query->resultRelation != 0)
		return find_in_write(query);
	foreach(lc, query->hasModifyingCTE ? query->cteList : NIL)
	{
		Node	   *cte = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (IsA(cte, Query) && ((Query *) cte)->resultRelation != 0)
			return find_in_write((Query *) cte);
	}
	return NIL;
}

/* ---------------- rows ---------------- */

static bool
has_name(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* The columns that a finding is about: of its key, or the one it names. */
static List *
columns_of(const SgFinding *finding)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, finding->reads)
	{
		const SgColumnRef *ref = lfirst(lc);
		char	   *name;

		if (ref->relid != finding->relid || ref->attnum <= 0)
			continue;
		name = get_attname(ref->relid, ref->attnum, true);
		if (name != NULL && !has_name(columns, name))
			columns = lappend(columns, name);
	}
	if (columns == NIL && finding->column_name != NULL)
		columns = list_make1(finding->column_name);
	return columns;
}

static SgReviewRow *
make_row(const SgDecision *decision, SgLevel highest)
{
	const SgFinding *finding = decision->finding;
	SgReviewRow *row = palloc0(sizeof(SgReviewRow));

	row->rule = sg_rules[finding->rule].name;
	row->level = sg_level_name(Min(decision->level, highest));
	row->location = finding->location;
	if (!decision->readable)
	{
		/* as finding.c does; the table may be one behind a view */
		row->message = finding->closed_message;
		return row;
	}
	row->relid = finding->relid;
	row->columns = columns_of(finding);
	row->message = finding->message;
	row->detail = finding->detail;
	row->hint = finding->hint;
	return row;
}

/*
 * Turn findings into rows, less those that would not act now: a list of
 * SgReviewRow.  No level is above "highest".
 */
List *
sg_review_rows(List *findings, SgLevel highest)
{
	List	   *rows = NIL;
	ListCell   *lc;

	foreach(lc, sg_decide(findings))
		rows = lappend(rows, make_row(lfirst(lc), highest));
	return rows;
}

/*
 * What the rules find in rewritten Queries: a list of SgFinding.  "text" is
 * what their locations refer to.  *bypassed is set once a write under
 * session_replication_role = replica has been found; more are not reported.
 */
List *
sg_review_find(List *queries, const char *text, bool *bypassed)
{
	List	   *findings = NIL;
	ListCell   *lc;

	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);
		SgFound		found = {NIL};

		if (query->commandType == CMD_UTILITY)
			continue;
		if (!*bypassed)
		{
			List	   *bypass = find_bypass(query);

			/* one that is off, or of a temporary table, hides no other */
			*bypassed = sg_decide(bypass) != NIL;
			findings = list_concat(findings, bypass);
		}
		sg_find(query, &found);
		findings = list_concat(findings, found.findings);
		findings = list_concat(findings, find_in_upserts(query, text));
	}
	return findings;
}

/*
 * Is it, as the parser has made it, a utility command?
 */
bool
sg_is_utility(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_ReturnStmt:
		case T_PLAssignStmt:
			return false;
		default:
			return true;
	}
}
