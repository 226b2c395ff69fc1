/*-------------------------------------------------------------------------
 *
 * outside_message.c
 *		The words of an outer_reference finding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "query/outside.h"
#include "query/statement.h"

/* The entry that a Var from outside refers to, or NULL. */
static RangeTblEntry *
outer_entry(SgWalk *walk, Var *var)
{
	Query	   *query;

	if (var->varlevelsup >= list_length(walk->queries))
		return NULL;
	query = list_nth_node(Query, walk->queries, var->varlevelsup);
	return var->varno <= list_length(query->rtable) ?
		rt_fetch(var->varno, query->rtable) : NULL;
}

static char *
qualified(RangeTblEntry *rte, AttrNumber attnum)
{
	return psprintf("%s.%s", rte->eref->aliasname,
					get_rte_attribute_name(rte, attnum));
}

static bool
has_column(RangeTblEntry *rte, const char *name)
{
	ListCell   *lc;

	foreach(lc, rte->eref->colnames)
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	return false;
}

/* How unlike a column of a relation is to the name that was written. */
static int
distance(RangeTblEntry *rte, const char *column, const char *name)
{
	int			len = strlen(name);
	int			tail = len - (int) strlen(column) - 1;

	/* system_id of systems, where it is called id */
	if (tail > 0 && name[tail] == '_' && strcmp(name + tail + 1, column) == 0 &&
		(strncmp(rte->eref->aliasname, name, 1) == 0 ||
		 (OidIsValid(rte->relid) &&
		  strncmp(get_rel_name(rte->relid), name, tail) == 0)))
		return 0;
	return varstr_levenshtein(name, len,
							  column,
							  strlen(column),
							  1, 1, 1, true) + 1;
}

/* The column of the subquery that may have been meant, qualified, or NULL. */
static char *
similar_column(SgSubject *s, const char *name, SgFinding *finding)
{
	int			best = strlen(name) / 2 + 1;
	RangeTblEntry *in = NULL;
	AttrNumber	found = InvalidAttrNumber;
	ListCell   *lc;

	foreach(lc, s->sub->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		AttrNumber	attnum = 0;
		ListCell   *col;

		if (!sg_is_table_like(rte))
			continue;
		foreach(col, rte->eref->colnames)
		{
			char	   *column = strVal(lfirst(col));
			int			d;

			attnum++;
			if (*column == '\0')
				continue;		/* dropped */
			d = distance(rte, column, name);
			if (d < best)
			{
				best = d;
				in = rte;
				found = attnum;
			}
		}
	}
	if (in == NULL)
		return NULL;
	if (in->rtekind == RTE_RELATION)
		sg_finding_reads(finding, in->relid, found);
	return qualified(in, found);
}

/* The relations of a subquery, for a message: "s", or "s" and others. */
static char *
sources(SgSubject *s, int *n)
{
	char	   *first = NULL;
	ListCell   *lc;

	*n = 0;
	foreach(lc, s->sub->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (!sg_is_table_like(rte))
			continue;
		if (first == NULL)
			first = rte->eref->aliasname;
		(*n)++;
	}
	return first;
}

static void
say_why(SgSubject *s, SgFinding *finding, const char *name)
{
	int			n;
	char	   *source = sources(s, &n);
	char	   *similar = NULL;
	bool		has = false;
	ListCell   *lc;

	foreach(lc, s->sub->rtable)
		has = has || (sg_is_table_like(lfirst(lc)) && has_column(lfirst(lc), name));
	if (!has)
		similar = similar_column(s, name, finding);
	if (has)
		finding->detail = psprintf("Whether a row passes does not depend on the values in \"%s\".",
								   source);
	else
		finding->detail = psprintf(n > 1 ?
								   "No relation in the subquery has a column \"%2$s\", so the name refers to the one outside; whether a row passes does not depend on the values in \"%1$s\"." :
								   "\"%1$s\" has no column \"%2$s\", so the name refers to the one outside; whether a row passes does not depend on the values in \"%1$s\".",
								   source, name);
	finding->hint = similar ?
		psprintf("Perhaps \"%s\" was meant. Qualify the columns in the subquery with the relation that they belong to.",
				 similar) :
		psprintf("Qualify the columns in the subquery with the relation that they belong to, and use one of \"%s\".",
				 source);
}

/* Reports a column from outside that stands for one of the subquery. */
void
sg_say_outer(SgSubject *s, Var *outer, const char *form)
{
	SgWalk	   *walk = s->walk;
	RangeTblEntry *rte = outer_entry(walk, outer);
	SgFinding  *finding;
	const char *command = sg_command_name(walk->stmt->query);

	if (rte == NULL)
		return;
	finding = sg_new_finding(SG_RULE_OUTER_REFERENCE, walk->stmt);
	finding->location = outer->location >= 0 ? outer->location :
		exprLocation(s->link);
	finding->column_name = get_rte_attribute_name(rte, outer->varattno);
	finding->message = psprintf("%s table \"%s\" has a subquery that %s only \"%s\", which is a column from outside it",
								sg_command_on(walk->stmt->query),
								finding->table_name, form,
								qualified(rte, outer->varattno));
	finding->closed_message = psprintf("%s has a subquery that %s only columns from outside it",
									   command, form);
	say_why(s, finding, finding->column_name);
	walk->finding = finding;
}

/* Reports a column that is compared with itself. */
void
sg_say_itself(SgSubject *s, RangeTblEntry *rte, Var *var)
{
	SgWalk	   *walk = s->walk;
	SgFinding  *finding = sg_new_finding(SG_RULE_OUTER_REFERENCE, walk->stmt);
	const char *command = sg_command_name(walk->stmt->query);

	finding->location = var->location >= 0 ? var->location : exprLocation(s->link);
	finding->column_name = get_rte_attribute_name(rte, var->varattno);
	finding->message = psprintf("%s table \"%s\" has a subquery that compares \"%s\" with itself",
								sg_command_on(walk->stmt->query),
								finding->table_name,
								qualified(rte, var->varattno));
	finding->detail = pstrdup("Both sides are the same column, so the subquery is the same for every row outside it.");
	finding->hint = pstrdup("Give the relation in the subquery an alias, and compare its column with that of the one outside.");
	finding->closed_message = psprintf("%s has a subquery that compares a column with itself",
									   command);
	walk->finding = finding;
}
