/*-------------------------------------------------------------------------
 *
 * jointree.c
 *		The conditions of joins, and ORs as they are looked at.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "query/scene.h"

/* Range table indexes below a jointree node, join aliases included. */
static Relids
jointree_members(Node *node)
{
	Relids		result = NULL;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, RangeTblRef))
		return bms_make_singleton(((RangeTblRef *) node)->rtindex);
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			result = bms_join(result, jointree_members((Node *) lfirst(lc)));
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		result = bms_join(jointree_members(join->larg),
						  jointree_members(join->rarg));
		if (join->rtindex > 0)
			result = bms_add_member(result, join->rtindex);
	}
	return result;
}

/* Conditions that hold above a join, in the frames of those who walk down. */
typedef struct Above
{
	Node	   *qual;
	const struct Above *next;
} Above;

/* Would one of these conditions fail for a row of NULLs of these members? */
static bool
rejects_nulls(const Above *conditions, Node *members)
{
	Relids		strict = NULL;

	for (; conditions != NULL; conditions = conditions->next)
		strict = bms_join(strict, find_nonnullable_rels(conditions->qual));
	return bms_overlap(strict, jointree_members(members));
}

/*
 * Takes the conditions of joins and WHERE.  The ON of an outer join limits
 * nothing, unless a condition above makes it an inner one.
 */
static void
jointree_quals(SgScene *scene, SgScope *scope, Node *node, const Above *above)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, FromExpr))
	{
		FromExpr   *from = (FromExpr *) node;

		foreach(lc, from->fromlist)
			jointree_quals(scene, scope, (Node *) lfirst(lc), above);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		Above		here = {join->quals, above};
		bool		inner = true;

		if (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL)
			inner = rejects_nulls(above, join->rarg);
		if (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL)
			inner = inner && rejects_nulls(above, join->larg);
		if (inner && join->quals)
			above = &here;
		if (join->quals)
			sg_condition(scene, scope, join->quals,
						 inner ? SG_TRUST_WRITTEN : SG_TRUST_OUTER);
		jointree_quals(scene, scope, join->larg, above);
		jointree_quals(scene, scope, join->rarg, above);
	}
}

/*
 * The same for a whole FROM list, which rarely has any join, below so many
 * conditions.
 */
