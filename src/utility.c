/*-------------------------------------------------------------------------
 *
 * utility.c
 *		Utility commands: what they do while they run, and who looks at it then.
 *
 * The ProcessUtility hook knows the command, the object access hook knows the
 * objects.  They meet in SgUtility, one for each command that is running and
 * that somebody is interested in.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "failopen.h"
#include "rows/rows.h"
#include "safeguard.h"
#include "stats/queries.h"

/* the innermost command that is running, or NULL */
static SgUtility *current = NULL;

/*
 * Is a command one that a rule looks at?  All others pass at the price of
 * this test.
 */
bool
sg_utility_wants(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
			/* what is sent all the time */
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
		case T_VariableShowStmt:
			return false;
		case T_ExplainStmt:
		case T_PrepareStmt:
		case T_CreateFunctionStmt:
		case T_DropStmt:
		case T_AlterTableStmt:
		case T_RenameStmt:
		case T_DiscardStmt:
			return true;
		default:
			return sg_destructive_ddl_wants(stmt) ||
				sg_lock_timeout_wants(stmt) || sg_bypass_wants(stmt);
	}
}

/*
 * A command begins.  sg_utility_end() must be called whatever becomes of it.
 */
void
sg_utility_begin(SgUtility *utility, const PlannedStmt *pstmt,
				 const char *query_string)
{
	memset(utility, 0, sizeof(*utility));
	utility->pstmt = pstmt;
	utility->query_string = query_string;
	utility->context = CurrentMemoryContext;
	utility->outer = current;
	current = utility;
}

/* ---------------- rules, one by one ---------------- */

/*
 * What fails by itself: the others go on.  Of the same command it says nothing
 * more, since its notes may have gaps, of which it would raise false alarms.
 */
typedef enum Part
{
	PART_LOCK_TIMEOUT,
	PART_DESTRUCTIVE_DDL,
	PART_BYPASS,
	PART_KEY_LOSS,
	PART_ADVICE
} Part;

typedef struct Step
{
	Part		part;
	void		(*run) (SgUtility *utility);
	const char *fault;			/* its name for sg_fault() */
} Step;

static const Step steps_before[] = {
	{PART_LOCK_TIMEOUT, sg_lock_timeout_before, "before_lock_timeout"},
	{PART_DESTRUCTIVE_DDL, sg_destructive_ddl_before, "before_destructive_ddl"},
	{PART_BYPASS, sg_bypass_before, "before_bypass"},
};

static const Step steps_done[] = {
	{PART_ADVICE, sg_conflict_target_advise, "done_advice"},
	{PART_KEY_LOSS, sg_constraint_bypass_check, "done_key_loss"},
	{PART_DESTRUCTIVE_DDL, sg_destructive_ddl_done, "done_destructive_ddl"},
	{PART_LOCK_TIMEOUT, sg_lock_timeout_done, "done_lock_timeout"},
	{PART_BYPASS, sg_bypass_done, "done_bypass"},
};

/* A walk through steps, which goes on after one that has failed. */
typedef struct Walk
{
	SgUtility  *utility;
	const Step *steps;
	int			nsteps;
	int			next;
	const char *fault;			/* where all of them fail */
} Walk;

/* Called by sg_fail_open() */
static void
run_steps(void *arg)
{
	Walk	   *walk = (Walk *) arg;

	while (walk->next < walk->nsteps)
	{
		const Step *step = &walk->steps[walk->next++];

		if ((walk->utility->failed & (1 << step->part)) != 0)
			continue;
		sg_fault(walk->fault);
		sg_fault(step->fault);
		step->run(walk->utility);
	}
}

static void
walk_steps(SgUtility *utility, const Step *steps, int nsteps,
		   const char *fault)
{
	Walk		walk = {utility, steps, nsteps, 0, fault};

	while (!sg_fail_open(run_steps, &walk))
		utility->failed |= 1 << steps[walk.next - 1].part;
}

/*
 * Nothing has been done or locked yet.  Raises the ERROR of a rule whose
 * level says so.
 */
void
sg_utility_before(SgUtility *utility)
{
	utility->was_replica =
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	if (!sg_enabled || sg_process_is_exempt())
		return;
	walk_steps(utility, steps_before, lengthof(steps_before), "before");
}

/* What the object access hook has been told. */
typedef struct Access
{
	ObjectAccessType access;
	Oid			classId;
	Oid			objectId;
	int			subId;
	void	   *arg;
	int			next;			/* of parts_event */
} Access;

static const Part parts_event[] = {
	PART_DESTRUCTIVE_DDL, PART_LOCK_TIMEOUT, PART_BYPASS, PART_KEY_LOSS
};

