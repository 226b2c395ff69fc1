/*-------------------------------------------------------------------------
 *
 * quals.c
 *		Takes the conditions of a Query apart: AND, OR, NOT, sublinks,
 *		comparisons.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "query/scene.h"

static void take(SgCondition *c, Node *node, bool negated);

/* ------------------------------------------------------------------------
 * OR
 * ------------------------------------------------------------------------
 */

static void
take_or(SgCondition *c, Node *node, bool negated)
{
	BoolExpr   *b = (BoolExpr *) node;
	ListCell   *lc;

	if (c->trust != SG_TRUST_WRITTEN)
	{
		if (c->trust == SG_TRUST_OUTER)
			sg_mark_outside(c, node);
		return;
	}
	if (sg_is_apart(c->scene, c->scope, node))
	{
		int			arm = sg_choose(c->scene, list_length(b->args));

		take(c, list_nth(b->args, arm), negated);
	}
	else
	{
		List	   *compared = NIL;
		List	   *limited = NIL;

		sg_local_columns(c, node, negated, &compared, &limited);
		foreach(lc, compared)
			((SgNode *) lfirst(lc))->uses |= SG_USE_COMPARED;
		foreach(lc, limited)
			((SgNode *) lfirst(lc))->uses |= SG_USE_RESTRICTED;
	}
}

/* ------------------------------------------------------------------------
 * Sublinks
 * ------------------------------------------------------------------------
 */

/* Takes (a, b) = (PARAM, PARAM) of a sublink's test expression. */
static void
take_test(SgCondition *c, SgScope *sub, Node *test, SubLink *link, bool as_equal)
{
	ListCell   *lc;

	if (test == NULL)
		return;
	if (IsA(test, BoolExpr))
	{
		foreach(lc, ((BoolExpr *) test)->args)
			take_test(c, sub, (Node *) lfirst(lc), link, as_equal);
	}
	else if (IsA(test, OpExpr) && list_length(((OpExpr *) test)->args) == 2)
	{
		OpExpr	   *op = (OpExpr *) test;
		Node	   *left = linitial(op->args);
		Node	   *right = lsecond(op->args);
		SgOpKind	kind = sg_op_kind(op->opno, left, false);

		if (kind == SG_OP_EQUAL || (kind == SG_OP_UNEQUAL && as_equal))
			sg_equate(c->scene, c->scope, sub, left, right, (Node *) link,
					  c->trust);
		else
			sg_compare(c->scene, c->scope, sub, left, right, (Node *) link,
					   kind == SG_OP_UNEQUAL);
	}
	else if (IsA(test, RowCompareExpr))
	{
		RowCompareExpr *row = (RowCompareExpr *) test;
		ListCell   *lr;

		forboth(lc, row->largs, lr, row->rargs)
			sg_compare(c->scene, c->scope, sub, lfirst(lc), lfirst(lr),
					   (Node *) link, false);
	}
	else
		sg_mark_uses(c->scene, c->scope, test,
					 SG_USE_COMPARED | SG_USE_RESTRICTED);
}

/* Is the test of an ALL sublink made of <>, so that it is a NOT IN? */
static bool
test_is_unequal(Node *test)
{
	if (test && IsA(test, BoolExpr))
		test = linitial(((BoolExpr *) test)->args);
	return test && IsA(test, OpExpr) &&
		sg_op_kind(((OpExpr *) test)->opno, linitial(((OpExpr *) test)->args),
				false) == SG_OP_UNEQUAL;
}

/*
 * Is a negated subquery looked into in this scene?  Sets what its items will
 * be; the caller restores scope->judged.
 */
static bool
look_into_negation(SgCondition *c)
{
	bool		inside = c->scene->focus >= 0 && c->scope->judged;

	if (inside)
		return true;
	if (c->scene->negations++ != c->scene->focus)
		return false;
	c->scope->judged = true;
	return true;
}

static void
take_sublink(SgCondition *c, SubLink *link, bool negated)
{
	bool		negative = negated;
	bool		unequal = link->subLinkType == ALL_SUBLINK &&
		test_is_unequal(link->testexpr);
	bool		judged = c->scope->judged;
	SgForm		form;
	SgScope    *sub;

	if (c->trust != SG_TRUST_WRITTEN)
	{
		sg_mark_outside(c, (Node *) link);
		return;
	}
	switch (link->subLinkType)
	{
		case ANY_SUBLINK:
			form = negative ? SG_FORM_NOT_IN : SG_FORM_IN;
			break;
		case ALL_SUBLINK:
			/* <> ALL is NOT IN, so its negation is IN */
			negative = unequal && !negated;
			form = negative ? SG_FORM_NOT_IN : SG_FORM_IN;
			break;
		case ROWCOMPARE_SUBLINK:
			negative = false;
			form = SG_FORM_SCALAR;
			break;
		default:
			form = negative ? SG_FORM_NOT_EXISTS : SG_FORM_EXISTS;
			break;
	}
	if (!sg_sublink_matters(link))
		return;
	/* an equality in other words, whether it is negated or not */
	if (link->subLinkType == EXISTS_SUBLINK &&
		sg_equate_set_operation(c->scene, c->scope, link, negated))
		return;
	if (negative && !look_into_negation(c))
	{
		sg_mark_outside(c, (Node *) link);
		return;
	}
	sub = sg_enter_sublink(c->scene, link, c->scope, form);
	c->scope->judged = judged;
	if (sub != NULL)
		take_test(c, sub, link->testexpr, link, unequal);
}

