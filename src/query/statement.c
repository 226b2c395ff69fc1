/*-------------------------------------------------------------------------
 *
 * statement.c
 *		Plain questions about a data-modifying Query, and the frame of a
 *		finding about it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "query/scene.h"
#include "query/statement.h"

/* How a message names the command of a statement on a table. */
const char *
sg_command_name(const Query *query)
{
	switch (query->commandType)
	{
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		default:
			return "MERGE";
	}
}

/* The same with its preposition, to go before "table". */
const char *
sg_command_on(const Query *query)
{
	switch (query->commandType)
	{
		case CMD_UPDATE:
			return "UPDATE of";
		case CMD_DELETE:
			return "DELETE from";
		default:
			return "MERGE into";
	}
}

/*
 * The entry of the relation that an UPDATE, DELETE or MERGE writes to, or
 * NULL if the Query is none of these.
 */
RangeTblEntry *
sg_target_entry(const Query *query)
{
	RangeTblEntry *rte;

	if (query->resultRelation <= 0 ||
		(query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_DELETE &&
		 query->commandType != CMD_MERGE))
		return NULL;
	rte = rt_fetch(query->resultRelation, query->rtable);
	return rte->rtekind == RTE_RELATION ? rte : NULL;
}

/*
 * The range table index that conditions use for the target.  The rewriter
 * gives a view with INSTEAD OF triggers a second entry to be written to, and
 * makes the first one a subquery.
 */
Index
sg_target_index(const Query *query)
{
	RangeTblEntry *target = sg_target_entry(query);
	Index		rti = 0;
	ListCell   *lc;

	if (target->relkind != RELKIND_VIEW)
		return query->resultRelation;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		rti++;
		if (rte->rtekind == RTE_SUBQUERY && rte->inFromCl == target->inFromCl &&
			strcmp(rte->eref->aliasname, target->eref->aliasname) == 0)
			return rti;
	}
	return query->resultRelation;
}

/*
 * Is the Query the action of a rule?  Then the rewriter has merged the FROM
 * and WHERE of the statement that fired the rule into it.
 */
bool
sg_is_product(const Query *query)
{
	return query->querySource != QSRC_ORIGINAL &&
		query->querySource != QSRC_PARSER;
}

/*
 * The WHERE of UPDATE and DELETE, or the ON of MERGE, without what views have
 * added; NULL if there is none.
 */
Node *
sg_written_condition(Query *query)
{
	List	   *added;

	if (query->commandType == CMD_MERGE && sg_merge_condition(query))
		return sg_merge_condition(query);
	/* a rule on a view leaves entries of it that added nothing */
	if (sg_is_product(query))
		return query->jointree->quals;
	return sg_written_quals(query, &added);
}

/*
 * The view that a statement was written against, or NULL if it names its
 * table itself.
 */
RangeTblEntry *
sg_written_view(const Query *query)
{
	ListCell   *lc;

	if (sg_is_product(query))
		return NULL;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW)
			return rte;
	}
	return NULL;
}

/* Does an expression, or a subquery in it, refer to this relation? */
bool
sg_mentions(Node *node, Index varno)
{
	return rangeTableEntry_used(node, varno, 0);
}

/*
 * A finding about the target of a statement; the caller adds the texts.
 */
SgFinding *
sg_new_finding(SgRuleId rule, const SgStatement *stmt)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	Oid			relid = sg_target_entry(stmt->query)->relid;

	finding->rule = rule;
	finding->relid = relid;
	finding->location = -1;
	finding->schema_name = get_namespace_name(get_rel_namespace(relid));
	finding->table_name = get_rel_name(relid);
	/* behind a view stands a table that the statement does not name */
	if (sg_written_view(stmt->query))
		sg_finding_reads(finding, relid, 0);
	return finding;
}

/* The texts tell of a column that the statement need not name. */
void
sg_finding_reads(SgFinding *finding, Oid relid, AttrNumber attnum)
{
	SgColumnRef *ref = palloc(sizeof(SgColumnRef));

	ref->relid = relid;
	ref->attnum = attnum;
	finding->reads = lappend(finding->reads, ref);
}
