/*-------------------------------------------------------------------------
 *
 * catch.c
 *		Sees to it that a statement gathers the rows that it changes.
 *
 * When a statement starts, each of its targets gets the triggers of trigger.c,
 * before the first row.  They fire when the statement is finished.
 *
 * What foreign keys change comes by statements of the server's own, which have
 * no triggers of their own: theirs fire with those of the statement that is
 * being finished, and are looked up in its list of result relations.  So the
 * target is added to that list, and what each of them has changed is noted, since
 * the rows of all of them are gathered in one heap.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "rows/rows.h"

/* A statement that is being finished; on the C stack, linked by "outer". */
typedef struct Frame
{
	struct Frame *outer;
	QueryDesc  *queryDesc;
	List	   *parts;			/* of SgKeepPart, in its memory */
	int64		updated;		/* rows, that have been gathered */
} Frame;

static Frame *frame = NULL;

void
sg_keep_forget(void)
{
	frame = NULL;
	sg_keep_moves_forget();
}

/* ---------------- targets ---------------- */

static List *
modify_nodes(QueryDesc *queryDesc)
{
	List	   *nodes = list_copy(queryDesc->estate->es_auxmodifytables);

	if (queryDesc->planstate != NULL &&
		IsA(queryDesc->planstate, ModifyTableState))
		nodes = list_append_unique_ptr(nodes, queryDesc->planstate);
	return nodes;
}

static bool
does_update_conflicts(const ModifyTableState *node)
{
	return ((ModifyTable *) node->ps.plan)->onConflictAction == ONCONFLICT_UPDATE;
}

/* Can the node change, and not only add, rows? */
static bool
changes(const ModifyTableState *node)
{
	switch (node->operation)
	{
		case CMD_INSERT:
			return does_update_conflicts(node);
		case CMD_MERGE:
			return (node->mt_merge_subcommands & (MERGE_UPDATE | MERGE_DELETE)) != 0;
		default:
			return true;
	}
}

/*
 * Views have triggers of their own, and materialized views have no rows of
 * their own.
 */
static bool
has_rows(Relation rel)
{
	return rel->rd_rel->relkind != RELKIND_VIEW &&
		rel->rd_rel->relkind != RELKIND_MATVIEW;
}

/*
 * Does the label want what the node does?  Children of a table may be wanted
 * where it is not, and are refused then.
 */
static bool
wants(const SgKeepLabel *label, const ModifyTableState *node)
{
	Relation	rel = node->rootResultRelInfo->ri_RelationDesc;

	if (!(label->inserts || changes(node)) || !has_rows(rel))
		return false;
	if (sg_keeps(label, rel))
		return true;
	for (int i = 0; i < node->mt_nrels; i++)
	{
		Relation	child = node->resultRelInfo[i].ri_RelationDesc;

		if (RelationGetRelid(child) != RelationGetRelid(rel) &&
			rel->rd_rel->relkind == RELKIND_RELATION &&
			sg_keeps(label, child))
			return true;
	}
	return false;
}

/* Does it want what any of the statement's nodes do? */
static bool
wants_query(const SgKeepLabel *label, QueryDesc *queryDesc)
{
	ListCell   *lc;

	foreach(lc, modify_nodes(queryDesc))
	{
		if (wants(label, lfirst(lc)))
			return true;
	}
	return false;
}

/*
 * Does the label want the rows of the relation, or what foreign keys do when
 * those of the statement that is being finished change?
 */
static bool
wants_action(const SgKeepLabel *label, const ModifyTableState *node)
{
	return wants(label, node) ||
		(frame != NULL && wants_query(label, frame->queryDesc));
}

/* ---------------- refusals ---------------- */

/*
 * Before the statement changes anything.  Once for each table: what could not
 * be kept later comes by commands that are refused.
 */
static void
check(SgKeepLabel *label, ModifyTableState *node)
{
	Relation	rel = node->rootResultRelInfo->ri_RelationDesc;
	Oid			relid = RelationGetRelid(rel);
	Oid			root = sg_keep_root(relid);
	SgKeptRelation *entry = sg_kept_relation(label, root);

	sg_refuse_children(node);
	sg_refuse_moves(node);
	sg_check_row_security(rel);
	if (entry->checked)
		return;
	if (root != relid)
		rel = table_open(root, AccessShareLock);
	sg_check_keepable(rel);
	if (root != relid)
		table_close(rel, NoLock);
	entry->checked = true;
}