/* Tell the next of these. */
static void
tell_next(SgUtility *utility, Access *event)
{
	Part		part = parts_event[event->next++];

	if (utility != NULL && (utility->failed & (1 << part)) != 0)
		return;
	sg_fault("event");
	switch (part)
	{
		case PART_DESTRUCTIVE_DDL:
			sg_fault("event_destructive_ddl");
			sg_destructive_ddl_access(utility, event->access, event->classId,
									  event->objectId, event->subId,
									  event->arg);
			break;
		case PART_LOCK_TIMEOUT:
			sg_fault("event_lock_timeout");
			sg_lock_timeout_access(utility, event->access, event->classId,
								   event->objectId, event->subId, event->arg);
			break;
		case PART_BYPASS:
			sg_fault("event_bypass");
			sg_bypass_access(utility, event->access, event->classId,
							 event->objectId, event->subId, event->arg);
			break;
		case PART_KEY_LOSS:
			sg_fault("event_key_loss");
			if (utility != NULL)
				sg_constraint_bypass_see(utility, event->access,
										 event->classId, event->objectId,
										 event->subId, event->arg);
			break;
		case PART_ADVICE:
			break;
	}
}

/*
 * What the command does to an object.
 */
void
sg_utility_event(SgUtility *utility, ObjectAccessType access, Oid classId,
				 Oid objectId, int subId, void *arg)
{
	Access		event = {access, classId, objectId, subId, arg, 0};

	while (event.next < lengthof(parts_event))
		tell_next(utility, &event);
}

/*
 * Judge what has been noted of a command.
 */
void
sg_utility_judge(SgUtility *utility)
{
	sg_constraint_bypass_check(utility);
	sg_destructive_ddl_done(utility);
	sg_lock_timeout_done(utility);
	sg_bypass_done(utility);
}

/*
 * The command has done its work without an error.  Raises the ERROR of a rule
 * whose level says so, which undoes the command.
 */
void
sg_utility_done(SgUtility *utility)
{
	const Node *stmt = utility->pstmt->utilityStmt;

	if (IsA(stmt, DiscardStmt) &&
		((const DiscardStmt *) stmt)->target == DISCARD_ALL)
		sg_loads_forget();
	if (!sg_enabled || sg_process_is_exempt())
		return;
	walk_steps(utility, steps_done, lengthof(steps_done), "done");
}

/*
 * The command is over, with or without an error.
 */
void
sg_utility_end(SgUtility *utility)
{
	current = utility->outer;
}

/*
 * Is the innermost command an EXPLAIN that executes nothing?
 */
bool
sg_utility_is_explain(void)
{
	ExplainStmt *stmt;
	bool		analyze = false;
	ListCell   *lc;

	if (current == NULL || !IsA(current->pstmt->utilityStmt, ExplainStmt))
		return false;
	stmt = (ExplainStmt *) current->pstmt->utilityStmt;
	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		/* the last one counts, as it does for EXPLAIN */
		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return !analyze;
}

/* Called by sg_fail_open() */
static void
run_event(void *arg)
{
	Access	   *event = (Access *) arg;

	while (event->next < lengthof(parts_event))
		tell_next(current, event);
}

/* Tell the rules; may raise the ERROR of one of them. */
static void
tell_all(Access *event)
{
	while (!sg_fail_open(run_event, event))
	{
		if (current != NULL)
			current->failed |= 1 << parts_event[event->next - 1];
	}
}

/* Is it an event that figures are kept by? */
static bool
concerns_figures(ObjectAccessType access, Oid classId, int subId)
{
	if (access == OAT_DROP)
		return classId == TriggerRelationId || classId == DatabaseRelationId;
	return (access == OAT_POST_CREATE || access == OAT_POST_ALTER) &&
		subId == 0 &&
		(classId == RelationRelationId || classId == NamespaceRelationId);
}

/* Called by sg_fail_open() */
static void
note_for_figures(void *arg)
{
	Access	   *event = (Access *) arg;

	sg_fault("figures");
	if (event->access != OAT_DROP)
		sg_violation_named(event->classId, event->objectId,
						   event->access == OAT_POST_CREATE);
	else if (event->classId == TriggerRelationId)
		sg_watch_dropped(event->objectId);
	else
		sg_watch_database_dropped(event->objectId);
}

/*
 * The server is about to drop, or has created or altered, an object.
 */
void
sg_object_access(ObjectAccessType access, Oid classId, Oid objectId,
				 int subId, void *arg)
{
	Access		event = {access, classId, objectId, subId, arg, 0};

	/*
	 * A backend that is told to go leaves the command where it stands, and
	 * drops its temporary tables when the memory of that is gone.
	 */
	if (proc_exit_inprogress)
		return;

	if (concerns_figures(access, classId, subId))
		(void) sg_fail_open(note_for_figures, &event);

	if (current != NULL && access == OAT_POST_CREATE &&
		classId == ProcedureRelationId && !OidIsValid(current->function))
		current->function = objectId;
	if (unlikely(sg_keep_labels != NULL) && classId == RelationRelationId)
		sg_keep_access(access, objectId, subId,
					   current != NULL &&
					   IsA(current->pstmt->utilityStmt, AlterTableStmt));

	/* without a command that rules look at, only a loss of data counts */
	if (current == NULL &&
		(access != OAT_DROP || (classId != RelationRelationId &&
								classId != DatabaseRelationId)))
		return;
	if (sg_enabled && !sg_process_is_exempt())
		tell_all(&event);
}
