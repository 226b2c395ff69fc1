/*-------------------------------------------------------------------------
 *
 * row_limit.c
 *		Rejects a statement that changes more rows than it may, at the first
 *		row too many, or that affects another number of rows than expected.
 *
 * Only what a client sends is judged, not what runs inside it.  Limits and
 * levels are those that hold when the statement starts.  Each of its targets
 * has a level: what is off is not counted, and the rows of a target that may
 * only be warned of never lead to a rejection.
 *
 * At level error a statement is rejected where it stands.  Below, it goes on,
 * and is reported with its final number when all of it is done.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "failopen.h"
#include "limit/limit.h"

/* statements that are running; more than one is not to be expected */
SgLimitStatement *sg_limited_statements = NULL;

/* ---------------- judging ---------------- */

/*
 * The target that a finding is about: of those that act at its level, the one
 * with the most rows.
 */
static const SgLimitTarget *
main_target(const SgLimitStatement *statement, const SgLimitVerdict *verdict)
{
	const SgLimitTarget *best = &statement->targets[0];

	for (int i = 1; i < statement->ntargets; i++)
	{
		const SgLimitTarget *target = &statement->targets[i];

		if (target->level >= verdict->level &&
			(best->level < verdict->level ||
			 sg_limit_rows(target, verdict) > sg_limit_rows(best, verdict)))
			best = target;
	}
	return best;
}

/*
 * Judging the statement has failed.  What has been attached to its nodes stays,
 * and finds nothing more to say.
 */
static void
let_through(SgLimitStatement *statement)
{
	statement->limit = 0;
	statement->expected = -1;
}

/* What is to be said of a statement. */
typedef struct Delivery
{
	const SgLimitStatement *statement;
	const SgLimitVerdict *verdict;
	bool		stopped;
	MemoryContext work;
} Delivery;

/* Called by sg_fail_open() */
static void
run_delivery(void *arg)
{
	Delivery   *delivery = (Delivery *) arg;
	const SgLimitStatement *statement = delivery->statement;
	const SgLimitVerdict *verdict = delivery->verdict;
	const SgLimitTarget *target = main_target(statement, verdict);
	SgFinding	finding = {0};
	SgDecision	decision = {&finding, verdict->level, true};
	SgSource	source;

	MemoryContextSwitchTo(delivery->work);
	sg_fault("row_limit_deliver");
	finding.rule = SG_RULE_ROW_LIMIT;
	finding.relid = RelationGetRelid(target->relation);
	finding.location = -1;
	finding.schema_name = sg_limit_schema(target);
	finding.table_name = RelationGetRelationName(target->relation);
	finding.message = sg_limit_message(statement, verdict, target,
									   delivery->stopped);
	finding.closed_message = finding.message;
	finding.detail = sg_limit_detail(statement, verdict, target,
									 delivery->stopped);
	finding.hint = sg_limit_hint(statement, verdict, target);

	sg_query_source(&source, statement->queryDesc);
	sg_deliver(list_make1(&decision), &source, false);
}

/*
 * Count and report a verdict.  Does not return at level error, unless that
 * fails.
 */
static void
deliver(SgLimitStatement *statement, const SgLimitVerdict *verdict, bool stopped)
{
	Delivery	delivery = {statement, verdict, stopped, NULL};

	delivery.work = AllocSetContextCreate(CurrentMemoryContext,
										  "safeguard judgement",
										  ALLOCSET_DEFAULT_SIZES);
	if (!sg_fail_open(run_delivery, &delivery))
		let_through(statement);
	MemoryContextDelete(delivery.work);
}

/*
 * Add up the rows changed in targets of this level or a higher one, now and
 * by the products before.
 */
static int64
changed_from(const SgLimitStatement *statement, SgLevel level)
{
	int64		rows = 0;

	for (int i = level; i < SG_NUM_LEVELS; i++)
		rows += statement->before.changed[i];
	for (int i = 0; i < statement->ntargets; i++)
	{
		if (statement->targets[i].level >= level)
			rows += statement->targets[i].rows.changed;
	}
	return rows;
}

