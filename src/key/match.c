/*-------------------------------------------------------------------------
 *
 * match.c
 *		Facts about one key of the target and one source row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

#include "key/match.h"

SgNode *
sg_target_node(SgScene *scene, AttrNumber att)
{
	return sg_node_known(scene, scene->target, att);
}

/* The column of S that a column of the target is equal to, or 0. */
AttrNumber
sg_source_column(SgMatch *match, AttrNumber att)
{
	SgNode	   *target = sg_target_node(match->scene, att);
	SgNode	   *node;

	if (target == NULL)
		return InvalidAttrNumber;
	for (node = target->next; node != target; node = node->next)
		if (node->item == match->source)
			return node->att;
	return InvalidAttrNumber;
}

/* All columns of the target that equal a column of a source row. */
Bitmapset *
sg_matched_columns(SgScene *scene, SgItem *row)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < scene->target->ncolumns; i++)
	{
		SgNode	   *target = scene->target->columns[i];
		SgNode	   *node;

		if (target == NULL || target->att <= 0)
			continue;
		for (node = target->next; node != target; node = node->next)
			if (node->item != scene->target && sg_row(node->item) == row)
			{
				result = bms_add_member(result, target->att);
				break;
			}
	}
	return result;
}

/* ------------------------------------------------------------------------
 * Siblings
 * ------------------------------------------------------------------------
 */

static AttrNumber
named_column_of(RangeTblEntry *rte, const char *name)
{
	ListCell   *lc;
	AttrNumber	att = 0;

	foreach(lc, rte->eref->colnames)
	{
		att++;
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return att;
	}
	return InvalidAttrNumber;
}

/*
 * Number of a column of a VALUES list, function, ... by its name, or 0.  The
 * parser wraps a VALUES list into a subquery, which alone has the names that
 * the writer gave it.
 */
static AttrNumber
named_output(SgMatch *match, SgItem *item, const char *name)
{
	AttrNumber	att = named_column_of(item->rte, name);
	SgScope    *scope;

	for (scope = item->scope; att == InvalidAttrNumber && scope && scope->rte;
		 scope = scope->parent)
	{
		SgScope    *inner = scope;
		Node	   *expr = sg_scope_output(&inner,
										   named_column_of(scope->rte, name));
		SgValue		value;

		if (expr == NULL)
			continue;
		value = sg_value(match->scene, inner, NULL, expr);
		if (value.kind == SG_VALUE_COLUMN && value.node->item == item)
			att = value.node->att;
	}
	return att;
}

/* Same column, mapped by a foreign key, or with the same parent; else 0. */
static AttrNumber
kin_column(SgMatch *match, Oid relid, AttrNumber att)
{
	Oid			target = match->target->relid;
	AttrNumber	found;

	if (!OidIsValid(relid))
		return InvalidAttrNumber;
	if (target == relid)
		return att;
	if (sg_same_tree(match->catalog, target, relid))
	{
		char	   *name = get_attname(target, att, true);

		return name ? get_attnum(relid, name) : InvalidAttrNumber;
	}
	found = sg_mapped_column(match->catalog, target, att, relid);
	if (found == InvalidAttrNumber)
		found = sg_parent_sibling(match->catalog, target, att, relid);
	return found;
}

/* Are columns of a source unique there, by a key or by a declaration? */
static bool
unique_in_source(SgMatch *match, Oid relid, Bitmapset *cols)
{
	SgAsked    *asked = match->asked;
	int			att = -1;

	if (asked->relid == relid && bms_equal(asked->cols, cols))
		return asked->unique;
	asked->relid = relid;
	asked->cols = bms_copy(cols);
	asked->unique = sg_is_unique_set(sg_relation(match->catalog, relid), cols);
	while (!asked->unique && (att = bms_next_member(cols, att)) >= 0)
		asked->unique = sg_column_declared(match->catalog, relid, att);
	return asked->unique;
}

