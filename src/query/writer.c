/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Tells the conditions that the writer of a statement wrote from those
 *		that the rewriter added for the views he wrote them against.
 *
 * For each view that stood in the target's place the rewriter appends the
 * base relation to the range table, leaves the view's entry behind, and
 * makes the condition AND(condition so far, view's condition).  So the views
 * left in the range table, last first, tell how many such wrappings there
 * are; the conditions themselves carry no mark.  (Locations do not help: the
 * body of a rule or of a BEGIN ATOMIC function has none either.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "query/scene.h"

/* Does the rewriter add a condition for a view in the target's place? */
static bool
view_adds_condition(Oid relid)
{
	Relation	view = RelationIdGetRelation(relid);
	bool		result = false;

	if (!RelationIsValid(view))
		return false;
	if (view->rd_rel->relkind == RELKIND_VIEW && view->rd_rules != NULL &&
		!RelationIsSecurityView(view))
	{
		Query	   *body = get_view_query(view);

		result = body->jointree != NULL && body->jointree->quals != NULL;
	}
	RelationClose(view);
	return result;
}

/*
 * The WHERE of a statement without what views added; that goes to *added.
 */
Node *
sg_written_quals(Query *query, List **added)
{
	Node	   *quals = query->jointree->quals;
	Index		rti;

	*added = NIL;
	for (rti = list_length(query->rtable); rti > 0 && quals; rti--)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_VIEW ||
			rti == query->resultRelation ||
			!view_adds_condition(rte->relid))
			continue;
		if (is_andclause(quals) &&
			list_length(((BoolExpr *) quals)->args) == 2)
		{
			*added = lappend(*added, lsecond(((BoolExpr *) quals)->args));
			quals = linitial(((BoolExpr *) quals)->args);
		}
		else
		{
			/* no condition was written at all */
			*added = lappend(*added, quals);
			quals = NULL;
		}
	}
	return quals;
}

/*
 * Was this entry the view?  Some versions of the server forget that when they
 * put the view's query there, but leave an entry for it inside.
 */
static bool
was_view(const RangeTblEntry *rte, Oid view)
{
	const RangeTblEntry *first;

	if (rte->rtekind != RTE_SUBQUERY)
		return false;
	if (rte->relid == view)
		return true;
	if (rte->subquery->rtable == NIL)
		return false;
	first = linitial_node(RangeTblEntry, rte->subquery->rtable);
	return first->rtekind == RTE_RELATION && first->relid == view;
}

/* Is the view, as the statement that fired the rule named it, joined? */
static bool
joins_view(const Query *query, Oid view, Index before)
{
	ListCell   *lc;

	foreach(lc, query->jointree->fromlist)
	{
		int			rti = IsA(lfirst(lc), RangeTblRef) ?
			lfirst_node(RangeTblRef, lc)->rtindex : 0;

		if (rti > 0 && rti < before && rti != query->resultRelation &&
			was_view(rt_fetch(rti, query->rtable), view))
			return true;
	}
	return false;
}

/*
 * The view that an UPDATE or DELETE was written against, if this Query is what
 * an INSTEAD rule of the view has made of it; else InvalidOid.
 *
 * The rewriter appends the range table of the action, in which OLD is an entry
 * for the view, to that of the statement, and joins the statement's view with
 * the action, unless neither condition needs it.  An INSERT has no view to
 * join.
 */
Oid
sg_ruled_view(const Query *query)
{
	if (query->querySource != QSRC_INSTEAD_RULE)
		return InvalidOid;
	for (Index rti = list_length(query->rtable); rti > 0; rti--)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW &&
			strcmp(rte->eref->aliasname, "old") == 0)
			return joins_view(query, rte->relid, rti) ? rte->relid : InvalidOid;
	}
	return InvalidOid;
}
