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

/* ------------------------------------------------------------------------
 * Range table entries
 * ------------------------------------------------------------------------
 */

static SgEntry *
make_entries(SgScene *scene, const Query *query)
{
	return sg_scene_alloc(scene, sizeof(SgEntry) *
						  (list_length(query->rtable) + 1));
}

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
		scope = sg_scene_alloc(scene, sizeof(SgScope));
		scope->query = query;
		scope->judged = scene->focus < 0;
		scope->entries = make_entries(scene, query);
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
		SgScope    *whole = sg_scene_alloc(scene, sizeof(SgScope));

		whole->parent = owner;
		whole->query = (Query *) cte->ctequery;
		whole->judged = scope->judged;
		whole->entries = make_entries(scene, whole->query);
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
	RangeTblEntry *rte = rt_fetch(rti, scope->query->rtable);
	SgEntry    *entry;

	if (scope->entries == NULL)
		scope->entries = make_entries(scene, scope->query);
	entry = &scope->entries[rti];
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

/* ------------------------------------------------------------------------
 * Queries
 * ------------------------------------------------------------------------
 */

/* A scope for a Query, with nothing entered yet. */
SgScope *
sg_make_scope(SgScene *scene, Query *query, SgScope *parent, SgForm form,
			  Node *link)
{
	SgScope    *scope = sg_scene_alloc(scene, sizeof(SgScope));

	scene->nscopes++;
	scope->query = query;
	scope->parent = parent;
	scope->form = form;
	scope->link = link;
	scope->judged = parent ? parent->judged : scene->focus < 0;
	if (query->setOperations == NULL)
		scope->entries = make_entries(scene, query);
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

/* The same, made once for all scenes. */
static List *
known_leaves(SgScene *scene, Node *setop)
{
	SgKnown    *known = sg_known(scene, setop);

	if (known->leaves == NIL)
	{
		MemoryContext old = MemoryContextSwitchTo(scene->keep);

		known->leaves = setop_leaves(setop);
		MemoryContextSwitchTo(old);
	}
	return known->leaves;
}

/*
 * Enters one arm of a set operation.  The scope of that has no entries, since
 * no Var refers to one, and there may be as many as scenes.
 */
static SgScope *
enter_arm(SgScene *scene, SgScope *scope, RangeTblRef *leaf)
{
	RangeTblEntry *rte = rt_fetch(leaf->rtindex, scope->query->rtable);
	SgScope    *arm;

	if (rte->rtekind != RTE_SUBQUERY || rte->subquery == NULL)
		return sg_entry(scene, scope, leaf->rtindex)->sub;
	arm = sg_enter_query(scene, rte->subquery, scope, scope->form, NULL);
	if (arm != NULL)
		arm->rte = rte;
	else
		sg_add_item(scene, scope, leaf->rtindex);
	return arm;
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
		List	   *leaves = known_leaves(scene, query->setOperations);
		int			taken = sg_choose(scene, list_length(leaves));

		scope->arm = enter_arm(scene, scope,
							   list_nth_node(RangeTblRef, leaves, taken));
		return scope;
	}
	if (query->jointree == NULL)
		return scope;
	enter_jointree(scene, scope, (Node *) query->jointree);
	if (query->resultRelation > 0)
		sg_entry(scene, scope, query->resultRelation);
	sg_from_quals(scene, scope, query->jointree, &query->jointree->quals,
			   query->jointree->quals ? 1 : 0);
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
	SgScope    *sub;

	for (sub = scene->links; sub != NULL; sub = sub->next_link)
		if (sub->link == (Node *) link && sub->parent == scope)
			return sub;
	if (!IsA(link->subselect, Query))
		return NULL;
	sub = sg_enter_query(scene, (Query *) link->subselect, scope, form,
						 (Node *) link);
	if (sub != NULL)
	{
		sub->next_link = scene->links;
		scene->links = sub;
	}
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
	/* nearly always where its number says, and a list may be long */
	if (resno > 0 && resno <= list_length(tlist))
	{
		TargetEntry *tle = list_nth_node(TargetEntry, tlist, resno - 1);

		if (tle->resno == resno && !tle->resjunk)
			return (Node *) tle->expr;
	}
	foreach(lc, tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resno == resno && !tle->resjunk)
			return (Node *) tle->expr;
	}
	return NULL;
}

/* Remembers which column an output of a scope is. */
void
sg_keep_output(SgScene *scene, SgScope *scope, int resno, SgNode *node)
{
	if (scope->outputs == NULL)
	{
		scope->noutputs = list_length(scope->query->targetList) +
			list_length(scope->query->returningList) + 1;
		scope->outputs = sg_scene_alloc(scene,
										scope->noutputs * sizeof(SgNode *));
	}
	if (resno < scope->noutputs)
		scope->outputs[resno] = node;
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
	Node	   *above[SG_MAX_ABOVE];
	int			nabove = 0;
	ListCell   *lc;

	scene->target = sg_entry(scene, scope, query->resultRelation)->item;
	if (written)
	{
		above[nabove++] = written;
		scene->written = written;
	}
	if (query->commandType == CMD_MERGE && sg_merge_condition(query) &&
		!(scene->action && sg_merge_by_source(scene->action)))
		above[nabove++] = sg_merge_condition(query);
	if (scene->action && scene->action->qual)
		above[nabove++] = scene->action->qual;

	enter_jointree(scene, scope, (Node *) query->jointree);
	if (query->commandType == CMD_MERGE)	/* its target is in no FROM */
		foreach(lc, scene->target->rte->securityQuals)
			sg_condition(scene, scope, (Node *) lfirst(lc), SG_TRUST_ADDED);
	foreach(lc, added)
		sg_condition(scene, scope, (Node *) lfirst(lc), SG_TRUST_ADDED);
	sg_from_quals(scene, scope, query->jointree, above, nabove);
	for (int i = 0; i < nabove; i++)
		sg_condition(scene, scope, above[i], SG_TRUST_WRITTEN);
	return scope;
}
