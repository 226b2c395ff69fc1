/*-------------------------------------------------------------------------
 *
 * preview_run.c
 *		Runs the statements of a script one after the other, and writes down
 *		what each of them did.
 *
 * Each is run through a portal, as the server runs what a client sends, less
 * that it is not at top level: it cannot commit, and what refuses to run
 * inside a transaction does so.  Its rows go nowhere.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ddl/ddl.h"
#include "review/preview.h"

/* ---------------- findings ---------------- */

/* Where a finding points to in the script, or 0. */
static int
position_of(const SgFinding *finding, const SgSource *source)
{
	const SgScriptStatement *stmt = sg_rehearsal->statement;

	if (stmt == NULL || stmt->text == NULL || finding->location < 0 ||
		source->text == NULL ||
		(source->text != stmt->text && strcmp(source->text, stmt->text) != 0) ||
		finding->location > stmt->len)
		return 0;
	return stmt->chars +
		pg_mbstrlen_with_len(stmt->text, finding->location) + 1;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
is_known(const SgRehearsed *rehearsed, const SgCaptured *captured)
{
	ListCell   *lc;

	foreach(lc, rehearsed->findings)
	{
		const SgCaptured *other = lfirst(lc);

		if (other->rule == captured->rule && other->level == captured->level &&
			other->position == captured->position &&
			same_text(other->message, captured->message) &&
			same_text(other->detail, captured->detail))
			return true;
	}
	return false;
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

/*
 * What the rules would count and report.  What a loop finds again and again
 * is told once.
 */
void
sg_preview_capture(const SgDecision *decision, const SgSource *source)
{
	const SgFinding *finding = decision->finding;
	SgRehearsed *rehearsed = sg_rehearsal->current;
	SgCaptured	captured = {finding->rule, decision->level};
	SgCaptured *copy;
	MemoryContext caller;

	if (rehearsed == NULL ||
		list_length(rehearsed->findings) >= SG_PREVIEW_FINDINGS)
		return;
	captured.position = position_of(finding, source);
	captured.message = decision->readable ? finding->message :
		finding->closed_message;
	if (decision->readable)
	{
		captured.detail = finding->detail;
		captured.hint = finding->hint;
	}
	if (is_known(rehearsed, &captured))
		return;
	caller = MemoryContextSwitchTo(sg_rehearsal->context);
	copy = palloc(sizeof(SgCaptured));
	*copy = captured;
	copy->message = copy_text(captured.message);
	copy->detail = copy_text(captured.detail);
	copy->hint = copy_text(captured.hint);
	rehearsed->findings = lappend(rehearsed->findings, copy);
	MemoryContextSwitchTo(caller);
}

/* ---------------- the beginning and the end of a statement ---------------- */

static void
start_clock(SgRehearsal *rehearsal)
{
	rehearsal->wal_before = pgWalUsage.wal_bytes;
	INSTR_TIME_SET_CURRENT(rehearsal->started);
}

void
sg_preview_stop_clock(SgRehearsal *rehearsal)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, rehearsal->started);
	rehearsal->current->duration_ms = INSTR_TIME_GET_MILLISEC(now);
	rehearsal->current->wal_bytes = pgWalUsage.wal_bytes -
		rehearsal->wal_before;
}

/*
 * From here on a failure is the statement's.  The current memory context is
 * the statement's, too.
 */
static SgRehearsed *
begin_statement(SgRehearsal *rehearsal, const SgScriptStatement *stmt,
				bool again)
{
	MemoryContext caller = MemoryContextSwitchTo(rehearsal->context);
	SgRehearsed *rehearsed = palloc0(sizeof(SgRehearsed));

	rehearsed->number = stmt ? stmt->number : 0;
	rehearsed->again = again;
	rehearsed->rows = rehearsed->source_rows = -1;
	rehearsal->done = lappend(rehearsal->done, rehearsed);
	MemoryContextSwitchTo(caller);

	rehearsal->hits = NIL;
	rehearsal->counted = NULL;
	rehearsal->statement = stmt;
	rehearsal->current = rehearsed;
	sg_held_locks(&rehearsal->before);
	start_clock(rehearsal);
	return rehearsed;
}

