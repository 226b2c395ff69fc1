/*-------------------------------------------------------------------------
 *
 * rows.c
 *		Which items of a FROM list have one row, whatever the tables hold.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

#include "query/scene.h"
#include "query/statement.h"

/* LIMIT 1, which the parser turns into a cast */
static bool
is_limited_to_one(Query *query)
{
	Const	   *limit = (Const *) sg_strip(query->limitCount);

	if (limit == NULL || !IsA(limit, Const) || limit->constisnull ||
		query->limitOption != LIMIT_OPTION_COUNT)
		return false;
	if (limit->consttype == INT4OID)
		return DatumGetInt32(limit->constvalue) <= 1;
	return limit->consttype == INT8OID &&
		DatumGetInt64(limit->constvalue) <= 1;
}

static bool
items_have_one_row(Query *query, List *parents)
{
	ListCell   *lc;

	parents = lcons(query, list_copy(parents));
	foreach(lc, query->jointree->fromlist)
		if (!sg_has_one_row(query, (Node *) lfirst(lc), parents))
			return false;
	return true;
}

/*
 * Does a subquery return one row, whatever the tables hold?  An INSERT, which
 * is a CTE then, returns no more rows than it is given.
 */
static bool
returns_one_row(Query *query, List *parents)
{
	if (query->hasTargetSRFs)
		return false;
	if (query->commandType == CMD_INSERT)
		return items_have_one_row(query, parents);
	if (query->commandType != CMD_SELECT)
		return false;
	if (is_limited_to_one(query))
		return true;
	if (query->setOperations)
		return false;
	if (query->groupClause == NIL && query->groupingSets == NIL &&
		(query->hasAggs || query->havingQual))
		return true;
	if (query->groupClause != NIL || query->groupingSets != NIL)
		return false;
	return items_have_one_row(query, parents);
}

static bool
cte_has_one_row(RangeTblEntry *rte, List *parents)
{
	Query	   *owner;
	ListCell   *lc;

	if (rte->self_reference || rte->ctelevelsup >= list_length(parents))
		return false;
	owner = list_nth_node(Query, parents, rte->ctelevelsup);
	foreach(lc, owner->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return IsA(cte->ctequery, Query) && !cte->cterecursive &&
				returns_one_row((Query *) cte->ctequery,
								list_copy_tail(parents, rte->ctelevelsup));
	}
	return false;
}

static bool
functions_have_one_row(RangeTblEntry *rte)
{
	ListCell   *lc;

	foreach(lc, rte->functions)
		if (expression_returns_set(lfirst_node(RangeTblFunction, lc)->funcexpr))
			return false;
	return true;
}

/*
 * Has an item of a FROM list one row?  "parents" are the Queries that a CTE
 * may belong to, the one with the item first.
 */
bool
sg_has_one_row(Query *query, Node *item, List *parents)
{
	RangeTblEntry *rte;

	check_stack_depth();
	if (IsA(item, JoinExpr))
		return sg_has_one_row(query, ((JoinExpr *) item)->larg, parents) &&
			sg_has_one_row(query, ((JoinExpr *) item)->rarg, parents);
	if (!IsA(item, RangeTblRef))
		return false;
	rte = rt_fetch(((RangeTblRef *) item)->rtindex, query->rtable);
	switch (rte->rtekind)
	{
		case RTE_SUBQUERY:
			return returns_one_row(rte->subquery, parents);
		case RTE_CTE:
			return cte_has_one_row(rte, parents);
		case RTE_VALUES:
			return list_length(rte->values_lists) == 1;
		case RTE_FUNCTION:
			return functions_have_one_row(rte);
		case RTE_RESULT:
			return true;
		default:
			return false;
	}
}
