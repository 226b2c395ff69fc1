/*-------------------------------------------------------------------------
 *
 * advise.c
 *		conflict_target, as early as a statement is known: at PREPARE and at
 *		CREATE FUNCTION, where the server does not plan.
 *
 * The statement is planned in a subtransaction that is always rolled back,
 * locks included, and as in a review nobody's functions are executed for that,
 * since the command itself would not do so.  Whatever goes wrong there says nothing about the command,
 * which has done its work: a table may not exist yet.  So there is a WARNING,
 * or nothing.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "commands/prepare.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "review/review.h"
#include "safeguard.h"

/* A statement that is tried, and what came of it. */
typedef struct Trial
{
	void		(*work) (struct Trial *trial);
	SgBody	   *body;			/* of a function, or NULL */
	SgBodyStatement *stmt;		/* of it */
	Oid			function;
	List	   *queries;		/* of a prepared statement */
	const char *text;			/* that locations refer to */
	uint64		queryid;
	List	   *decisions;		/* out */
	bool		locked;			/* out: somebody has a lock on a table */
} Trial;

/* how long a look at a statement may wait for a lock, in ms */
#define LOCK_TIMEOUT	"10"

/* ---------------- trying ---------------- */

static void
work_of_trial(void *arg)
{
	Trial	   *trial = (Trial *) arg;

	/* an advice is not worth waiting for */
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	(*trial->work) (trial);
}

/*
 * Run a piece of work and roll it back.  Returns whether it ended without an
 * error.
 */
static bool
run_and_roll_back(void (*work) (Trial *trial), Trial *trial)
{
	ErrorData  *edata;

	trial->work = work;
	edata = sg_contained_review(work_of_trial, trial);
	if (edata == NULL)
		return true;
	trial->locked = edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	return false;
}

/*
 * Plan Queries and decide on what is found.  Levels, exceptions and privileges
 * are asked here, where the function's own settings hold.
 */
static void
try_queries(Trial *trial, List *queries)
{
	ListCell   *lc;

	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);
		SgFinding  *finding;

		if (query->commandType == CMD_UTILITY ||
			!sg_conflict_target_wanted(query))
			continue;
		finding = sg_conflict_target_try(query, sg_without_calls(query),
										 trial->text, NULL);
		if (finding == NULL)
			continue;
		trial->queryid = (uint64) query->queryId;
		trial->decisions = sg_decide(list_make1(finding));

		/* the error it was found by leaves no more planning to do */
		return;
	}
}

static void
try_prepared(Trial *trial)
{
	try_queries(trial, trial->queries);
}

/* ---------------- PREPARE ---------------- */

static void
advise_prepared(SgUtility *utility, PrepareStmt *stmt)
{
	PreparedStatement *prepared = FetchPreparedStatement(stmt->name, false);
	SgSource	source = {utility->query_string,
		utility->pstmt->stmt_location, utility->pstmt->stmt_len, 0};
	Trial		trial = {0};
	ListCell   *lc;
	bool		wanted = false;

	if (prepared == NULL || !prepared->plansource->is_valid)
		return;
	foreach(lc, prepared->plansource->query_list)
		wanted = wanted || sg_conflict_target_wanted(lfirst_node(Query, lc));
	if (!wanted)
		return;
	trial.queries = copyObject(prepared->plansource->query_list);
	trial.text = utility->query_string;
	run_and_roll_back(try_prepared, &trial);
	source.queryid = trial.queryid;
	sg_deliver(trial.decisions, &source, false);
}

/* ---------------- CREATE FUNCTION ---------------- */

static void
open_function(Trial *trial)
{
	sg_body_settings(trial->function);
	trial->body = sg_body_open(trial->function, InvalidOid);
}

static void
try_statement(Trial *trial)
{
	List	   *queries;

	sg_body_settings(trial->function);
	queries = sg_body_analyze(trial->body, trial->stmt);

	/* it is known only when the trigger fires what NEW and OLD are */
	if (!trial->stmt->needs_row)
		try_queries(trial, queries);
}

/*
 * Says where in the function the statement stands, and turns a position in
 * its body into one in the CREATE FUNCTION.
 */