/* ---------------- statements that start ---------------- */

/*
 * Where a statement marks the rows of a table: one place for all that gather
 * them.
 */
static void
find_markers(SgKeepMarkers *markers, EState *estate, Oid relid)
{
	ResultRelInfo *rri = ExecGetTriggerResultRel(estate, relid, NULL);

	markers->updated = sg_keep_trigger_marks(rri, CMD_UPDATE);
	if (markers->updated == NULL)
		markers->updated = sg_keep_marks_make(estate->es_query_cxt);
	markers->deleted = sg_keep_trigger_marks(rri, CMD_DELETE);
	if (markers->deleted == NULL)
		markers->deleted = sg_keep_marks_make(estate->es_query_cxt);
}

/*
 * Rows of partitions are gathered for the table that the statement names, but
 * looked at where they are.  One that an UPDATE moves is deleted there.
 */
static void
look_at_rows(ModifyTableState *node, EState *estate, bool inserts,
			 SgKeepMarkers markers)
{
	if (!sg_keep_can_mark(node))
		return;
	if (node->operation == CMD_UPDATE)
		markers.deleted = markers.updated;
	for (int i = 0; i < node->mt_nrels; i++)
		sg_keep_trigger_add(&node->resultRelInfo[i], estate, inserts, NULL,
							&markers);
}

/*
 * "outer" is the statement whose triggers fire, and in whose list of result
 * relations they are looked up.
 */
static void
gather(ModifyTableState *node, EState *estate, EState *outer, bool inserts)
{
	ResultRelInfo *rri = node->rootResultRelInfo;
	Oid			relid = RelationGetRelid(rri->ri_RelationDesc);
	SgKeepMarkers markers;

	if (!has_rows(rri->ri_RelationDesc))
		return;
	find_markers(&markers, outer, relid);
	sg_keep_trigger_add(ExecGetTriggerResultRel(outer, relid, NULL), outer,
						inserts, &markers, NULL);
	sg_keep_trigger_add(rri, estate, inserts, NULL, NULL);
	look_at_rows(node, estate, inserts, markers);
	if (node->operation == CMD_UPDATE &&
		rri->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		sg_keep_moves(estate->es_output_cid);
	if (node->operation != CMD_INSERT || inserts)
		node->mt_transition_capture =
			MakeTransitionCaptureState(rri->ri_TrigDesc, relid, node->operation);
	if (node->operation == CMD_INSERT && does_update_conflicts(node))
		node->mt_oc_transition_capture =
			MakeTransitionCaptureState(rri->ri_TrigDesc, relid, CMD_UPDATE);
}

/*
 * A statement that a foreign key runs: its triggers fire with those of the
 * statement that is being finished.
 */
static void
gather_action(ModifyTableState *node, EState *estate, bool inserts)
{
	EState	   *outer = frame->queryDesc->estate;
	Oid			relid = RelationGetRelid(node->rootResultRelInfo->ri_RelationDesc);
	MemoryContext caller = MemoryContextSwitchTo(outer->es_query_cxt);
	SgKeepPart *part = palloc0(sizeof(SgKeepPart));

	part->relid = relid;
	part->command = node->operation;
	part->cid = estate->es_output_cid;
	part->estate = estate;
	frame->parts = lappend(frame->parts, part);
	MemoryContextSwitchTo(caller);
	gather(node, estate, outer, inserts);
}

static void
refuse_action(ModifyTableState *node)
{
	Relation	rel = node->rootResultRelInfo->ri_RelationDesc;

	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot keep rows of table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("They are changed by a statement that fires no triggers."),
			errtable(rel));
}

/*
 * A statement starts while rows are kept.
 */
