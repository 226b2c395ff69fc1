/*-------------------------------------------------------------------------
 *
 * hint.c
 *		What to write instead, or to declare.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "key/match.h"

static char *
target_alias(SgMatch *match)
{
	return match->scene->target->rte->eref->aliasname;
}

static void
append_name(StringInfo buf, const char *alias, const char *column)
{
	if (alias)
		appendStringInfo(buf, "%s.", quote_identifier(alias));
	appendStringInfoString(buf, quote_identifier(column));
}

/*
 * The name by which the subquery, CTE or view that an item lies in shows a
 * column of it.  If it does not show it, the column's own name, which is
 * added to *missing: it must be put out there first.
 */
static char *
exposed_name(SgMatch *match, SgItem *item, AttrNumber col, SgTie *tie,
			 List **missing)
{
	Index		rti;
	SgScope    *sub = sg_source_subquery(item, tie, &rti);
	char	   *own = sg_column_name(item, col);
	SgScope    *inner;
	SgScope    *from = tie ? tie->scope : item->scope;
	RangeTblEntry *rte;

	if (sub == NULL)
		return own;
	while (from->arm)
		from = from->arm;
	rte = rt_fetch(rti, from->query->rtable);
	for (int resno = 1; resno <= list_length(rte->eref->colnames); resno++)
	{
		Node	   *expr;

		inner = sub;
		expr = sg_scope_output(&inner, resno);
		if (expr != NULL)
		{
			SgValue		value = sg_value(match->scene, inner, NULL, expr);

			if (value.kind == SG_VALUE_COLUMN && value.node->item == item &&
				value.node->att == col)
				return strVal(list_nth(rte->eref->colnames, resno - 1));
		}
	}
	*missing = lappend(*missing, psprintf("\"%s\" to \"%s\"", own,
										  rte->eref->aliasname));
	return own;
}

/* The source column of a column of K, or its sibling; NULL if neither. */
static char *
source_of_key(SgMatch *match, AttrNumber att, SgTie *tie, bool qualify,
			  List **missing)
{
	AttrNumber	col = bms_is_member(att, match->matched) ?
		sg_source_column(match, att) : InvalidAttrNumber;
	SgItem	   *item = match->source;
	StringInfoData buf;

	if (col == InvalidAttrNumber || match->reason == SG_REASON_CROSSED)
	{
		SgSibling	sibling = sg_sibling(match, match->source, att);

		if (sibling.item == NULL)
			return NULL;
		item = sibling.item;
		col = sibling.att;
	}
	initStringInfo(&buf);
	append_name(&buf, qualify ? sg_source_alias(match, item, tie) : NULL,
				exposed_name(match, item, col, tie, missing));
	return buf.data;
}

/* (system_id, id) IN (SELECT pi.system_id, pi.id ...) */
static char *
corrected_output(SgMatch *match, SgTie *tie, List **missing)
{
	StringInfoData left;
	StringInfoData right;
	bool		qualify = list_length(match->scene->stmt->query->rtable) > 1 &&
		match->scene->stmt->query->commandType != CMD_MERGE &&
		list_length(match->scene->stmt->query->jointree->fromlist) > 1;
	const char *op = "IN";

	if (IsA(tie->origin, ScalarArrayOpExpr))
		op = ((ScalarArrayOpExpr *) tie->origin)->useOr ? "IN" : "NOT IN";
	else if (tie->form == SG_FORM_SCALAR)
		op = "=";
	else if (tie->form == SG_FORM_NOT_IN)
		op = "NOT IN";

	initStringInfo(&left);
	initStringInfo(&right);
	for (int i = 0; i < match->key->ncols; i++)
	{
		char	   *source = source_of_key(match, match->key->cols[i], tie,
										   true, missing);

		if (source == NULL)
			continue;
		if (left.len)
		{
			appendStringInfoString(&left, ", ");
			appendStringInfoString(&right, ", ");
		}
		append_name(&left, qualify ? target_alias(match) : NULL,
					sg_column_name(match->scene->target, match->key->cols[i]));
		appendStringInfoString(&right, source);
	}
	return psprintf("WHERE (%s) %s (SELECT %s ...)", left.data, op,
					right.data);
}

