/*-------------------------------------------------------------------------
 *
 * uses.c
 *		What a condition without sources of its own does with columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "query/scene.h"

/*
 * Built-in operators asked for before, since most statements use the same
 * few; nothing can change what they are.
 */
#define OPS_REMEMBERED 16

static struct
{
	Oid			opno;
	Oid			type;
	SgOpKind	kind;
}			remembered[OPS_REMEMBERED];

static SgOpKind
look_up_op(Oid opno, Oid type)
{
	Oid			negator;
	char	   *name;

	if (op_mergejoinable(opno, type) || op_hashjoinable(opno, type))
		return SG_OP_EQUAL;
	negator = get_negator(opno);
	if (OidIsValid(negator) &&
		(op_mergejoinable(negator, type) || op_hashjoinable(negator, type)))
		return SG_OP_UNEQUAL;
	name = get_opname(opno);
	if (name && (strcmp(name, "<") == 0 || strcmp(name, ">") == 0 ||
				 strcmp(name, "<=") == 0 || strcmp(name, ">=") == 0))
		return SG_OP_ORDER;
	return SG_OP_OTHER;
}

/*
 * What an operator says of its arguments; negated, under a NOT.
 */
SgOpKind
sg_op_kind(Oid opno, Node *left, bool negated)
{
	Oid			type = exprType(left);
	int			slot = (opno + type) % OPS_REMEMBERED;
	SgOpKind	kind;

	if (remembered[slot].opno == opno && remembered[slot].type == type)
		kind = remembered[slot].kind;
	else
	{
		kind = look_up_op(opno, type);
		if (opno < FirstNormalObjectId && type < FirstNormalObjectId)
		{
			remembered[slot].opno = opno;
			remembered[slot].type = type;
			remembered[slot].kind = kind;
		}
	}
	if (negated && kind == SG_OP_EQUAL)
		return SG_OP_UNEQUAL;
	if (negated && kind == SG_OP_UNEQUAL)
		return SG_OP_EQUAL;
	return kind;
}

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

/* ------------------------------------------------------------------------
 * OR
 * ------------------------------------------------------------------------
 */

typedef struct ApartContext
{
	bool		any;
	Index		varno;
	Index		levelsup;
} ApartContext;

/* Does an expression have a sublink, or columns of two relations? */
static bool
apart_walker(Node *node, ApartContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return true;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (!context->any)
		{
			context->any = true;
			context->varno = var->varno;
			context->levelsup = var->varlevelsup;
		}
		return context->varno != var->varno ||
			context->levelsup != var->varlevelsup;
	}
	return expression_tree_walker(node, apart_walker, context);
}

/* Must an OR be taken apart: sublinks, or columns of two relations? */
bool
sg_is_apart(Node *node)
{
	ApartContext context = {false, 0, 0};

	return apart_walker(node, &context);
}

/* The members of both lists. */
static List *
intersect(List *a, List *b)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, a)
		if (list_member_ptr(b, lfirst(lc)))
			result = lappend(result, lfirst(lc));
	return result;
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

		if (b->boolop == NOT_EXPR)
		{
			sg_local_columns(c, linitial(b->args), !negated, compared, limited);
			return;
		}
		foreach(lc, b->args)
		{
			List	   *here = NIL;

			sg_local_columns(c, (Node *) lfirst(lc), negated, compared, &here);
			if (is_and || first)
				common = list_union_ptr(common, here);
			else
				common = intersect(common, here);
			first = false;
		}
		*limited = list_union_ptr(*limited, common);
	}
	else if (!IsA(node, NullTest) && !IsA(node, Const))
	{
		List	   *columns = sg_columns(c->scene, c->scope, node);
		bool		limits = true;

		if (IsA(node, OpExpr))
			limits = sg_op_kind(((OpExpr *) node)->opno,
							 linitial(((OpExpr *) node)->args),
							 negated) != SG_OP_UNEQUAL;
		else if (IsA(node, ScalarArrayOpExpr))
			limits = ((ScalarArrayOpExpr *) node)->useOr != negated;
		*compared = list_union_ptr(*compared, columns);
		if (limits)
			*limited = list_union_ptr(*limited, columns);
	}
}

