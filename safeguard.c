/*-------------------------------------------------------------------------
 *
 * safeguard.c
 *		Entry points: where the server calls us.
 *
 * A statement is looked at when it is planned (the rules detect, and what
 * they found is written into the plan) and judged when it is executed (its
 * level is looked up, it is counted, reported or rejected), so that a level
 * holds for the very next execution, whatever plans are cached.
 *
 * Utility commands are looked at when they are done, with what the object
 * access hook has seen them do.
 *
 * Nothing happens here but passing on.  Every previous hook is kept and
 * called.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/*
 * Their headers need not be there: libpq-be.h keeps the places of the fields
 * of a Port that can be told without them.
 */
#undef ENABLE_GSS
#undef USE_OPENSSL

#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "storage/ipc.h"
#include "tcop/utility.h"
#include "utils/plancache.h"

#include "compat.h"
#include "migrate/log.h"
#include "rows/rows.h"
#include "safeguard.h"
#include "review/rehearse.h"
#include "stats/pool.h"
#include "stats/queries.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

bool		sg_preloaded = false;

/*
 * What runs after us: the hook that was there before us, or else the server's
 * own function, so that a call is a jump to it and no test, which saves 4
 * instructions of each.
 */
static planner_hook_type next_planner = NULL;
static ExecutorStart_hook_type next_ExecutorStart = NULL;
static ExecutorRun_hook_type next_ExecutorRun = NULL;
static ExecutorFinish_hook_type next_ExecutorFinish = NULL;
static ExecutorEnd_hook_type next_ExecutorEnd = NULL;
static ProcessUtility_hook_type next_ProcessUtility = NULL;
static object_access_hook_type prev_object_access_hook = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static ClientAuthentication_hook_type prev_ClientAuthentication_hook = NULL;
static emit_log_hook_type prev_emit_log_hook = NULL;

/*
 * Where nothing is wanted, this hook and those below are some tests and a
 * jump, which saves the frame of a function, some 15 instructions of each.
 */
static PlannedStmt *
sg_planner(Query *parse, const char *query_string, int cursorOptions,
		   ParamListInfo boundParams)
{
	bool		modifies = parse->commandType != CMD_SELECT ||
		parse->hasModifyingCTE;

	if (modifies || sg_queries_tracked())
		return sg_plan(next_planner, parse, query_string, cursorOptions,
					   boundParams, modifies);
	return (*next_planner) (parse, query_string, cursorOptions, boundParams);
}

/* An execution of which something may be wanted. */
static pg_noinline void
watched_start(QueryDesc *queryDesc, int eflags)
{
	if (unlikely(sg_rehearsal != NULL))
		sg_rehearse_reads(queryDesc->plannedstmt);
	(*next_ExecutorStart) (queryDesc, eflags);
	if (sg_query_declares)
		sg_query_declare(queryDesc);

	/*
	 * After the server has checked the user's privileges, so that nobody
	 * learns of, or is counted for, what he may not do at all; no row has
	 * been looked at yet.
	 */
	if (queryDesc->plannedstmt->invalItems != NIL)
		sg_judge(queryDesc, eflags);
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		sg_bypass_write(queryDesc, eflags);

	if (sg_row_limit_set())
		sg_row_limit_start(queryDesc, eflags);
	if (unlikely(sg_rehearsal != NULL))
		sg_rehearse_executor(queryDesc, eflags);

	if (sg_upsert_wanted(queryDesc->plannedstmt))
		sg_upsert_start(queryDesc, eflags);
	if (unlikely(sg_keep_labels != NULL))
		sg_keep_start(queryDesc, eflags);
}

static void
sg_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	/* of what changes no row, little can be wanted: saves 12 instructions */
	if (sg_any(sg_rehearsal, sg_keep_labels, NULL) || sg_query_declares ||
		(sg_query_modifies(queryDesc) &&
		 (queryDesc->plannedstmt->invalItems != NIL || sg_row_limit_set() ||
		  unlikely(SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA) ||
		  sg_upsert_wanted(queryDesc->plannedstmt))))
		watched_start(queryDesc, eflags);
	else
		(*next_ExecutorStart) (queryDesc, eflags);
}

static pg_noinline void
watched_run(QueryDesc *queryDesc, ScanDirection direction,
			uint64 count SG_RUN_ONCE_PARAM)
{
	ErrorContextCallback callback;
	bool		watched = sg_query_run_begin(&callback, queryDesc);

	(*next_ExecutorRun) (queryDesc, direction, count SG_RUN_ONCE_ARG);
	if (watched)
		sg_query_run_end(&callback, queryDesc, count);
}

static void
sg_ExecutorRun(QueryDesc *queryDesc, ScanDirection direction,
			   uint64 count SG_RUN_ONCE_PARAM)
{
	if (sg_query_is_nothing())
	{
		/* what was noted of the statement before this has been dealt with */
		sg_violation_noted = false;
		(*next_ExecutorRun) (queryDesc, direction, count SG_RUN_ONCE_ARG);
	}
	else
		watched_run(queryDesc, direction, count SG_RUN_ONCE_ARG);
}

