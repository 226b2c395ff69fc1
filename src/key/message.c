/*-------------------------------------------------------------------------
 *
 * message.c
 *		The words of a composite_key finding.
 *
 * Names are those of the statement wherever it has any: aliases of its
 * sources, the corrected condition in the form it used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "key/match.h"

/* The tie that the message is about: M's first one, with S if possible. */
static SgTie *
main_tie(SgMatch *match)
{
	SgTie	   *best = NULL;
	int			best_score = -1;
	ListCell   *lc;

	foreach(lc, match->scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);
		int			score = 0;

		if (sg_row(tie->node->item) != match->row ||
			!bms_is_member(Max(tie->att, 0), match->matched))
			continue;
		if (tie->kind == SG_TIE_EQUAL)
			score += 2;
		if (tie->node->item == match->source)
			score += 1;
		if (score > best_score)
		{
			best = tie;
			best_score = score;
		}
	}
	return best;
}

/* Does the corrected condition belong into a subquery's select list? */
bool
sg_by_output(SgTie *tie)
{
	return tie && (tie->form == SG_FORM_IN || tie->form == SG_FORM_NOT_IN ||
				   tie->form == SG_FORM_SCALAR) &&
		!IsA(tie->origin, Var) && tie->outside;
}

char *
sg_column_name(SgItem *item, AttrNumber att)
{
	RangeTblEntry *rte = item->rte;
	char	   *name = NULL;

	if (OidIsValid(item->relid))
		name = get_attname(item->relid, att, true);
	else
	{
		/* the names that a VALUES list was given are those of its wrapper */
		if (rte->rtekind == RTE_VALUES && item->scope->rte)
			rte = item->scope->rte;
		if (att > 0 && att <= list_length(rte->eref->colnames))
			name = strVal(list_nth(rte->eref->colnames, att - 1));
	}
	return name ? name : pstrdup("?column?");
}

/* Is an item read in a scope, or in a subquery, CTE or view of its FROM? */
static bool
scope_reads(SgScope *scope, SgItem *item)
{
	check_stack_depth();
	while (scope && scope->arm)
		scope = scope->arm;
	if (scope == NULL || scope == item->scope)
		return scope != NULL;
	for (int rti = 1; rti <= list_length(scope->query->rtable); rti++)
		if (scope_reads(scope->entries[rti].sub, item))
			return true;
	return false;
}

/*
 * The subquery, CTE or view in the selecting scope of a tie through which an
 * item is read, and its range table index; NULL if the item stands there
 * itself.
 */
SgScope *
sg_source_subquery(SgItem *item, SgTie *tie, Index *rti)
{
	SgScope    *from = tie ? tie->scope : item->scope;

	while (from->arm)
		from = from->arm;
	if (item->scope == from)
		return NULL;
	for (*rti = 1; *rti <= list_length(from->query->rtable); (*rti)++)
	{
		SgScope    *sub = from->entries[*rti].sub;

		if (scope_reads(sub, item))
			return sub;
	}
	return NULL;
}

/* What the statement calls an item where it is selected from. */
char *
sg_source_alias(SgMatch *match, SgItem *item, SgTie *tie)
{
	SgScope    *from = tie ? tie->scope : item->scope;
	Index		rti;

	while (from->arm)
		from = from->arm;
	if (sg_source_subquery(item, tie, &rti) == NULL)
		return item->rte->eref->aliasname;
	return rt_fetch(rti, from->query->rtable)->eref->aliasname;
}

/* The columns of K in its order: (system_id, id) without the parentheses. */
char *
sg_key_columns(SgMatch *match)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < match->key->ncols; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 sg_column_name(match->scene->target,
									 match->key->cols[i]));
	return buf.data;
}

/* The columns of a set, each in double quotes: "a", "b" */
char *
sg_quoted_columns(SgMatch *match, Bitmapset *cols)
{
	StringInfoData buf;
	int			att = -1;

	initStringInfo(&buf);
	while ((att = bms_next_member(cols, att)) >= 0)
		appendStringInfo(&buf, "%s\"%s\"", buf.len ? ", " : "",
						 sg_column_name(match->scene->target, att));
	return buf.data;
}

/* What the source calls the columns of M, quoted alike. */
static char *
quoted_source_columns(SgMatch *match)
{
	StringInfoData buf;
	int			att = -1;

	initStringInfo(&buf);
	while ((att = bms_next_member(match->matched, att)) >= 0)
	{
		AttrNumber	col = sg_source_column(match, att);

		appendStringInfo(&buf, "%s\"%s\"", buf.len ? ", " : "",
						 col ? sg_column_name(match->source, col) :
						 sg_column_name(match->scene->target, att));
	}
	return buf.data;
}

/* ------------------------------------------------------------------------
 * Detail
 * ------------------------------------------------------------------------
 */

static const char *
source_noun(SgTie *tie)
{
	if (tie == NULL)
		return "statement";
	switch (tie->form)
	{
		case SG_FORM_JOIN:
			return "join";
		case SG_FORM_MERGE:
			return "MERGE condition";
		default:
			return "subquery";
	}
}