/* AND t.system_id = p.system_id */
static char *
corrected_join(SgMatch *match, SgTie *tie, List **missing)
{
	StringInfoData buf;
	int			att = -1;

	initStringInfo(&buf);
	while ((att = bms_next_member(match->dropped, att)) >= 0)
	{
		char	   *source = source_of_key(match, att, tie, true, missing);

		if (source == NULL)
			continue;
		appendStringInfoString(&buf, buf.len ? " AND " : "AND ");
		append_name(&buf, target_alias(match),
					sg_column_name(match->scene->target, att));
		appendStringInfo(&buf, " = %s", source);
	}
	return buf.data;
}

/* The dropped columns that have a sibling to compare them with. */
static Bitmapset *
comparable_dropped(SgMatch *match)
{
	Bitmapset  *result = NULL;
	int			att = -1;

	while ((att = bms_next_member(match->dropped, att)) >= 0)
		if (sg_sibling(match, match->source, att).item != NULL)
			result = bms_add_member(result, att);
	return result;
}

/* A relation as it can be written in a statement, without its quotes. */
static char *
relation_reference(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		return pstrdup("?");
	if (RelationIsVisible(relid))
		return pstrdup(quote_identifier(name));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/* What to declare if the matched column does identify a row, or NULL. */
static char *
declaration(SgMatch *match)
{
	int			att;
	char	   *column;

	if (bms_membership(match->matched) != BMS_SINGLETON ||
		sg_any_foreign(match, match->matched) ||
		match->reason == SG_REASON_CROSSED ||
		match->reason == SG_REASON_OTHER_PARENT ||
		match->key->foreign)
		return NULL;
	att = bms_singleton_member(match->matched);
	column = sg_column_name(match->scene->target, att);
	return psprintf("If \"%s\" alone identifies a row, declare it: SELECT safeguard.set_column(%s, %s, 'identity').",
					column,
					quote_literal_cstr(relation_reference(match->target->relid)),
					quote_literal_cstr(column));
}

/* The hint of a finding, about its main tie. */
char *
sg_make_hint(SgMatch *match, SgTie *tie)
{
	StringInfoData buf;
	char	   *declare = match->reason == SG_REASON_OTHER_VALUE ? NULL :
		declaration(match);
	List	   *missing = NIL;
	Bitmapset  *comparable = match->reason == SG_REASON_CTID ? NULL :
		comparable_dropped(match);
	char	   *what = bms_equal(comparable, match->dropped) ?
		pstrdup("the whole key") :
		psprintf("%s as well", sg_quoted_columns(match, comparable));

	initStringInfo(&buf);
	if (match->reason == SG_REASON_CTID)
		appendStringInfoString(&buf, "Compare tableoid as well: WHERE (tableoid, ctid) IN (SELECT tableoid, ctid ...).");
	else if (match->reason == SG_REASON_OTHER_PARENT)
		appendStringInfo(&buf, "Compare \"%s\" with \"%s\" of \"%s\" instead.",
						 sg_column_name(match->scene->target, match->about),
						 sg_column_name(match->sibling.item, match->sibling.att),
						 sg_source_alias(match, match->sibling.item, tie));
	else if (match->reason == SG_REASON_OTHER_VALUE)
		appendStringInfo(&buf, "If rows of different \"%s\" are meant, allow it for this transaction: SET LOCAL safeguard.composite_key = record.",
						 sg_column_name(match->scene->target, match->about));
	else if (match->reason == SG_REASON_SPLIT_ROWS && !sg_by_output(tie))
		appendStringInfo(&buf, "Compare the whole key with one row of \"%s\".",
						 sg_source_alias(match, match->source, tie));
	else if (match->reason == SG_REASON_SPLIT_ROWS)
		appendStringInfo(&buf, "Compare the whole key with one row: WHERE (%s) IN (SELECT %s ...).",
						 sg_key_columns(match), sg_key_columns(match));
	else if (bms_is_empty(comparable) && match->reason != SG_REASON_CROSSED)
		appendStringInfo(&buf, "Restrict %s as well.",
						 sg_quoted_columns(match, match->dropped));
	else if (sg_by_output(tie))
		appendStringInfo(&buf, "Compare %s: %s", what,
						 corrected_output(match, tie, &missing));
	else
		appendStringInfo(&buf, "Compare %s: add %s", what,
						 corrected_join(match, tie, &missing));
	if (buf.data[buf.len - 1] != '.')
	{
		ListCell   *lc;

		foreach(lc, missing)
			appendStringInfo(&buf, "%s%s",
							 lc == list_head(missing) ? ", after adding " : " and ",
							 (char *) lfirst(lc));
		appendStringInfoChar(&buf, '.');
	}
	if (declare)
		appendStringInfo(&buf, " %s", declare);
	return buf.data;
}