static pg_noinline void
run_finish(QueryDesc *queryDesc)
{
	/* all rows are there, and no AFTER trigger has run yet */
	if (sg_upserts_running > 0)
		sg_upsert_finish(queryDesc);

	if (unlikely(sg_keep_labels != NULL))
		sg_keep_finish(queryDesc, next_ExecutorFinish);
	else
		(*next_ExecutorFinish) (queryDesc);

	/* CTEs that nobody reads, and AFTER triggers, have run now */
	if (sg_limited_statements != NULL)
		sg_row_limit_finish(queryDesc);

	if (queryDesc->plannedstmt->resultRelations != NIL && sg_migration_log_on)
		sg_migration_wrote(queryDesc);
}

static pg_noinline void
counted_finish(QueryDesc *queryDesc)
{
	ErrorContextCallback callback;
	bool		counted = sg_query_finish_begin(&callback, queryDesc);

	run_finish(queryDesc);
	if (counted)
		sg_query_finish_end(&callback, queryDesc);
}

static void
sg_ExecutorFinish(QueryDesc *queryDesc)
{
	if (sg_query_modifies(queryDesc))
	{
		if (sg_queries_on && !sg_query_is_nothing())
			counted_finish(queryDesc);
		else
			run_finish(queryDesc);
	}
	else if (sg_upserts_running > 0 ||
			 sg_any(sg_keep_labels, sg_limited_statements, NULL))
		run_finish(queryDesc);
	else
		(*next_ExecutorFinish) (queryDesc);
}

static pg_noinline void
watched_end(QueryDesc *queryDesc)
{
	if (unlikely(sg_open_queries != NULL))
		sg_cursor_close(queryDesc);
	if (unlikely(sg_upserts_running > 0))
		sg_upsert_end(queryDesc);

	(*next_ExecutorEnd) (queryDesc);
}

static void
sg_ExecutorEnd(QueryDesc *queryDesc)
{
	if (unlikely(sg_open_queries != NULL) || unlikely(sg_upserts_running > 0))
		watched_end(queryDesc);
	else
		(*next_ExecutorEnd) (queryDesc);
}

/*
 * A command that a rule looks at.  Apart from the hook, so that all others do
 * not pay for the frame of PG_TRY.
 */
static pg_noinline void
watched_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	SgUtility	utility;

	sg_utility_begin(&utility, pstmt, queryString);
	PG_TRY();
	{
		sg_utility_before(&utility);
		(*next_ProcessUtility) (pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
		sg_utility_done(&utility);
	}
	PG_FINALLY();
	{
		sg_utility_end(&utility);
	}
	PG_END_TRY();
}

static inline void
run_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest,
			QueryCompletion *qc)
{
	const Node *stmt = pstmt->utilityStmt;
	bool		frequent = IsA(stmt, TransactionStmt);

	if (!frequent && context != PROCESS_UTILITY_SUBCOMMAND)
		sg_migration_command(stmt);

	/* a frequent command, of which nothing is wanted */
	if (frequent || !sg_utility_wants(stmt))
		(*next_ProcessUtility) (pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
	else
		watched_utility(pstmt, queryString, readOnlyTree, context, params,
						queryEnv, dest, qc);
}

static pg_noinline void
counted_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	ErrorContextCallback callback;
	bool		counted = sg_query_utility_begin(&callback, pstmt, queryString,
												 context);

	run_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv,
				dest, qc);

	/* the tree may be gone */
	if (counted)
		sg_query_utility_end(&callback, qc);
}

