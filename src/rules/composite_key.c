/*-------------------------------------------------------------------------
 *
 * composite_key.c
 *		Finds UPDATE, DELETE and MERGE that match their target by part of a
 *		composite key taken from other rows.
 *
 * Each scene of the statement (one side of every OR) is judged by itself:
 * every key of the target with a matched column, against every source row,
 * through every relation that the value may come from.  The worst verdict of
 * all scenes is the statement's.  The procedure is in doc/rules/
 * composite_key.md, its steps in key/judge.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "key/match.h"
#include "safeguard.h"

typedef struct Judgement
{
	SgStatement *stmt;
	SgCatalog  *catalog;
	SgRelation *target;
	List	   *keys;			/* of SgKey: composite, unique or foreign */
	MemoryContext context;		/* for what outlives a scene */
	SgVerdict	worst;
	SgFinding  *finding;
} Judgement;

/* The worst of what one scene has shown so far. */
typedef struct Arm
{
	SgMatch		worst;			/* verdict NONE: nothing judged */
	SgMatch		shape;			/* the same of shape errors, which outrank
								 * an identified row */
	SgAsked		asked;
	bool		whole;			/* the row is identified */
	bool		open;			/* by other means than each column of each
								 * key with itself */
} Arm;

/*
 * A self-join that picks rows by comparing a key column with itself, the
 * rows being tied by another column: a.name = b.name AND a.id > b.id.
 */
static Bitmapset *
compared_with_itself(SgMatch *match)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;
	bool		tied = false;

	if (!sg_source_is_target(match))
		return NULL;
	foreach(lc, match->scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);
		SgSibling	own;

		if (tie->node->item != match->source || tie->att <= 0)
			continue;
		own = sg_sibling(match, match->source, tie->att);
		if (own.item != match->source || own.att != tie->node->att)
			continue;
		if (tie->kind == SG_TIE_EQUAL)
			tied = true;
		else if (tie->kind == SG_TIE_COMPARED &&
				 bms_is_member(tie->att, match->key->set))
			result = bms_add_member(result, tie->att);
	}
	return tied ? result : NULL;
}

/* Can the value of a matched column come from this item? */
static bool
is_source_of(SgMatch *match)
{
	int			att = -1;

	while ((att = bms_next_member(match->matched, att)) >= 0)
		if (sg_source_column(match, att) != InvalidAttrNumber)
			return true;
	return false;
}

/*
 * One key against one source row: judged through each relation its values
 * may come from.  One whose full unique key is matched decides, else the
 * worst.  Returns false if the row matches no column of the key.
 */
static bool
judge_row(SgMatch *match, SgMatch *result)
{
	bool		any = false;
	bool		decided = false;
	ListCell   *lc;

	foreach(lc, match->scene->items)
	{
		SgMatch		here = *match;
		bool		decides;

		here.source = (SgItem *) lfirst(lc);
		if (here.source->number == 0 || sg_row(here.source) != match->row)
			continue;
		here.matched = bms_intersect(here.all_matched, here.key->set);
		if (bms_is_empty(here.matched))
		{
			here.matched = compared_with_itself(&here);
			if (bms_is_empty(here.matched))
				continue;
		}
		else if (!is_source_of(&here))
			continue;
		sg_judge_match(&here);
		if (here.verdict == SG_VERDICT_NONE)
			continue;
		decides = sg_source_key_matched(&here);
		if (!any || (decides && !decided) ||
			(decides == decided && here.verdict > result->verdict))
			*result = here;
		any = true;
		decided = decided || decides;
	}
	return any;
}

static void
add_verdict(Arm *arm, SgMatch *match)
{
	if (match->verdict == SG_VERDICT_WHOLE)
		arm->whole = true;
	else if (match->verdict >= SG_VERDICT_DOUBT &&
			 (match->reason == SG_REASON_CROSSED ||
			  match->reason == SG_REASON_OTHER_PARENT))
	{
		if (match->verdict > arm->shape.verdict)
			arm->shape = *match;
	}
	else if (match->verdict > arm->worst.verdict)
		arm->worst = *match;
}

/* Has a source row an item that this scene is to judge? */
static bool
row_is_judged(SgScene *scene, SgItem *row)
{
	ListCell   *lc;

	foreach(lc, scene->items)
	{
		SgItem	   *item = (SgItem *) lfirst(lc);

		if (item->number > 0 && item->judged && sg_row(item) == row)
			return true;
	}
	return false;
}

/* Calls "see" for each composite key and each source row of a scene. */
static void
for_each_match(Judgement *j, SgScene *scene, Arm *arm,
			   void (*see) (SgMatch *match, Arm *arm))
{
	ListCell   *li;
	ListCell   *lk;

	foreach(li, scene->items)
	{
		SgItem	   *row = (SgItem *) lfirst(li);
		Bitmapset  *matched;

		if (row->number == 0 || sg_row(row) != row ||
			!row_is_judged(scene, row))
			continue;
		matched = sg_matched_columns(scene, row);
		foreach(lk, j->keys)
		{
			SgMatch		match = {0};

			match.scene = scene;
			match.catalog = j->catalog;
			match.target = j->target;
			match.key = (SgKey *) lfirst(lk);
			match.row = row;
			match.source = row;
			match.all_matched = matched;
			match.asked = &arm->asked;
			match.shape_only = arm->whole;
			see(&match, arm);
		}
	}
}