/* A column of equal name and comparable type that is no key by itself. */
static AttrNumber
named_column(SgMatch *match, SgItem *source, AttrNumber att)
{
	char	   *name = get_attname(match->target->relid, att, true);
	AttrNumber	found;

	if (name == NULL)
		return InvalidAttrNumber;
	if (!OidIsValid(source->relid))
		return named_output(match, source, name);
	found = get_attnum(source->relid, name);
	if (found <= 0 ||
		!sg_comparable(match->target->relid, att, source->relid, found) ||
		unique_in_source(match, source->relid, bms_make_singleton(found)))
		return InvalidAttrNumber;
	return found;
}

/*
 * The sibling of a column of the target in a source: in S itself, else, not
 * by name, in a relation that is joined to S by equality.
 */
SgSibling
sg_sibling(SgMatch *match, SgItem *source, AttrNumber att)
{
	SgSibling	result = {NULL, InvalidAttrNumber, false};
	ListCell   *lc;

	if (att <= 0)
		return result;
	result.att = kin_column(match, source->relid, att);
	if (result.att == InvalidAttrNumber)
	{
		result.att = named_column(match, source, att);
		result.by_name = result.att != InvalidAttrNumber;
	}
	if (result.att != InvalidAttrNumber)
	{
		result.item = source;
		return result;
	}
	foreach(lc, match->scene->items)
	{
		SgItem	   *item = (SgItem *) lfirst(lc);

		if (item == source || item->number == 0 ||
			sg_row(item) != sg_row(source))
			continue;
		result.att = kin_column(match, item->relid, att);
		if (result.att != InvalidAttrNumber)
		{
			result.item = item;
			return result;
		}
	}
	return result;
}

/* ------------------------------------------------------------------------
 * Pins
 * ------------------------------------------------------------------------
 */

/* Single values of a column of an item: by conditions or by the catalogs. */
static List *
pins_of(SgCatalog *catalog, SgScene *scene, SgItem *item, AttrNumber att)
{
	SgNode	   *node = sg_node_known(scene, item, att);
	List	   *result = node ? sg_equal_root(node)->pins : NIL;
	Node	   *bound = OidIsValid(item->relid) ?
		sg_column_bound(catalog, item->relid, att) : NULL;

	return bound ? lappend(list_copy(result), bound) : result;
}

List *
sg_target_pins(SgCatalog *catalog, SgScene *scene, AttrNumber att)
{
	return pins_of(catalog, scene, scene->target, att);
}

static bool
any_agree(List *a, List *b)
{
	ListCell   *la;
	ListCell   *lb;

	foreach(la, a)
		foreach(lb, b)
			if (sg_singles_agree((Node *) lfirst(la), (Node *) lfirst(lb)))
				return true;
	return false;
}

/* Is one of them a value, not a subquery that may be equal to itself only? */
bool
sg_has_value(List *pins)
{
	ListCell   *lc;

	foreach(lc, pins)
		if (!IsA(lfirst(lc), SubLink))
			return true;
	return false;
}

/* Does the pin of a column of the target count against this source? */
static bool
pin_counts(SgMatch *match, AttrNumber att)
{
	List	   *pins = sg_target_pins(match->catalog, match->scene, att);
	SgSibling	sibling;

	if (pins == NIL)
		return false;
	sibling = sg_sibling(match, match->source, att);
	if (sibling.item == NULL)
		return sg_has_value(pins);
	return any_agree(pins, pins_of(match->catalog, match->scene, sibling.item, sibling.att));
}

/* Are both pinned, and surely to different values? */
bool
sg_sibling_other_value(SgMatch *match, AttrNumber att, SgSibling sibling)
{
	List	   *mine = sg_target_pins(match->catalog, match->scene, att);
	List	   *theirs = pins_of(match->catalog, match->scene, sibling.item, sibling.att);

	return sg_has_value(mine) && sg_has_value(theirs) && !any_agree(mine, theirs);
}

/* All columns of S that equal a column of the target. */
static Bitmapset *
matched_source_columns(SgMatch *match)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < match->source->ncolumns; i++)
	{
		SgNode	   *node = match->source->columns[i];
		SgNode	   *equal;

		if (node == NULL || node->att <= 0)
			continue;
		for (equal = node->next; equal != node; equal = equal->next)
			if (equal->item == match->scene->target)
			{
				result = bms_add_member(result, node->att);
				break;
			}
	}
	return result;
}

