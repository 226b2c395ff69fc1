/*-------------------------------------------------------------------------
 *
 * equate.c
 *		What an equality or a comparison of two expressions says of columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "query/scene.h"

typedef struct Equation
{
	SgScene    *scene;
	SgScope    *scope;
	SgScope    *link;
	Node	   *origin;
	SgTrust		trust;
	bool		any;			/* of several values: = ANY (array) */
} Equation;

static void equate(Equation *eq, Node *left, Node *right);

static bool
is_target(const SgNode *node)
{
	return node->item->number == 0;
}

/*
 * The scope that selects the source of an equation: the sublink that stands
 * in the condition, else the one the condition itself stands in.
 */
static SgScope *
selecting_scope(Equation *eq, SgNode *source)
{
	SgScope    *scope = source->item->scope;

	if (eq->link)
		return eq->link;
	while (scope && scope != eq->scope && scope->parent != eq->scope)
		scope = scope->parent;
	return scope && scope->link ? scope : eq->scope;
}

static void
add_tie(Equation *eq, SgTieKind kind, SgNode *target, SgNode *source)
{
	SgTie	   *tie;

	if (eq->trust != SG_TRUST_WRITTEN || source->item->number == 0)
		return;
	tie = sg_scene_alloc(eq->scene, sizeof(SgTie));
	tie->kind = kind;
	tie->att = target->att;
	tie->node = source;
	tie->origin = eq->origin;
	tie->scope = selecting_scope(eq, source);
	tie->form = tie->scope->form;
	tie->outside = tie->scope != eq->scope;
	eq->scene->ties = lappend(eq->scene->ties, tie);
}

/* A whole row equals another one of the same type: so does each column. */
static void
equate_rows(Equation *eq, SgNode *a, SgNode *b)
{
	Relation	rel;
	int			natts;

	if (!OidIsValid(a->item->relid) || !OidIsValid(b->item->relid))
		return;
	rel = RelationIdGetRelation(a->item->relid);
	if (!RelationIsValid(rel))
		return;
	natts = RelationGetNumberOfAttributes(rel);
	RelationClose(rel);
	for (AttrNumber att = 1; att <= natts; att++)
	{
		char	   *name = get_attname(a->item->relid, att, true);
		AttrNumber	other = name ? get_attnum(b->item->relid, name) : 0;

		if (other > 0)
		{
			SgNode	   *na = sg_node(eq->scene, a->item, att);
			SgNode	   *nb = sg_node(eq->scene, b->item, other);

			sg_make_equal(na, nb);
			if (is_target(na))
				add_tie(eq, SG_TIE_EQUAL, na, nb);
			else if (is_target(nb))
				add_tie(eq, SG_TIE_EQUAL, nb, na);
		}
	}
	sg_join_rows(a->item, b->item);
}

static void
equate_columns(Equation *eq, SgNode *a, SgNode *b)
{
	if (eq->trust == SG_TRUST_ADDED)
	{
		/* a view or policy limits the target, but is no source */
		if (is_target(a))
			a->uses |= SG_USE_RESTRICTED;
		if (is_target(b))
			b->uses |= SG_USE_RESTRICTED;
		return;
	}
	if (a->att == 0 && b->att == 0)
	{
		equate_rows(eq, a, b);
		return;
	}
	if (is_target(a) != is_target(b))
	{
		SgNode	   *target = is_target(a) ? a : b;

		if (eq->trust == SG_TRUST_WRITTEN)
			target->uses |= SG_USE_RESTRICTED;
		add_tie(eq, SG_TIE_EQUAL, target, is_target(a) ? b : a);
	}
	else if (a->item != b->item)
	{
		a->uses |= SG_USE_JOINED;
		b->uses |= SG_USE_JOINED;
		sg_join_rows(a->item, b->item);
	}
	else
	{
		a->uses |= SG_USE_COMPARED;
		b->uses |= SG_USE_COMPARED;
	}
	if (eq->trust == SG_TRUST_WRITTEN)
		sg_make_equal(a, b);
}