static void
see_same_columns(SgMatch *match, Arm *arm)
{
	if (sg_same_columns(match))
		arm->whole = true;
	else
		arm->open = true;
}

static void
see_verdict(SgMatch *match, Arm *arm)
{
	SgMatch		result;

	/* the keys that it covers are identified; no other source to compare */
	if (arm->whole && sg_same_columns(match))
		return;
	/* a second rejection is no worse; one of shape may be of other items, too */
	match->settled = arm->worst.verdict == SG_VERDICT_REJECT;
	if (!judge_row(match, &result))
		return;
	if (match->settled && result.verdict >= SG_VERDICT_DOUBT)
	{
		match->settled = false;
		(void) judge_row(match, &result);
	}
	add_verdict(arm, &result);
}

/* Is a unique key of the target pinned as a whole, to whatever value? */
static bool
key_is_pinned(Judgement *j, SgScene *scene)
{
	ListCell   *lc;

	foreach(lc, j->target->keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);
		bool		pinned = true;

		for (int i = 0; i < key->ncols && pinned; i++)
		{
			pinned = sg_has_value(sg_target_pins(j->catalog, scene,
												 key->cols[i]));
		}
		if (pinned)
			return true;
	}
	return false;
}

/* ctid alone, where the rows lie in several tables. */
static void
judge_ctid(Judgement *j, SgScene *scene, Arm *arm)
{
	SgItem	   *source = NULL;
	ListCell   *lc;

	if (!sg_ctid_only(scene, j->catalog, &source))
		return;
	memset(&arm->worst, 0, sizeof(SgMatch));
	arm->worst.verdict = SG_VERDICT_REJECT;
	arm->worst.reason = SG_REASON_CTID;
	arm->worst.scene = scene;
	arm->worst.catalog = j->catalog;
	arm->worst.target = j->target;
	arm->worst.asked = &arm->asked;
	arm->worst.key = (SgKey *) linitial(j->keys);
	arm->worst.source = source;
	arm->worst.row = sg_row(source);
	foreach(lc, scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);

		if (tie->att == SelfItemPointerAttributeNumber &&
			arm->worst.origin == NULL)
			arm->worst.origin = tie->origin;
	}
}

/* The worst match of a scene that is doubted or rejected, or NULL. */
static SgMatch *
worst_match(Judgement *j, SgScene *scene, Arm *arm)
{
	for_each_match(j, scene, arm, see_same_columns);
	if (arm->whole && !arm->open)
		return NULL;
	for_each_match(j, scene, arm, see_verdict);
	judge_ctid(j, scene, arm);
	if (arm->shape.verdict >= SG_VERDICT_DOUBT)
		return &arm->shape;
	if (arm->worst.verdict < SG_VERDICT_DOUBT || arm->whole ||
		sg_ctid_covers(scene, j->catalog) || key_is_pinned(j, scene))
		return NULL;
	return &arm->worst;
}

/* Called for each scene: keeps the finding if it is worse than before. */
static void
judge_scene(SgScene *scene, void *arg)
{
	Judgement  *j = (Judgement *) arg;
	int			nchoices = scene->nchoices;
	Arm			arm;
	SgMatch    *match;

	arm.worst.verdict = arm.shape.verdict = SG_VERDICT_NONE;
	memset(&arm.asked, 0, sizeof(SgAsked));
	arm.whole = arm.open = false;
	if (scene->whole_row || list_length(scene->items) < 2)
		return;
	match = worst_match(j, scene, &arm);
	if (match != NULL && match->verdict > j->worst)
	{
		MemoryContext old = MemoryContextSwitchTo(j->context);

		j->worst = match->verdict;
		j->finding = sg_match_finding(match);
		MemoryContextSwitchTo(old);
	}
	/* expressions followed here are no alternatives of the statement */
	scene->nchoices = nchoices;
}

/*
 * Looks at one UPDATE, DELETE or MERGE that reads more than its target, and
 * appends at most one finding.  Raises what catalog look-ups raise, and
 * STATEMENT_TOO_COMPLEX if it gave up without one.
 */
void
sg_composite_key_detect(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	RangeTblEntry *rte;
	Judgement	j = {0};
	SgCatalog	catalog = {NIL};
	bool		complete;

	if (query->resultRelation <= 0 ||
		(query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_DELETE &&
		 query->commandType != CMD_MERGE))
		return;
	rte = rt_fetch(query->resultRelation, query->rtable);
	if (rte->rtekind != RTE_RELATION)
		return;
	j.target = sg_relation(&catalog, rte->relid);
	j.keys = j.target->composite;
	if (j.keys == NIL)
		return;
	stmt->key_columns = j.target->composite_set;
	j.stmt = stmt;
	j.catalog = &catalog;
	j.context = CurrentMemoryContext;
	complete = sg_for_each_scene(stmt, judge_scene, &j);
	stmt->consulted = sg_consulted(&catalog);
	if (j.finding)
		stmt->findings = lappend(stmt->findings, j.finding);
	else if (!complete)
		ereport(ERROR,			/* contained by the caller, and counted */
				errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				errmsg_internal("statement is too complex to be judged by rule \"composite_key\""));
}