void
sg_keep_start(QueryDesc *queryDesc, int eflags)
{
	EState	   *estate = queryDesc->estate;
	bool		is_action = (eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0;
	bool		wanted = false;
	bool		inserts = false;
	List	   *nodes;
	ListCell   *lc;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	nodes = modify_nodes(queryDesc);
	foreach(lc, nodes)
	{
		ModifyTableState *node = lfirst(lc);

		for (SgKeepLabel *label = sg_keep_labels; label != NULL;
			 label = label->next)
		{
			if (!(is_action ? wants_action(label, node) : wants(label, node)))
				continue;
			check(label, node);
			if (is_action && frame == NULL)
				refuse_action(node);
			wanted = true;
			inserts |= label->inserts;
		}
	}
	if (!wanted)
		return;

	/*
	 * All targets, since the server looks a trigger up in the first result
	 * relation that is this table.
	 */
	foreach(lc, nodes)
	{
		if (is_action)
			gather_action(lfirst(lc), estate, inserts);
		else
			gather(lfirst(lc), estate, estate, inserts);
	}
}

/* ---------------- statements that finish ---------------- */

static void
finish_action(EState *estate)
{
	/* almost always it is the last */
	for (int i = frame == NULL ? 0 : list_length(frame->parts); i > 0; i--)
	{
		SgKeepPart *part = list_nth(frame->parts, i - 1);

		if (part->estate != estate)
			continue;
		part->estate = NULL;
		part->rows = (int64) estate->es_processed;
		if (part->rows == 0)
			frame->parts = list_delete_nth_cell(frame->parts, i - 1);
		break;
	}
}

/*
 * Of a row that a BEFORE trigger lets MERGE move to another partition nothing is
 * gathered.  MERGE itself has counted it.
 */
static void
check_merged(const Frame *this)
{
	Relation	rel = NULL;
	int64		merged = 0;
	ListCell   *lc;

	foreach(lc, modify_nodes(this->queryDesc))
	{
		const ModifyTableState *node = lfirst(lc);

		if (node->operation != CMD_MERGE ||
			!sg_keep_has_triggers(node->rootResultRelInfo))
			continue;
		rel = node->rootResultRelInfo->ri_RelationDesc;
		merged += (int64) node->mt_merge_updated;
	}
	if (merged <= this->updated)
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot keep rows of table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("A trigger has made MERGE move rows from one partition to another."),
			errhint("Move rows by UPDATE."),
			errtable(rel));
}

/*
 * Finish a statement while rows are kept.
 */
void
sg_keep_finish(QueryDesc *queryDesc, void (*finish) (QueryDesc *queryDesc))
{
	Frame		this = {frame, queryDesc, NIL, 0};

	if ((queryDesc->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0)
	{
		finish(queryDesc);
		finish_action(queryDesc->estate);
		return;
	}
	PG_TRY();
	{
		frame = &this;
		finish(queryDesc);
		check_merged(&this);
	}
	PG_FINALLY();
	{
		frame = this.outer;
	}
	PG_END_TRY();
}

/* ---------------- triggers that fire ---------------- */

/*
 * Does a label want what has been gathered?  "parts" is what foreign keys have
 * done.
 */
bool
sg_keep_covers(const SgKeepLabel *label, Relation rel, CmdType command,
			   List *parts)
{
	if (command == CMD_INSERT && !label->inserts)
		return false;
	return sg_keeps(label, rel) ||
		(parts != NIL && frame != NULL && wants_query(label, frame->queryDesc));
}

/*
 * What foreign keys have done to a table since its triggers have fired last.
 */
List *
sg_keep_take(Oid relid, CmdType command)
{
	MemoryContext caller;
	List	   *taken = NIL;
	List	   *left = NIL;
	ListCell   *lc;

	if (frame == NULL || frame->parts == NIL)
		return NIL;
	caller = MemoryContextSwitchTo(frame->queryDesc->estate->es_query_cxt);
	foreach(lc, frame->parts)
	{
		SgKeepPart *part = lfirst(lc);

		if (part->relid == relid && part->command == command)
			taken = lappend(taken, part);
		else
			left = lappend(left, part);
	}
	list_free(frame->parts);
	frame->parts = left;
	MemoryContextSwitchTo(caller);
	return taken;
}

/*
 * Which of the rows were inserted that the statement that is being finished has
 * gathered; NULL: nobody knows.
 */
SgKeepMarks *
sg_keep_marks(Oid relid, CmdType command)
{
	if (frame == NULL)
		return NULL;
	return sg_keep_trigger_marks(ExecGetTriggerResultRel(frame->queryDesc->estate,
														 relid, NULL), command);
}

/* Rows that were updated have come, without those of foreign keys. */
void
sg_keep_gathered(int64 rows)
{
	if (frame != NULL)
		frame->updated += rows;
}

/* The command of the statement that is being finished. */
CommandId
sg_keep_command(void)
{
	return frame == NULL ? 0 : frame->queryDesc->estate->es_output_cid;
}
