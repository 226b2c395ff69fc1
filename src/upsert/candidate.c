/*-------------------------------------------------------------------------
 *
 * candidate.c
 *		Holds one index against the ON CONFLICT of a statement.
 *
 * Asks what the planner asks of an index, one question after the other, to
 * learn at which it failed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"

#include "safeguard.h"
#include "upsert/arbiter.h"

/* Columns of the table as nodes: what an element and an index column are. */
static List *
index_columns(Relation index)
{
	List	   *exprs = RelationGetIndexExpressions(index);
	List	   *result = NIL;
	int			next = 0;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	att = index->rd_index->indkey.values[i];

		if (att != 0)
			result = lappend(result, makeInteger(att));
		else
			result = lappend(result, list_nth(exprs, next++));
	}
	return result;
}

/*
 * Is an element of ON CONFLICT this column of an index?
 */
static bool
element_is(Node *expr, Node *column)
{
	if (IsA(column, Integer))
		return IsA(expr, Var) && ((Var *) expr)->varattno == intVal(column);
	return equal(expr, column);
}

static Bitmapset *
columns_used(Node *node)
{
	Bitmapset  *used = NULL;

	if (IsA(node, Integer))
		return bms_make_singleton(intVal(node) -
								  FirstLowInvalidHeapAttributeNumber);
	pull_varattnos(node, 1, &used);
	return used;
}

/* ---------------- columns ---------------- */

static char *
column_text(SgArbitration *arb, Node *column)
{
	if (IsA(column, Integer))
		return pstrdup(quote_identifier(get_attname(arb->relid,
													intVal(column), false)));
	return sg_arbiter_element(arb, column);
}

/* Elements of ON CONFLICT that are no column of the index, as nodes. */
static List *
lacking_elements(SgArbitration *arb, List *columns)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, arb->elems)
	{
		Node	   *expr = (Node *) lfirst_node(InferenceElem, lc)->expr;
		bool		found = false;
		ListCell   *lc2;

		foreach(lc2, columns)
			found = found || element_is(expr, lfirst(lc2));
		if (!found && !list_member(result, expr))
			result = lappend(result, expr);
	}
	return result;
}

/* Columns of the index that are no element of ON CONFLICT, as nodes. */
static List *
surplus_columns(SgArbitration *arb, List *columns)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		bool		found = false;
		ListCell   *lc2;

		foreach(lc2, arb->elems)
			found = found ||
				element_is((Node *) lfirst_node(InferenceElem, lc2)->expr,
						   lfirst(lc));
		if (!found && !list_member(result, lfirst(lc)))
			result = lappend(result, lfirst(lc));
	}
	return result;
}

/*
 * Is it an expression in place of a column, or the other way round?
 */
static bool
differs_by_expression(List *lacking, List *surplus)
{
	if (list_length(lacking) != 1 || list_length(surplus) != 1)
		return false;
	return bms_equal(columns_used(linitial(lacking)),
					 columns_used(linitial(surplus)));
}

static void
judge_columns(SgArbitration *arb, SgCandidate *candidate, List *columns)
{
	List	   *lacking = lacking_elements(arb, columns);
	List	   *surplus = surplus_columns(arb, columns);
	ListCell   *lc;

	foreach(lc, lacking)
		candidate->lacking = lappend(candidate->lacking,
									 sg_arbiter_element(arb, lfirst(lc)));
	foreach(lc, surplus)
		candidate->surplus = lappend(candidate->surplus,
									 column_text(arb, lfirst(lc)));
	if (lacking == NIL && surplus == NIL)
		candidate->misfit = SG_MISFIT_NONE;
	else if (differs_by_expression(lacking, surplus))
		candidate->misfit = SG_MISFIT_EXPRESSION;
	else if (list_length(surplus) < list_length(columns))
		candidate->misfit = SG_MISFIT_COLUMNS;
	else
		candidate->misfit = SG_MISFIT_DISJOINT;
}

/* ---------------- collation and operator class ---------------- */

static bool
collation_fits(InferenceElem *elem, Relation index, int i)
{
	return !OidIsValid(elem->infercollid) ||
		elem->infercollid == index->rd_indcollation[i];
}

static bool
opclass_fits(InferenceElem *elem, Relation index, int i)
{
	return !OidIsValid(elem->inferopclass) ||
		(get_opclass_family(elem->inferopclass) == index->rd_opfamily[i] &&
		 get_opclass_input_type(elem->inferopclass) == index->rd_opcintype[i]);
}

