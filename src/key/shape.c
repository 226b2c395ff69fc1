/*-------------------------------------------------------------------------
 *
 * shape.c
 *		Comparisons that are wrong by their shape (step 4 of composite_key).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_class.h"

#include "key/match.h"

/* Is T.att equal to the column "col" of S? */
static bool
equals_source(SgMatch *match, AttrNumber att, SgItem *item, AttrNumber col)
{
	SgNode	   *target = sg_target_node(match->scene, att);
	SgNode	   *node = sg_node_known(match->scene, item, col);

	return target && node && sg_equal_root(target) == sg_equal_root(node);
}

/*
 * (a, b) IN (SELECT b, a): two key columns are compared with each other's
 * sibling in one row.  Not so if both reference the same parent: the edges
 * of a graph may be turned round.
 */
bool
sg_crossed(SgMatch *match)
{
	Oid			relid = match->target->relid;
	int			a = -1;

	while ((a = bms_next_member(match->matched, a)) >= 0)
	{
		SgSibling	sa = sg_sibling(match, match->source, a);
		int			b = a;

		if (sa.item != match->source || sa.by_name)
			continue;
		while ((b = bms_next_member(match->matched, b)) >= 0)
		{
			SgSibling	sb = sg_sibling(match, match->source, b);
			Bitmapset  *both = bms_make_singleton(a);

			if (sb.item != match->source || sb.by_name || sa.att == sb.att ||
				!equals_source(match, a, sb.item, sb.att) ||
				!equals_source(match, b, sa.item, sa.att) ||
				equals_source(match, a, sa.item, sa.att) ||
				sg_same_parent(match->catalog, relid, a, relid, b))
				continue;
			both = bms_add_member(both, b);
			match->verdict = sg_any_foreign(match, bms_make_singleton(a)) ||
				sg_any_foreign(match, bms_make_singleton(b)) ||
				sg_any_foreign(match, both) ?
				SG_VERDICT_REJECT : SG_VERDICT_DOUBT;
			match->reason = SG_REASON_CROSSED;
			match->about = a;
			match->sibling = sb;
			return true;
		}
	}
	return false;
}

/* Is a column of S the key that T.att references, or a reference to it? */
static bool
names_parent(SgMatch *match, AttrNumber att, AttrNumber col)
{
	Oid			relid = match->target->relid;
	Oid			source = match->source->relid;

	return sg_references(match->catalog, relid, att, source, col) ||
		sg_same_parent(match->catalog, relid, att, source, col);
}

/*
 * A key column is compared with what another, unmatched key column
 * references, and does not reference it itself.
 */
bool
sg_other_parent(SgMatch *match)
{
	int			att = -1;

	if (!OidIsValid(match->source->relid) ||
		bms_is_subset(match->key->set, match->matched))
		return false;
	while ((att = bms_next_member(match->matched, att)) >= 0)
	{
		AttrNumber	col = sg_source_column(match, att);
		SgSibling	own;
		int			other = -1;

		if (col <= 0 ||
			sg_same_column(match->catalog, match->target->relid, att,
						   match->source->relid, col) ||
			names_parent(match, att, col) ||
			sg_references(match->catalog, match->source->relid, col,
						  match->target->relid, att))
			continue;
		own = sg_sibling(match, match->source, att);
		if (own.item && !own.by_name &&
			equals_source(match, att, own.item, own.att))
			continue;
		while ((other = bms_next_member(match->key->set, other)) >= 0)
			if (!bms_is_member(other, match->matched) &&
				names_parent(match, other, col))
			{
				match->verdict = SG_VERDICT_REJECT;
				match->reason = SG_REASON_OTHER_PARENT;
				match->about = other;
				match->sibling.item = match->source;
				match->sibling.att = col;
				return true;
			}
	}
	return false;
}

/* The form in which a row is compared with the target. */
static bool
many_valued(SgScene *scene, SgItem *row)
{
	ListCell   *lc;

	foreach(lc, scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);

		if (sg_row(tie->node->item) == row && tie->kind == SG_TIE_EQUAL &&
			tie->form == SG_FORM_SCALAR)
			return false;
	}
	return true;
}

/* Has the source column that T.att is compared with a value in "item"? */
static bool
fixed_in(SgItem *item, SgMatch *named, AttrNumber att)
{
	AttrNumber	col = sg_source_column(named, att);
	SgNode	   *node = col > 0 ?
		sg_node_known(named->scene, item, col) : NULL;

	return node && sg_has_value(sg_equal_root(node)->pins);
}

