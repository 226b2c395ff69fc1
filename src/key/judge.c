/*-------------------------------------------------------------------------
 *
 * judge.c
 *		The decision procedure of composite_key for one key and one source.
 *
 * The numbers of the steps are those of doc/rules/composite_key.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "key/match.h"

/* Sets the verdict; returns true so that a step can be left with it. */
static bool
decide(SgMatch *match, int step, SgVerdict verdict)
{
	match->step = step;
	match->verdict = verdict;
	return true;
}

static bool
decide_why(SgMatch *match, int step, SgVerdict verdict, SgReason reason,
		   AttrNumber about, SgSibling sibling)
{
	match->reason = reason;
	match->about = about;
	match->sibling = sibling;
	return decide(match, step, verdict);
}

/* ------------------------------------------------------------------------
 * Step 5: D limited on one side only
 * ------------------------------------------------------------------------
 */

static bool
target_restricts(SgMatch *match, AttrNumber att)
{
	SgNode	   *node = sg_target_node(match->scene, att);

	return (node && (node->uses & SG_USE_RESTRICTED)) ||
		sg_target_pins(match->catalog, match->scene, att) != NIL;
}

/* Do M and the column reference one parent, as the ends of an edge do? */
static bool
edge(SgMatch *match, Bitmapset *matched, AttrNumber att)
{
	int			m = -1;

	while ((m = bms_next_member(matched, m)) >= 0)
		if (sg_same_parent(match->catalog, match->target->relid, m,
						   match->target->relid, att))
			return true;
	return false;
}

/* Does the source group by M (and other matches), chosen by an aggregate? */
static bool
source_is_group(SgMatch *match, Bitmapset *matched)
{
	ListCell   *ls;
	SgScope    *scope;

	if (!sg_all_foreign(match, matched) &&
		sg_any_foreign(match, match->dropped))
		return false;
	for (scope = match->source->scope; scope; scope = scope->parent)
	{
		Bitmapset  *grouped = NULL;
		bool		exact = scope->grouped != NIL && scope->filtered;

		foreach(ls, scope->grouped)
		{
			SgNode	   *node = (SgNode *) lfirst(ls);
			int			att = -1;
			bool		found = false;

			while ((att = bms_next_member(match->all_matched, att)) >= 0)
				if (sg_equal_root(node) ==
					sg_equal_root(sg_target_node(match->scene, att)))
				{
					grouped = bms_add_member(grouped, att);
					found = true;
				}
			exact = exact && found;
		}
		if (exact && bms_is_subset(match->matched, grouped))
			return true;
	}
	return false;
}

/* Is a column limited?  A join does not if M names the parent of its group. */
static bool
used_by(SgMatch *match, SgNode *node, Bitmapset *matched)
{
	if (node->uses & (SG_USE_COMPARED | SG_USE_GROUPED))
		return true;
	return (node->uses & SG_USE_JOINED) &&
		!(sg_all_foreign(match, matched) && sg_local(match, match->dropped));
}

/* Does SET read the source row? */
static bool
set_reads_source(SgMatch *match)
{
	SgScene    *scene = match->scene;
	List	   *tlist = scene->action ? scene->action->targetList :
		scene->stmt->query->targetList;
	ListCell   *lc;

	if ((scene->action ? scene->action->commandType :
		 scene->stmt->query->commandType) != CMD_UPDATE)
		return false;
	foreach(lc, tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		ListCell   *ln;

		if (tle->resjunk)
			continue;
		foreach(ln, sg_columns(scene, scene->target->scope,
							   (Node *) tle->expr))
			if (sg_row(((SgNode *) lfirst(ln))->item) == match->row)
				return true;
	}
	return false;
}

/*
 * Does the target leave out just the value that the source is limited to?
 * Together with SET from that row it is a copy from one scope to the others.
 */
static bool
excludes_value_of(SgMatch *match, AttrNumber att, SgNode *source)
{
	SgNode	   *target = sg_target_node(match->scene, att);
	ListCell   *la;
	ListCell   *lb;

	if (target == NULL)
		return false;
	foreach(la, target->excluded)
		foreach(lb, sg_equal_root(source)->pins)
			if (sg_singles_agree(lfirst(la), lfirst(lb)))
				return true;
	return false;
}

/* Is a dropped column limited inside the source and free in the target? */
static bool
used_inside(SgMatch *match, Bitmapset *matched)
{
	int			att = -1;

	while ((att = bms_next_member(match->dropped, att)) >= 0)
	{
		SgSibling	sibling = sg_sibling(match, match->source, att);
		SgNode	   *node;

		if (sibling.item == NULL || target_restricts(match, att))
			continue;
		node = sg_node_known(match->scene, sibling.item, sibling.att);
		if (node == NULL || !used_by(match, node, matched))
			continue;
		if (excludes_value_of(match, att, node) && set_reads_source(match))
			return decide(match, 5, SG_VERDICT_ACCEPT);
		return decide_why(match, 5, edge(match, matched, att) ?
						  SG_VERDICT_DOUBT : SG_VERDICT_REJECT,
						  SG_REASON_USED_INSIDE, att, sibling);
	}
	return false;
}

