/*-------------------------------------------------------------------------
 *
 * identify.c
 *		Is the row of the target identified (steps 1 to 3 of composite_key)?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"

#include "key/match.h"

/* Are there rows of the target outside the reach of its unique indexes? */
static bool
keys_leak(SgMatch *match)
{
	return match->target->relkind != RELKIND_PARTITIONED_TABLE &&
		match->target->has_children && match->scene->target->rte->inh;
}

/*
 * Columns of the target that this row determines in any way: equal, computed
 * from it, or compared with their own sibling in it.
 */
static Bitmapset *
determined_columns(SgMatch *match)
{
	Bitmapset  *result = bms_union(match->all_matched, match->pinned);
	ListCell   *lc;

	foreach(lc, match->scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);

		if (tie->att <= 0 || sg_row(tie->node->item) != match->row)
			continue;
		if (tie->kind == SG_TIE_COMPARED)
		{
			SgSibling	own = sg_sibling(match, tie->node->item, tie->att);

			if (own.item != tie->node->item || own.att != tie->node->att)
				continue;
		}
		result = bms_add_member(result, tie->att);
	}
	return result;
}

/* The everyday case: each key column equals itself in another row of T. */
bool
sg_same_columns(SgMatch *match)
{
	if (match->key->foreign ||
		match->source->relid != match->target->relid ||
		!bms_is_subset(match->key->set, match->all_matched))
		return false;
	for (int i = 0; i < match->key->ncols; i++)
		if (sg_source_column(match, match->key->cols[i]) != match->key->cols[i])
			return false;
	return true;
}

/* Step 1: some unique key is covered by one source row and pins. */
bool
sg_whole_key(SgMatch *match)
{
	Bitmapset  *known = determined_columns(match);
	SgAsked    *asked = match->asked;
	ListCell   *lc;

	if (asked->known && bms_equal(asked->known, known))
		return asked->whole;
	asked->known = known;
	asked->whole = false;
	foreach(lc, match->target->keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		if (bms_is_subset(key->set, known) &&
			(key->ncols > 1 || !keys_leak(match)))
		{
			asked->whole = true;
			break;
		}
	}
	return asked->whole;
}

/* Does the statement say what a partial index demands of its rows? */
static bool
predicate_implied(SgMatch *match, SgKey *key)
{
	List	   *predicate = copyObject(key->predicate);

	ChangeVarNodes((Node *) predicate, 1, match->scene->target->rti, 0);
	return predicate_implied_by(predicate,
								make_ands_implicit((Expr *) match->scene->written),
								false);
}

/*
 * Step 2: the matched columns are unique by themselves.  By a whole index they
 * would have been a key in step 1.
 */
bool
sg_matched_is_unique(SgMatch *match)
{
	ListCell   *lc;

	if (keys_leak(match))
		return false;
	foreach(lc, match->target->partial_keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		if (bms_is_subset(key->set, match->all_matched) &&
			predicate_implied(match, key))
			return true;
	}
	return false;
}

/* Step 3: a matched column is numbered for this table. */
bool
sg_matched_is_generated(SgMatch *match)
{
	SgAsked    *asked = match->asked;
	int			att = -1;

	if (asked->matched && asked->matched == match->all_matched)
		return asked->generated;
	asked->matched = match->all_matched;
	asked->generated = false;
	while (!asked->generated &&
		   (att = bms_next_member(match->all_matched, att)) >= 0)
		asked->generated =
			sg_column_declared(match->catalog, match->target->relid, att) ||
			(!sg_has_foreign_key(match->catalog, match->target->relid, att,
								 bms_make_singleton(att)) &&
			 sg_column_generated(match->catalog, match->target->relid, att));
	return asked->generated;
}

/* Step 3: it may well be unique, although nothing says so. */
bool
sg_probably_unique(SgMatch *match)
{
	int			att = -1;

	while ((att = bms_next_member(match->matched, att)) >= 0)
		if (sg_column_is_uuid(match->target->relid, att) &&
			!sg_has_foreign_key(match->catalog, match->target->relid, att,
								match->matched))
			return true;
	return sg_local(match, match->matched) &&
		sg_time_keys(match, match->dropped);
}