/*
 * What to say of two sources that split the rows of one relation.  Columns
 * that reference one parent are ends of edges, sides of a closure table.  Where
 * each source is fixed to a value in the column that the other one hands over,
 * the ancestors of a node and its descendants, they cannot be meant as one row:
 * every pair is what a subtree is moved by.
 */
static SgVerdict
judge_split(SgMatch *match, SgMatch *other, AttrNumber att)
{
	Oid			relid = match->target->relid;
	Bitmapset  *mine = bms_difference(match->all_matched, other->all_matched);
	int			m = -1;

	while ((m = bms_next_member(mine, m)) >= 0)
		if (sg_same_parent(match->catalog, relid, m, relid, att) &&
			fixed_in(match->source, other, att) &&
			fixed_in(other->source, match, m))
			return SG_VERDICT_ACCEPT;
	return SG_VERDICT_REJECT;
}

/*
 * Two sources from one relation, each compared with other key columns: the
 * result is every pair of their values, not the rows they were read from.
 */
bool
sg_split_rows(SgMatch *match)
{
	ListCell   *lc;

	if (!OidIsValid(match->source->relid) ||
		sg_source_key_matched(match) ||
		!many_valued(match->scene, match->row))
		return false;
	foreach(lc, match->scene->items)
	{
		SgItem	   *item = (SgItem *) lfirst(lc);
		SgMatch		other = *match;
		Bitmapset  *more;
		int			att = -1;

		if (item->number == 0 || sg_row(item) == match->row ||
			!item->judged ||
			!sg_same_tree(match->catalog, item->relid, match->source->relid) ||
			!many_valued(match->scene, sg_row(item)))
			continue;
		other.source = item;
		other.row = sg_row(item);
		other.all_matched = sg_matched_columns(match->scene, other.row);
		other.matched = bms_intersect(other.all_matched, match->key->set);
		more = bms_difference(other.matched, match->matched);
		sg_count_pins(&other);
		while ((att = bms_next_member(more, att)) >= 0)
			if (sg_source_column(&other, att) > 0 &&
				!bms_is_member(sg_source_column(&other, att),
							   match->source_cols) &&
				!sg_source_key_matched(&other))
			{
				match->verdict = judge_split(match, &other, att);
				match->reason = SG_REASON_SPLIT_ROWS;
				match->about = att;
				match->sibling.item = item;
				match->sibling.att = sg_source_column(&other, att);
				return true;
			}
	}
	return false;
}

/* May rows of an item lie in several tables? */
static bool
many_tables(SgCatalog *catalog, SgItem *item)
{
	return OidIsValid(item->relid) && item->rte->inh &&
		sg_relation(catalog, item->relid)->has_children;
}

static bool
system_column_tied(SgScene *scene, AttrNumber att, SgItem **source)
{
	SgNode	   *target = sg_target_node(scene, att);
	SgNode	   *node;

	if (target == NULL)
		return false;
	for (node = target->next; node != target; node = node->next)
		if (node->item != scene->target && node->att == att)
		{
			if (source)
				*source = node->item;
			return true;
		}
	return false;
}

/*
 * ctid compared without tableoid where the rows lie in several tables: one
 * ctid exists in each of them.
 */
bool
sg_ctid_only(SgScene *scene, SgCatalog *catalog, SgItem **source)
{
	SgNode	   *tableoid = sg_target_node(scene, TableOidAttributeNumber);

	if (!system_column_tied(scene, SelfItemPointerAttributeNumber, source))
		return false;
	if (!(*source)->judged ||
		system_column_tied(scene, TableOidAttributeNumber, NULL) ||
		(tableoid && sg_equal_root(tableoid)->pins != NIL))
		return false;
	return many_tables(catalog, scene->target) ||
		many_tables(catalog, *source);
}

/* Does ctid, with tableoid where it is needed, identify the target's row? */
bool
sg_ctid_covers(SgScene *scene, SgCatalog *catalog)
{
	SgItem	   *source;

	return system_column_tied(scene, SelfItemPointerAttributeNumber,
							  &source) &&
		(scene->target->relid == source->relid ||
		 system_column_tied(scene, TableOidAttributeNumber, NULL)) &&
		!sg_ctid_only(scene, catalog, &source);
}
