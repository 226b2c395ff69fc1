/*-------------------------------------------------------------------------
 *
 * check.c
 *		safeguard.check(): reviews a script without executing any of it.
 *
 * Each statement is parsed, analysed and rewritten in a subtransaction of its
 * own, which is rolled back, so that its locks are given back and its errors
 * become rows.  Analysis is the server's, less its hook for other extensions,
 * which would count or rewrite a statement that nobody has sent.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/prepare.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "review/review.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_check);

#define PREVIEW_HINT "An earlier statement of the script may provide what is missing; safeguard.preview runs the script and rolls it back."

/* The script, and what its earlier statements mean for the later ones. */
typedef struct Check
{
	SgReview	review;
	const char *sql;
	SgScript	script;
	List	   *prepared;		/* names that it prepares: char * */
	MemoryContext lasting;		/* of the list */
} Check;

/* The statement that is being looked at. */
typedef struct Examination
{
	Check	   *check;
	SgScriptStatement *stmt;
	Node	   *copy;			/* out: of it, if it matters to later ones */
	bool		analyzed;		/* out: it is right, the rules look at it */
	List	   *rows;			/* out: SgReviewRow */
} Examination;

/* ---------------- analysis ---------------- */

/*
 * Analyse a statement whose parameters have these types, and others any.
 */
static Query *
analyze(const char *text, Node *stmt, Oid *types, int ntypes)
{
	ParseState *pstate = make_parsestate(NULL);
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *query;

	raw->stmt = stmt;
	pstate->p_sourcetext = text;
	setup_parse_variable_parameters(pstate, &types, &ntypes);
	query = transformTopLevelStmt(pstate, raw);
	check_variable_parameters(pstate, query);
	free_parsestate(pstate);
	return query;
}

/* Types that PREPARE gives its parameters. */
static Oid *
parameter_types(const char *text, List *names, int *ntypes)
{
	ParseState *pstate = make_parsestate(NULL);
	Oid		   *types = palloc(list_length(names) * sizeof(Oid));
	ListCell   *lc;

	pstate->p_sourcetext = text;
	*ntypes = 0;
	foreach(lc, names)
		types[(*ntypes)++] = typenameTypeId(pstate, lfirst(lc));
	free_parsestate(pstate);
	return types;
}

/* ---------------- kinds of statements ---------------- */

static void
add_rows(Examination *exam, List *findings, SgLevel highest)
{
	exam->rows = list_concat(exam->rows, sg_review_rows(findings, highest));
}

static void
look_at_query(Examination *exam, Query *query, const char *text,
			  SgLevel highest)
{
	/* EXPLAIN without ANALYZE writes nothing */
	bool		none = true;
	List	   *rewritten = QueryRewrite(query);

	exam->analyzed = true;
	sg_script_query(&exam->check->script, query);
	add_rows(exam,
			 sg_review_find(rewritten, text, highest == SG_LEVEL_ERROR ?
							&exam->check->review.bypassed : &none),
			 highest);
}

/* The statement of EXECUTE: positions in it are not positions in the script. */
static void
look_at_execute(Examination *exam, ExecuteStmt *stmt, SgLevel highest)
{
	PreparedStatement *prepared = FetchPreparedStatement(stmt->name, false);
	CachedPlanSource *source;
	Query	   *query;
	ListCell   *lc;

	foreach(lc, prepared == NULL ? exam->check->prepared : NIL)
	{
		/* its PREPARE has been judged */
		if (strcmp(lfirst(lc), stmt->name) == 0)
			return;
	}
	if (prepared == NULL)
		prepared = FetchPreparedStatement(stmt->name, true);
	source = prepared->plansource;
	if (source->raw_parse_tree == NULL)
		return;
	query = analyze(source->query_string,
					copyObject(source->raw_parse_tree->stmt),
					source->param_types, source->num_params);
	if (query->commandType == CMD_UTILITY)
		return;
	look_at_query(exam, query, source->query_string, highest);
	foreach(lc, exam->rows)
		((SgReviewRow *) lfirst(lc))->location = -1;
}

static bool
explain_executes(const ExplainStmt *stmt)
{
	bool		executes = false;
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "analyze") == 0)
			executes = defGetBoolean(option);
	}
	return executes;
}

/* A statement that has been analysed, and what is inside of it. */
static void
look_at_analyzed(Examination *exam, Query *query, SgLevel highest)
{
	Node	   *utility = query->utilityStmt;

	if (query->commandType != CMD_UTILITY)
		look_at_query(exam, query, exam->stmt->text, highest);
	else if (IsA(utility, ExplainStmt))
	{
		ExplainStmt *stmt = (ExplainStmt *) utility;

		/* it warns at most of what it does not execute */
		look_at_analyzed(exam, castNode(Query, stmt->query),
						 explain_executes(stmt) ? highest : SG_LEVEL_WARNING);
	}
	else if (IsA(utility, CreateTableAsStmt))
		look_at_analyzed(exam,
						 castNode(Query, ((CreateTableAsStmt *) utility)->query),
						 highest);
	else if (IsA(utility, DeclareCursorStmt))
		look_at_analyzed(exam,
						 castNode(Query, ((DeclareCursorStmt *) utility)->query),
						 highest);
	else if (IsA(utility, ExecuteStmt))
		look_at_execute(exam, (ExecuteStmt *) utility, highest);
}

