/*-------------------------------------------------------------------------
 *
 * flatten.c
 *		Enters the Queries of a statement: FROM lists, joins, set operations,
 *		CTEs, sublinks.
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
#include "parser/parse_clause.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "query/scene.h"

/* Queries entered in one scene; lineage ends at any further one. */
#define MAX_SCOPES 1000

static void enter_jointree(SgScene *scene, SgScope *scope, Node *node);
static void jointree_quals(SgScene *scene, SgScope *scope, Node *node,
						   List *above);

/* ------------------------------------------------------------------------
 * Range table entries
 * ------------------------------------------------------------------------
 */

/*
 * Finds the CTE that an entry refers to; *owner becomes the scope it is
 * defined in, made up for a Query around the statement.
 */
static CommonTableExpr *
find_cte(SgScene *scene, SgScope *scope, RangeTblEntry *rte, SgScope **owner)
{
	Index		levels = rte->ctelevelsup;
	Query	   *query = NULL;
	ListCell   *lc;

	while (levels > 0 && scope->parent != NULL)
	{
		scope = scope->parent;
		levels--;
	}
	if (levels == 0)
		query = scope->query;
	else if (levels <= list_length(scene->stmt->parents))
	{
		query = list_nth_node(Query, scene->stmt->parents, levels - 1);
		scope = palloc0(sizeof(SgScope));
		scope->query = query;
		scope->judged = scene->focus < 0;
		scope->entries = palloc0(sizeof(SgEntry) *
								 (list_length(query->rtable) + 1));
	}
	*owner = scope;
	if (query == NULL)
		return NULL;
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return cte;
	}
	return NULL;
}

/*
 * Enters a CTE.  Inside its own recursive term it is read as its first
 * rows: the non-recursive term.
 */
static SgScope *
enter_cte(SgScene *scene, SgScope *scope, RangeTblEntry *rte, SgForm form)
{
	SgScope    *owner;
	SgScope    *result;
	CommonTableExpr *cte = find_cte(scene, scope, rte, &owner);
	Query	   *body;
	bool		judged;

	if (cte == NULL || !IsA(cte->ctequery, Query))
		return NULL;
	body = (Query *) cte->ctequery;
	if (rte->self_reference)
	{
		SetOperationStmt *setop = (SetOperationStmt *) body->setOperations;
		RangeTblRef *left;

		if (setop == NULL || !IsA(setop, SetOperationStmt) ||
			!IsA(setop->larg, RangeTblRef))
			return NULL;
		left = (RangeTblRef *) setop->larg;
		body = rt_fetch(left->rtindex, body->rtable)->subquery;
		/* one more Query lies between the term and the CTE's owner */
	}
	judged = owner->judged;
	owner->judged = scope->judged;
	if (rte->self_reference)
	{
		SgScope    *whole = palloc0(sizeof(SgScope));

		whole->parent = owner;
		whole->query = (Query *) cte->ctequery;
		whole->judged = scope->judged;
		whole->entries = palloc0(sizeof(SgEntry) *
								 (list_length(whole->query->rtable) + 1));
		result = sg_enter_query(scene, body, whole, form, NULL);
	}
	else
		result = sg_enter_query(scene, body, owner, form, NULL);
	owner->judged = judged;
	return result;
}

/*
 * What a range table entry stands for in this scene; entered at the first
 * question.
 */
SgEntry *
sg_entry(SgScene *scene, SgScope *scope, Index rti)
{
	SgEntry    *entry = &scope->entries[rti];
	RangeTblEntry *rte = rt_fetch(rti, scope->query->rtable);

	if (entry->item != NULL || entry->sub != NULL)
		return entry;
	if (rte->rtekind == RTE_SUBQUERY && rte->subquery != NULL)
		entry->sub = sg_enter_query(scene, rte->subquery, scope, scope->form,
									NULL);
	else if (rte->rtekind == RTE_CTE)
		entry->sub = enter_cte(scene, scope, rte, scope->form);
	if (entry->sub != NULL)
		entry->sub->rte = rte;
	else if (rte->rtekind != RTE_JOIN)
		entry->item = sg_add_item(scene, scope, rti);
	return entry;
}

/* ------------------------------------------------------------------------
 * FROM and WHERE
 * ------------------------------------------------------------------------
 */

