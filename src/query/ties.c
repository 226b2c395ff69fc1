/*-------------------------------------------------------------------------
 *
 * ties.c
 *		Whether the conditions of a statement tie its target to a source.
 *
 * A condition that needs columns of both ties them, whatever its operator,
 * except <>.  So does a value that both are equated with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "query/scene.h"
#include "query/statement.h"

/* Combinations of OR arms looked at before the statement is let go. */
#define MAX_ARMS 1000

/* Equalities with values that are compared with each other. */
#define MAX_GIVEN 100

/* A value that a column is equated with. */
typedef struct Given
{
	Var		   *var;
	Node	   *value;
} Given;

/* What the conditions taken so far say. */
typedef struct Links
{
	int		   *group;			/* by range table index: connected relations */
	List	   *given;			/* of Given */
	Bitmapset  *named;			/* columns of the target with given values */
	bool		row;			/* one row of the target is named, or none */
} Links;

static void
join_groups(SgSearch *search, Links *links, int a, int b)
{
	int			from = links->group[b];
	int			to = links->group[a];

	for (int i = 1; i <= list_length(search->query->rtable); i++)
		if (links->group[i] == from)
			links->group[i] = to;
}

static void
join_members(SgSearch *search, Links *links, Bitmapset *members)
{
	int			first = bms_next_member(members, 0);
	int			i = first;

	while (first > 0 && (i = bms_next_member(members, i)) > 0)
		if (i <= list_length(search->query->rtable))
			join_groups(search, links, first, i);
}

static char *
column_of(SgSearch *search, Given *given)
{
	return get_rte_attribute_name(rt_fetch(given->var->varno,
										   search->query->rtable),
								  given->var->varattno);
}

/* Is a called after b and its relation: order_id after orders.id? */
static bool
is_called_after(SgSearch *search, Given *a, Given *b)
{
	char	   *mine = column_of(search, a);
	char	   *theirs = column_of(search, b);
	RangeTblEntry *rte = rt_fetch(b->var->varno, search->query->rtable);
	char	   *relation = OidIsValid(rte->relid) ? get_rel_name(rte->relid) :
		rte->eref->aliasname;
	int			prefix = (int) strlen(mine) - (int) strlen(theirs) - 1;

	return relation != NULL && prefix > 0 && mine[prefix] == '_' &&
		strcmp(mine + prefix + 1, theirs) == 0 &&
		strncmp(mine, relation, prefix) == 0;
}

/*
 * Do two columns get the same value, and not by chance?  A parameter used
 * twice and two NULLs are meant so.  Equal constants are if the names of the
 * columns say it, and so are two parameters: drivers that know only ? number
 * each use anew.
 */
static bool
same_value(SgSearch *search, Given *a, Given *b)
{
	bool		same = equal(a->value, b->value);

	if (exprType(a->value) == BOOLOID)
		return false;
	if (same && (IsA(a->value, Param) ||
				 (IsA(a->value, Const) && ((Const *) a->value)->constisnull)))
		return true;
	if (a->var->varattno <= 0 || b->var->varattno <= 0 ||
		!(same || (IsA(a->value, Param) && IsA(b->value, Param))))
		return false;
	if (strcmp(column_of(search, a), column_of(search, b)) == 0)
		return true;
	return is_called_after(search, a, b) || is_called_after(search, b, a);
}

/* column = value: ties the column to others with that value. */
static void
take_value(SgSearch *search, Links *links, Node *column, Node *value)
{
	Given	   *given;
	ListCell   *lc;

	column = sg_strip(column);
	value = sg_strip(value);
	if (!IsA(column, Var) || ((Var *) column)->varlevelsup != 0 ||
		contain_vars_of_level(value, 0) || checkExprHasSubLink(value) ||
		contain_volatile_functions(value))
		return;
	if (list_length(links->given) >= MAX_GIVEN)
		return;
	given = palloc(sizeof(Given));
	given->var = (Var *) column;
	given->value = value;
	foreach(lc, links->given)
		if (same_value(search, lfirst(lc), given))
			join_groups(search, links, ((Given *) lfirst(lc))->var->varno,
						given->var->varno);
	links->given = lappend(links->given, given);
}