static void
equate_single(Equation *eq, SgNode *column, Node *single)
{
	if (eq->trust == SG_TRUST_OUTER)
	{
		column->uses |= SG_USE_COMPARED;
		return;
	}
	if (!(IsA(single, Const) && ((Const *) single)->constisnull))
		sg_pin(column, single);
	if (is_target(column))
	{
		column->uses |= SG_USE_RESTRICTED;
		if (column->att == -1 && !checkExprHasSubLink(single))
			eq->scene->whole_row = true;
	}
	else if (eq->trust == SG_TRUST_WRITTEN)
		sg_mark_compared(eq->scope, list_make1(column), NIL, SG_USE_COMPARED);
}

/*
 * Marks the columns of an equality between computed values, and ties each
 * column of the target in it to each item on the other side.
 */
static void
equate_computed(Equation *eq, SgValue *a, SgValue *b, Node *left, Node *right)
{
	List	   *as = a->kind == SG_VALUE_COLUMN ? list_make1(a->node) : a->columns;
	List	   *bs = b->kind == SG_VALUE_COLUMN ? list_make1(b->node) : b->columns;
	ListCell   *la;
	ListCell   *lb;
	int			uses = SG_USE_COMPARED;

	if (eq->trust == SG_TRUST_WRITTEN)
		uses |= SG_USE_RESTRICTED;
	if (eq->trust == SG_TRUST_ADDED)
		uses = SG_USE_RESTRICTED;
	sg_mark_compared(eq->scope, as, bs, uses);
	if (eq->trust == SG_TRUST_ADDED)
		return;
	foreach(la, as)
	{
		SgNode	   *na = (SgNode *) lfirst(la);

		foreach(lb, bs)
		{
			SgNode	   *nb = (SgNode *) lfirst(lb);

			if (is_target(na) && !is_target(nb))
				add_tie(eq, SG_TIE_EXPRESSION, na, nb);
			else if (is_target(nb) && !is_target(na))
				add_tie(eq, SG_TIE_EXPRESSION, nb, na);
			else
				sg_join_rows(na->item, nb->item);
		}
	}
}

/*
 * Do both expressions have the same shape, columns aside?  Then the columns
 * in the same places are taken as equal: lower(a.x) = lower(b.x),
 * a.p || '-' || a.q = b.p || '-' || b.q.  The pairs go to *pairs.
 */
static bool
same_shape(SgScope *sub, Node *a, Node *b, List **pairs)
{
	a = sg_strip(a);
	b = sg_strip(b);
	if (a == NULL || b == NULL)
		return a == b;
	check_stack_depth();
	if (IsA(b, Param) && ((Param *) b)->paramkind == PARAM_SUBLINK && sub)
		return false;			/* resolved by the caller */
	if (IsA(a, Var) && IsA(b, Var))
	{
		*pairs = lappend(*pairs, list_make2(a, b));
		return true;
	}
	if (nodeTag(a) != nodeTag(b))
		return false;
	if (IsA(a, OpExpr) || IsA(a, FuncExpr))
	{
		List	   *argsa;
		List	   *argsb;
		ListCell   *la;
		ListCell   *lb;

		if (IsA(a, OpExpr))
		{
			if (((OpExpr *) a)->opno != ((OpExpr *) b)->opno)
				return false;
			argsa = ((OpExpr *) a)->args;
			argsb = ((OpExpr *) b)->args;
		}
		else
		{
			if (((FuncExpr *) a)->funcid != ((FuncExpr *) b)->funcid)
				return false;
			argsa = ((FuncExpr *) a)->args;
			argsb = ((FuncExpr *) b)->args;
		}
		if (list_length(argsa) != list_length(argsb))
			return false;
		forboth(la, argsa, lb, argsb)
			if (!same_shape(sub, lfirst(la), lfirst(lb), pairs))
				return false;
		return true;
	}
	return equal(a, b);
}