/*
 * (SELECT avg(x.pay) FROM t x WHERE x.dept = t.dept): the row compared with
 * is the group of the target's row.
 */
static bool
aggregate_of_group(SgMatch *match)
{
	SgScope    *scope = match->source->scope;
	SgScope    *inner = scope;
	Node	   *output;

	if (scope->link == NULL || !scope->correlated || !scope->query->hasAggs ||
		scope->query->groupClause != NIL)
		return false;
	/* count(*) > 0 is no more than EXISTS */
	output = sg_strip(sg_scope_output(&inner, 1));
	return output && IsA(output, Aggref) && ((Aggref *) output)->args != NIL &&
		strcmp(get_func_name(((Aggref *) output)->aggfnoid), "count") != 0;
}

/* The target limits every dropped column, but not together with the source. */
static bool
limited_outside(SgMatch *match, Bitmapset *matched)
{
	int			att = -1;
	AttrNumber	about = InvalidAttrNumber;
	SgSibling	sibling = {NULL, InvalidAttrNumber, false};
	bool		local;

	while ((att = bms_next_member(match->dropped, att)) >= 0)
	{
		SgSibling	found;

		if (!target_restricts(match, att))
			return false;
		found = sg_sibling(match, match->source, att);
		if (found.item && (about == InvalidAttrNumber ||
						   sg_sibling_other_value(match, att, found)))
		{
			about = att;
			sibling = found;
		}
	}
	if (about == InvalidAttrNumber || sg_all_foreign(match, matched) ||
		sg_time_keys(match, match->dropped))
		return decide(match, 5, SG_VERDICT_ACCEPT);
	if (sg_sibling_other_value(match, about, sibling))
	{
		if (set_reads_source(match))
			return decide(match, 5, SG_VERDICT_ACCEPT);
		return decide_why(match, 5, SG_VERDICT_REJECT,
						  SG_REASON_OTHER_VALUE, about, sibling);
	}
	local = sg_local(match, matched) && sg_any_foreign(match, match->dropped);
	if (!local && aggregate_of_group(match))
		return decide(match, 5, SG_VERDICT_ACCEPT);
	return decide_why(match, 5, local ? SG_VERDICT_REJECT : SG_VERDICT_DOUBT,
					  SG_REASON_LIMITED_OUTSIDE, about, sibling);
}

/* ------------------------------------------------------------------------
 * Steps 6 to 10: what M and S are
 * ------------------------------------------------------------------------
 */

static SgSibling
first_sibling(SgMatch *match, bool by_name, AttrNumber *about)
{
	SgSibling	none = {NULL, InvalidAttrNumber, false};
	int			att = -1;

	while ((att = bms_next_member(match->dropped, att)) >= 0)
	{
		SgSibling	sibling = sg_sibling(match, match->source, att);

		*about = att;
		if (sibling.item && (by_name || !sibling.by_name))
			return sibling;
	}
	return none;
}

/* Step 7, also where another step says "as 7". */
static bool
as_self(SgMatch *match, int step, Bitmapset *matched, SgReason reason)
{
	bool		drops_foreign = sg_any_foreign(match, match->dropped);
	AttrNumber	about;
	SgSibling	sibling = first_sibling(match, true, &about);

	if (sg_local(match, matched) && drops_foreign)
		return decide_why(match, step, SG_VERDICT_REJECT, reason, about,
						  sibling);
	if (sg_all_foreign(match, matched) && !drops_foreign)
		return decide(match, step, SG_VERDICT_ACCEPT);
	if (sg_time_keys(match, match->dropped) ||
		sg_source_key_matched(match) || aggregate_of_group(match))
		return decide(match, step, SG_VERDICT_ACCEPT);
	return decide_why(match, step, SG_VERDICT_DOUBT, reason, about, sibling);
}

/* Is a composite foreign key between T and S matched in part? */
static bool
half_foreign_key(SgMatch *match, Bitmapset *matched)
{
	ListCell   *lc;

	if (!OidIsValid(match->source->relid))
		return false;
	foreach(lc, sg_foreign_keys(match->catalog, match->target->relid))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		if (fkey->ncols > 1 &&
			sg_same_tree(match->catalog, fkey->parent, match->source->relid) &&
			bms_overlap(fkey->set, matched) &&
			!bms_is_subset(fkey->set, matched))
			return true;
	}
	foreach(lc, sg_foreign_keys(match->catalog, match->source->relid))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		if (fkey->ncols > 1 &&
			sg_same_tree(match->catalog, fkey->parent, match->target->relid) &&
			bms_overlap(fkey->set, match->source_cols) &&
			!bms_is_subset(fkey->set, match->source_cols))
			return true;
	}
	return false;
}

/* Is a unique key of S, which is not T, matched in part? */
static bool
half_source_key(SgMatch *match)
{
	ListCell   *lc;

	if (!OidIsValid(match->source->relid))
		return false;
	foreach(lc, sg_relation(match->catalog, match->source->relid)->keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		if (bms_overlap(key->set, match->source_cols))
			return true;
	}
	return false;
}