static void
judge_limit(const SgLimitStatement *statement, SgLimitVerdict *verdict)
{
	if (statement->limit == 0 || statement->before.reported)
		return;
	for (int level = SG_LEVEL_ERROR; level > SG_LEVEL_OFF; level--)
	{
		int64		rows = changed_from(statement, (SgLevel) level);

		if (rows <= statement->limit)
			continue;
		verdict->level = (SgLevel) level;
		verdict->limit = true;
		verdict->rows = rows;
		return;
	}
}

static void
judge_expected(const SgLimitStatement *statement, SgLimitVerdict *verdict)
{
	int64		rows = 0;
	SgLevel		level = SG_LEVEL_OFF;

	for (int i = 0; i < statement->ntargets; i++)
	{
		rows += statement->targets[i].rows.affected;
		level = Max(level, statement->targets[i].level);
	}
	if (statement->expected < 0 || rows == statement->expected ||
		level <= verdict->level)
		return;
	verdict->level = level;
	verdict->limit = false;
	verdict->rows = rows;
}

/*
 * All rows are there.  A rejection comes at once, before AFTER triggers do
 * their work in vain; anything else waits until they have not failed either.
 */
static void
judge_end(SgLimitStatement *statement, bool finished)
{
	SgLimitVerdict verdict = {SG_LEVEL_OFF};

	judge_limit(statement, &verdict);
	judge_expected(statement, &verdict);
	if (verdict.level == SG_LEVEL_OFF ||
		(!finished && (verdict.level < SG_LEVEL_ERROR || sg_capture != NULL)))
		return;
	statement->before.reported |= verdict.limit;
	deliver(statement, &verdict, false);
}

static bool
all_done(const SgLimitStatement *statement)
{
	for (int i = 0; i < statement->ntargets; i++)
	{
		if (!statement->targets[i].rows.done)
			return false;
	}
	return true;
}

/*
 * Called after each row of a target, and when it is done.
 */
static void
watch(SgRowCount *rows)
{
	SgLimitTarget *target = (SgLimitTarget *) rows;
	SgLimitStatement *statement = target->statement;

	if (target->level == SG_LEVEL_ERROR && rows->changed > target->summed)
	{
		statement->strict += rows->changed - target->summed;
		target->summed = rows->changed;
		/* a rehearsal goes on, and tells the final number */
		if (statement->limit > 0 && statement->strict > statement->limit &&
			sg_capture == NULL)
		{
			SgLimitVerdict verdict = {SG_LEVEL_ERROR, true, statement->strict};

			deliver(statement, &verdict, !rows->done);
		}
	}
	if (rows->done && !statement->judged && all_done(statement))
	{
		statement->judged = true;
		judge_end(statement, false);
	}
}

/* ---------------- statements ---------------- */

/*
 * The memory of a statement is going away.
 */
static void
forget_statement(void *arg)
{
	SgLimitStatement **link;

	for (link = &sg_limited_statements; *link != NULL; link = &(*link)->next)
	{
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
	}
}

/* Can it change rows that are there? */
static bool
changes_rows(const ModifyTableState *node)
{
	return node->operation != CMD_INSERT ||
		((ModifyTable *) node->ps.plan)->onConflictAction == ONCONFLICT_UPDATE;
}

static void
add_target(SgLimitStatement *statement, ModifyTableState *node)
{
	Relation	relation = node->rootResultRelInfo->ri_RelationDesc;
	Oid			relid = RelationGetRelid(relation);
	SgLimitTarget *target = &statement->targets[statement->ntargets];

	/* what only inserts is no matter of the limit */
	if (!changes_rows(node) && statement->expected < 0)
		return;
	if (sg_relation_is_exempt(relid))
		return;
	target->level = sg_level_for(SG_RULE_ROW_LIMIT, relid);
	if (target->level == SG_LEVEL_OFF)
		return;

	target->statement = statement;
	target->relation = relation;
	target->rows.node = node;
	target->rows.watch = watch;
	statement->ntargets++;
}

