/*-------------------------------------------------------------------------
 *
 * uses.c
 *		What a condition without sources of its own does with columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "query/scene.h"

/* ------------------------------------------------------------------------
 * Marking columns
 * ------------------------------------------------------------------------
 */

/* Adds uses to every column that an expression is computed from. */
void
sg_mark_uses(SgScene *scene, SgScope *scope, Node *expr, int uses)
{
	ListCell   *lc;

	foreach(lc, sg_columns(scene, scope, expr))
		((SgNode *) lfirst(lc))->uses |= uses;
}

/* Has an aggregate made one row of all that a column was read from? */
static bool
aggregated(SgScope *scope, SgNode *node)
{
	SgScope    *inner;

	for (inner = node->item->scope; inner && inner != scope;
		 inner = inner->parent)
		if (inner->query->hasAggs && inner->query->groupClause == NIL)
			return true;
	return false;
}

static bool
has_target(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		if (((SgNode *) lfirst(lc))->item->number == 0)
			return true;
	return false;
}

/*
 * Adds uses to the columns of both sides of a comparison that stands in the
 * scope.  To be compared with the target's row does not limit a column of a
 * source, nor is it limited by what an aggregate over it has to be.
 */
void
sg_mark_compared(SgScope *scope, List *as, List *bs, int uses)
{
	bool		tied = has_target(as) || has_target(bs);
	ListCell   *lc;

	foreach(lc, list_concat_copy(as, bs))
	{
		SgNode	   *node = (SgNode *) lfirst(lc);

		if (node->item->number != 0 && (tied || aggregated(scope, node)))
			node->uses |= uses & ~SG_USE_COMPARED;
		else
			node->uses |= uses;
	}
}

typedef struct OuterContext
{
	SgCondition *c;
	int			depth;			/* Queries between the scope and here */
	int			uses;
} OuterContext;

/* Marks the columns of the scope that a subquery refers to from inside. */
static bool
outer_walker(Node *node, OuterContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool		result;

		context->depth++;
		result = query_tree_walker((Query *) node, outer_walker, context, 0);
		context->depth--;
		return result;
	}
	if (IsA(node, Var) && ((Var *) node)->varlevelsup >= context->depth)
	{
		Var		   *var = copyObject((Var *) node);

		var->varlevelsup -= context->depth;
		sg_mark_uses(context->c->scene, context->c->scope, (Node *) var,
					 context->uses);
		return false;
	}
	return expression_tree_walker(node, outer_walker, context);
}

/*
 * A subquery that this scene does not look into: what it is compared with
 * is limited by it, and that is all.
 */
void
sg_mark_outside(SgCondition *c, Node *node)
{
	OuterContext context = {c, 0, SG_USE_COMPARED | SG_USE_RESTRICTED};

	if (c->trust == SG_TRUST_OUTER)
		context.uses = SG_USE_COMPARED;
	if (c->trust == SG_TRUST_ADDED)
		context.uses = SG_USE_RESTRICTED;
	outer_walker(node, &context);
}

/*
 * Notes the columns of an expression that a comparison limits to given values
 * (LISTED), or on one side (ABOVE, BELOW).  Whoever wrote the condition.
 */
void
sg_mark_given(SgCondition *c, Node *column, Node *given, int uses)
{
	SgValue		value;

	if (c->trust == SG_TRUST_OUTER ||
		(!sg_is_value_list(given) && checkExprHasSubLink(given)))
		return;
	value = sg_value(c->scene, c->scope, NULL, column);
	if (value.kind == SG_VALUE_COLUMN &&
		sg_value(c->scene, c->scope, NULL, given).kind == SG_VALUE_SINGLE)
		value.node->uses |= uses;
}

/* column < value, value < column, and the like */
void
sg_mark_bounds(SgCondition *c, OpExpr *op, bool negated)
{
	char	   *name = get_opname(op->opno);
	bool		below;

	if (name == NULL || !c->scene->stmt->scoped)
		return;
	below = (name[0] == '<') != negated;
	sg_mark_given(c, linitial(op->args), lsecond(op->args),
				  below ? SG_USE_BELOW : SG_USE_ABOVE);
	sg_mark_given(c, lsecond(op->args), linitial(op->args),
				  below ? SG_USE_ABOVE : SG_USE_BELOW);
}

