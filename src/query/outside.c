/*-------------------------------------------------------------------------
 *
 * outside.c
 *		Which columns a subquery takes from outside, and whether a condition
 *		in it compares them with its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

#include "compat.h"
#include "query/outside.h"
#include "query/scene.h"

static bool
columns_walker(Node *node, SgColumns *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool		result;

		context->depth++;
		result = query_tree_walker((Query *) node, columns_walker, context, 0);
		context->depth--;
		return result;
	}
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		int			out = (int) var->varlevelsup - context->depth - context->base;

		if (out >= 0)
		{
			if (context->outer == NULL)
			{
				context->outer = copyObject(var);
				context->outer->varlevelsup = out;
			}
			return false;
		}
		/* a column of a join or of GROUP BY may stand for one from outside */
		if (context->depth == 0 && var->varlevelsup == 0 &&
			var->varno <= list_length(context->sub->rtable))
		{
			Node	   *alias = sg_alias_expr(rt_fetch(var->varno,
													   context->sub->rtable),
											  var->varattno);

			if (alias)
				return columns_walker(alias, context);
		}
		context->inner = true;
		return false;
	}
	return expression_tree_walker(node, columns_walker, context);
}

SgColumns
sg_columns_of(SgSubject *s, Node *node)
{
	SgColumns	columns = {s->sub, s->base, 0, false, NULL};

	columns_walker(node, &columns);
	return columns;
}

/* ------------------------------------------------------------------------
 * The FROM list and the conditions of a subquery
 * ------------------------------------------------------------------------
 */

/* An item of FROM whose columns one may have meant, unlike a function's. */
bool
sg_is_table_like(RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION || rte->rtekind == RTE_SUBQUERY ||
		rte->rtekind == RTE_CTE;
}

/*
 * Does the subquery read a relation, and no item of its FROM depend on what
 * is outside?
 */
bool
sg_reads_on_its_own(SgSubject *s)
{
	bool		reads = false;
	ListCell   *lc;

	foreach(lc, s->sub->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		reads = reads || sg_is_table_like(rte);
		if (sg_columns_of(s, (Node *) rte->functions).outer ||
			sg_columns_of(s, (Node *) rte->values_lists).outer ||
			sg_columns_of(s, (Node *) rte->tablefunc).outer ||
			(rte->rtekind == RTE_SUBQUERY &&
			 sg_columns_of(s, (Node *) rte->subquery).outer))
			return false;
	}
	return reads && !sg_columns_of(s, (Node *) s->sub->cteList).outer;
}

void
sg_collect_conjuncts(Node *node, List **conjuncts)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			sg_collect_conjuncts((Node *) lfirst(lc), conjuncts);
		sg_collect_conjuncts(((FromExpr *) node)->quals, conjuncts);
	}
	else if (IsA(node, JoinExpr))
	{
		sg_collect_conjuncts(((JoinExpr *) node)->larg, conjuncts);
		sg_collect_conjuncts(((JoinExpr *) node)->rarg, conjuncts);
		sg_collect_conjuncts(((JoinExpr *) node)->quals, conjuncts);
	}
	else if (is_andclause(node))
	{
		foreach(lc, ((BoolExpr *) node)->args)
			sg_collect_conjuncts((Node *) lfirst(lc), conjuncts);
	}
	else if (!IsA(node, RangeTblRef))
		*conjuncts = lappend(*conjuncts, node);
}

/* Does a conjunct compare a column of the subquery with one from outside? */
bool
sg_is_correlated(SgSubject *s)
{
	ListCell   *lc;

	foreach(lc, s->conjuncts)
	{
		SgColumns	columns = sg_columns_of(s, (Node *) lfirst(lc));

		if (columns.inner && columns.outer)
			return true;
	}
	return false;
}

/*
 * The first column from outside, if an output of the subquery is one and none
 * is of its own.
 */
Var *
sg_outer_output(SgSubject *s)
{
	Var		   *result = NULL;
	ListCell   *lc;

	foreach(lc, s->sub->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		SgColumns	columns;

		if (tle->resjunk)
			continue;
		columns = sg_columns_of(s, (Node *) tle->expr);
		if (columns.inner)
			return NULL;
		if (result == NULL)
			result = columns.outer;
	}
	return result;
}

/* The first column from outside, if the conditions use such columns only. */
Var *
sg_outer_condition(SgSubject *s)
{
	Var		   *result = NULL;
	ListCell   *lc;

	foreach(lc, s->conjuncts)
	{
		SgColumns	columns = sg_columns_of(s, (Node *) lfirst(lc));

		if (columns.inner)
			return NULL;
		if (result == NULL)
			result = columns.outer;
	}
	return result;
}

/*
 * The SELECT in FROM, or the subquery's own CTE, whose only column is all that
 * the subquery returns; NULL if it is not made so.
 */
Query *
sg_passed_on(Query *sub)
{
	TargetEntry *tle;
	RangeTblEntry *rte;
	Query	   *inner = NULL;
	ListCell   *lc;

	if (list_length(sub->jointree->fromlist) != 1 ||
		!IsA(linitial(sub->jointree->fromlist), RangeTblRef) ||
		list_length(sub->targetList) != 1)
		return NULL;
	tle = linitial_node(TargetEntry, sub->targetList);
	rte = rt_fetch(linitial_node(RangeTblRef, sub->jointree->fromlist)->rtindex,
				   sub->rtable);
	if (!IsA(sg_strip((Node *) tle->expr), Var))
		return NULL;
	if (rte->rtekind == RTE_SUBQUERY)
		inner = rte->subquery;
	else if (rte->rtekind == RTE_CTE && rte->ctelevelsup == 0)
	{
		foreach(lc, sub->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

			if (strcmp(cte->ctename, rte->ctename) == 0 && !cte->cterecursive)
				inner = (Query *) cte->ctequery;
		}
	}
	if (inner == NULL || !IsA(inner, Query) || inner->setOperations != NULL ||
		inner->commandType != CMD_SELECT || list_length(inner->targetList) != 1)
		return NULL;
	return inner;
}
