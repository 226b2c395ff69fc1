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

static planner_hook_type prev_planner_hook = NULL;
static ExecutorStart_hook_type prev_ExecutorStart_hook = NULL;
static ExecutorRun_hook_type prev_ExecutorRun_hook = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish_hook = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd_hook = NULL;
static ProcessUtility_hook_type next_ProcessUtility = NULL;
static object_access_hook_type prev_object_access_hook = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static ClientAuthentication_hook_type prev_ClientAuthentication_hook = NULL;
static emit_log_hook_type prev_emit_log_hook = NULL;

static PlannedStmt *
sg_planner(Query *parse, const char *query_string, int cursorOptions,
		   ParamListInfo boundParams)
{
	planner_hook_type planner = prev_planner_hook ? prev_planner_hook :
		standard_planner;
	bool		modifies = parse->commandType != CMD_SELECT ||
		parse->hasModifyingCTE;
	PlannedStmt *plan;
	List	   *marks = NIL;
	List	   *consulted = NIL;
	Node	   *where = NULL;

	/* whose error it is, if it fails before it runs */
	if (sg_queries_tracked())
		sg_query_note(query_string, parse->stmt_location, parse->stmt_len,
					  (uint64) parse->queryId);

	/* before planning, since the planner scribbles on the Query */
	if (modifies)
	{
		marks = sg_detect(parse, &consulted);
		marks = list_concat(marks, sg_upsert_notes(parse));
		where = sg_upsert_where(parse);
	}

	if (modifies && sg_conflict_target_wanted(parse))
		plan = sg_conflict_target_plan(planner, parse, query_string,
									   cursorOptions, boundParams);
	else
		plan = (*planner) (parse, query_string, cursorOptions, boundParams);

	if (modifies)
		marks = list_concat(marks, sg_detect_upserts(parse, plan, where,
													 &consulted));
	if (marks != NIL)
		sg_planmark_put(plan, marks);

	/* a cached plan is as good as the foreign keys it was judged by */
	if (consulted != NIL)
		plan->relationOids = list_concat_unique_oid(plan->relationOids,
													consulted);
	return plan;
}

static void
sg_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (unlikely(sg_rehearsal != NULL))
		sg_rehearse_reads(queryDesc->plannedstmt);
	if (prev_ExecutorStart_hook)
		(*prev_ExecutorStart_hook) (queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
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
sg_ExecutorRun(QueryDesc *queryDesc, ScanDirection direction,
			   uint64 count SG_RUN_ONCE_PARAM)
{
	ErrorContextCallback callback;
	bool		watched = sg_query_run_begin(&callback, queryDesc);

	if (prev_ExecutorRun_hook)
		(*prev_ExecutorRun_hook) (queryDesc, direction,
								  count SG_RUN_ONCE_ARG);
	else
		standard_ExecutorRun(queryDesc, direction, count SG_RUN_ONCE_ARG);

	if (watched)
		sg_query_run_end(&callback, queryDesc, count);
}

static inline void
next_finish(QueryDesc *queryDesc)
{
	if (prev_ExecutorFinish_hook)
		(*prev_ExecutorFinish_hook) (queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

static inline void
run_finish(QueryDesc *queryDesc)
{
	/* all rows are there, and no AFTER trigger has run yet */
	if (sg_upserts_running > 0)
		sg_upsert_finish(queryDesc);

	if (unlikely(sg_keep_labels != NULL))
		sg_keep_finish(queryDesc, next_finish);
	else
		next_finish(queryDesc);

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
	if (sg_queries_on && sg_query_modifies(queryDesc))
		counted_finish(queryDesc);
	else
		run_finish(queryDesc);
}

static void
sg_ExecutorEnd(QueryDesc *queryDesc)
{
	if (sg_open_queries != NULL)
		sg_cursor_close(queryDesc);
	if (sg_upserts_running > 0)
		sg_upsert_end(queryDesc);

	if (prev_ExecutorEnd_hook)
		(*prev_ExecutorEnd_hook) (queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
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

static void
sg_ProcessUtility(PlannedStmt *pstmt, const char *queryString,
				  bool readOnlyTree, ProcessUtilityContext context,
				  ParamListInfo params, QueryEnvironment *queryEnv,
				  DestReceiver *dest, QueryCompletion *qc)
{
	const Node *stmt = pstmt->utilityStmt;

	if (unlikely(sg_rehearsal != NULL))
		sg_rehearse_utility(stmt);

	/*
	 * The most frequent command; what it executes counts.  It has to be told
	 * from others only if there are others in its message.
	 */
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

static void
sg_object_access_hook(ObjectAccessType access, Oid classId, Oid objectId,
					  int subId, void *arg)
{
	/* these two are asked all the time, and tell nothing */
	if (access == OAT_FUNCTION_EXECUTE || access == OAT_NAMESPACE_SEARCH)
	{
		if (unlikely(sg_reviewing > 0) && access == OAT_FUNCTION_EXECUTE)
			sg_veto_function(objectId);
		if (unlikely(prev_object_access_hook != NULL))
			(*prev_object_access_hook) (access, classId, objectId, subId, arg);
		if (unlikely(sg_rehearsal != NULL) && access == OAT_FUNCTION_EXECUTE)
			sg_rehearse_function(objectId);
		return;
	}
	if (prev_object_access_hook)
		(*prev_object_access_hook) (access, classId, objectId, subId, arg);
	sg_object_access(access, classId, objectId, subId, arg);
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
		sg_query_errors_init();
		sg_migration_measure_init();
	}

	prev_planner_hook = planner_hook;
	planner_hook = sg_planner;
	prev_ExecutorStart_hook = ExecutorStart_hook;
	ExecutorStart_hook = sg_ExecutorStart;
	if (sg_preloaded)
	{
		prev_ExecutorRun_hook = ExecutorRun_hook;
		ExecutorRun_hook = sg_ExecutorRun;
	}
	prev_ExecutorFinish_hook = ExecutorFinish_hook;
	ExecutorFinish_hook = sg_ExecutorFinish;
	prev_ExecutorEnd_hook = ExecutorEnd_hook;
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