/* The part of P and of the matched columns of S that is the same for all keys. */
static void
count_common_pins(SgMatch *match)
{
	SgAsked    *asked = match->asked;

	if (asked->source == match->source)
		return;
	asked->source = match->source;
	asked->pinned = NULL;
	for (int i = 0; i < match->scene->target->ncolumns; i++)
	{
		SgNode	   *node = match->scene->target->columns[i];

		if (node && node->att > 0 && pin_counts(match, node->att))
			asked->pinned = bms_add_member(asked->pinned, node->att);
	}
	asked->source_cols = matched_source_columns(match);
}

/*
 * Sets P, of all columns of all keys of the target, and with it D and the
 * matched columns of S.
 */
void
sg_count_pins(SgMatch *match)
{
	Bitmapset  *known;
	int			att = -1;

	count_common_pins(match);
	match->pinned = bms_copy(match->asked->pinned);
	/* bounds and CHECKs pin columns that no condition speaks of */
	while ((att = bms_next_member(match->key->set, att)) >= 0)
		if (!bms_is_member(att, match->matched) && pin_counts(match, att))
			match->pinned = bms_add_member(match->pinned, att);
	/* a generated column follows from what it is generated from */
	known = bms_union(match->all_matched, match->pinned);
	att = -1;
	while ((att = bms_next_member(match->key->set, att)) >= 0)
	{
		Bitmapset  *inputs;

		if (bms_is_member(att, known))
			continue;
		inputs = sg_stored_inputs(match->catalog, match->target->relid, att);
		if (inputs && bms_is_subset(inputs, known))
			match->pinned = bms_add_member(match->pinned, att);
	}

	match->dropped = bms_difference(bms_difference(match->key->set,
												   match->matched),
									match->pinned);
	match->source_cols = bms_copy(match->asked->source_cols);
	att = -1;
	while ((att = bms_next_member(match->pinned, att)) >= 0)
	{
		SgSibling	sibling = sg_sibling(match, match->source, att);

		if (sibling.item == match->source && sibling.att > 0)
			match->source_cols = bms_add_member(match->source_cols,
												sibling.att);
	}
}

/* ------------------------------------------------------------------------
 * What M, D and S are
 * ------------------------------------------------------------------------
 */

bool
sg_source_is_target(SgMatch *match)
{
	return sg_same_tree(match->catalog, match->target->relid,
						match->source->relid);
}

/* Is a full unique key of S matched? */
bool
sg_source_key_matched(SgMatch *match)
{
	return OidIsValid(match->source->relid) &&
		unique_in_source(match, match->source->relid, match->source_cols);
}

/* Does each of the columns belong to a foreign key that lies within them? */
bool
sg_all_foreign(SgMatch *match, Bitmapset *cols)
{
	int			att = -1;

	if (bms_is_empty(cols))
		return false;
	while ((att = bms_next_member(cols, att)) >= 0)
		if (!sg_has_foreign_key(match->catalog, match->target->relid, att,
								cols))
			return false;
	return true;
}

/* Does any? */
bool
sg_any_foreign(SgMatch *match, Bitmapset *cols)
{
	int			att = -1;

	while ((att = bms_next_member(cols, att)) >= 0)
		if (sg_has_foreign_key(match->catalog, match->target->relid, att,
							   cols))
			return true;
	return false;
}

/* No foreign key and no generator: a number within something else. */
bool
sg_local(SgMatch *match, Bitmapset *cols)
{
	int			att = -1;

	if (sg_any_foreign(match, cols))
		return false;
	while ((att = bms_next_member(cols, att)) >= 0)
		if (sg_column_generated(match->catalog, match->target->relid, att))
			return false;
	return true;
}

/* Are they all times by which the target is partitioned? */
bool
sg_time_keys(SgMatch *match, Bitmapset *cols)
{
	int			att = -1;

	if (bms_is_empty(cols))
		return false;
	while ((att = bms_next_member(cols, att)) >= 0)
		if (!sg_is_time_partition_key(match->catalog, match->target->relid,
									  att))
			return false;
	return true;
}