void
sg_from_quals(SgScene *scene, SgScope *scope, FromExpr *from,
			  Node **above, int nabove)
{
	Above		conditions[SG_MAX_ABOVE];
	ListCell   *lc;

	for (int i = 0; i < nabove; i++)
	{
		conditions[i].qual = above[i];
		conditions[i].next = i > 0 ? &conditions[i - 1] : NULL;
	}
	foreach(lc, from->fromlist)
	{
		if (!IsA(lfirst(lc), RangeTblRef))
			jointree_quals(scene, scope, (Node *) lfirst(lc),
						   nabove > 0 ? &conditions[nabove - 1] : NULL);
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

/* The conditions that an AND is made of, or the condition itself. */
static List *
anded(Node *node)
{
	return is_andclause(node) ? ((BoolExpr *) node)->args : list_make1(node);
}

/*
 * Would canonicalize_qual() leave everything where it is?  Then it need not copy a
 * long OR: saves more than half of what that costs.  What its first two arms do
 * not share all of them do not.
 */
static bool
is_canonical(Node *node)
{
	BoolExpr   *b = (BoolExpr *) node;
	ListCell   *lc;

	if (!IsA(node, BoolExpr) || b->boolop == NOT_EXPR)
		return true;
	check_stack_depth();
	foreach(lc, b->args)
	{
		Node	   *arg = (Node *) lfirst(lc);

		if (IsA(arg, Const) ||
			(IsA(arg, BoolExpr) && (((BoolExpr *) arg)->boolop == b->boolop ||
									!is_canonical(arg))))
			return false;
	}
	if (b->boolop == OR_EXPR && list_length(b->args) > 1)
	{
		List	   *second = anded(lsecond(b->args));

		foreach(lc, anded(linitial(b->args)))
			if (list_member(second, lfirst(lc)))
				return false;
	}
	return true;
}

/* More of them in one arm are left to the server. */
#define MAX_MEMBERS 32

/* Are there neither constants nor further ANDs and ORs in an arm of an OR? */
static bool
is_simple_arm(Node *arm)
{
	List	   *members = anded(arm);
	ListCell   *lc;

	if (list_length(members) > MAX_MEMBERS)
		return false;
	foreach(lc, members)
	{
		if (IsA(lfirst(lc), Const) || is_andclause(lfirst(lc)) ||
			is_orclause(lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * equal(), for what arms mostly share, a column's comparison with a constant,
 * in a seventh of the time.
 */
static bool
same_member(Node *a, Node *b)
{
	Var		   *va;
	Var		   *vb;
	Const	   *ca;
	Const	   *cb;

	if (IsA(a, OpExpr) && IsA(b, OpExpr) &&
		((OpExpr *) a)->opno != ((OpExpr *) b)->opno)
		return false;
	if (!IsA(a, OpExpr) || !IsA(b, OpExpr) ||
		list_length(((OpExpr *) a)->args) != 2 ||
		list_length(((OpExpr *) b)->args) != 2)
		return equal(a, b);
	va = linitial(((OpExpr *) a)->args);
	vb = linitial(((OpExpr *) b)->args);
	ca = lsecond(((OpExpr *) a)->args);
	cb = lsecond(((OpExpr *) b)->args);
	if (!IsA(va, Var) || !IsA(vb, Var) || !IsA(ca, Const) || !IsA(cb, Const) ||
		!ca->constbyval)
		return equal(a, b);
	return va->varno == vb->varno && va->varattno == vb->varattno &&
		va->varlevelsup == vb->varlevelsup &&
		ca->consttype == cb->consttype && ca->constisnull == cb->constisnull &&
		(ca->constisnull || ca->constvalue == cb->constvalue) &&
		((OpExpr *) a)->inputcollid == ((OpExpr *) b)->inputcollid;
}

/*
 * Does each arm have this member?  Notes for each arm which ones of its own
 * are shared.
 */
static bool
all_have(List *arms, Node *member, int *place, uint32 *shared)
{
	ListCell   *la;
	ListCell   *lm;
	int			n = 0;

	foreach(la, arms)
	{
		place[n] = -1;
		foreach(lm, anded(lfirst(la)))
		{
			if (same_member(lfirst(lm), member))
			{
				place[n] = foreach_current_index(lm);
				break;
			}
		}
		if (place[n++] < 0)
			return false;
	}
	while (--n >= 0)
		shared[n] |= (uint32) 1 << place[n];
	return true;
}

/* What is left of the arms; NIL if nothing is of one of them. */
static List *
arms_without(List *arms, const uint32 *shared)
{
	List	   *result = NIL;
	ListCell   *la;
	ListCell   *lm;
	int			n = 0;

	foreach(la, arms)
	{
		List	   *left = NIL;

		foreach(lm, anded(lfirst(la)))
		{
			if ((shared[n] & (uint32) 1 << foreach_current_index(lm)) == 0)
				left = lappend(left, lfirst(lm));
		}
		if (left == NIL)
			return NIL;
		result = lappend(result, list_length(left) == 1 ? linitial(left) :
						 (Node *) make_andclause(left));
		n++;
	}
	return result;
}

/*
 * What all arms share, and an OR of the rest: what canonicalize_qual() would
 * make of it, at a fifth of the price, since it compares each member once.  NULL: it
 * has to be asked.
 */
static Node *
factored_or(BoolExpr *b)
{
	int			narms = list_length(b->args);
	int		   *place = palloc(narms * sizeof(int));
	uint32	   *shared = palloc0(narms * sizeof(uint32));
	List	   *result = NIL;
	List	   *rest;
	ListCell   *lc;

	foreach(lc, b->args)
	{
		if (!is_simple_arm(lfirst(lc)))
			return NULL;
	}
	foreach(lc, anded(linitial(b->args)))
	{
		if (!list_member(result, lfirst(lc)) &&
			all_have(b->args, lfirst(lc), place, shared))
			result = lappend(result, lfirst(lc));
	}
	if (result == NIL)
		return (Node *) b;
	rest = arms_without(b->args, shared);
	if (rest != NIL)
		result = lappend(result, list_length(rest) == 1 ? linitial(rest) :
						 (Node *) make_orclause(rest));
	return list_length(result) == 1 ? linitial(result) :
		(Node *) make_andclause(result);
}

/* The same for all ORs of a condition. */
static Node *
factored(Node *node)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (is_orclause(node))
		return factored_or((BoolExpr *) node);
	if (!is_andclause(node))
		return node;
	foreach(lc, ((BoolExpr *) node)->args)
	{
		Node	   *arg = (Node *) lfirst(lc);

		arg = IsA(arg, Const) || is_andclause(arg) ? NULL : factored(arg);
		if (arg == NULL)
			return NULL;
		if (is_andclause(arg))
			result = list_concat(result, ((BoolExpr *) arg)->args);
		else
			result = lappend(result, arg);
	}
	return (Node *) make_andclause(result);
}

/*
 * IN of computed values is an OR in an OR in an OR: canonicalize_qual() would copy
 * what is below each of them, where the planner comes with them opened.  Only ORs
 * of comparisons are opened, *plain: an AND may share something with its
 * neighbours that it does not share with those of an outer OR.
 */
static Node *
opened(Node *node, bool *plain)
{
	BoolExpr   *b = (BoolExpr *) node;
	List	   *args = NIL;
	List	   *members = NIL;
	ListCell   *lc;

	*plain = IsA(node, OpExpr);
	if (!IsA(node, BoolExpr) || b->boolop == NOT_EXPR)
		return node;
	check_stack_depth();
	*plain = b->boolop == OR_EXPR;
	foreach(lc, b->args)
	{
		bool		arm_plain;

		args = lappend(args, opened(lfirst(lc), &arm_plain));
		*plain = *plain && arm_plain;
	}
	if (!*plain)
		return (Node *) makeBoolExpr(b->boolop, args, b->location);

	/* the first is the longest: what it has been opened to is taken over */
	foreach(lc, args)
	{
		if (!is_orclause(lfirst(lc)))
			members = lappend(members, lfirst(lc));
		else if (members == NIL)
			members = ((BoolExpr *) lfirst(lc))->args;
		else
			members = list_concat(members, ((BoolExpr *) lfirst(lc))->args);
	}
	return (Node *) makeBoolExpr(OR_EXPR, members, b->location);
}

/*
 * (a AND b) OR (a AND c) says a AND (b OR c).  Done once for all scenes, so
 * that each of them sees the same nodes, and a long OR is rewritten once.
 */
Node *
sg_canonical(SgScene *scene, Node *qual)
{
	SgKnown    *known;
	bool		plain;

	if (!or_walker(qual, NULL) || is_canonical(qual))
		return qual;
	known = sg_known(scene, qual);
	if (known->canonical == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(scene->keep);

		qual = opened(qual, &plain);
		known->canonical = factored(qual);
		if (known->canonical == NULL)
			known->canonical = (Node *) canonicalize_qual((Expr *) qual, false);
		MemoryContextSwitchTo(old);
	}
	return known->canonical;
}
