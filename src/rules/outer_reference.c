/*-------------------------------------------------------------------------
 *
 * outer_reference.c
 *		Finds subqueries in the condition of UPDATE, DELETE and MERGE that use
 *		columns from outside where their own were meant.
 *
 * A name that no relation of a subquery has is looked up outside, so that a
 * wrong name is no error: IN (SELECT b FROM s) compares b with itself when s
 * has no b.  The same becomes of a condition inside EXISTS, and of a name
 * that an inner relation hides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

#include "query/outside.h"
#include "query/scene.h"
#include "query/statement.h"
#include "safeguard.h"

/* ------------------------------------------------------------------------
 * Judging
 * ------------------------------------------------------------------------
 */

/* The column of an equality of a column with itself, or NULL. */
static Var *
compared_with_itself(Node *conjunct)
{
	Node	   *left;
	Node	   *right;

	if (!IsA(conjunct, OpExpr) || list_length(((OpExpr *) conjunct)->args) != 2)
		return NULL;
	left = linitial(((OpExpr *) conjunct)->args);
	right = sg_strip(lsecond(((OpExpr *) conjunct)->args));
	if (sg_op_kind(((OpExpr *) conjunct)->opno, left, false) != SG_OP_EQUAL)
		return NULL;
	left = sg_strip(left);
	return IsA(left, Var) && equal(left, right) ? (Var *) left : NULL;
}

/* Is the relation of an inner column also one of those outside? */
static RangeTblEntry *
hides_outer(SgSubject *s, Var *var)
{
	RangeTblEntry *inner = rt_fetch(var->varno, s->sub->rtable);
	ListCell   *lq;
	ListCell   *lc;

	if (inner->rtekind != RTE_RELATION)
		return NULL;
	foreach(lq, s->walk->queries)
		foreach(lc, lfirst_node(Query, lq)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relid == inner->relid)
			return inner;
	}
	return NULL;
}

/* EXISTS: (SELECT 1 FROM s WHERE b = t.b) where s has no b, and the like. */
static void
judge_exists(SgSubject *s)
{
	Var		   *outer = sg_outer_condition(s);
	bool		any_outer = false;
	ListCell   *lc;

	foreach(lc, s->conjuncts)
		any_outer = any_outer || sg_columns_of(s, (Node *) lfirst(lc)).outer;
	foreach(lc, s->conjuncts)
	{
		Var		   *var = compared_with_itself((Node *) lfirst(lc));
		RangeTblEntry *rte = NULL;

		if (var == NULL)
			continue;
		if (var->varlevelsup >= s->base)
		{
			outer = copyObject(var);
			outer->varlevelsup -= s->base;
			break;
		}
		if (!any_outer && var->varlevelsup == 0)
			rte = hides_outer(s, var);
		if (rte)
		{
			sg_say_itself(s, rte, var);
			return;
		}
	}
	if (outer)
		sg_say_outer(s, outer, "tests");
}

/* Is a scalar subquery compared with the very column that it returns? */
static bool
returns_other(SgSubject *s, Var *output, Node *other)
{
	Node	   *expr = (Node *) linitial_node(TargetEntry, s->sub->targetList)->expr;
	Var		   *left = (Var *) sg_strip(other);

	return IsA(left, Var) && IsA(sg_strip(expr), Var) &&
		left->varno == output->varno && left->varattno == output->varattno &&
		left->varlevelsup == output->varlevelsup;
}

/*
 * Judges one SELECT: a subquery, an arm of its UNION, or the SELECT in its FROM
 * whose column it passes on.
 */
static void
judge_select(SgWalk *walk, SubLink *link, Query *sub, int base, Node *other)
{
	SgSubject	s = {walk, (Node *) link, sub, base, NIL};
	bool		exists = link->subLinkType == EXISTS_SUBLINK;
	Var		   *output = NULL;
	Query	   *inner = NULL;

	if (walk->finding || sub->commandType != CMD_SELECT)
		return;
	/* most subqueries return a column of their own: no need to go on */
	if (!exists && (output = sg_outer_output(&s)) == NULL &&
		(inner = sg_passed_on(sub)) == NULL)
		return;
	sg_collect_conjuncts((Node *) sub->jointree, &s.conjuncts);
	sg_collect_conjuncts(sub->havingQual, &s.conjuncts);
	if (sg_is_correlated(&s))
		return;
	if (inner != NULL)
	{
		check_stack_depth();
		judge_select(walk, link, inner, base + 1, other);
		return;
	}
	if (!sg_reads_on_its_own(&s))
		return;
	if (exists)
		judge_exists(&s);
	else if (other == NULL || returns_other(&s, output, other))
		sg_say_outer(&s, output, "returns");
}

/* Judges each arm of a UNION; the other operations take rows away. */
static void
judge_arms(SgWalk *walk, SubLink *link, Query *sub, Node *node)
{
	check_stack_depth();
	if (IsA(node, RangeTblRef))
	{
		Query	   *arm = rt_fetch(((RangeTblRef *) node)->rtindex,
								   sub->rtable)->subquery;

		if (arm->setOperations == NULL)
			judge_select(walk, link, arm, 2, NULL);
	}
	else if (IsA(node, SetOperationStmt) &&
			 ((SetOperationStmt *) node)->op == SETOP_UNION)
	{
		judge_arms(walk, link, sub, ((SetOperationStmt *) node)->larg);
		judge_arms(walk, link, sub, ((SetOperationStmt *) node)->rarg);
	}
}

/*
 * Judges a subquery; "other" is what a scalar one is compared with.
 */
