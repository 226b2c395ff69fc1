/*-------------------------------------------------------------------------
 *
 * unlinked_from.c
 *		Finds UPDATE ... FROM, DELETE ... USING and MERGE whose condition does
 *		not tie the target to what it is joined with.
 *
 * A condition that needs columns of both relations ties them, whatever its
 * operator, except <>.  So does a value that both are equated with.  Every
 * arm of an OR has to hold a tie.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "query/statement.h"
#include "safeguard.h"

/* The relations below a FROM item that may have more than one row. */
static Bitmapset *
sources_of(Query *query, Node *item, List *parents)
{
	if (IsA(item, JoinExpr))
		return bms_join(sources_of(query, ((JoinExpr *) item)->larg, parents),
						sources_of(query, ((JoinExpr *) item)->rarg, parents));
	if (!IsA(item, RangeTblRef) ||
		((RangeTblRef *) item)->rtindex == query->resultRelation ||
		sg_has_one_row(query, item, parents))
		return NULL;
	return bms_make_singleton(((RangeTblRef *) item)->rtindex);
}

/* Does MERGE update or delete rows without a tie? */
static bool
merge_is_linked(SgSearch *search)
{
	Node	   *on = sg_written_condition(search->query);
	ListCell   *lc;

	foreach(lc, search->query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		if (action->commandType != CMD_UPDATE &&
			action->commandType != CMD_DELETE)
			continue;
		if (sg_merge_matched(action) ?
			!sg_is_linked(search, list_make2(on, action->qual)) :
			!sg_is_linked(search, list_make1(on)))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * The finding
 * ------------------------------------------------------------------------
 */

/* A column of each that may be meant, since a foreign key links them. */
static bool
find_pair(SgCatalog *catalog, Oid target, Oid source,
		  AttrNumber *ta, AttrNumber *sa)
{
	ListCell   *lc;

	foreach(lc, sg_foreign_keys(catalog, target))
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		*ta = key->cols[0];
		*sa = key->refs[0];
		if (key->parent == source && key->ncols == 1)
			return true;
	}
	foreach(lc, sg_foreign_keys(catalog, source))
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		*ta = key->refs[0];
		*sa = key->cols[0];
		if (key->parent == target && key->ncols == 1)
			return true;
	}
	return false;
}

static void
make_hint(SgFinding *finding, SgCatalog *catalog, Query *query, Index rti)
{
	RangeTblEntry *source = rt_fetch(rti, query->rtable);
	char	   *alias = source->eref->aliasname;
	RangeTblEntry *view = sg_written_view(query);
	char	   *target = (view ? view : sg_target_entry(query))->eref->aliasname;
	const char *place = query->commandType == CMD_MERGE ? "ON" : "WHERE";
	AttrNumber	ta;
	AttrNumber	sa;

	if (view == NULL && source->rtekind == RTE_RELATION &&
		find_pair(catalog, finding->relid, source->relid, &ta, &sa))
	{
		finding->hint = psprintf("Add a condition such as %s.%s = %s.%s to %s.",
								 target, get_attname(finding->relid, ta, false),
								 alias, get_attname(source->relid, sa, false),
								 place);
		sg_finding_reads(finding, finding->relid, ta);
		sg_finding_reads(finding, source->relid, sa);
	}
	else
		finding->hint = psprintf("Add a condition to %s that compares a column of %s with one of %s.",
								 place, target, alias);
}

/* Where the condition speaks of a source, else where it begins. */
static int
find_location(SgSearch *search, Node *condition)
{
	ListCell   *lc;

	if (condition == NULL)
		return -1;
	if (is_andclause(condition))
		foreach(lc, ((BoolExpr *) condition)->args)
			if (bms_overlap(pull_varnos(NULL, (Node *) lfirst(lc)),
							search->sources))
				return exprLocation((Node *) lfirst(lc));
	return exprLocation(condition);
}

static SgFinding *
make_finding(SgStatement *stmt, SgSearch *search, SgCatalog *catalog)
{
	Query	   *query = stmt->query;
	SgFinding  *finding = sg_new_finding(SG_RULE_UNLINKED_FROM, stmt);
	const char *command = sg_command_name(query);
	Index		rti = bms_next_member(search->sources, -1);
	char	   *alias = rt_fetch(rti, query->rtable)->eref->aliasname;
	bool		or = search->arms > 1;

	finding->location = find_location(search, sg_written_condition(query));
	finding->message = psprintf("%s table \"%s\" has no condition that ties it to \"%s\"",
								sg_command_on(query), finding->table_name, alias);
	finding->detail = psprintf(or ?
							   "Where one arm of the OR holds, each row of \"%s\" goes with each row of \"%s\"." :
							   "Each row of \"%s\" goes with each row of \"%s\".",
							   finding->table_name, alias);
	finding->closed_message = psprintf("%s has no condition that ties its target to its source",
									   command);
	make_hint(finding, catalog, query, rti);
	return finding;
}

/*
 * Looks at one UPDATE ... FROM, DELETE ... USING or MERGE and appends at most
 * one finding.
 */
void
sg_unlinked_from_detect(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	RangeTblEntry *rte = sg_target_entry(query);
	List	   *parents;
	SgCatalog	catalog = {NIL};
	SgSearch	search = {0};
	ListCell   *lc;

	/* what a rule's action is joined with nobody wrote into it */
	if (rte == NULL || sg_is_product(query) || list_length(query->rtable) < 2)
		return;
	parents = lcons(query, list_copy(stmt->parents));
	foreach(lc, query->jointree->fromlist)
		search.sources = bms_join(search.sources,
								  sources_of(query, (Node *) lfirst(lc), parents));
	search.target_rti = sg_target_index(query);
	search.sources = bms_del_member(search.sources, search.target_rti);
	if (bms_is_empty(search.sources))
		return;
	search.query = query;
	search.target = sg_relation(&catalog, rte->relid);
	if (query->commandType == CMD_MERGE ? merge_is_linked(&search) :
		sg_is_linked(&search, list_make1(query->jointree->quals)))
		return;
	stmt->findings = lappend(stmt->findings,
							 make_finding(stmt, &search, &catalog));
	stmt->consulted = list_concat_unique_oid(stmt->consulted,
											 sg_consulted(&catalog));
}
