/*-------------------------------------------------------------------------
 *
 * run.c
 *		Runs the text of a migration.
 *
 * All of it is parsed before anything runs.  Then each statement is analysed
 * when it is its turn, since it may need what those before have made, and runs
 * as if a client had sent it, less that it can neither end the transaction nor
 * be at top level: what refuses to run in a transaction does so.  Its result
 * goes nowhere.  What it sets ends with the text.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "exec/exec.h"
#include "migrate/migrate.h"
#include "review/rehearse.h"
#include "review/review.h"

#define BOM "\xef\xbb\xbf"

/* A migration that runs, and the statement of it that does. */
typedef struct Run
{
	const SgMigrationName *name;
	SgMigrationFigures *figures;
	const SgScriptStatement *stmt;
	char	   *text;			/* of the statement */
	bool		outside;		/* does it belong outside of a transaction, if
								 * the server says so? */
} Run;

/* ---------------- text ---------------- */

/*
 * The text without what editors and version control change: a byte order mark
 * and the returns before newlines.
 */
char *
sg_migration_canonical(const char *sql)
{
	char	   *result = palloc(strlen(sql) + 1);
	char	   *to = result;

	if (strncmp(sql, BOM, 3) == 0)
		sql += 3;
	for (; *sql != '\0'; sql++)
	{
		if (sql[0] != '\r' || sql[1] != '\n')
			*to++ = *sql;
	}
	*to = '\0';
	return result;
}

/*
 * Its SHA-256, the same in databases of all encodings; SQL_ASCII does not say
 * what its bytes are.
 */
char *
sg_migration_checksum(const char *canonical)
{
	const char *utf8 = GetDatabaseEncoding() == PG_SQL_ASCII ? canonical :
		pg_server_to_any(canonical, strlen(canonical), PG_UTF8);
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	char	   *result = palloc(2 * PG_SHA256_DIGEST_LENGTH + 1);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) utf8, strlen(utf8)) < 0 ||
		pg_cryptohash_final(context, hash, sizeof(hash)) < 0)
		elog(ERROR, "could not compute SHA-256 hash");
	pg_cryptohash_free(context);
	result[hex_encode((char *) hash, sizeof(hash), result)] = '\0';
	return result;
}

/* ---------------- errors ---------------- */

/*
 * An error of a statement points into the statement, and not into the call.
 */
static void
run_error_callback(void *arg)
{
	Run		   *run = arg;
	int			position = geterrposition();

	if (run->stmt == NULL)
		return;
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(run->text);
	}
	if (run->outside && geterrcode() == ERRCODE_ACTIVE_SQL_TRANSACTION)
		errhint("Run it by itself between safeguard.migration_begin(%s) and safeguard.migration_end(%s).",
				quote_literal_cstr(run->name->version),
				quote_literal_cstr(run->name->version));
	errcontext("statement %d of migration \"%s\"", run->stmt->number,
			   run->name->version);
}

static void
refuse_statement(const Node *node)
{
	if (IsA(node, TransactionStmt))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				errmsg("%s is not allowed in a migration",
					   GetCommandTagName(CreateCommandTag(unconstify(Node *, node)))),
				errdetail("safeguard.migrate() runs all of the text in the transaction that calls it, so that it is applied as a whole or not at all."),
				errhint("Leave the statement out."));
	if (IsA(node, CopyStmt) && ((const CopyStmt *) node)->filename == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("COPY from or to the client is not possible in a migration"),
				errhint("Use INSERT ... VALUES, or COPY with a file on the server."));
}

/* ---------------- rows ---------------- */

static void
watch_nothing(SgRowCount *count)
{
}

/*
 * Count what a statement changes by itself and by its CTEs.
 */
static SgRowCount *
count_rows(QueryDesc *queryDesc, int *ncounts)
{
	MemoryContext caller = MemoryContextSwitchTo(queryDesc->estate->es_query_cxt);
	List	   *nodes = list_copy(queryDesc->estate->es_auxmodifytables);
	SgRowCount *counts;
	ListCell   *lc;

	if (IsA(queryDesc->planstate, ModifyTableState))
		nodes = list_append_unique_ptr(nodes, queryDesc->planstate);
	counts = palloc0((list_length(nodes) + 1) * sizeof(SgRowCount));
	*ncounts = 0;
	foreach(lc, nodes)
	{
		SgRowCount *count = &counts[(*ncounts)++];

		count->node = lfirst(lc);
		count->watch = watch_nothing;
		sg_rowcount_attach(count, false);
	}
	MemoryContextSwitchTo(caller);
	return counts;
}

/* ---------------- statements ---------------- */