/* Equates the columns of two expressions of one shape, in their scopes. */
static bool
equate_shapes(Equation *eq, Node *left, Node *right)
{
	SgScope    *rscope = eq->scope;
	List	   *pairs = NIL;
	ListCell   *lc;

	left = sg_strip(left);
	right = sg_strip(right);
	if (eq->trust != SG_TRUST_WRITTEN)
		return false;
	if (IsA(right, Param) && ((Param *) right)->paramkind == PARAM_SUBLINK &&
		eq->link)
	{
		rscope = eq->link;
		right = sg_strip(sg_scope_output(&rscope, ((Param *) right)->paramid));
	}
	else if (IsA(right, SubLink) &&
			 ((SubLink *) right)->subLinkType == EXPR_SUBLINK)
	{
		rscope = sg_enter_sublink(eq->scene, (SubLink *) right, eq->scope,
								  SG_FORM_SCALAR);
		if (rscope == NULL)
			return false;
		right = sg_strip(sg_scope_output(&rscope, 1));
	}
	if (right == NULL || !same_shape(NULL, left, right, &pairs) || pairs == NIL)
		return false;
	foreach(lc, pairs)
	{
		List	   *pair = (List *) lfirst(lc);
		SgValue		a = sg_value(eq->scene, eq->scope, NULL, linitial(pair));
		SgValue		b = sg_value(eq->scene, rscope, NULL, lsecond(pair));

		if (a.kind == SG_VALUE_COLUMN && b.kind == SG_VALUE_COLUMN)
			equate_columns(eq, a.node, b.node);
	}
	return true;
}

/* The expressions of a ROW(), or NIL. */
static List *
row_args(Equation *eq, Node *expr)
{
	expr = sg_strip(expr);
	if (expr && IsA(expr, RowExpr))
		return ((RowExpr *) expr)->args;
	return NIL;
}

/* (a, b) = (c, d) where both sides are rows; the second may be an output. */
static bool
equate_row_exprs(Equation *eq, Node *left, Node *right)
{
	List	   *largs = row_args(eq, left);
	SgScope    *rscope = eq->scope;
	Node	   *r = sg_strip(right);
	List	   *rargs;
	ListCell   *ll;
	ListCell   *lr;

	if (largs == NIL)
		return false;
	if (r && IsA(r, Param) && ((Param *) r)->paramkind == PARAM_SUBLINK &&
		eq->link)
	{
		rscope = eq->link;
		r = sg_scope_output(&rscope, ((Param *) r)->paramid);
	}
	rargs = row_args(eq, r);
	if (list_length(rargs) != list_length(largs))
		return false;
	forboth(ll, largs, lr, rargs)
	{
		SgValue		a = sg_value(eq->scene, eq->scope, eq->link, lfirst(ll));
		SgValue		b = sg_value(eq->scene, rscope, NULL, lfirst(lr));

		if (a.kind == SG_VALUE_COLUMN && b.kind == SG_VALUE_COLUMN)
			equate_columns(eq, a.node, b.node);
		else if (a.kind == SG_VALUE_COLUMN && b.kind == SG_VALUE_SINGLE)
			equate_single(eq, a.node, b.single);
	}
	return true;
}

/* Equates two values; false if both are computed, and nothing was done. */
static bool
equate_values(Equation *eq, SgValue *a, SgValue *b)
{
	if (a->kind == SG_VALUE_COLUMN && b->kind == SG_VALUE_COLUMN)
	{
		equate_columns(eq, a->node, b->node);
		if (b->single && !eq->any)
			equate_single(eq, a->node, b->single);
		if (a->single && !eq->any)
			equate_single(eq, b->node, a->single);
	}
	else if (eq->any)
		return false;
	else if (a->kind == SG_VALUE_COLUMN && b->kind == SG_VALUE_SINGLE)
		equate_single(eq, a->node, b->single);
	else if (b->kind == SG_VALUE_COLUMN && a->kind == SG_VALUE_SINGLE)
		equate_single(eq, b->node, a->single);
	else
		return false;
	return true;
}

static void
equate(Equation *eq, Node *left, Node *right)
{
	SgValue		a;
	SgValue		b;

	if (equate_row_exprs(eq, left, right))
		return;
	a = sg_value(eq->scene, eq->scope, eq->link, left);
	b = sg_value(eq->scene, eq->scope, eq->link, right);
	if (!equate_values(eq, &a, &b) && !equate_shapes(eq, left, right) &&
		!equate_shapes(eq, right, left))
		equate_computed(eq, &a, &b, left, right);
}

