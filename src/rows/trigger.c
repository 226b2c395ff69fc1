/*-------------------------------------------------------------------------
 *
 * trigger.c
 *		The trigger that catches rows: it is in no catalog.
 *
 * CREATE TRIGGER would lock out writers until the end of the transaction, and
 * stay if it is forgotten.  So the trigger is added to the copy of the table's
 * triggers that one statement has for itself: AFTER, once for the statement,
 * with transition tables.  The server then gathers all rows of the statement,
 * in the row type of the table that the statement names, also those of
 * partitions that are opened late or between which rows move.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "rows/rows.h"

PG_FUNCTION_INFO_V1(sg_keep_images);

/*
 * OIDs of the triggers, by event: no trigger of a catalog has one so low.
 */
#define TRIGGER_UPDATE	1
#define TRIGGER_DELETE	2
#define TRIGGER_INSERT	3
#define TRIGGER_UPDATED_MARKS	4	/* these never fire: marks.c */
#define TRIGGER_DELETED_MARKS	5
#define TRIGGER_UPDATED_ROW	6
#define TRIGGER_DELETED_ROW	7
#define TRIGGERS			7

/* the function, as of the last look */
static Oid	function = InvalidOid;

/*
 * The function of the trigger.  Looked up when keeping begins, since the
 * extension may have been made anew.
 */
Oid
sg_keep_function(void)
{
	List	   *name = list_make2(makeString("safeguard"),
								  makeString("keep_images"));

	function = LookupFuncName(name, 0, NULL, false);
	return function;
}

/* ---------------- adding it ---------------- */

static bool
has_trigger(const TriggerDesc *desc, Oid tgoid)
{
	for (int i = desc == NULL ? 0 : desc->numtriggers; i > 0; i--)
		if (desc->triggers[i - 1].tgoid == tgoid)
			return true;
	return false;
}

static void
fill_trigger(Trigger *trigger, Oid tgoid, int16 event)
{
	memset(trigger, 0, sizeof(*trigger));
	trigger->tgoid = tgoid;
	trigger->tgname = "safeguard_keep_rows";
	trigger->tgfoid = function;
	trigger->tgtype = TRIGGER_TYPE_AFTER | event;
	trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
	trigger->tgisinternal = true;
	if (event != TRIGGER_TYPE_INSERT)
		trigger->tgoldtable = "old_rows";
	if (event != TRIGGER_TYPE_DELETE)
		trigger->tgnewtable = "new_rows";
}

/* One that looks at each row; without an event it only has the marks. */
static void
fill_row_trigger(Trigger *trigger, Oid tgoid, int16 event)
{
	fill_trigger(trigger, tgoid, event);
	trigger->tgtype |= TRIGGER_TYPE_ROW;
	trigger->tgoldtable = NULL;
	trigger->tgnewtable = NULL;
	trigger->tgqual = "";		/* there is one: sg_keep_marks_condition() */
}

/*
 * Add the triggers that a result relation does not have yet.  Returns how many
 * there are.
 */
static int
add_triggers(TriggerDesc *desc, int n, bool inserts, bool holds, bool looks)
{
	Trigger    *triggers = desc->triggers;

	if (!has_trigger(desc, TRIGGER_UPDATE))
	{
		fill_trigger(&triggers[n++], TRIGGER_UPDATE, TRIGGER_TYPE_UPDATE);
		fill_trigger(&triggers[n++], TRIGGER_DELETE, TRIGGER_TYPE_DELETE);
	}
	if (inserts && !has_trigger(desc, TRIGGER_INSERT))
		fill_trigger(&triggers[n++], TRIGGER_INSERT, TRIGGER_TYPE_INSERT);
	if (holds)
	{
		fill_row_trigger(&triggers[n++], TRIGGER_UPDATED_MARKS, 0);
		fill_row_trigger(&triggers[n++], TRIGGER_DELETED_MARKS, 0);
	}
	if (looks)
	{
		fill_row_trigger(&triggers[n++], TRIGGER_UPDATED_ROW,
						 TRIGGER_TYPE_UPDATE);
		fill_row_trigger(&triggers[n++], TRIGGER_DELETED_ROW,
						 TRIGGER_TYPE_DELETE);
		desc->trig_update_after_row = true;
		desc->trig_delete_after_row = true;
	}
	return n;
}

/* Where the rows are marked that a trigger looks at, or whose marks it has. */
static SgKeepMarks *
marks_of_trigger(Oid tgoid, const SgKeepMarkers *held,
				 const SgKeepMarkers *looked)
{
	switch (tgoid)
	{
		case TRIGGER_UPDATED_MARKS:
			return held->updated;
		case TRIGGER_DELETED_MARKS:
			return held->deleted;
		case TRIGGER_UPDATED_ROW:
			return looked->updated;
		case TRIGGER_DELETED_ROW:
			return looked->deleted;
		default:
			return NULL;
	}
}