/* The target's column has given values: = or IN of what is no column. */
static void
take_name(SgSearch *search, Links *links, Node *column, Node *value)
{
	column = sg_strip(column);
	if (!IsA(column, Var) || ((Var *) column)->varlevelsup != 0 ||
		((Var *) column)->varno != search->target_rti ||
		contain_vars_of_level(value, 0))
		return;
	if (((Var *) column)->varattno > 0)
		links->named = bms_add_member(links->named, ((Var *) column)->varattno);
	else if (((Var *) column)->varattno == SelfItemPointerAttributeNumber)
		links->row = true;
}

/*
 * Is it a condition that nothing passes, such as one that is made for an empty
 * list?  Only the server's own operators are asked.
 */
static bool
never_true(Node *node)
{
	if (IsA(node, OpExpr) && ((OpExpr *) node)->opno < FirstGenbkiObjectId &&
		list_length(((OpExpr *) node)->args) == 2 &&
		IsA(linitial(((OpExpr *) node)->args), Const) &&
		IsA(lsecond(((OpExpr *) node)->args), Const))
		node = eval_const_expressions(NULL, copyObject(node));
	return IsA(node, Const) && ((Const *) node)->consttype == BOOLOID &&
		(((Const *) node)->constisnull ||
		 !DatumGetBool(((Const *) node)->constvalue));
}

/* Takes a condition that is neither AND, OR nor NOT. */
static void
take_leaf(SgSearch *search, Links *links, Node *node)
{
	if (IsA(node, CurrentOfExpr) || never_true(node))
		links->row = true;
	else if (IsA(node, NullTest) && ((NullTest *) node)->nulltesttype == IS_NULL)
		take_value(search, links, (Node *) ((NullTest *) node)->arg,
				   (Node *) makeNullConst(INT4OID, -1, InvalidOid));
	else if (IsA(node, DistinctExpr))
		return;
	else if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		Node	   *left = linitial(((OpExpr *) node)->args);
		Node	   *right = lsecond(((OpExpr *) node)->args);
		SgOpKind	kind = sg_op_kind(((OpExpr *) node)->opno, left, false);

		if (kind == SG_OP_UNEQUAL)
			return;
		if (kind == SG_OP_EQUAL)
		{
			take_value(search, links, left, right);
			take_value(search, links, right, left);
			take_name(search, links, left, right);
			take_name(search, links, right, left);
		}
	}
	else if (IsA(node, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) node)->useOr)
	{
		Node	   *scalar = linitial(((ScalarArrayOpExpr *) node)->args);
		Node	   *array = lsecond(((ScalarArrayOpExpr *) node)->args);

		if (sg_op_kind(((ScalarArrayOpExpr *) node)->opno, scalar,
					   false) == SG_OP_EQUAL && !checkExprHasSubLink(array))
			take_name(search, links, scalar, array);
	}
	join_members(search, links, pull_varnos(NULL, node));
}

/* Takes a condition apart; an OR is put into *ors for later. */
static void
take(SgSearch *search, Links *links, Node *node, List **ors)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == NOT_EXPR)
	{
		Node	   *arg = linitial(((BoolExpr *) node)->args);
		Node	   *inverse = negate_clause(arg);

		/* what cannot be turned round stays a NOT */
		if (!IsA(inverse, BoolExpr) ||
			((BoolExpr *) inverse)->boolop != NOT_EXPR)
			take(search, links, inverse, ors);
		else
			take_leaf(search, links, inverse);
	}
	else if (is_andclause(node))
	{
		foreach(lc, ((BoolExpr *) node)->args)
			take(search, links, (Node *) lfirst(lc), ors);
	}
	else if (is_orclause(node))
		*ors = lappend(*ors, node);
	else if (IsA(node, BooleanTest) &&
			 ((BooleanTest *) node)->booltesttype == IS_TRUE)
		take(search, links, (Node *) ((BooleanTest *) node)->arg, ors);
	else
		take_leaf(search, links, node);
}