/*
 * EXISTS (SELECT t.a INTERSECT SELECT s.a) and NOT EXISTS (... EXCEPT ...)
 * compare their outputs, NULLs included.  Returns false if it is neither.
 */
bool
sg_equate_set_operation(SgScene *scene, SgScope *scope, SubLink *link,
						bool negated)
{
	Query	   *query = (Query *) link->subselect;
	SetOperationStmt *setop;
	SgScope    *whole;
	SgScope    *left;
	SgScope    *right;

	if (!IsA(query, Query) || query->setOperations == NULL)
		return false;
	setop = (SetOperationStmt *) query->setOperations;
	if (!IsA(setop, SetOperationStmt) ||
		setop->op != (negated ? SETOP_EXCEPT : SETOP_INTERSECT))
		return false;
	whole = sg_make_scope(scene, query, scope, SG_FORM_EXISTS, (Node *) link);
	left = sg_enter_leaf(scene, whole, setop->larg);
	right = sg_enter_leaf(scene, whole, setop->rarg);
	for (int resno = 1; left && right; resno++)
	{
		SgScope    *lscope = left;
		SgScope    *rscope = right;
		Node	   *lexpr = sg_scope_output(&lscope, resno);
		Node	   *rexpr = sg_scope_output(&rscope, resno);
		Equation	eq = {scene, whole, NULL, (Node *) link, SG_TRUST_WRITTEN,
		false};
		SgValue		a;
		SgValue		b;

		if (lexpr == NULL || rexpr == NULL)
			break;
		a = sg_value(scene, lscope, NULL, lexpr);
		b = sg_value(scene, rscope, NULL, rexpr);
		equate_values(&eq, &a, &b);
	}
	return true;
}

/*
 * left = right holds for the rows of the scope.  "link" is the scope of the
 * sublink whose test expression this is, or NULL.
 */
void
sg_equate(SgScene *scene, SgScope *scope, SgScope *link,
		  Node *left, Node *right, Node *origin, SgTrust trust)
{
	Equation	eq = {scene, scope, link, origin, trust, false};

	equate(&eq, left, right);
}

/*
 * scalar = ANY (array) holds for the rows of the scope: it equals an element.
 */
void
sg_equate_any(SgScene *scene, SgScope *scope, Node *scalar, Node *array,
			  Node *origin)
{
	Equation	eq = {scene, scope, NULL, origin, SG_TRUST_WRITTEN, true};

	equate(&eq, scalar, array);
}

/*
 * left and right are compared, not by equality.  With "unequal" it is <>,
 * which does not limit a column to anything if the other side is one value.
 */
void
sg_compare(SgScene *scene, SgScope *scope, SgScope *link,
		   Node *left, Node *right, Node *origin, bool unequal)
{
	Equation	eq = {scene, scope, link, origin, SG_TRUST_WRITTEN, false};
	SgValue		a = sg_value(scene, scope, link, left);
	SgValue		b = sg_value(scene, scope, link, right);
	List	   *as = a.kind == SG_VALUE_COLUMN ? list_make1(a.node) : a.columns;
	List	   *bs = b.kind == SG_VALUE_COLUMN ? list_make1(b.node) : b.columns;
	int			uses = SG_USE_COMPARED;
	ListCell   *la;
	ListCell   *lb;

	if (!unequal || (as != NIL && bs != NIL))
		uses |= SG_USE_RESTRICTED;
	if (unequal && a.kind == SG_VALUE_COLUMN && b.kind == SG_VALUE_SINGLE)
		a.node->excluded = lappend(a.node->excluded, b.single);
	if (unequal && b.kind == SG_VALUE_COLUMN && a.kind == SG_VALUE_SINGLE)
		b.node->excluded = lappend(b.node->excluded, a.single);
	sg_mark_compared(scope, as, bs, uses);
	foreach(la, as)
	{
		SgNode	   *na = (SgNode *) lfirst(la);

		foreach(lb, bs)
		{
			SgNode	   *nb = (SgNode *) lfirst(lb);

			if (is_target(na) && !is_target(nb))
				add_tie(&eq, SG_TIE_COMPARED, na, nb);
			else if (is_target(nb) && !is_target(na))
				add_tie(&eq, SG_TIE_COMPARED, nb, na);
		}
	}
}