/* Give the triggers from the first new one on their conditions. */
static void
add_conditions(ResultRelInfo *rri, int first, const SgKeepMarkers *held,
			   const SgKeepMarkers *looked)
{
	ExprState **old = rri->ri_TrigWhenExprs;
	TriggerDesc *desc = rri->ri_TrigDesc;

	rri->ri_TrigWhenExprs = palloc0(desc->numtriggers * sizeof(ExprState *));
	if (first > 0)
		memcpy(rri->ri_TrigWhenExprs, old, first * sizeof(ExprState *));
	for (int i = first; i < desc->numtriggers; i++)
	{
		SgKeepMarks *marks = marks_of_trigger(desc->triggers[i].tgoid, held,
											  looked);

		if (marks != NULL)
			rri->ri_TrigWhenExprs[i] = sg_keep_marks_condition(marks);
	}
}

/*
 * Give a result relation of a statement that has not begun the triggers.  All
 * are always added: the statement asks for those that it needs.  "held": where
 * its rows are marked, if the server looks its triggers up here; "looked":
 * where the rows are marked that are changed here.
 */
void
sg_keep_trigger_add(ResultRelInfo *rri, EState *estate, bool inserts,
					const SgKeepMarkers *held, const SgKeepMarkers *looked)
{
	TriggerDesc *old = rri->ri_TrigDesc;
	int			nold = old == NULL ? 0 : old->numtriggers;
	MemoryContext caller;
	TriggerDesc *desc;

	if (has_trigger(old, TRIGGER_UPDATED_MARKS))
		held = NULL;
	if (has_trigger(old, TRIGGER_UPDATED_ROW))
		looked = NULL;
	if (held == NULL && looked == NULL &&
		has_trigger(old, inserts ? TRIGGER_INSERT : TRIGGER_UPDATE))
		return;
	caller = MemoryContextSwitchTo(estate->es_query_cxt);
	desc = palloc0(sizeof(TriggerDesc));
	if (old != NULL)
		*desc = *old;
	desc->triggers = palloc0((nold + TRIGGERS) * sizeof(Trigger));
	if (nold > 0)
		memcpy(desc->triggers, old->triggers, nold * sizeof(Trigger));
	desc->numtriggers = add_triggers(desc, nold, inserts, held != NULL,
									 looked != NULL);
	desc->trig_update_after_statement = true;
	desc->trig_update_old_table = true;
	desc->trig_update_new_table = true;
	desc->trig_delete_after_statement = true;
	desc->trig_delete_old_table = true;
	if (inserts)
	{
		desc->trig_insert_after_statement = true;
		desc->trig_insert_new_table = true;
	}
	rri->ri_TrigDesc = desc;
	rri->ri_TrigFunctions = palloc0(desc->numtriggers * sizeof(FmgrInfo));
	if (estate->es_instrument)
		rri->ri_TrigInstrument = InstrAlloc(desc->numtriggers,
											estate->es_instrument, false);
	add_conditions(rri, nold, held, looked);
	MemoryContextSwitchTo(caller);
}

bool
sg_keep_has_triggers(const ResultRelInfo *rri)
{
	return has_trigger(rri->ri_TrigDesc, TRIGGER_UPDATE);
}

/*
 * Where the rows are marked of the relation whose triggers are looked up in a
 * result relation; NULL: nowhere.
 */
SgKeepMarks *
sg_keep_trigger_marks(const ResultRelInfo *rri, CmdType command)
{
	const TriggerDesc *desc = rri->ri_TrigDesc;
	Oid			tgoid = command == CMD_UPDATE ? TRIGGER_UPDATED_MARKS :
		TRIGGER_DELETED_MARKS;

	for (int i = desc == NULL ? 0 : desc->numtriggers; i > 0; i--)
		if (desc->triggers[i - 1].tgoid == tgoid)
			return sg_keep_marks_of(rri->ri_TrigWhenExprs[i - 1]);
	return NULL;
}

/* ---------------- firing ---------------- */

/* A transition table that is read from its beginning. */
typedef struct Reader
{
	Tuplestorestate *rows;		/* NULL: there is none */
	int			pointer;
	TupleTableSlot *slot;
} Reader;

static void
reader_open(Reader *reader, Tuplestorestate *rows, TupleDesc desc)
{
	reader->rows = rows;
	if (rows == NULL)
		return;
	reader->pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(rows, reader->pointer);
	tuplestore_rescan(rows);
	reader->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

static bool
reader_next(Reader *reader)
{
	if (reader->rows == NULL)
		return false;
	tuplestore_select_read_pointer(reader->rows, reader->pointer);
	return tuplestore_gettupleslot(reader->rows, true, false, reader->slot);
}

static void
reader_close(Reader *reader)
{
	if (reader->rows != NULL)
		ExecDropSingleTupleTableSlot(reader->slot);
}

/*
 * Rows that moved between partitions are gathered in two steps, and a trigger
 * of the partition that they move to can leave out the second.
 */
static void
check_pairs(Relation rel, Tuplestorestate *old, Tuplestorestate *new)
{
	if (tuplestore_tuple_count(old) == tuplestore_tuple_count(new))
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot keep rows of table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("A trigger has dropped a row that moved from one partition to another."),
			errtable(rel));
}

