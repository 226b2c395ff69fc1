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
