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
 * Nothing happens here but passing on.  Every previous hook is kept and
 * called.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "storage/ipc.h"
#include "utils/plancache.h"

#include "safeguard.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

bool		sg_preloaded = false;

static planner_hook_type prev_planner_hook = NULL;
static ExecutorStart_hook_type prev_ExecutorStart_hook = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static PlannedStmt *
sg_planner(Query *parse, const char *query_string, int cursorOptions,
		   ParamListInfo boundParams)
{
	PlannedStmt *plan;
	List	   *marks = NIL;
	List	   *consulted = NIL;

	/* before planning, since the planner scribbles on the Query */
	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
		marks = sg_detect(parse, &consulted);

	if (prev_planner_hook)
		plan = (*prev_planner_hook) (parse, query_string, cursorOptions,
									 boundParams);
	else
		plan = standard_planner(parse, query_string, cursorOptions,
								boundParams);

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
	if (prev_ExecutorStart_hook)
		(*prev_ExecutorStart_hook) (queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	/*
	 * After the server has checked the user's privileges, so that nobody
	 * learns of, or is counted for, what he may not do at all; no row has
	 * been looked at yet.
	 */
	if (queryDesc->plannedstmt->invalItems != NIL)
		sg_judge(queryDesc, eflags);
}

static void
sg_shmem_request(void)
{
	if (prev_shmem_request_hook)
		(*prev_shmem_request_hook) ();
	sg_findings_shmem_request();
}

static void
sg_shmem_startup(void)
{
	if (prev_shmem_startup_hook)
		(*prev_shmem_startup_hook) ();
	sg_findings_shmem_startup();
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
		shmem_request_hook = sg_shmem_request;
		prev_shmem_startup_hook = shmem_startup_hook;
		shmem_startup_hook = sg_shmem_startup;
	}

	prev_planner_hook = planner_hook;
	planner_hook = sg_planner;
	prev_ExecutorStart_hook = ExecutorStart_hook;
	ExecutorStart_hook = sg_ExecutorStart;

	/* plans made before now carry no marks */
	if (!sg_preloaded)
		ResetPlanCache();
}
