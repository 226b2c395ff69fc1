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
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

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

/*
 * Nothing has been done or locked yet.  Raises the ERROR of a rule whose
 * level says so.
 */
void
sg_utility_before(SgUtility *utility)
{
	if (!sg_enabled || sg_process_is_exempt())
		return;
	sg_lock_timeout_before(utility);
	sg_destructive_ddl_before(utility);
	sg_bypass_before(utility);
}

/*
 * What the command does to an object.
 */
void
sg_utility_event(SgUtility *utility, ObjectAccessType access, Oid classId,
				 Oid objectId, int subId, void *arg)
{
	sg_destructive_ddl_access(utility, access, classId, objectId, subId, arg);
	sg_lock_timeout_access(utility, access, classId, objectId, subId, arg);
	sg_bypass_access(utility, access, classId, objectId, subId, arg);
	if (utility != NULL)
		sg_constraint_bypass_see(utility, access, classId, objectId, subId,
								 arg);
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
	sg_conflict_target_advise(utility);
	sg_utility_judge(utility);
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

/*
 * The server is about to drop, or has created or altered, an object.
 */
void
sg_object_access(ObjectAccessType access, Oid classId, Oid objectId,
				 int subId, void *arg)
{
	/*
	 * A backend that is told to go leaves the command where it stands, and
	 * drops its temporary tables when the memory of that is gone.
	 */
	if (proc_exit_inprogress)
		return;

	if (access == OAT_DROP && classId == TriggerRelationId)
		sg_watch_dropped(objectId);
	else if (access == OAT_DROP && classId == DatabaseRelationId)
		sg_watch_database_dropped(objectId);
	else if ((access == OAT_POST_CREATE || access == OAT_POST_ALTER) &&
			 subId == 0 && (classId == RelationRelationId ||
							classId == NamespaceRelationId))
		sg_violation_named(classId, objectId, access == OAT_POST_CREATE);

	if (current != NULL && access == OAT_POST_CREATE &&
		classId == ProcedureRelationId && !OidIsValid(current->function))
		current->function = objectId;
	if (unlikely(sg_keep_labels != NULL) && classId == RelationRelationId &&
		subId == 0)
		sg_keep_access(access, objectId,
					   current != NULL &&
					   IsA(current->pstmt->utilityStmt, AlterTableStmt));
	if (sg_enabled && !sg_process_is_exempt())
		sg_utility_event(current, access, classId, objectId, subId, arg);
}