static bool
half_of_something(SgMatch *match, Bitmapset *matched)
{
	SgReason	reason = SG_REASON_HALF_FOREIGN_KEY;
	bool		self = sg_source_is_target(match);
	AttrNumber	about;
	SgSibling	sibling;

	if (!self && sg_source_key_matched(match))
		return false;
	sibling = first_sibling(match, false, &about);
	if (!half_foreign_key(match, matched))
	{
		reason = SG_REASON_HALF_KEY;
		if (self || sibling.item == NULL || !half_source_key(match))
			return false;
	}
	if (sg_all_foreign(match, matched))
		return as_self(match, 6, matched, reason);
	return decide_why(match, 6, SG_VERDICT_REJECT, reason, about, sibling);
}

/* Does each matched column reference the same parent as its source column? */
static bool
parent_in_common(SgMatch *match)
{
	int			att = -1;

	if (!OidIsValid(match->source->relid))
		return false;
	while ((att = bms_next_member(match->matched, att)) >= 0)
	{
		AttrNumber	col = sg_source_column(match, att);

		if (col <= 0 ||
			!sg_same_parent(match->catalog, match->target->relid, att,
							match->source->relid, col))
			return false;
	}
	return true;
}

static bool
names_a_parent(SgMatch *match, Bitmapset *matched)
{
	AttrNumber	about;

	if (sg_source_key_matched(match))
		return decide(match, 8, SG_VERDICT_ACCEPT);
	if (!parent_in_common(match))
		return false;
	if (first_sibling(match, false, &about).item)
		return as_self(match, 8, matched, SG_REASON_HALF_KEY);
	return decide(match, 8, SG_VERDICT_ACCEPT);
}

/* Steps 5 to 10; a counted pin goes with M from here on. */
static void
judge_dropped(SgMatch *match)
{
	Bitmapset  *matched = bms_union(match->matched,
									bms_intersect(match->pinned,
												  match->key->set));
	bool		other_key = !sg_source_is_target(match) &&
		sg_source_key_matched(match);
	AttrNumber	about;

	if (source_is_group(match, matched))
	{
		/* its row is the group, so nothing was dropped */
		decide(match, 5, SG_VERDICT_ACCEPT);
		return;
	}
	if (!other_key && used_inside(match, matched))
		return;
	if (limited_outside(match, matched))
		return;
	if (half_of_something(match, matched))
		return;
	if (match->key->foreign)
	{
		decide(match, 6, SG_VERDICT_ACCEPT);
		return;
	}
	if (sg_source_is_target(match))
	{
		as_self(match, 7, matched, SG_REASON_HALF_KEY);
		return;
	}
	if (names_a_parent(match, matched))
		return;
	if (sg_lineage_ends(match->source) && sg_all_foreign(match, matched) &&
		first_sibling(match, true, &about).item == NULL)
		decide(match, 9, SG_VERDICT_ACCEPT);
	else if (sg_time_keys(match, match->dropped))
		decide(match, 10, SG_VERDICT_ACCEPT);
	else if (first_sibling(match, true, &about).item)
		as_self(match, 10, matched, SG_REASON_HALF_KEY);
	else
		decide(match, 10, SG_VERDICT_ACCEPT);
}

/*
 * Judges one key against one source: sets verdict, step, and for a doubt or a
 * rejection the reason and the columns it is about.  Of a settled match ACCEPT is
 * whatever does not identify the row.
 */
void
sg_judge_match(SgMatch *match)
{
	SgSibling	none = {NULL, InvalidAttrNumber, false};

	match->verdict = SG_VERDICT_NONE;
	match->sibling = none;
	if (sg_crossed(match) || sg_other_parent(match))
	{
		match->step = 4;
		return;
	}
	if (match->shape_only)
		return;
	/* pins cost catalog look-ups */
	if (!match->key->foreign && bms_is_subset(match->key->set, match->matched))
	{
		decide(match, 1, SG_VERDICT_WHOLE);
		return;
	}
	sg_count_pins(match);
	if (sg_whole_key(match))
	{
		decide(match, 1, SG_VERDICT_WHOLE);
		return;
	}
	if (sg_matched_is_unique(match))
	{
		decide(match, 2, SG_VERDICT_WHOLE);
		return;
	}
	if (sg_matched_is_generated(match))
	{
		decide(match, 3, SG_VERDICT_WHOLE);
		return;
	}
	if (bms_is_empty(match->dropped))
	{
		decide(match, 1, SG_VERDICT_ACCEPT);
		return;
	}
	if (match->settled)
	{
		decide(match, 4, SG_VERDICT_ACCEPT);
		return;
	}
	if (sg_split_rows(match))
	{
		match->step = 4;
		return;
	}
	judge_dropped(match);
	if (match->verdict == SG_VERDICT_REJECT && sg_probably_unique(match))
		match->verdict = SG_VERDICT_DOUBT;
}