static char *
make_detail(SgMatch *match, SgTie *tie)
{
	char	   *table = sg_column_name(match->scene->target, match->about);
	char	   *matched = sg_quoted_columns(match, match->matched);
	const char *noun = source_noun(tie);
	bool		returns = sg_by_output(tie);
	char	   *rel = get_rel_name(match->target->relid);
	char	   *alone = psprintf("%s alone %s not identify a row of \"%s\".",
								 matched,
								 bms_membership(match->matched) == BMS_MULTIPLE ?
								 "do" : "does", rel);
	char	   *sibling = match->sibling.item ?
		sg_column_name(match->sibling.item, match->sibling.att) : table;
	char	   *source = match->source ? sg_source_alias(match, match->source, tie) :
		pstrdup("");

	switch (match->reason)
	{
		case SG_REASON_USED_INSIDE:
			return psprintf(returns ?
							"The %s returns %s but drops \"%s\", which it restricts inside; %s" :
							"The %s compares %s but not \"%s\", which it restricts inside; %s",
							noun, quoted_source_columns(match), sibling,
							alone);
		case SG_REASON_LIMITED_OUTSIDE:
			return psprintf("The statement restricts \"%s\" of \"%s\", but not to that of the row that %s is taken from; %s",
							table, rel, matched, alone);
		case SG_REASON_OTHER_VALUE:
			return psprintf("\"%s\" is restricted to another value in \"%s\" than in the rows that %s is taken from; %s",
							table, rel, matched, alone);
		case SG_REASON_HALF_FOREIGN_KEY:
			return psprintf("%s is one part of a composite foreign key between \"%s\" and \"%s\", whose other part \"%s\" is not compared; %s",
							matched, rel, get_rel_name(match->source->relid),
							table, alone);
		case SG_REASON_HALF_KEY:
			return psprintf(returns ?
							"The %s returns %s but not \"%s\"; %s" :
							"The %s compares %s but not \"%s\"; %s",
							noun, quoted_source_columns(match), sibling,
							alone);
		case SG_REASON_CROSSED:
			return psprintf("\"%s\" is compared with \"%s\" of \"%s\", and the other way round.",
							table, sibling, source);
		case SG_REASON_OTHER_PARENT:
			return psprintf("%s is compared with \"%s\" of \"%s\", which is what \"%s\" references.",
							matched, sibling, source, table);
		case SG_REASON_SPLIT_ROWS:
			return psprintf("%s and \"%s\" are compared with rows of \"%s\" that need not be the same row.",
							matched, table, source);
		case SG_REASON_CTID:
			return psprintf("The rows lie in several tables, and a ctid identifies a row within one table only.");
	}
	return NULL;
}

/* ------------------------------------------------------------------------
 * All of it
 * ------------------------------------------------------------------------
 */

static List *
add_read(List *reads, Oid relid, AttrNumber att)
{
	SgColumnRef *ref = palloc(sizeof(SgColumnRef));

	ref->relid = relid;
	ref->attnum = att;
	return lappend(reads, ref);
}

static List *
make_reads(SgMatch *match)
{
	List	   *reads = NIL;

	for (int i = 0; i < match->key->ncols; i++)
	{
		SgSibling	sibling;

		reads = add_read(reads, match->target->relid, match->key->cols[i]);
		if (match->source == NULL)
			continue;
		sibling = sg_sibling(match, match->source, match->key->cols[i]);
		if (sibling.item && OidIsValid(sibling.item->relid))
			reads = add_read(reads, sibling.item->relid, sibling.att);
	}
	return reads;
}

static const char *
command_name(SgMatch *match)
{
	switch (match->scene->stmt->query->commandType)
	{
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		default:
			return "MERGE";
	}
}

/*
 * Makes the finding of a match whose verdict is doubt or reject, in the
 * current memory context.
 */
SgFinding *
sg_match_finding(SgMatch *match)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	SgTie	   *tie = main_tie(match);
	Oid			relid = match->target->relid;
	const char *command = command_name(match);

	finding->rule = match->verdict == SG_VERDICT_DOUBT ?
		SG_RULE_COMPOSITE_KEY_DOUBT : SG_RULE_COMPOSITE_KEY;
	finding->relid = relid;
	finding->location = match->origin ? exprLocation(match->origin) :
		tie ? exprLocation(tie->origin) : -1;
	finding->reads = make_reads(match);
	finding->schema_name = get_namespace_name(get_rel_namespace(relid));
	finding->table_name = get_rel_name(relid);
	if (match->about > 0)
		finding->column_name = sg_column_name(match->scene->target, match->about);
	finding->constraint_name = match->key->foreign ?
		get_constraint_name(match->key->oid) : get_rel_name(match->key->oid);
	if (match->reason == SG_REASON_CTID)
		finding->message = psprintf("%s matches table \"%s\" by ctid without tableoid",
									command, finding->table_name);
	else
		finding->message = psprintf("%s matches table \"%s\" by part of its %s (%s)",
									command, finding->table_name,
									match->key->foreign ? "foreign key" : "key",
									sg_key_columns(match));
	finding->detail = make_detail(match, tie);
	finding->hint = sg_make_hint(match, tie);
	finding->closed_message = psprintf("%s matches its target by part of a composite key",
									   command);
	return finding;
}