/* ------------------------------------------------------------------------
 * Comparisons
 * ------------------------------------------------------------------------
 */

static bool
has_sublink(Node *node)
{
	return checkExprHasSubLink(node);
}

/*
 * (condition) = true, and the like: the condition itself, unless it is no
 * more than a column.
 */
static bool
take_boolean_equality(SgCondition *c, Node *left, Node *right, bool unequal)
{
	Node	   *value = sg_strip(right);
	Node	   *condition = left;

	if (exprType(left) != BOOLOID)
		return false;
	if (!IsA(value, Const))
	{
		value = sg_strip(left);
		condition = right;
	}
	if (!IsA(value, Const) || ((Const *) value)->constisnull ||
		((Const *) value)->consttype != BOOLOID ||
		IsA(sg_strip(condition), Var))
		return false;
	take(c, condition,
		 DatumGetBool(((Const *) value)->constvalue) == unequal);
	return true;
}

static void
take_op(SgCondition *c, OpExpr *op, bool negated)
{
	Node	   *left;
	Node	   *right;
	SgOpKind	kind;

	if (list_length(op->args) != 2)
	{
		sg_mark_uses(c->scene, c->scope, (Node *) op,
					 SG_USE_COMPARED | SG_USE_RESTRICTED);
		return;
	}
	left = linitial(op->args);
	right = lsecond(op->args);
	kind = sg_op_kind(op->opno, left, negated);
	if (kind == SG_OP_ORDER)
		sg_mark_bounds(c, op, negated);
	if ((kind == SG_OP_EQUAL || kind == SG_OP_UNEQUAL) &&
		take_boolean_equality(c, left, right, kind == SG_OP_UNEQUAL))
		return;
	if (kind == SG_OP_EQUAL)
		sg_equate(c->scene, c->scope, NULL, left, right, (Node *) op,
				  c->trust);
	else if (c->trust != SG_TRUST_WRITTEN)
	{
		if (kind != SG_OP_UNEQUAL)
			sg_mark_outside(c, (Node *) op);
	}
	else
		sg_compare(c->scene, c->scope, NULL, left, right, (Node *) op,
				   kind == SG_OP_UNEQUAL);
}

/* Is an array made of rows of a subquery? */
static bool
array_has_source(SgCondition *c, Node *array, Node *scalar)
{
	SgValue		value = sg_value(c->scene, c->scope, NULL, array);
	Oid			type;

	if (value.kind != SG_VALUE_COLUMN || value.node->att <= 0)
		return value.kind == SG_VALUE_COLUMN;
	if (!OidIsValid(value.node->item->relid))
		return true;

	/* a column that is itself an array does not hold values of one column */
	type = get_atttype(value.node->item->relid, value.node->att);
	return !OidIsValid(get_element_type(type)) ||
		OidIsValid(get_element_type(exprType(scalar)));
}

static void
take_array(SgCondition *c, ScalarArrayOpExpr *op, bool negated)
{
	Node	   *scalar = linitial(op->args);
	Node	   *array = lsecond(op->args);
	SgOpKind	kind = sg_op_kind(op->opno, scalar, negated);
	bool		any = op->useOr != negated;
	Node	   *stripped = sg_strip(array);
	bool		judged = c->scope->judged;
	bool		values = IsA(stripped, Const) || sg_is_value_list(stripped);
	Node	   *reads = values ? scalar : (Node *) op;

	if (kind == SG_OP_EQUAL && any && c->scene->stmt->scoped)
		sg_mark_given(c, scalar, array, SG_USE_LISTED);
	if (c->trust != SG_TRUST_WRITTEN)
	{
		if (any)
			sg_mark_outside(c, reads);
		return;
	}
	if (kind == SG_OP_UNEQUAL && !any)
	{
		/* NOT IN */
		if (values || !has_sublink(array) || !look_into_negation(c))
		{
			sg_mark_uses(c->scene, c->scope, scalar, SG_USE_COMPARED);
			return;
		}
		if (array_has_source(c, array, scalar))
			sg_equate_any(c->scene, c->scope, scalar, array, (Node *) op);
		c->scope->judged = judged;
		return;
	}
	if (kind == SG_OP_EQUAL && any && IsA(stripped, ArrayExpr) &&
		list_length(((ArrayExpr *) stripped)->elements) == 1)
		sg_equate(c->scene, c->scope, NULL, scalar,
				  linitial(((ArrayExpr *) stripped)->elements), (Node *) op,
				  c->trust);
	else if (kind == SG_OP_EQUAL && any && !values &&
			 array_has_source(c, array, scalar))
		sg_equate_any(c->scene, c->scope, scalar, array, (Node *) op);
	else
		sg_mark_uses(c->scene, c->scope, reads,
					 SG_USE_COMPARED |
					 (kind == SG_OP_UNEQUAL ? 0 : SG_USE_RESTRICTED));
}