/* Is an element served by any column of the index? */
static void
judge_element(SgArbitration *arb, SgCandidate *candidate, Relation index,
			  List *columns, InferenceElem *elem)
{
	bool		collation = false;

	for (int i = 0; i < list_length(columns); i++)
	{
		if (!element_is((Node *) elem->expr, list_nth(columns, i)))
			continue;
		if (collation_fits(elem, index, i))
		{
			if (opclass_fits(elem, index, i))
				return;
			collation = true;
		}
	}
	candidate->element = sg_arbiter_element(arb, (Node *) elem->expr);
	candidate->misfit = collation ? SG_MISFIT_OPCLASS : SG_MISFIT_COLLATION;
	candidate->wanted = collation ? generate_opclass_name(elem->inferopclass) :
		generate_collation_name(elem->infercollid);
}

/* ---------------- predicate ---------------- */

/*
 * Is there a parameter in an expression?  For expression_tree_walker.
 */
bool
sg_has_parameter(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return true;
	return expression_tree_walker(node, sg_has_parameter, context);
}

static void
judge_predicate(SgArbitration *arb, SgCandidate *candidate, Relation index)
{
	List	   *predicate = RelationGetIndexPredicate(index);

	if (predicate == NIL || predicate_implied_by(predicate, arb->where, false))
		return;
	if (sg_has_parameter((Node *) arb->where, NULL))
		candidate->misfit = SG_MISFIT_PARAMETER;
	else if (arb->where == NIL)
		candidate->misfit = SG_MISFIT_NOT_REPEATED;
	else
		candidate->misfit = SG_MISFIT_NOT_IMPLIED;
}

/* ---------------- the whole ---------------- */

static void
judge(SgArbitration *arb, SgCandidate *candidate, Relation index,
	  List *columns)
{
	ListCell   *lc;

	judge_columns(arb, candidate, columns);
	foreach(lc, arb->elems)
	{
		if (candidate->misfit == SG_MISFIT_NONE)
			judge_element(arb, candidate, index, columns, lfirst(lc));
	}
	if (candidate->misfit == SG_MISFIT_NONE)
		judge_predicate(arb, candidate, index);
	if (candidate->misfit != SG_MISFIT_NONE)
		return;
	if (candidate->exclusion)
		candidate->misfit = SG_MISFIT_EXCLUSION;
	else if (!candidate->unique)
		candidate->misfit = SG_MISFIT_NOT_UNIQUE;
	else if (!candidate->valid)
		candidate->misfit = SG_MISFIT_INVALID;
}

/* May the user read all the columns that the index is about? */
static bool
index_is_readable(Relation index, List *columns)
{
	Bitmapset  *used = NULL;
	List	   *reads = NIL;
	int			i = -1;
	ListCell   *lc;

	foreach(lc, columns)
		used = bms_add_members(used, columns_used(lfirst(lc)));
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &used);
	while ((i = bms_next_member(used, i)) >= 0)
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));

		ref->relid = index->rd_index->indrelid;
		ref->attnum = i + FirstLowInvalidHeapAttributeNumber;
		reads = lappend(reads, ref);
	}
	return sg_columns_are_readable(reads);
}

static SgCandidate *
make_candidate(SgArbitration *arb, Relation index, List *columns)
{
	SgCandidate *candidate = palloc0(sizeof(SgCandidate));
	Form_pg_index form = index->rd_index;
	List	   *predicate = RelationGetIndexPredicate(index);

	candidate->index = form->indexrelid;
	candidate->name = pstrdup(RelationGetRelationName(index));
	candidate->columns = psprintf("(%s)",
								  pg_get_indexdef_columns(form->indexrelid,
														  false));
	if (predicate != NIL)
		candidate->condition =
			sg_arbiter_element(arb,
							   (Node *) make_ands_explicit(predicate));
	/* what is unique without overlaps is an exclusion constraint */
	candidate->exclusion = form->indisexclusion;
	candidate->unique = form->indisunique && !form->indisexclusion;
	candidate->valid = form->indisvalid;
	candidate->deferrable = !form->indimmediate;
	candidate->partitioned =
		index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX;
	judge(arb, candidate, index, columns);
	return candidate;
}

/*
 * Hold an index of the target against the ON CONFLICT.  Returns NULL if it is
 * nothing to talk about; *hidden tells whether that is because the user may
 * not read what it is about.
 */
SgCandidate *
sg_candidate(SgArbitration *arb, Oid indexid, bool *hidden)
{
	Relation	index = index_open(indexid, AccessShareLock);
	List	   *columns = index_columns(index);
	SgCandidate *candidate = make_candidate(arb, index, columns);

	*hidden = candidate->unique && candidate->misfit != SG_MISFIT_NONE &&
		!index_is_readable(index, columns);
	index_close(index, AccessShareLock);
	if (*hidden)
		return NULL;
	/* an index that is no key is worth a word only if nothing else fails */
	if (!candidate->unique && candidate->misfit != SG_MISFIT_NOT_UNIQUE &&
		candidate->misfit != SG_MISFIT_EXCLUSION)
		return NULL;
	return candidate;
}