static void
judge_sublink(SgWalk *walk, SubLink *link, Node *other)
{
	Query	   *sub = (Query *) link->subselect;

	/* nobody wrote into this statement what stands in a view */
	if (!IsA(sub, Query) || (walk->from > 0 && link->location < 0))
		return;
	if (sub->setOperations == NULL)
		judge_select(walk, link, sub, 1, other);
	else if (other == NULL)
		judge_arms(walk, link, sub, sub->setOperations);
}

/* ------------------------------------------------------------------------
 * The way through a statement
 * ------------------------------------------------------------------------
 */

static bool walker(Node *node, SgWalk *walk);

/* Most arguments have nothing below them. */
static inline bool
is_leaf(const Node *node)
{
	return node == NULL || IsA(node, Var) || IsA(node, Const) ||
		IsA(node, Param);
}

/* Nor has a comparison of them, which most arms of a long OR are. */
static inline bool
is_plain(const Node *node)
{
	const List *args;

	if (is_leaf(node))
		return true;
	if (!IsA(node, OpExpr))
		return false;
	args = ((const OpExpr *) node)->args;
	return list_length(args) == 2 && is_leaf(linitial(args)) &&
		is_leaf(lsecond(args));
}

static bool
walk_list(List *args, SgWalk *walk)
{
	ListCell   *lc;

	foreach(lc, args)
		if (!is_plain(lfirst(lc)) && walker(lfirst(lc), walk))
			return true;
	return false;
}

/* Goes into a subquery: its conditions, outputs, and FROM list. */
static bool
walk_query(Query *query, SgWalk *walk)
{
	bool		conditions = query->hasSubLinks || query->cteList != NIL;
	bool		subqueries = false;
	ListCell   *lc;

	foreach(lc, query->rtable)
		subqueries |= lfirst_node(RangeTblEntry, lc)->rtekind == RTE_SUBQUERY;
	if (!conditions && !subqueries)
		return false;
	walk->queries = lcons(query, walk->queries);
	if (conditions)
		query_tree_walker(query, walker, walk, QTW_IGNORE_RANGE_TABLE);
	walk->from++;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* never its securityQuals: a policy is not the writer's */
		if (rte->rtekind == RTE_SUBQUERY)
			walker((Node *) rte->subquery, walk);
	}
	walk->from--;
	walk->queries = list_delete_first(walk->queries);
	return walk->finding != NULL;
}

/* An equality or array comparison with a subquery on one of its sides. */
static void
judge_comparison(Node *node, SgWalk *walk)
{
	List	   *args = IsA(node, OpExpr) ? ((OpExpr *) node)->args :
		((ScalarArrayOpExpr *) node)->args;
	bool		array = IsA(node, ScalarArrayOpExpr);

	for (int i = 0; i < list_length(args) && list_length(args) == 2; i++)
	{
		Node	   *side = list_nth(args, i);
		SubLinkType type = array ? ARRAY_SUBLINK : EXPR_SUBLINK;

		if (is_leaf(side))
			continue;
		side = sg_strip(side);
		if (IsA(side, SubLink) && ((SubLink *) side)->subLinkType == type)
			judge_sublink(walk, (SubLink *) side,
						  array ? NULL : (Node *) list_nth(args, 1 - i));
	}
}

/*
 * Judges all subqueries of an expression.  The commonest nodes have cases of
 * their own, since every statement with a subquery comes here.
 */
static bool
walker(Node *node, SgWalk *walk)
{
	if (is_leaf(node))
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_Query:
			return walk_query((Query *) node, walk);
		case T_BoolExpr:
			return walk_list(((BoolExpr *) node)->args, walk);
		case T_OpExpr:
			judge_comparison(node, walk);
			return walk->finding || walk_list(((OpExpr *) node)->args, walk);
		case T_ScalarArrayOpExpr:
			judge_comparison(node, walk);
			break;
		case T_SubLink:
			{
				SubLink    *link = (SubLink *) node;

				if (link->subLinkType == ANY_SUBLINK ||
					link->subLinkType == ALL_SUBLINK ||
					link->subLinkType == EXISTS_SUBLINK)
					judge_sublink(walk, link, NULL);
				return walk->finding || walker(link->testexpr, walk) ||
					walker(link->subselect, walk);
			}
		default:
			break;
	}
	return walk->finding || expression_tree_walker(node, walker, walk);
}

/* The conditions of the statement itself. */
static void
walk_conditions(Query *query, SgWalk *walk)
{
	ListCell   *lc;

	walker(sg_written_condition(query), walk);
	foreach(lc, query->mergeActionList)
		if (walk->finding == NULL)
			walker(lfirst_node(MergeAction, lc)->qual, walk);
	foreach(lc, query->jointree->fromlist)
		if (walk->finding == NULL)
			walker((Node *) lfirst(lc), walk);
}

/*
 * Looks at the conditions of one UPDATE, DELETE or MERGE and at the subqueries
 * it reads from, and appends at most one finding.
 */
void
sg_outer_reference_detect(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	SgWalk		walk = {stmt, list_make1(query), 0, NULL};
	ListCell   *lc;

	if (sg_target_entry(query) == NULL)
		return;
	if (query->hasSubLinks)
		walk_conditions(query, &walk);
	walk.from = 1;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY && walk.finding == NULL)
			walker((Node *) rte->subquery, &walk);
	}
	walk.from = 0;
	foreach(lc, query->cteList)
		if (walk.finding == NULL)
			walker(lfirst_node(CommonTableExpr, lc)->ctequery, &walk);
	if (walk.finding)
		stmt->findings = lappend(stmt->findings, walk.finding);
}
