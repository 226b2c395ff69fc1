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
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/hsearch.h"
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

	if (c->trust == SG_TRUST_OUTER || checkExprHasSubLink(given))
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

/* Whether an OR is taken apart, remembered for all scenes. */
typedef struct ApartAnswer
{
	Node	   *node;			/* MUST BE FIRST */
	bool		apart;
} ApartAnswer;

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
	if (IsA(node, OpExpr) && joins_relations(node, context))
		return true;
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
	ApartAnswer *answer;
	bool		found;

	/* nested ORs would be walked again at each level of each scene */
	if (*scene->apart == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Node *);
		ctl.entrysize = sizeof(ApartAnswer);
		ctl.hcxt = scene->keep;
		*scene->apart = hash_create("safeguard ORs", 32, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(*scene->apart, &node, HASH_ENTER, &found);
	if (!found)
		answer->apart = apart_walker(node, &context);
	return answer->apart;
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

static bool
or_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, BoolExpr))
	{
		if (((BoolExpr *) node)->boolop == OR_EXPR)
			return true;
		return expression_tree_walker(node, or_walker, context);
	}
	return false;
}

/*
 * (a AND b) OR (a AND c) says a AND (b OR c).  Done once for all scenes, so
 * that each of them sees the same nodes, and a long OR is rewritten once.
 */
Node *
sg_canonical(SgScene *scene, Node *qual)
{
	ListCell   *lc;
	MemoryContext old;

	if (!or_walker(qual, NULL))
		return qual;
	foreach(lc, *scene->canonical)
	{
		List	   *pair = (List *) lfirst(lc);

		if (linitial(pair) == qual)
			return (Node *) lsecond(pair);
	}
	old = MemoryContextSwitchTo(scene->keep);
	*scene->canonical = lappend(*scene->canonical,
								list_make2(qual,
										   canonicalize_qual((Expr *) qual,
															 false)));
	MemoryContextSwitchTo(old);
	return (Node *) lsecond(llast(*scene->canonical));
}