static void
finish_statement(SgRehearsal *rehearsal)
{
	SgRehearsed *rehearsed = rehearsal->current;
	SgHeldLocks now;

	sg_preview_stop_clock(rehearsal);

	/* what is told outlives the statement, and the subtransaction */
	rehearsed->changed = sg_preview_changed(rehearsal);
	sg_held_locks(&now);
	sg_new_locks(&rehearsed->locks, &now, &rehearsal->before,
				 rehearsal->context);

	rehearsal->current = NULL;
	rehearsal->statement = NULL;
	rehearsal->hits = NIL;
}

/*
 * The statement that was running has failed, and its clock has been stopped.
 */
void
sg_preview_failed(SgRehearsal *rehearsal, ErrorData *edata)
{
	SgRehearsed *rehearsed = rehearsal->current;
	MemoryContext caller = MemoryContextSwitchTo(rehearsal->context);

	rehearsed->rows = -1;
	rehearsed->sqlstate = edata->sqlerrcode;
	rehearsed->error = edata->detail == NULL ? pstrdup(edata->message) :
		psprintf("%s\nDETAIL:  %s", edata->message, edata->detail);
	MemoryContextSwitchTo(caller);
	rehearsal->current = NULL;
	rehearsal->statement = NULL;
	rehearsal->hits = NIL;
}

/*
 * Find the relation that the statement names, before it runs or, if it was
 * not there then, afterwards.
 */
static void
find_named(SgRehearsal *rehearsal, Node *stmt)
{
	SgRehearsed *rehearsed = rehearsal->current;
	const RangeVar *name;
	const char *text;

	if (OidIsValid(rehearsed->relid))
		return;
	name = sg_named_relation(stmt);
	if (name == NULL)
		return;
	rehearsed->relid = sg_find_relation(name);
	if (OidIsValid(rehearsed->relid))
		text = DatumGetCString(DirectFunctionCall1(regclassout,
												   ObjectIdGetDatum(rehearsed->relid)));
	else
		text = quote_qualified_identifier(name->schemaname, name->relname);
	rehearsed->name = MemoryContextStrdup(rehearsal->context, text);
}

/* ---------------- running ---------------- */

/*
 * Analyse and plan, as the server does with what a client sends.  What the
 * source of the statement selects is counted in between.
 */