/*
 * The statement's own target, and those of its data-modifying CTEs in the
 * order in which they are written.
 */
static void
add_targets(SgLimitStatement *statement)
{
	QueryDesc  *queryDesc = statement->queryDesc;
	List	   *ctes = queryDesc->estate->es_auxmodifytables;

	statement->targets = palloc0((list_length(ctes) + 1) * sizeof(SgLimitTarget));
	if (IsA(queryDesc->planstate, ModifyTableState))
		add_target(statement, (ModifyTableState *) queryDesc->planstate);
	for (int i = list_length(ctes) - 1; i >= 0; i--)
	{
		ModifyTableState *node = list_nth_node(ModifyTableState, ctes, i);

		/* what sets no command tag is in the list too */
		if (&node->ps != queryDesc->planstate)
			add_target(statement, node);
	}
}

/*
 * Begin to count, now that nothing of the statement is unknown.
 */
static void
attach_targets(SgLimitStatement *statement)
{
	for (int i = 0; i < statement->ntargets; i++)
	{
		SgLimitTarget *target = &statement->targets[i];

		if (i > 0)
			sg_fault("row_limit_second");
		sg_rowcount_attach(&target->rows,
						   statement->limit > 0 &&
						   changes_rows(target->rows.node));
	}

	/* what the products before have changed counts, too */
	if (statement->ntargets == 1 && statement->limit >= statement->strict)
		sg_rowcount_quiet(&statement->targets[0].rows,
						  statement->limit - statement->strict);
}

static void
set_limits(SgLimitStatement *statement)
{
	bool		session = sg_max_rows_session > 0 &&
		(sg_max_rows == 0 || sg_max_rows_session < sg_max_rows);

	statement->limit = session ? sg_max_rows_session : sg_max_rows;
	statement->limit_parameter = session ? sg_max_rows_session_name :
		sg_max_rows_name;

	/* what rules add to a statement has no part in its command tag */
	statement->expected = statement->queryDesc->plannedstmt->canSetTag ?
		sg_expected_rows : -1;
}

/* A statement that begins to be counted. */
typedef struct Start
{
	QueryDesc  *queryDesc;
	SgLimitStatement *statement;	/* out */
} Start;

/* Called by sg_fail_open() */
static void
start(void *arg)
{
	Start	   *begun = (Start *) arg;
	QueryDesc  *queryDesc = begun->queryDesc;
	SgLimitStatement *statement;

	MemoryContextSwitchTo(queryDesc->estate->es_query_cxt);
	sg_fault("row_limit");
	statement = palloc0(sizeof(SgLimitStatement));
	statement->queryDesc = queryDesc;
	begun->statement = statement;
	set_limits(statement);
	sg_limit_find_products(statement);
	add_targets(statement);
	attach_targets(statement);
	if (statement->ntargets > 0)
	{
		statement->forget.func = forget_statement;
		statement->forget.arg = statement;
		MemoryContextRegisterResetCallback(CurrentMemoryContext,
										   &statement->forget);
		statement->next = sg_limited_statements;
		sg_limited_statements = statement;
	}
}

/*
 * A statement has been started, and there is some limit.
 */
void
sg_row_limit_start(QueryDesc *queryDesc, int eflags)
{
	Start		begun = {queryDesc, NULL};

	if (!IsA(queryDesc->planstate, ModifyTableState) &&
		queryDesc->estate->es_auxmodifytables == NIL)
		return;
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || !sg_enabled ||
		!sg_is_top_level() || sg_execution_is_exempt(eflags))
		return;
	if (!sg_fail_open(start, &begun) && begun.statement != NULL)
		let_through(begun.statement);
}

/*
 * A statement is done, its AFTER triggers too.
 */
void
sg_row_limit_finish(QueryDesc *queryDesc)
{
	SgLimitStatement *statement = sg_limited_statements;

	while (statement != NULL && statement->queryDesc != queryDesc)
		statement = statement->next;
	if (statement == NULL)
		return;
	judge_end(statement, true);
	sg_limit_remember_product(statement);
}