/* A statement inside a utility command that is analysed only by the command. */
static void
look_at_inner(Examination *exam, Node *stmt, List *types)
{
	const char *text = exam->stmt->text;
	int			ntypes;
	Oid		   *oids = parameter_types(text, types, &ntypes);

	look_at_analyzed(exam, analyze(text, stmt, oids, ntypes), SG_LEVEL_ERROR);
}

static void
examine(void *arg)
{
	Examination *exam = (Examination *) arg;
	const char *text = exam->stmt->text;
	Node	   *stmt = exam->stmt->raw->stmt;

	/* analysis scribbles on the tree; a deep one cannot be copied */
	if (sg_script_follows(stmt))
		exam->copy = copyObject(stmt);
	if (sg_is_utility(stmt))
	{
		ErrorData  *error;

		add_rows(exam, sg_script_utility(&exam->check->script,
										 copyObject(stmt), text,
										 exam->stmt->len, &error),
				 SG_LEVEL_ERROR);
		if (error != NULL)
			ReThrowError(error);
	}
	if (IsA(stmt, PrepareStmt))
		look_at_inner(exam, ((PrepareStmt *) stmt)->query,
					  ((PrepareStmt *) stmt)->argtypes);
	else if (IsA(stmt, CopyStmt) && ((CopyStmt *) stmt)->query != NULL)
		look_at_inner(exam, ((CopyStmt *) stmt)->query, NIL);
	else if (IsA(stmt, ViewStmt))
		(void) analyze(text, ((ViewStmt *) stmt)->query, NULL, 0);
	else
		look_at_analyzed(exam, analyze(text, stmt, NULL, 0), SG_LEVEL_ERROR);
}

/* ---------------- what earlier statements do for later ones ---------------- */

static void
follow(Check *check, Node *stmt)
{
	sg_script_follow(&check->script, stmt);
	if (IsA(stmt, PrepareStmt))
	{
		MemoryContext caller = MemoryContextSwitchTo(check->lasting);

		check->prepared = lappend(check->prepared,
								  pstrdup(((PrepareStmt *) stmt)->name));
		MemoryContextSwitchTo(caller);
	}
	else if (IsA(stmt, DoStmt) || IsA(stmt, CallStmt) ||
			 GetCommandLogLevel(stmt) == LOGSTMT_DDL)
		check->review.hint = PREVIEW_HINT;
}

/* ---------------- the function ---------------- */

/* Return a row; what points at nothing points at the statement. */
static void
put(Check *check, SgReviewRow *row)
{
	row->location = Max(row->location, 0);
	sg_review_put(&check->review, row);
}

static void
put_failure(Check *check, const Examination *exam, ErrorData *edata)
{
	SgReviewRow *row;

	/* no verdict on the statement: somebody else has a lock */
	if (edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(edata);
	row = sg_review_error_row("analyze", edata, check->review.text,
							  check->review.hint);
	if (exam->analyzed || sg_is_veto(edata))
	{
		/* the statement is right, and a rule has failed: enforcing goes on */
		row->level = sg_level_name(SG_LEVEL_RECORD);
		row->message = psprintf("statement was not judged: %s", row->message);
		row->hint = NULL;
	}
	put(check, row);
}

static void
check_statement(Check *check, SgScriptStatement *stmt)
{
	Examination exam = {.check = check, .stmt = stmt};
	ErrorData  *edata;
	ListCell   *lc;

	CHECK_FOR_INTERRUPTS();
	check->review.statement = stmt->number;
	check->review.chars = stmt->chars;
	(void) sg_script_parse(check->sql, stmt);
	check->review.text = stmt->text;
	if (stmt->error != NULL)
	{
		put(check, sg_review_error_row("syntax", stmt->error, stmt->text,
									   NULL));
		return;
	}

	edata = sg_contained_review(examine, &exam);
	foreach(lc, exam.rows)
		put(check, lfirst(lc));
	if (edata != NULL)
	{
		put_failure(check, &exam, edata);
		if (!sg_is_utility(stmt->raw->stmt))
			sg_script_failed(&check->script, edata);
	}
	if (exam.copy != NULL)
	{
		sg_review_inline(&check->review, exam.copy);
		follow(check, exam.copy);
	}
}

/*
 * One row per finding about the statements of a script.
 */
Datum
sg_check(PG_FUNCTION_ARGS)
{
	Check		check = {0};
	MemoryContext work;
	MemoryContext caller;
	ListCell   *lc;

	sg_require_argument(fcinfo, 0, "sql");
	InitMaterializedSRF(fcinfo, 0);
	check.review.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	check.sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	check.lasting = CurrentMemoryContext;
	sg_script_begin(&check.script);
	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard review",
								 ALLOCSET_DEFAULT_SIZES);
	foreach(lc, sg_script_split(check.sql))
	{
		caller = MemoryContextSwitchTo(work);
		check_statement(&check, lfirst(lc));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
	sg_script_end(&check.script);
	return (Datum) 0;
}