static void
context_of_statement(void *arg)
{
	Trial	   *trial = (Trial *) arg;

	if (trial->stmt->offset >= 0)
		function_parse_error_transpose(trial->body->source);
	if (trial->stmt->line > 0)
		errcontext("function %s, line %d",
				   format_procedure(trial->function), trial->stmt->line);
	else
		errcontext("function %s", format_procedure(trial->function));
}

static void
deliver_statement(SgUtility *utility, Trial *trial)
{
	SgBodyStatement *stmt = trial->stmt;
	SgSource	source = {0};
	ErrorContextCallback callback;

	if (trial->decisions == NIL)
		return;
	if (stmt->offset >= 0)
	{
		/* of the statement's own text, or of the whole body */
		bool		part = stmt->text != trial->body->source;
		SgDecision *decision = linitial(trial->decisions);
		SgFinding  *finding = unconstify(SgFinding *, decision->finding);

		source.text = trial->body->source;
		source.location = stmt->offset + stmt->location;
		source.len = part ? strlen(stmt->text) : stmt->len;
		if (finding->location >= 0)
			finding->location += stmt->offset;
	}
	else if (stmt->text != NULL)
		source.text = stmt->text;
	else
	{
		source.text = utility->query_string;
		source.location = utility->pstmt->stmt_location;
		source.len = utility->pstmt->stmt_len;
	}

	callback.callback = context_of_statement;
	callback.arg = trial;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	sg_deliver(trial->decisions, &source, false);
	error_context_stack = callback.previous;
}

/* Does a text have the word CONFLICT, without which there is no upsert? */
static bool
mentions_conflict(const char *text, int len)
{
	static const char word[] = "conflict";
	int			n = strlen(word);

	for (int i = 0; i + n <= len; i++)
	{
		if (pg_strncasecmp(text + i, word, n) == 0)
			return true;
	}
	return false;
}

static bool
may_have_upsert(const SgBodyStatement *stmt)
{
	const char *start;

	if (stmt->dynamic)
		return false;
	if (stmt->stored != NULL)
		return stmt->stored->commandType != CMD_UTILITY &&
			sg_conflict_target_wanted(stmt->stored);
	start = stmt->text + stmt->location;
	return mentions_conflict(start, stmt->len > 0 ? stmt->len : strlen(start));
}

/* Is it worth compiling a function? */
static bool
function_mentions_conflict(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Datum		datum;
	bool		isnull;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	(void) SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	result = !isnull;
	if (!result)
	{
		datum = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
		if (!isnull)
		{
			char	   *source = TextDatumGetCString(datum);

			result = mentions_conflict(source, strlen(source));
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

static void
advise_function(SgUtility *utility)
{
	Trial		opened = {.function = utility->function};
	ListCell   *lc;

	if (!check_function_bodies || sg_session_is_restore() ||
		!function_mentions_conflict(utility->function))
		return;
	if (!run_and_roll_back(open_function, &opened) || opened.body == NULL)
		return;
	foreach(lc, opened.body->statements)
	{
		Trial		trial = {.function = opened.function,
		.body = opened.body, .stmt = lfirst(lc)};

		if (!may_have_upsert(trial.stmt))
			continue;
		trial.text = trial.stmt->text;
		run_and_roll_back(try_statement, &trial);
		if (trial.locked)
			break;
		deliver_statement(utility, &trial);
	}
}

/* ---------------- both ---------------- */

/*
 * Look at what a utility command has made known.  Called when the command has
 * done its work.
 */
void
sg_conflict_target_advise(SgUtility *utility)
{
	Node	   *stmt = utility->pstmt->utilityStmt;
	MemoryContext work;
	MemoryContext caller;

	/* there are no subtransactions in a parallel operation */
	if (IsInParallelMode())
		return;
	if (!IsA(stmt, PrepareStmt) &&
		!(IsA(stmt, CreateFunctionStmt) && OidIsValid(utility->function)))
		return;

	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard advice",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	if (IsA(stmt, PrepareStmt))
		advise_prepared(utility, (PrepareStmt *) stmt);
	else
		advise_function(utility);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
