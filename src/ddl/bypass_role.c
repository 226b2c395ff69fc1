/*-------------------------------------------------------------------------
 *
 * bypass_role.c
 *		constraint_bypass: session_replication_role = replica.
 *
 * Found at the SET, and at the first write of each transaction that runs
 * under it, however it was set: for a role, a database or a function, by
 * set_config(), in the configuration file.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "failopen.h"
#include "ddl/bypass.h"

#define ROLE_PARAMETER "session_replication_role"

#define ROLE_DETAIL \
	"Foreign keys are not checked, and no trigger fires but those enabled as REPLICA or ALWAYS."

#define ROLE_HINT \
	"To write rows in any order, make the foreign keys DEFERRABLE and use SET CONSTRAINTS ALL DEFERRED."

/* the transaction in which a write has been reported last, and how */
static LocalTransactionId reported_lxid = InvalidLocalTransactionId;
static SgLevel reported_level = SG_LEVEL_OFF;

bool
sg_bypass_role_wants(const Node *stmt)
{
	if (IsA(stmt, VariableSetStmt))
	{
		const VariableSetStmt *set = (const VariableSetStmt *) stmt;

		return (set->kind == VAR_SET_VALUE || set->kind == VAR_SET_DEFAULT) &&
			set->name != NULL &&
			pg_strcasecmp(set->name, ROLE_PARAMETER) == 0;
	}
	return IsA(stmt, CopyStmt) && ((const CopyStmt *) stmt)->is_from &&
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
}

/* ---------------- the SET ---------------- */

/*
 * Has the SET made it replica, or would it?
 */
static bool
becomes_replica(SgUtility *utility)
{
	const VariableSetStmt *set =
		(const VariableSetStmt *) utility->pstmt->utilityStmt;
	const char *value;

	if (utility->trial == NULL)
		return SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	if (!sg_bypass_role_wants((const Node *) set) ||
		pg_parameter_aclcheck(ROLE_PARAMETER, GetUserId(),
							  ACL_SET) != ACLCHECK_OK)
		return false;
	value = set->kind == VAR_SET_DEFAULT ?
		GetConfigOptionResetString(ROLE_PARAMETER) :
		ExtractSetVariableArgs((VariableSetStmt *) set);
	return value != NULL && pg_strcasecmp(value, "replica") == 0;
}

/*
 * The SET is done; its transaction takes it back if this raises an error.
 * Where it was replica before, nothing has changed.
 */
void
sg_bypass_role_done(SgUtility *utility)
{
	SgFinding  *finding;

	if (!IsA(utility->pstmt->utilityStmt, VariableSetStmt) ||
		!becomes_replica(utility) || utility->was_replica)
		return;
	finding = sg_ddl_finding(SG_RULE_CONSTRAINT_BYPASS, InvalidOid);
	finding->message = pstrdup("SET session_replication_role = replica switches foreign keys and triggers off");
	finding->detail = pstrdup(ROLE_DETAIL);
	finding->hint = pstrdup(ROLE_HINT);
	finding->closed_message = finding->message;
	sg_ddl_report(finding, utility);
}

/* ---------------- writes ---------------- */

/*
 * Has a write been reported in this transaction, at least as severely as one
 * to this table would be?  A rejected one has not: it leaves by the error, and
 * the next attempt is rejected again.
 */
static bool
is_reported(Oid relid)
{
	return reported_lxid == SG_MY_LXID &&
		sg_level_for(SG_RULE_CONSTRAINT_BYPASS, relid) <= reported_level;
}

static SgFinding *
make_write_finding(const char *command, Oid relid)
{
	SgFinding  *finding = sg_ddl_finding(SG_RULE_CONSTRAINT_BYPASS, relid);

	finding->message = psprintf("%s writes to table \"%s\" while session_replication_role is replica",
								command, finding->table_name);
	finding->detail = pstrdup(ROLE_DETAIL);
	finding->hint = pstrdup("RESET session_replication_role before the write.  " ROLE_HINT);
	finding->closed_message = psprintf("%s writes while session_replication_role is replica",
									   command);
	return finding;
}