/* All but an EXECUTE by itself, and that too while a script is rehearsed. */
static pg_noinline void
any_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest,
			QueryCompletion *qc)
{
	const Node *stmt = pstmt->utilityStmt;

	if (unlikely(sg_rehearsal != NULL))
		sg_rehearse_utility(stmt);

	if (IsA(stmt, ExecuteStmt))
	{
		if ((pstmt->stmt_len > 0 || pstmt->stmt_location > 0) &&
			sg_queries_tracked())
			sg_query_note(queryString, pstmt->stmt_location, pstmt->stmt_len, 0);
		(*next_ProcessUtility) (pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
	}
	else if (sg_queries_on)
		counted_utility(pstmt, queryString, readOnlyTree, context, params,
						queryEnv, dest, qc);
	else
		run_utility(pstmt, queryString, readOnlyTree, context, params,
					queryEnv, dest, qc);

	if (unlikely(sg_rehearsal != NULL))
		sg_rehearsed_utility(stmt, qc);
}

/*
 * EXECUTE is the most frequent command; what it executes counts.  It has to be
 * told from others only if there are others in its message.
 */
static void
sg_ProcessUtility(PlannedStmt *pstmt, const char *queryString,
				  bool readOnlyTree, ProcessUtilityContext context,
				  ParamListInfo params, QueryEnvironment *queryEnv,
				  DestReceiver *dest, QueryCompletion *qc)
{
	if (!IsA(pstmt->utilityStmt, ExecuteStmt) ||
		unlikely(sg_rehearsal != NULL) ||
		pstmt->stmt_len > 0 || pstmt->stmt_location > 0)
		any_utility(pstmt, queryString, readOnlyTree, context, params,
					queryEnv, dest, qc);
	else
		(*next_ProcessUtility) (pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

static pg_noinline void
any_access(ObjectAccessType access, Oid classId, Oid objectId, int subId,
		   void *arg)
{
	if (access == OAT_FUNCTION_EXECUTE && sg_reviewing > 0)
		sg_veto_function(objectId);
	if (prev_object_access_hook)
		(*prev_object_access_hook) (access, classId, objectId, subId, arg);
	if (access == OAT_FUNCTION_EXECUTE)
	{
		if (sg_rehearsal != NULL)
			sg_rehearse_function(objectId);
	}
	else if (access != OAT_NAMESPACE_SEARCH)
		sg_object_access(access, classId, objectId, subId, arg);
}

static void
sg_object_access_hook(ObjectAccessType access, Oid classId, Oid objectId,
					  int subId, void *arg)
{
	/* these two are asked all the time, and tell nothing */
	if ((access == OAT_FUNCTION_EXECUTE || access == OAT_NAMESPACE_SEARCH) &&
		sg_reviewing == 0 &&
		!sg_any(prev_object_access_hook, sg_rehearsal, NULL))
		return;
	any_access(access, classId, objectId, subId, arg);
}

static void
sg_shmem_request_hook(void)
{
	if (prev_shmem_request_hook)
		(*prev_shmem_request_hook) ();
	sg_shmem_request();
}

static void
sg_shmem_startup_hook(void)
{
	if (prev_shmem_startup_hook)
		(*prev_shmem_startup_hook) ();
	sg_shmem_startup();
}

static void
sg_ClientAuthentication_hook(Port *port, int status)
{
	if (prev_ClientAuthentication_hook)
		(*prev_ClientAuthentication_hook) (port, status);
	sg_pool_authenticated(status);
}

/*
 * A message on its way to the log, in any process and at any time: nothing
 * here allocates, waits or reports.
 */
static void
sg_emit_log_hook(ErrorData *edata)
{
	if (edata->elevel >= ERROR)
	{
		sg_pool_log(edata);
		sg_query_log(edata);
		sg_migration_log_error(edata);
		sg_migration_ends_by(edata);
	}
	else if (edata->elevel == LOG)
		sg_migration_log_wait(edata);
	if (prev_emit_log_hook)
		(*prev_emit_log_hook) (edata);
}

/*
 * Called when the library is loaded, whichever way that comes about.
 */
void
_PG_init(void)
{
	sg_preloaded = process_shared_preload_libraries_in_progress;

	sg_guc_init();
	sg_exceptions_init();

	if (sg_preloaded)
	{
		prev_shmem_request_hook = shmem_request_hook;
		shmem_request_hook = sg_shmem_request_hook;
		prev_shmem_startup_hook = shmem_startup_hook;
		shmem_startup_hook = sg_shmem_startup_hook;
		prev_ClientAuthentication_hook = ClientAuthentication_hook;
		ClientAuthentication_hook = sg_ClientAuthentication_hook;
		prev_emit_log_hook = emit_log_hook;
		emit_log_hook = sg_emit_log_hook;
		sg_collector_register();
		sg_transaction_init();
	}

	next_planner = planner_hook ? planner_hook : standard_planner;
	planner_hook = sg_planner;
	next_ExecutorStart = ExecutorStart_hook ? ExecutorStart_hook :
		standard_ExecutorStart;
	ExecutorStart_hook = sg_ExecutorStart;
	if (sg_preloaded)
	{
		next_ExecutorRun = ExecutorRun_hook ? ExecutorRun_hook :
			standard_ExecutorRun;
		ExecutorRun_hook = sg_ExecutorRun;
	}
	next_ExecutorFinish = ExecutorFinish_hook ? ExecutorFinish_hook :
		standard_ExecutorFinish;
	ExecutorFinish_hook = sg_ExecutorFinish;
	next_ExecutorEnd = ExecutorEnd_hook ? ExecutorEnd_hook :
		standard_ExecutorEnd;
	ExecutorEnd_hook = sg_ExecutorEnd;
	next_ProcessUtility = ProcessUtility_hook ? ProcessUtility_hook :
		standard_ProcessUtility;
	ProcessUtility_hook = sg_ProcessUtility;
	prev_object_access_hook = object_access_hook;
	object_access_hook = sg_object_access_hook;

	/* plans made before now carry no marks */
	if (!sg_preloaded)
		ResetPlanCache();
}