/*
 * The commands that have changed the gathered rows, in their order: the
 * statement that fires the trigger has "first" of them.
 */
typedef struct Commands
{
	CommandId	cid;
	int64		left;			/* rows of it */
	List	   *parts;			/* of SgKeepPart */
	int			next;			/* of them */
	int64		total;			/* rows of all */
	const SgKeepMarks *marks;	/* of rows that were inserted; or NULL */
} Commands;

static CommandId
next_command(Commands *commands)
{
	while (commands->left <= 0 &&
		   commands->next < list_length(commands->parts))
	{
		SgKeepPart *part = list_nth(commands->parts, commands->next++);

		commands->cid = part->cid;
		commands->left = part->rows;
	}
	commands->left--;
	return commands->cid;
}

static CmdType
fired_command(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return CMD_UPDATE;
	return TRIGGER_FIRED_BY_DELETE(event) ? CMD_DELETE : CMD_INSERT;
}

/*
 * Write what has become of a row that the transaction has inserted itself.
 */
static void
keep_inserted(SgKeepWriter *writer, CmdType command, Reader *new, CommandId cid)
{
	if (command == CMD_UPDATE && reader_next(new))
		sg_keep_write_added(writer, new->slot, cid);
}

/*
 * Write the gathered rows under one label.
 */
static void
keep_images(TriggerData *trigger, SgKeepLabel *label, Commands commands)
{
	Relation	rel = trigger->tg_relation;
	TupleDesc	desc = RelationGetDescr(rel);
	CmdType		command = fired_command(trigger->tg_event);
	SgKeepWriter *writer = sg_keep_writer_open(label, rel);
	Reader		old = {0};
	Reader		new = {0};
	int64		row = 0;

	if (command != CMD_INSERT)
		reader_open(&old, trigger->tg_oldtable, desc);
	if (command != CMD_DELETE)
		reader_open(&new, trigger->tg_newtable, desc);
	while (reader_next(command == CMD_INSERT ? &new : &old))
	{
		CommandId	cid = next_command(&commands);

		CHECK_FOR_INTERRUPTS();
		if (!label->inserts && command != CMD_INSERT &&
			sg_keep_marked(commands.marks, commands.total, row++))
			keep_inserted(writer, command, &new, cid);
		else if (command == CMD_INSERT)
			sg_keep_write(writer, NULL, new.slot, cid);
		else if (command == CMD_UPDATE && reader_next(&new))
			sg_keep_write(writer, old.slot, new.slot, cid);
		else
			sg_keep_write(writer, old.slot, NULL, cid);
	}
	sg_keep_writer_close(writer);
	reader_close(&old);
	reader_close(&new);
}

/* Is there anything to be kept under a label? */
static bool
has_rows(const SgKeepLabel *label, Relation rel, CmdType command,
		 const Commands *commands)
{
	if (commands->total == 0 ||
		!sg_keep_covers(label, rel, command, commands->parts))
		return false;
	return command != CMD_DELETE || label->inserts ||
		!sg_keep_all_marked(commands->marks, commands->total);
}

/*
 * keep_images() → trigger
 */
Datum
sg_keep_images(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Tuplestorestate *rows;
	CmdType		command;
	Commands	commands = {0};
	SgKeepMarks *marks;
	ListCell   *lc;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		trigger->tg_trigger->tgoid > TRIGGER_INSERT)
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" cannot be used in a trigger of your own",
					   "keep_images"));
	command = fired_command(trigger->tg_event);
	rows = command == CMD_INSERT ? trigger->tg_newtable : trigger->tg_oldtable;
	if (command == CMD_UPDATE)
		check_pairs(trigger->tg_relation, rows, trigger->tg_newtable);
	commands.total = tuplestore_tuple_count(rows);
	marks = sg_keep_marks(RelationGetRelid(trigger->tg_relation), command);
	commands.marks = marks;

	/* in the end are those that foreign keys have changed */
	commands.cid = sg_keep_command();
	commands.parts = sg_keep_take(RelationGetRelid(trigger->tg_relation),
								  command);
	commands.left = commands.total;
	foreach(lc, commands.parts)
		commands.left -= ((SgKeepPart *) lfirst(lc))->rows;
	if (command == CMD_UPDATE)
		sg_keep_gathered(commands.left);
	for (SgKeepLabel *label = sg_keep_labels; label != NULL; label = label->next)
	{
		if (has_rows(label, trigger->tg_relation, command, &commands))
			keep_images(trigger, label, commands);
	}
	sg_keep_marks_clear(marks);
	return PointerGetDatum(NULL);
}
