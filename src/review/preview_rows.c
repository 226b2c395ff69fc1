/*-------------------------------------------------------------------------
 *
 * preview_rows.c
 *		Shows what was rehearsed as rows of safeguard.preview().
 *
 * Called when all has been rolled back: names are those that the database has
 * now, and what the script has made has no OID any more.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "review/preview.h"

/* columns, in the order of the function's result */
enum
{
	COL_STATEMENT, COL_COMMAND, COL_RELATION, COL_RELATION_NAME, COL_ROWS,
	COL_SOURCE_ROWS, COL_SCOPE, COL_SAMPLE, COL_LOCKS, COL_WAL_BYTES,
	COL_DURATION, COL_SQLSTATE, COL_ERROR, COL_FINDINGS, NUM_COLUMNS
};

typedef struct Row
{
	Datum		values[NUM_COLUMNS];
	bool		nulls[NUM_COLUMNS];
} Row;

static void
set(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
set_text(Row *row, int column, const char *text)
{
	if (text != NULL)
		set(row, column, CStringGetTextDatum(text));
}

static void
set_json(Row *row, int column, const char *json)
{
	if (json != NULL)
		set(row, column, DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

static void
set_number(Row *row, int column, int64 number)
{
	if (number >= 0)
		set(row, column, Int64GetDatum(number));
}

static void
set_relation(Row *row, Oid relid, const char *name)
{
	if (OidIsValid(relid) && get_rel_relkind(relid) != '\0')
		set(row, COL_RELATION, ObjectIdGetDatum(relid));
	set_text(row, COL_RELATION_NAME, name);
}

static void
set_locks(Row *row, const SgHeldLocks *locks)
{
	List	   *texts = sg_lock_texts(locks);
	Datum	   *datums = palloc((list_length(texts) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, texts)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	set(row, COL_LOCKS, PointerGetDatum(construct_array(datums, n, TEXTOID, -1,
														false, TYPALIGN_INT)));
}

/* One field of a finding. */
static void
append_field(StringInfo buf, const char *name, const char *text)
{
	appendStringInfo(buf, ", \"%s\": ", name);
	if (text == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, text);
}

static void
set_findings(Row *row, const List *findings)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	foreach(lc, findings)
	{
		const SgCaptured *finding = lfirst(lc);

		appendStringInfo(&buf, "%s{\"rule\": \"%s\"", buf.len > 1 ? ", " : "",
						 sg_rules[finding->rule].name);
		append_field(&buf, "level", sg_level_name(finding->level));
		append_field(&buf, "message", finding->message);
		append_field(&buf, "detail", finding->detail);
		append_field(&buf, "hint", finding->hint);
		if (finding->position > 0)
			appendStringInfo(&buf, ", \"position\": %d}", finding->position);
		else
			appendStringInfoString(&buf, ", \"position\": null}");
	}
	appendStringInfoChar(&buf, ']');
	set_json(row, COL_FINDINGS, buf.data);
}

/* The command, and what is special about this row of it. */
static char *
command_text(const char *command, const char *kind, bool again)
{
	if (command == NULL)
		return NULL;			/* it is no SQL */
	if (kind == NULL && !again)
		return pstrdup(command);
	return psprintf("%s (%s%s%s)", command, kind ? kind : "",
					kind && again ? ", " : "", again ? "second run" : "");
}

static void
begin_row(Row *row, const SgRehearsed *rehearsed, const char *command,
		  const char *kind)
{
	memset(row->nulls, true, sizeof(row->nulls));
	if (rehearsed->number > 0)
		set(row, COL_STATEMENT, Int32GetDatum(rehearsed->number));
	set_text(row, COL_COMMAND, command_text(command, kind, rehearsed->again));
}

/* The statement itself, with its own target. */
static void
put_statement(const SgRehearsed *rehearsed, const SgChanged *own,
			  Tuplestorestate *store, TupleDesc desc)
{
	Row			row;

	begin_row(&row, rehearsed, rehearsed->command, NULL);
	if (own != NULL)
	{
		set_relation(&row, own->relid, own->name);
		set_number(&row, COL_ROWS, own->rows);
		set_json(&row, COL_SCOPE, own->scope);
		set_json(&row, COL_SAMPLE, own->sample);
	}
	else
	{
		set_relation(&row, rehearsed->relid, rehearsed->name);
		set_number(&row, COL_ROWS, rehearsed->rows);
	}
	set_number(&row, COL_SOURCE_ROWS, rehearsed->source_rows);
	if (rehearsed->sqlstate == 0)
		set_locks(&row, &rehearsed->locks);
	set_number(&row, COL_WAL_BYTES, (int64) rehearsed->wal_bytes);
	set(&row, COL_DURATION, Float8GetDatum(rehearsed->duration_ms));
	if (rehearsed->sqlstate != 0)
	{
		set_text(&row, COL_SQLSTATE, unpack_sql_state(rehearsed->sqlstate));
		set_text(&row, COL_ERROR, rehearsed->error);
	}
	set_findings(&row, rehearsed->findings);
	tuplestore_putvalues(store, desc, row.values, row.nulls);
}

/* Another relation that it has changed. */
static void
put_changed(const SgRehearsed *rehearsed, const SgChanged *changed,
			Tuplestorestate *store, TupleDesc desc)
{
	static const char *const kinds[] = {
		[SG_HIT_OWN] = NULL,
		[SG_HIT_CTE] = "WITH",
		[SG_HIT_RULE] = "rule",
		[SG_HIT_FUNCTION] = "function",
		[SG_HIT_TRIGGER] = "trigger",
		[SG_HIT_CASCADE] = "cascade",
	};
	Row			row;

	begin_row(&row, rehearsed, sg_operation_name(changed->operation),
			  kinds[changed->kind]);
	set_relation(&row, changed->relid, changed->name);
	set_number(&row, COL_ROWS, changed->rows);
	set_json(&row, COL_SCOPE, changed->scope);
	set_json(&row, COL_SAMPLE, changed->sample);
	tuplestore_putvalues(store, desc, row.values, row.nulls);
}

/* Deferred work is told of only where there was some. */
static bool
is_worth_telling(const SgRehearsed *rehearsed)
{
	return rehearsed->number > 0 || rehearsed->sqlstate != 0 ||
		rehearsed->changed != NIL || rehearsed->findings != NIL;
}

void
sg_preview_put(SgRehearsal *rehearsal, Tuplestorestate *store, TupleDesc desc)
{
	ListCell   *lc;

	Assert(desc->natts == NUM_COLUMNS);
	foreach(lc, rehearsal->done)
	{
		const SgRehearsed *rehearsed = lfirst(lc);
		const SgChanged *own = NULL;
		MemoryContext caller = MemoryContextSwitchTo(rehearsal->work);
		ListCell   *lc2;

		CHECK_FOR_INTERRUPTS();
		if (rehearsed->changed != NIL)
		{
			own = linitial(rehearsed->changed);
			if (own->kind != SG_HIT_OWN)
				own = NULL;
		}
		if (is_worth_telling(rehearsed))
			put_statement(rehearsed, own, store, desc);
		foreach(lc2, rehearsed->changed)
		{
			if (lfirst(lc2) != own)
				put_changed(rehearsed, lfirst(lc2), store, desc);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(rehearsal->work);
	}
}