static bool
is_tied(SgSearch *search, Links *links)
{
	int			i = -1;

	if (links->row || sg_is_unique_set(search->target, links->named))
		return true;
	while ((i = bms_next_member(search->sources, i)) >= 0)
		if (links->group[i] == links->group[search->target_rti])
			return true;
	return false;
}

/*
 * Is the target tied to a source in every arm?  Gives up, and says so, when
 * there are too many.
 */
static bool
ties_all_arms(SgSearch *search, const Links *before, List *conditions)
{
	int			size = sizeof(int) * (list_length(search->query->rtable) + 1);
	Links		links = *before;
	List	   *ors = NIL;
	ListCell   *lc;
	Node	   *first;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (search->arms++ > MAX_ARMS)
		return true;
	links.group = memcpy(palloc(size), before->group, size);
	links.given = list_copy(before->given);
	links.named = bms_copy(before->named);
	foreach(lc, conditions)
		take(search, &links, (Node *) lfirst(lc), &ors);
	if (is_tied(search, &links))
		return true;
	if (ors == NIL)
		return false;
	first = linitial(ors);
	ors = list_delete_first(ors);
	foreach(lc, ((BoolExpr *) first)->args)
		if (!ties_all_arms(search, &links, lcons(lfirst(lc), list_copy(ors))))
			return false;
	return true;
}

/* An item that refers to others of the FROM list is tied to them. */
static void
take_lateral(SgSearch *search, Links *links, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, search->query->rtable);
	Bitmapset  *members;

	if (!rte->lateral)
		return;
	members = pull_varnos_of_level(NULL, (Node *) rte->subquery, 1);
	members = bms_join(members, pull_varnos(NULL, (Node *) rte->functions));
	members = bms_join(members, pull_varnos(NULL, (Node *) rte->values_lists));
	members = bms_join(members, pull_varnos(NULL, (Node *) rte->tablefunc));
	join_members(search, links, bms_add_member(members, rti));
}

/* Joins of the FROM list tie sources to each other. */
static void
take_joins(SgSearch *search, Links *links, Node *node, List **conditions)
{
	ListCell   *lc;

	check_stack_depth();
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			take_joins(search, links, (Node *) lfirst(lc), conditions);
	}
	else if (IsA(node, RangeTblRef))
		take_lateral(search, links, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		if (join->quals)
			*conditions = lappend(*conditions, join->quals);
		/* a column of the join itself stands for one of either side */
		if (join->rtindex > 0)
		{
			if (IsA(join->larg, RangeTblRef))
				join_groups(search, links, join->rtindex,
							((RangeTblRef *) join->larg)->rtindex);
			else if (((JoinExpr *) join->larg)->rtindex > 0)
				join_groups(search, links, join->rtindex,
							((JoinExpr *) join->larg)->rtindex);
		}
		take_joins(search, links, join->larg, conditions);
		take_joins(search, links, join->rarg, conditions);
	}
}

/*
 * Do these conditions, and the joins of the FROM list, tie the target to a
 * source, in every arm of every OR?  Naming its rows by values for a whole
 * unique key does as well.
 */
bool
sg_is_linked(SgSearch *search, List *conditions)
{
	int			n = list_length(search->query->rtable) + 1;
	Links		links = {0};

	links.group = palloc(n * sizeof(int));
	for (int i = 0; i < n; i++)
		links.group[i] = i;
	conditions = list_copy(conditions);
	take_joins(search, &links, (Node *) search->query->jointree, &conditions);
	return ties_all_arms(search, &links, conditions);
}