/* ------------------------------------------------------------------------
 * Everything
 * ------------------------------------------------------------------------
 */

/*
 * An output of a grouped subquery that is an aggregate: comparing it chooses
 * groups, as HAVING does.
 */
static bool
filter_walker(Node *node, SgCondition *c)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == 0 &&
		((Var *) node)->varno > 0 && c->scope->entries != NULL &&
		((Var *) node)->varno <= list_length(c->scope->query->rtable))
	{
		SgScope    *sub = c->scope->entries[((Var *) node)->varno].sub;

		if (sub != NULL)
		{
			Node	   *expr = sg_scope_output(&sub, ((Var *) node)->varattno);

			if (expr && sub->query->groupClause &&
				contain_aggs_of_level(expr, 0))
				sub->filtered = true;
		}
		return false;
	}
	return expression_tree_walker(node, filter_walker, c);
}

/* A condition that is a boolean itself: flag says flag = true. */
static void
take_truth(SgCondition *c, Node *node, bool value)
{
	sg_equate(c->scene, c->scope, NULL, node, makeBoolConst(value, false),
			  node, c->trust);
}

static void
take_bool(SgCondition *c, BoolExpr *b, bool negated)
{
	ListCell   *lc;

	if (b->boolop == NOT_EXPR)
		take(c, linitial(b->args), !negated);
	else if ((b->boolop == AND_EXPR) != negated)
	{
		foreach(lc, b->args)
			take(c, (Node *) lfirst(lc), negated);
	}
	else
		take_or(c, (Node *) b, negated);
}

static void
take(SgCondition *c, Node *node, bool negated)
{
	ListCell   *lc;
	ListCell   *lr;

	if (node == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			take_bool(c, (BoolExpr *) node, negated);
			return;
		case T_SubLink:
			if (((SubLink *) node)->subLinkType != EXPR_SUBLINK)
			{
				take_sublink(c, (SubLink *) node, negated);
				return;
			}
			break;
		case T_OpExpr:
			take_op(c, (OpExpr *) node, negated);
			return;
		case T_DistinctExpr:
			/* IS NOT DISTINCT FROM is an equality */
			if (take_boolean_equality(c, linitial(((OpExpr *) node)->args),
									  lsecond(((OpExpr *) node)->args),
									  !negated))
				return;
			if (negated)
				sg_equate(c->scene, c->scope, NULL,
						  linitial(((OpExpr *) node)->args),
						  lsecond(((OpExpr *) node)->args), node, c->trust);
			else if (c->trust == SG_TRUST_WRITTEN)
				sg_compare(c->scene, c->scope, NULL,
						   linitial(((OpExpr *) node)->args),
						   lsecond(((OpExpr *) node)->args), node, true);
			return;
		case T_ScalarArrayOpExpr:
			take_array(c, (ScalarArrayOpExpr *) node, negated);
			return;
		case T_RowCompareExpr:
			if (c->trust == SG_TRUST_WRITTEN)
				forboth(lc, ((RowCompareExpr *) node)->largs,
						lr, ((RowCompareExpr *) node)->rargs)
					sg_compare(c->scene, c->scope, NULL, lfirst(lc),
							   lfirst(lr), node, false);
			return;
		case T_Var:
			take_truth(c, node, !negated);
			return;
		case T_BooleanTest:
			if (((BooleanTest *) node)->booltesttype == IS_TRUE ||
				((BooleanTest *) node)->booltesttype == IS_FALSE)
			{
				take(c, (Node *) ((BooleanTest *) node)->arg,
					 negated != (((BooleanTest *) node)->booltesttype == IS_FALSE));
				return;
			}
			break;
		case T_CurrentOfExpr:
			c->scene->whole_row = true;
			return;
		case T_NullTest:
			if ((((NullTest *) node)->nulltesttype == IS_NULL) != negated &&
				c->scene->stmt->scoped)
				sg_mark_given(c, (Node *) ((NullTest *) node)->arg,
						   (Node *) makeBoolConst(false, true), SG_USE_LISTED);
			/* limits nothing else, but a subquery in it is read */
			if (c->trust == SG_TRUST_WRITTEN && has_sublink(node))
				sg_mark_uses(c->scene, c->scope, node, 0);
			return;
		case T_Const:
			return;
		default:
			break;
	}
	if (c->trust != SG_TRUST_WRITTEN)
		sg_mark_outside(c, node);
	else
		sg_mark_uses(c->scene, c->scope, node,
					 SG_USE_COMPARED | SG_USE_RESTRICTED);
}

/*
 * Takes a condition that selects rows of a scope.
 */
void
sg_condition(SgScene *scene, SgScope *scope, Node *qual, SgTrust trust)
{
	SgCondition c = {scene, scope, trust};

	if (trust == SG_TRUST_WRITTEN)
		qual = sg_canonical(scene, qual);
	if (trust == SG_TRUST_WRITTEN && scene->groups)
		filter_walker(qual, &c);
	take(&c, qual, false);
}
