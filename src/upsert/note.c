/*-------------------------------------------------------------------------
 *
 * note.c
 *		Notes about upserts, taken at planning for their executions.
 *
 * A plan tells everything about ON CONFLICT but the constraint that it named,
 * and of a MERGE its actions but not its condition, which has become part of
 * the join.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "failopen.h"
#include "upsert/upsert.h"

/* words of a note before its columns */
#define NOTE_FIXED	2

/* ---------------- MERGE ---------------- */

/*
 * Does the MERGE update what it matches, insert what it does not, and leave
 * alone what only its target has?
 */
static bool
merge_is_upsert(const Query *query)
{
	bool		updates = false;
	bool		inserts = false;
	ListCell   *lc;

	foreach(lc, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		if (sg_merge_by_source(action))
			return false;
		if (sg_merge_matched(action))
			updates = updates || action->commandType == CMD_UPDATE;
		else
			inserts = inserts || action->commandType == CMD_INSERT;
	}
	return updates && inserts;
}

/*
 * The column of the target that an expression is, or 0.
 */
static AttrNumber
target_column(Node *node, Index target)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var))
		return 0;
	if (((Var *) node)->varno != target || ((Var *) node)->varlevelsup != 0)
		return 0;
	return Max(((Var *) node)->varattno, 0);
}

/*
 * The column of the target that a condition equates with the source, or 0.
 */
static AttrNumber
equated_column(Node *qual, Index target)
{
	OpExpr	   *op = (OpExpr *) qual;

	if (!IsA(qual, OpExpr) || list_length(op->args) != 2 ||
		!op_mergejoinable(op->opno, exprType(linitial(op->args))))
		return 0;
	for (int side = 0; side < 2; side++)
	{
		AttrNumber	attnum = target_column(list_nth(op->args, side), target);
		Relids		others;

		if (attnum == 0)
			continue;
		others = pull_varnos(NULL, list_nth(op->args, 1 - side));
		if (!bms_is_empty(others) && !bms_is_member(target, others))
			return attnum;
	}
	return 0;
}

static void
collect_equated(Node *qual, Index target, Bitmapset **columns)
{
	AttrNumber	attnum;

	if (qual == NULL)
		return;
	if (IsA(qual, List) || is_andclause(qual))
	{
		ListCell   *lc;

		foreach(lc, IsA(qual, List) ? (List *) qual : ((BoolExpr *) qual)->args)
			collect_equated(lfirst(lc), target, columns);
		return;
	}
	attnum = equated_column(qual, target);
	if (attnum > 0)
		*columns = bms_add_member(*columns, attnum);
}

/* What the condition of a MERGE is asked for. */
typedef struct Equated
{
	Query	   *query;
	Bitmapset  *columns;		/* out */
} Equated;

/* Called by sg_fail_open() */
static void
find_equated(void *arg)
{
	Equated    *equated = (Equated *) arg;
	Query	   *query = equated->query;
	Bitmapset  *columns = NULL;

	sg_fault("merge_keys");
	collect_equated(sg_merge_on(query), query->resultRelation, &columns);
	equated->columns = columns;
}

static Bitmapset *
merge_keys(Query *query)
{
	Equated		equated = {query, NULL};

	if (!merge_is_upsert(query))
		return NULL;
	(void) sg_fail_open(find_equated, &equated);
	if (bms_num_members(equated.columns) > INDEX_MAX_KEYS)
		return NULL;
	return equated.columns;
}

/* ---------------- writing and reading ---------------- */

static List *
note_about(Query *query)
{
	uint32		words[NOTE_FIXED + INDEX_MAX_KEYS];
	int			n = NOTE_FIXED;
	Bitmapset  *keys = NULL;
	int			attnum = -1;

	words[1] = InvalidOid;
	if (query->commandType == CMD_INSERT && query->onConflict != NULL &&
		OidIsValid(query->onConflict->constraint))
		words[1] = query->onConflict->constraint;
	else if (query->commandType == CMD_MERGE)
		keys = merge_keys(query);
	if (words[1] == InvalidOid && keys == NULL)
		return NIL;

	words[0] = rt_fetch(query->resultRelation, query->rtable)->relid;
	while ((attnum = bms_next_member(keys, attnum)) >= 0)
		words[n++] = attnum;
	return sg_planmark_note(words, n);
}

/*
 * Notes about the upserts of a statement that is about to be planned, as
 * marks for its plan.
 */
List *
sg_upsert_notes(Query *parse)
{
	List	   *marks = NIL;
	ListCell   *lc;

	if (parse->onConflict == NULL && parse->commandType != CMD_MERGE &&
		!parse->hasModifyingCTE)
		return NIL;
	if (parse->hasModifyingCTE)
	{
		foreach(lc, parse->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

			if (IsA(cte->ctequery, Query))
				marks = list_concat(marks,
									note_about((Query *) cte->ctequery));
		}
	}
	return list_concat(marks, note_about(parse));
}

/*
 * The note in a plan about its upsert to a relation.  Two upserts of one
 * statement to the same relation share the first.
 */
bool
sg_upsert_note(const PlannedStmt *plan, Oid relid, SgUpsertNote *note)
{
	uint32		words[NOTE_FIXED + INDEX_MAX_KEYS];
	int			n;

	memset(note, 0, sizeof(*note));
	if (plan->invalItems == NIL)
		return false;
	n = sg_planmark_find_note(plan, relid, words, lengthof(words));
	if (n < NOTE_FIXED)
		return false;
	note->relid = words[0];
	note->constraint = words[1];
	for (int i = NOTE_FIXED; i < n; i++)
		note->keys[note->nkeys++] = (AttrNumber) words[i];
	return true;
}
