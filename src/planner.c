/*-------------------------------------------------------------------------
 *
 * planner.c
 *		A statement is planned: what is looked at before, and what the plan
 *		is given.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "safeguard.h"
#include "stats/queries.h"

/*
 * Plan a statement that changes rows, or of which an error may have to be told.
 */
PlannedStmt *
sg_plan(planner_hook_type planner, Query *parse, const char *query_string,
		int cursorOptions, ParamListInfo boundParams, bool modifies)
{
	PlannedStmt *plan;
	List	   *marks = NIL;
	List	   *consulted = NIL;
	Node	   *where = NULL;
	bool		passing = false;

	/* whose error it is, if it fails before it runs */
	if (sg_queries_tracked())
		sg_query_note(query_string, parse->stmt_location, parse->stmt_len,
					  (uint64) parse->queryId);

	/* before planning, since the planner scribbles on the Query */
	if (modifies)
	{
		marks = sg_detect(parse, &consulted, &passing);
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
													 &consulted,
													 &passing));
	if (marks != NIL)
		sg_planmark_put(plan, marks);

	/* what could not be judged is planned anew as soon as time has gone on */
	if (unlikely(passing))
		plan->transientPlan = true;

	/* a cached plan is as good as the foreign keys it was judged by */
	if (consulted != NIL)
		plan->relationOids = list_concat_unique_oid(plan->relationOids,
													consulted);
	return plan;
}