/* Makes the entries of a FROM list, from left to right. */
static void
enter_jointree(SgScene *scene, SgScope *scope, Node *node)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, RangeTblRef))
	{
		Index		rti = ((RangeTblRef *) node)->rtindex;
		SgEntry    *entry = sg_entry(scene, scope, rti);

		/* what row security adds holds for each row of the relation */
		if (entry->item)
			foreach(lc, entry->item->rte->securityQuals)
				sg_condition(scene, scope, (Node *) lfirst(lc),
							 SG_TRUST_ADDED);
	}
	else if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			enter_jointree(scene, scope, (Node *) lfirst(lc));
	}
	else if (IsA(node, JoinExpr))
	{
		enter_jointree(scene, scope, ((JoinExpr *) node)->larg);
		enter_jointree(scene, scope, ((JoinExpr *) node)->rarg);
	}
}

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

/* Would one of these conditions fail for a row of NULLs of these members? */
static bool
rejects_nulls(List *conditions, Node *members)
{
	Relids		strict = NULL;
	ListCell   *lc;

	foreach(lc, conditions)
		strict = bms_join(strict, find_nonnullable_rels((Node *) lfirst(lc)));
	return bms_overlap(strict, jointree_members(members));
}

/*
 * Takes the conditions of joins and WHERE.  The ON of an outer join limits
 * nothing, unless a condition above makes it an inner one.
 */
static void
jointree_quals(SgScene *scene, SgScope *scope, Node *node, List *above)
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
		bool		inner = true;

		if (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL)
			inner = rejects_nulls(above, join->rarg);
		if (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL)
			inner = inner && rejects_nulls(above, join->larg);
		if (inner && join->quals)
			above = lcons(join->quals, list_copy(above));
		if (join->quals)
			sg_condition(scene, scope, join->quals,
						 inner ? SG_TRUST_WRITTEN : SG_TRUST_OUTER);
		jointree_quals(scene, scope, join->larg, above);
		jointree_quals(scene, scope, join->rarg, above);
	}
}

/* ------------------------------------------------------------------------
 * Queries
 * ------------------------------------------------------------------------
 */

/* A scope for a Query, with nothing entered yet. */
SgScope *
sg_make_scope(SgScene *scene, Query *query, SgScope *parent, SgForm form,
			  Node *link)
{
	SgScope    *scope = palloc0(sizeof(SgScope));

	scene->nscopes++;
	scope->query = query;
	scope->parent = parent;
	scope->form = form;
	scope->link = link;
	scope->judged = parent ? parent->judged : scene->focus < 0;
	scope->entries = palloc0(sizeof(SgEntry) * (list_length(query->rtable) + 1));
	return scope;
}

/* The leaves of a set operation that rows of the result come from. */
static List *
setop_leaves(Node *node)
{
	SetOperationStmt *setop = (SetOperationStmt *) node;

	check_stack_depth();
	if (!IsA(node, SetOperationStmt))
		return list_make1(node);
	if (setop->op == SETOP_EXCEPT)
		return setop_leaves(setop->larg);
	return list_concat(setop_leaves(setop->larg), setop_leaves(setop->rarg));
}

static void
mark_grouping(SgScene *scene, SgScope *scope)
{
	Query	   *query = scope->query;
	ListCell   *lc;

	scene->groups = scene->groups || query->groupClause != NIL;
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);
		SgValue		value = sg_value(scene, scope, NULL, (Node *) tle->expr);

		sg_mark_uses(scene, scope, (Node *) tle->expr, SG_USE_GROUPED);
		if (value.kind == SG_VALUE_COLUMN)
			scope->grouped = lappend(scope->grouped, value.node);
	}
	foreach(lc, query->windowClause)
	{
		ListCell   *part;

		foreach(part, lfirst_node(WindowClause, lc)->partitionClause)
		{
			TargetEntry *tle = get_sortgroupclause_tle(lfirst_node(SortGroupClause, part),
													   query->targetList);

			sg_mark_uses(scene, scope, (Node *) tle->expr, SG_USE_GROUPED);
		}
	}
	if (query->hasDistinctOn)
		foreach(lc, query->distinctClause)
		{
			TargetEntry *tle = get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc),
													   query->targetList);

			sg_mark_uses(scene, scope, (Node *) tle->expr, SG_USE_GROUPED);
		}
	if (query->havingQual)
	{
		scope->filtered = contain_aggs_of_level(query->havingQual, 0);
		sg_condition(scene, scope, query->havingQual, SG_TRUST_WRITTEN);
	}
}

/*
 * Enters a Query that the statement reads, and takes its conditions.  NULL if
 * the scene has too many already.
 */