/* ------------------------------------------------------------------------
 * OR
 * ------------------------------------------------------------------------
 */

/* Does a subquery refer to anything around it? */
static bool
outward_walker(Node *node, int *depth)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool		result;

		(*depth)++;
		result = query_tree_walker((Query *) node, outward_walker, depth, 0);
		(*depth)--;
		return result;
	}
	if (IsA(node, Var))
		return (int) ((Var *) node)->varlevelsup >= *depth;
	return expression_tree_walker(node, outward_walker, depth);
}

/*
 * Can rows of a sublink be compared with anything outside it?  An EXISTS
 * that stands for itself cannot.
 */
bool
sg_sublink_matters(SubLink *link)
{
	int			depth = 0;

	return link->subLinkType != EXISTS_SUBLINK ||
		outward_walker(link->subselect, &depth);
}

typedef struct ApartContext
{
	bool		any;			/* a column was met */
	bool		several;		/* columns of several relations were */
	bool		keys;			/* a key column of the target was */
	bool		sources;		/* a column of another relation was */
	Index		varno;
	Index		levelsup;
	SgScene    *scene;
	SgScope    *scope;
} ApartContext;

static void
note_column(ApartContext *context, Var *var)
{
	SgScope    *scope = context->scope;

	if (!context->any)
	{
		context->any = true;
		context->varno = var->varno;
		context->levelsup = var->varlevelsup;
	}
	context->several = context->several || context->varno != var->varno ||
		context->levelsup != var->varlevelsup;
	for (Index up = var->varlevelsup; up > 0 && scope; up--)
		scope = scope->parent;
	if (scope == NULL || scope != context->scene->target->scope ||
		var->varno != context->scene->target->rti)
		context->sources = true;
	else if (var->varattno <= 0 ||
			 bms_is_member(var->varattno, context->scene->stmt->key_columns))
		context->keys = true;
}

static bool
columns_walker(Node *node, ApartContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		note_column(context, (Var *) node);
	return expression_tree_walker(node, columns_walker, context);
}