static int64
run_plan(PlannedStmt *plan, const char *text)
{
	QueryDesc  *queryDesc;
	SgRowCount *counts;
	int			ncounts;
	int64		rows = 0;

	PushActiveSnapshot(GetTransactionSnapshot());
	queryDesc = CreateQueryDesc(plan, text, GetActiveSnapshot(),
								InvalidSnapshot, None_Receiver, NULL, NULL, 0);
	ExecutorStart(queryDesc, 0);
	counts = count_rows(queryDesc, &ncounts);
	sg_executor_run_all(queryDesc);
	ExecutorFinish(queryDesc);
	for (int i = 0; i < ncounts; i++)
		rows += counts[i].affected;
	ExecutorEnd(queryDesc);
	FreeQueryDesc(queryDesc);
	PopActiveSnapshot();

	/* what rules add is no part of the command tag */
	return plan->canSetTag ? rows : 0;
}

static int64
run_utility(PlannedStmt *plan, const char *text)
{
	bool		snapshot = PlannedStmtRequiresSnapshot(plan);
	const Node *node = plan->utilityStmt;
	bool		reads = IsA(node, CopyStmt) && !((const CopyStmt *) node)->is_from;
	QueryCompletion qc;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	InitializeQueryCompletion(&qc);
	ProcessUtility(plan, text, false, PROCESS_UTILITY_QUERY, NULL, NULL,
				   None_Receiver, &qc);
	if (snapshot)
		PopActiveSnapshot();
	switch (qc.commandTag)
	{
		case CMDTAG_INSERT:
		case CMDTAG_UPDATE:
		case CMDTAG_DELETE:
		case CMDTAG_MERGE:
			return (int64) qc.nprocessed;
		case CMDTAG_COPY:
			return reads ? 0 : (int64) qc.nprocessed;
		default:
			return 0;
	}
}

static List *
plan_statement(RawStmt *raw, const char *text)
{
	bool		snapshot = analyze_requires_snapshot(raw);
	List	   *plans;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(raw, text,
															   NULL, 0, NULL),
							text, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

static RawStmt *
parse_statement(Run *run, const char *sql, const SgScriptStatement *stmt)
{
	List	   *raws;

	CHECK_FOR_INTERRUPTS();
	run->text = pnstrdup(sql + stmt->location, stmt->len);
	run->stmt = stmt;
	raws = pg_parse_query(run->text);
	return raws == NIL ? NULL : linitial_node(RawStmt, raws);
}

static void
run_statement(Run *run, const char *sql, const SgScriptStatement *stmt)
{
	RawStmt    *raw = parse_statement(run, sql, stmt);
	ListCell   *lc;

	if (raw == NULL)
		return;
	run->outside = !IsA(raw->stmt, VariableSetStmt);
	foreach(lc, plan_statement(raw, run->text))
	{
		PlannedStmt *plan = lfirst_node(PlannedStmt, lc);

		CommandCounterIncrement();
		run->figures->rows_changed += plan->commandType == CMD_UTILITY ?
			run_utility(plan, run->text) : run_plan(plan, run->text);
	}
	CommandCounterIncrement();
	run->figures->statements++;
}

/*
 * Run the statements of a script, each in memory of its own, after a look at
 * all of them.
 */
static void
run_script(Run *run, const char *sql, MemoryContext work)
{
	List	   *script = sg_script_split(sql);
	ListCell   *lc;

	foreach(lc, script)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);
		RawStmt    *raw = parse_statement(run, sql, lfirst(lc));

		if (raw != NULL)
			refuse_statement(raw->stmt);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	foreach(lc, script)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);

		run_statement(run, sql, lfirst(lc));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	run->stmt = NULL;
}

/*
 * Run the text of a migration, as the caller, and note in "figures" what it
 * does.  Settings, the role and the search_path are then what they were.
 */
void
sg_migration_run(const SgMigrationName *name, const char *sql,
				 SgMigrationFigures *figures)
{
	Run			run = {name, figures};
	ErrorContextCallback callback = {error_context_stack, run_error_callback, &run};
	ErrorContextCallback *top = sg_top_context;
	int			guc_level = NewGUCNestLevel();
	Oid			userid;
	int			sec_context;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard migration",
											   ALLOCSET_DEFAULT_SIZES);

	GetUserIdAndSecContext(&userid, &sec_context);
	error_context_stack = &callback;
	PG_TRY();
	{
		/* the limits on what a client sends hold for what is in its text */
		sg_top_context = &callback;
		run_script(&run, sql, work);
	}
	PG_FINALLY();
	{
		sg_top_context = top;
	}
	PG_END_TRY();
	error_context_stack = callback.previous;

	/* as when it fails: nothing that was set in it stays */
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(userid, sec_context);
	MemoryContextDelete(work);
}