static List *
plan_statement(SgRehearsal *rehearsal, RawStmt *raw, const char *text)
{
	bool		snapshot = analyze_requires_snapshot(raw);
	Query	   *query;
	Query	   *source;
	List	   *plans;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	query = parse_analyze_fixedparams(raw, text, NULL, 0, NULL);
	source = sg_source_query(query);
	if (source != NULL)
	{
		rehearsal->current->source_rows = sg_source_count(source, text);
		start_clock(rehearsal);
	}
	plans = pg_plan_queries(pg_rewrite_query(query), text,
							CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

static void
run_plans(List *plans, const char *text, CommandTag tag, QueryCompletion *qc)
{
	Portal		portal = CreateNewPortal();

	portal->visible = false;
	PortalDefineQuery(portal, NULL, text, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) sg_portal_run_all(portal, None_Receiver, qc);
	PortalDrop(portal, false);
	CommandCounterIncrement();
}

/*
 * The number of the command tag, where it is one of rows changed.  A SELECT
 * that makes a table, or CREATE TABLE AS, has the tag of a plain SELECT.
 */
static int64
rows_of_tag(const QueryCompletion *qc, const Node *stmt, bool makes_table)
{
	switch (qc->commandTag)
	{
		case CMDTAG_INSERT:
		case CMDTAG_UPDATE:
		case CMDTAG_DELETE:
		case CMDTAG_MERGE:
		case CMDTAG_REFRESH_MATERIALIZED_VIEW:
			return (int64) qc->nprocessed;
		case CMDTAG_COPY:
			return ((const CopyStmt *) stmt)->is_from ?
				(int64) qc->nprocessed : -1;
		case CMDTAG_SELECT:
			return makes_table ? (int64) qc->nprocessed : -1;
		default:
			return -1;
	}
}

/* INSERT ... SELECT: what came from below the node is the source. */
static void
count_insert_source(SgRehearsal *rehearsal, const Node *stmt)
{
	const Node *select = IsA(stmt, InsertStmt) ?
		((const InsertStmt *) stmt)->selectStmt : NULL;
	ListCell   *lc;

	if (select == NULL || !IsA(select, SelectStmt) ||
		((const SelectStmt *) select)->valuesLists != NIL)
		return;
	foreach(lc, rehearsal->hits)
	{
		const SgHit *hit = lfirst(lc);

		if (hit->kind == SG_HIT_OWN && hit->operation == CMD_INSERT)
			rehearsal->current->source_rows = hit->source;
	}
}

static void
run_statement(SgRehearsal *rehearsal, SgScriptStatement *stmt, bool again)
{
	SgRehearsed *rehearsed = begin_statement(rehearsal, stmt, again);
	QueryCompletion qc;
	CommandTag	tag;
	Node	   *node;
	bool		makes_table;

	/* not before: the end of its time is a statement's failure, too */
	CHECK_FOR_INTERRUPTS();
	if (!sg_script_parse(rehearsal->sql, stmt))
		ReThrowError(stmt->error);
	node = stmt->raw->stmt;
	tag = CreateCommandTag(node);
	rehearsed->command = GetCommandTagName(tag);
	find_named(rehearsal, node);
	sg_preview_check_time();

	makes_table = (IsA(node, SelectStmt) || IsA(node, CreateTableAsStmt)) &&
		sg_named_relation(node) != NULL;

	/* of a copy, since it is scribbled on */
	InitializeQueryCompletion(&qc);
	run_plans(plan_statement(rehearsal, copyObject(stmt->raw), stmt->text),
			  stmt->text, tag, &qc);

	rehearsed->rows = rows_of_tag(&qc, node, makes_table);
	count_insert_source(rehearsal, node);
	find_named(rehearsal, node);
	finish_statement(rehearsal);
}

/*
 * Constraints and triggers that wait for the end of the transaction.
 */
static void
run_deferred(SgRehearsal *rehearsal, bool again)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);
	SgRehearsed *rehearsed = begin_statement(rehearsal, NULL, again);
	PlannedStmt *plan = makeNode(PlannedStmt);
	QueryCompletion qc;

	rehearsed->command = GetCommandTagName(CMDTAG_SET_CONSTRAINTS);
	plan->commandType = CMD_UTILITY;
	plan->utilityStmt = (Node *) stmt;
	plan->canSetTag = true;
	plan->stmt_location = -1;
	InitializeQueryCompletion(&qc);
	run_plans(list_make1(plan), "SET CONSTRAINTS ALL IMMEDIATE",
			  CMDTAG_SET_CONSTRAINTS, &qc);
	finish_statement(rehearsal);
}

static void
run_once(SgRehearsal *rehearsal, bool again)
{
	ListCell   *lc;

	foreach(lc, rehearsal->script)
	{
		SgScriptStatement *stmt = lfirst(lc);

		MemoryContextSwitchTo(rehearsal->work);
		run_statement(rehearsal, stmt, again);
		stmt->text = NULL;
		stmt->raw = NULL;
		MemoryContextReset(rehearsal->work);
	}
	MemoryContextSwitchTo(rehearsal->work);
	run_deferred(rehearsal, again);
	MemoryContextReset(rehearsal->work);
}

/*
 * Run the script, and if it is wanted run it again.
 */
void
sg_preview_script(SgRehearsal *rehearsal)
{
	run_once(rehearsal, false);
	if (rehearsal->twice)
		run_once(rehearsal, true);
}