/*
 * A function of ours that writes to a table of ours?  That is no write of the
 * client, and must not be taken for its first one.
 */
static bool
is_ours(Oid relid)
{
	Oid			extension;

	if (sg_is_top_level())
		return false;
	extension = get_extension_oid("safeguard", true);
	return OidIsValid(extension) &&
		getExtensionOfObject(RelationRelationId, relid) == extension;
}

static void
report_write(const char *command, Oid relid, const SgSource *source)
{
	List	   *decisions;

	if (is_reported(relid) && sg_capture == NULL)
		return;
	decisions = sg_decide(list_make1(make_write_finding(command, relid)));
	/* to ask whose it is reads catalogs: not where the rule is off */
	if (decisions == NIL || is_ours(relid))
		return;
	sg_deliver(decisions, source, false);
	if (sg_capture != NULL)
		return;					/* the client has not been told */
	reported_lxid = SG_MY_LXID;
	reported_level = ((SgDecision *) linitial(decisions))->level;
}

/*
 * What writes to this result relation: the statement, or a WITH query of it.
 */
static CmdType
write_operation(const PlannedStmt *plan, int resultRelation)
{
	ListCell   *lc;

	foreach(lc, plan->subplans)
	{
		const ModifyTable *node = lfirst(lc);

		if (node != NULL && IsA(node, ModifyTable) &&
			list_member_int(node->resultRelations, resultRelation))
			return node->operation;
	}
	return plan->commandType;
}

static const char *
write_command(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		case CMD_MERGE:
			return "MERGE";
		default:
			return "WITH";
	}
}

/*
 * What is to be said of a write under session_replication_role = replica.
 */
SgFinding *
sg_bypass_write_finding(CmdType operation, Oid relid)
{
	return make_write_finding(write_command(operation), relid);
}

typedef struct ReplicaWrite
{
	QueryDesc  *queryDesc;
	MemoryContext work;
} ReplicaWrite;

/* Called by sg_fail_open() */
static void
report_writes(void *arg)
{
	ReplicaWrite *write = (ReplicaWrite *) arg;
	PlannedStmt *plan = write->queryDesc->plannedstmt;
	ListCell   *lc;
	SgSource	source;

	MemoryContextSwitchTo(write->work);
	sg_fault("replica");
	sg_query_source(&source, write->queryDesc);
	foreach(lc, plan->resultRelations)
		report_write(write_command(write_operation(plan, lfirst_int(lc))),
					 rt_fetch(lfirst_int(lc), plan->rtable)->relid, &source);
}

/*
 * A statement starts under session_replication_role = replica.
 */
void
sg_bypass_write(QueryDesc *queryDesc, int eflags)
{
	ReplicaWrite write = {queryDesc, NULL};

	if (queryDesc->plannedstmt->resultRelations == NIL || !sg_enabled ||
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 ||
		sg_execution_is_exempt(eflags))
		return;

	write.work = AllocSetContextCreate(CurrentMemoryContext,
									   "safeguard judgement",
									   ALLOCSET_SMALL_SIZES);
	(void) sg_fail_open(report_writes, &write);
	MemoryContextDelete(write.work);
}

/*
 * Nothing has happened yet: judge a COPY FROM, which starts no executor.  Who
 * may not write to the table is refused by the command itself.
 */
void
sg_bypass_role_before(SgUtility *utility)
{
	Oid			relid;
	SgSource	source;

	if (!IsA(utility->pstmt->utilityStmt, CopyStmt))
		return;
	relid = sg_ddl(utility)->target;
	if (!OidIsValid(relid) ||
		(pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK &&
		 pg_attribute_aclcheck_all(relid, GetUserId(), ACL_INSERT,
								   ACLMASK_ANY) != ACLCHECK_OK))
		return;
	if (utility->trial != NULL)
	{
		sg_ddl_report(make_write_finding("COPY", relid), utility);
		return;
	}
	sg_ddl_source(&source, utility);
	report_write("COPY", relid, &source);
}