/* Is it computed from constants and parameters alone? */
static bool
is_value(Node *node)
{
	ListCell   *lc;

	if (IsA(node, Const))
		return true;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXTERN;
	if (!IsA(node, OpExpr) && !IsA(node, FuncExpr))
		return false;
	check_stack_depth();
	foreach(lc, IsA(node, OpExpr) ? ((OpExpr *) node)->args : ((FuncExpr *) node)->args)
	{
		if (!is_value(lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * The column of a comparison with a value, or NULL.  Most arms of a long OR are
 * no more than that, and are not walked: saves half of what each costs.
 */
static Node *
compared_column(Node *node)
{
	List	   *args = IsA(node, OpExpr) ? ((OpExpr *) node)->args : NIL;

	if (list_length(args) == 2 && IsA(linitial(args), Var) &&
		is_value(lsecond(args)))
		return linitial(args);
	return NULL;
}

/* What a condition is computed from, without values that may be thousands. */
static Node *
computed_from(Node *node)
{
	Node	   *column = compared_column(node);

	if (column != NULL)
		return column;
	if (IsA(node, ScalarArrayOpExpr) &&
		sg_is_value_list(sg_strip(lsecond(((ScalarArrayOpExpr *) node)->args))))
		return linitial(((ScalarArrayOpExpr *) node)->args);
	return node;
}

/* Does a comparison tie two relations together? */
static bool
joins_relations(Node *op, ApartContext *context)
{
	ApartContext alone = {false, false, false, false, 0, 0,
	context->scene, context->scope};

	columns_walker(op, &alone);
	return alone.several;
}

/*
 * Does an OR have a sublink that matters, a comparison of two relations, or
 * conditions on a key column of the target and on another relation?
 */
static bool
apart_walker(Node *node, ApartContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return sg_sublink_matters((SubLink *) node);
	if (IsA(node, ScalarArrayOpExpr) && computed_from(node) != node)
		return apart_walker(computed_from(node), context);
	if (IsA(node, OpExpr))
	{
		Node	   *column = compared_column(node);

		if (column != NULL)
			node = column;
		else if (joins_relations(node, context))
			return true;
	}
	if (IsA(node, Var))
	{
		note_column(context, (Var *) node);
		if (context->scene->stmt->scoped)
			return context->keys || context->sources;
		return context->several && context->keys;
	}
	return expression_tree_walker(node, apart_walker, context);
}

/* Must an OR be taken apart, since its sides may tie other rows? */
bool
sg_is_apart(SgScene *scene, SgScope *scope, Node *node)
{
	ApartContext context = {false, false, false, false, 0, 0, scene, scope};
	SgKnown    *known = sg_known(scene, node);

	/* nested ORs would be walked again at each level of each scene */
	if (!known->apart_known)
	{
		known->apart = apart_walker(node, &context);
		known->apart_known = true;
	}
	return known->apart;
}

/* The members of both lists. */
static List *
intersect(List *a, List *b)
{
	List	   *result = NIL;
	ListCell   *lc;

	/* column = 1 OR column = 2 OR ..., which may be long */
	if (list_length(a) == 1 && list_member_ptr(b, linitial(a)))
		return a;
	foreach(lc, a)
		if (list_member_ptr(b, lfirst(lc)))
			result = lappend(result, lfirst(lc));
	return result;
}

/* Do two conditions compare the same columns with values in the same way? */
static bool
same_but_values(Node *a, Node *b)
{
	Var		   *left = (Var *) compared_column(a);
	Var		   *right = (Var *) compared_column(b);
	ListCell   *la;
	ListCell   *lb;

	if (left != NULL && right != NULL)
		return ((OpExpr *) a)->opno == ((OpExpr *) b)->opno &&
			left->varno == right->varno &&
			left->varattno == right->varattno &&
			left->varlevelsup == right->varlevelsup;
	if (!is_andclause(a) || !is_andclause(b) ||
		list_length(((BoolExpr *) a)->args) != list_length(((BoolExpr *) b)->args))
		return false;
	check_stack_depth();
	forboth(la, ((BoolExpr *) a)->args, lb, ((BoolExpr *) b)->args)
	{
		if (!same_but_values(lfirst(la), lfirst(lb)))
			return false;
	}
	return true;
}

/*
 * The columns that a condition without sources compares, and those that it
 * limits whichever arm holds.
 */
void
sg_local_columns(SgCondition *c, Node *node, bool negated,
			  List **compared, List **limited)
{
	ListCell   *lc;

	check_stack_depth();
	if (IsA(node, BoolExpr))
	{
		BoolExpr   *b = (BoolExpr *) node;
		bool		is_and = (b->boolop == AND_EXPR) != negated;
		bool		first = true;
		List	   *common = NIL;
		Node	   *last = NULL;
		int			nchoices = 0;

		if (b->boolop == NOT_EXPR)
		{
			sg_local_columns(c, linitial(b->args), !negated, compared, limited);
			return;
		}
		foreach(lc, b->args)
		{
			Node	   *arm = (Node *) lfirst(lc);
			List	   *here = NIL;

			/*
			 * An arm that is the last one with another value adds nothing, unless
			 * that has met alternatives, which are chosen anew each time: most of
			 * what a long OR costs.
			 */
			if (last != NULL && c->scene->nchoices == nchoices &&
				same_but_values(arm, last))
				continue;
			last = arm;
			nchoices = c->scene->nchoices;
			sg_local_columns(c, arm, negated, compared, &here);
			if (is_and || first)
				common = list_concat_unique_ptr(common, here);
			else
				common = intersect(common, here);
			first = false;
		}
		*limited = list_concat_unique_ptr(*limited, common);
	}
	else if (!IsA(node, NullTest) && !IsA(node, Const))
	{
		List	   *columns = sg_columns(c->scene, c->scope,
										 computed_from(node));
		bool		limits = true;

		if (IsA(node, OpExpr))
			limits = sg_op_kind(((OpExpr *) node)->opno,
							 linitial(((OpExpr *) node)->args),
							 negated) != SG_OP_UNEQUAL;
		else if (IsA(node, ScalarArrayOpExpr))
			limits = ((ScalarArrayOpExpr *) node)->useOr != negated;
		*compared = list_concat_unique_ptr(*compared, columns);
		if (limits)
			*limited = list_concat_unique_ptr(*limited, columns);
	}
}