SgScope *
sg_enter_query(SgScene *scene, Query *query, SgScope *parent, SgForm form,
			   Node *link)
{
	SgScope    *scope;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (scene->nscopes >= MAX_SCOPES)
	{
		scene->cut = true;
		return NULL;
	}
	scope = sg_make_scope(scene, query, parent, form, link);
	if (query->setOperations != NULL)
	{
		List	   *leaves = setop_leaves(query->setOperations);
		int			taken = sg_choose(scene, list_length(leaves));
		RangeTblRef *leaf = list_nth_node(RangeTblRef, leaves, taken);

		scope->arm = sg_entry(scene, scope, leaf->rtindex)->sub;
		return scope;
	}
	if (query->jointree == NULL)
		return scope;
	enter_jointree(scene, scope, (Node *) query->jointree);
	if (query->resultRelation > 0)
		sg_entry(scene, scope, query->resultRelation);
	jointree_quals(scene, scope, (Node *) query->jointree,
				   query->jointree->quals ?
				   list_make1(query->jointree->quals) : NIL);
	if (query->jointree->quals)
		sg_condition(scene, scope, query->jointree->quals, SG_TRUST_WRITTEN);
	mark_grouping(scene, scope);
	return scope;
}

/* Enters one arm of a set operation, NULL if it is one itself. */
SgScope *
sg_enter_leaf(SgScene *scene, SgScope *scope, Node *leaf)
{
	if (!IsA(leaf, RangeTblRef))
		return NULL;
	return sg_entry(scene, scope, ((RangeTblRef *) leaf)->rtindex)->sub;
}

/* Enters the subselect of a sublink; a second time, the same scope. */
SgScope *
sg_enter_sublink(SgScene *scene, SubLink *link, SgScope *scope, SgForm form)
{
	ListCell   *lc;
	SgScope    *sub;

	foreach(lc, scene->links)
	{
		sub = (SgScope *) lfirst(lc);
		if (sub->link == (Node *) link && sub->parent == scope)
			return sub;
	}
	if (!IsA(link->subselect, Query))
		return NULL;
	sub = sg_enter_query(scene, (Query *) link->subselect, scope, form,
						 (Node *) link);
	if (sub != NULL)
		scene->links = lappend(scene->links, sub);
	return sub;
}

/*
 * The expression behind an output column of a scope, and in *scope the scope
 * that it stands in (the arm of a set operation).  NULL if there is none.
 */
Node *
sg_scope_output(SgScope **scope, int resno)
{
	SgScope    *from = *scope;
	List	   *tlist;
	ListCell   *lc;

	while (from->arm != NULL)
		from = from->arm;
	*scope = from;
	if (from->query->setOperations != NULL)
		return NULL;
	tlist = from->query->commandType == CMD_SELECT ?
		from->query->targetList : from->query->returningList;
	foreach(lc, tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resno == resno && !tle->resjunk)
			return (Node *) tle->expr;
	}
	return NULL;
}

/*
 * Enters the statement itself: the target is the first item, then what FROM,
 * USING or MERGE reads, then the conditions.
 */
SgScope *
sg_enter_target(SgScene *scene)
{
	Query	   *query = scene->stmt->query;
	SgForm		form = query->commandType == CMD_MERGE ? SG_FORM_MERGE :
		SG_FORM_JOIN;
	SgScope    *scope = sg_make_scope(scene, query, NULL, form, NULL);
	List	   *added;
	Node	   *written = sg_written_quals(query, &added);
	List	   *above = NIL;
	ListCell   *lc;

	scene->target = sg_entry(scene, scope, query->resultRelation)->item;
	if (written)
	{
		above = lappend(above, written);
		scene->written = written;
	}
	if (query->commandType == CMD_MERGE && sg_merge_condition(query) &&
		!(scene->action && sg_merge_by_source(scene->action)))
		above = lappend(above, sg_merge_condition(query));
	if (scene->action && scene->action->qual)
		above = lappend(above, scene->action->qual);

	enter_jointree(scene, scope, (Node *) query->jointree);
	if (query->commandType == CMD_MERGE)	/* its target is in no FROM */
		foreach(lc, scene->target->rte->securityQuals)
			sg_condition(scene, scope, (Node *) lfirst(lc), SG_TRUST_ADDED);
	foreach(lc, added)
		sg_condition(scene, scope, (Node *) lfirst(lc), SG_TRUST_ADDED);
	jointree_quals(scene, scope, (Node *) query->jointree, above);
	foreach(lc, above)
		sg_condition(scene, scope, (Node *) lfirst(lc), SG_TRUST_WRITTEN);
	return scope;
}
