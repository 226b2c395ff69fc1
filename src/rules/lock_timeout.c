/*-------------------------------------------------------------------------
 *
 * lock_timeout.c
 *		Finds DDL that takes an ACCESS EXCLUSIVE or SHARE lock on an existing
 *		table while lock_timeout is 0.
 *
 * The lock that a command is going to take follows from the command, so it is
 * judged before it waits.  A table that only a cascade reaches is judged when
 * the command is done.  A lock that this transaction holds already is not
 * waited for: that is so for every table it has created.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"

#include "compat.h"
#include "ddl/ddl.h"
#include "review/rehearse.h"

#define LIMIT_HINT \
	"Limit the wait, and try again when it was too short: SET lock_timeout = '2s';  "

/* The locks that a command is going to wait for. */
typedef struct SgLocks
{
	LOCKMODE	mode;
	AclMode		privilege;		/* that allows the command besides ownership;
								 * 0: none does */
	bool		schema_owner;	/* may the owner of the schema run it, too? */
	List	   *tables;			/* OIDs */
	bool		unnamed;		/* tables that the command does not name */
	bool		partitioned_index;	/* recorded at most */
} SgLocks;

/*
 * Commands that can take such a lock.  LOCK is no DDL.
 */
bool
sg_lock_timeout_wants(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterPolicyStmt:
		case T_ClusterStmt:
		case T_CreatePolicyStmt:
		case T_DropOwnedStmt:
		case T_DropStmt:
		case T_IndexStmt:
		case T_ReassignOwnedStmt:
		case T_ReindexStmt:
		case T_RenameStmt:
		case T_RuleStmt:
		case T_TruncateStmt:
			return true;
		case T_CreateStmt:
			return ((const CreateStmt *) stmt)->partbound != NULL;
		case T_VacuumStmt:
			return ((const VacuumStmt *) stmt)->is_vacuumcmd;
		default:
			return false;
	}
}

/* ---------------- what will be locked ---------------- */

/*
 * May the current user run the command on the table?  If not, it fails without
 * us, and is nobody's finding.
 */
static bool
is_allowed(const SgLocks *locks, Oid relid)
{
	Oid			roleid = GetUserId();

	return sg_owns_relation(relid, roleid) ||
		(locks->privilege != 0 &&
		 pg_class_aclcheck(relid, roleid, locks->privilege) == ACLCHECK_OK) ||
		(locks->schema_owner &&
		 sg_owns_schema(get_rel_namespace(relid), roleid));
}

static void
add_table(SgLocks *locks, Oid relid)
{
	if (sg_is_lockable(relid) && !sg_relation_is_held(relid, locks->mode) &&
		is_allowed(locks, relid))
		locks->tables = list_append_unique_oid(locks->tables, relid);
}

static void
add_name(SgLocks *locks, const RangeVar *name)
{
	if (name != NULL)
		add_table(locks, sg_find_relation(name));
}

static void
add_index_table(SgLocks *locks, Oid index)
{
	add_table(locks, sg_table_of_index(index));
}

static void
add_partitioned(SgLocks *locks, Oid relid)
{
	add_table(locks, relid);
	if (OidIsValid(relid))
		add_table(locks, get_default_partition_oid(relid));
}

static void
add_alter_table(SgLocks *locks, const AlterTableStmt *stmt)
{
	LOCKMODE	mode = AlterTableGetLockLevel(stmt->cmds);
	Oid			relid = sg_find_relation(stmt->relation);
	ListCell   *lc;

	if (mode == AccessExclusiveLock || mode == ShareLock)
		add_table(locks, relid);

	/* besides the table that is altered */
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		PartitionCmd *partition = (PartitionCmd *) cmd->def;

		if (cmd->subtype == AT_AttachPartition)
		{
			add_name(locks, partition->name);
			if (sg_is_lockable(relid))
				add_table(locks, get_default_partition_oid(relid));
		}
		else if (cmd->subtype == AT_DetachPartition &&
				 !partition->concurrent)
			add_name(locks, partition->name);
	}
}

/*
 * CREATE INDEX.  On an empty table it is done in no time, and nobody is likely
 * to be there.  On a partitioned one it is left alone as destructive_ddl
 * leaves it alone.
 */
static void
add_index(SgLocks *locks, const IndexStmt *stmt)
{
	Oid			relid = sg_find_relation(stmt->relation);
	int			leaves;

	locks->mode = ShareLock;
	if (stmt->concurrent || !sg_is_lockable(relid))
		return;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
	{
		locks->partitioned_index = true;
		if (sg_leaves_bytes(relid, &leaves) > 0)
			add_table(locks, relid);
	}
	else if (sg_relation_bytes(relid) > 0)
		add_table(locks, relid);
}

static void
add_rename(SgLocks *locks, const RenameStmt *stmt)
{
	if (stmt->relation != NULL && stmt->renameType != OBJECT_INDEX)
		add_name(locks, stmt->relation);
}

static void
add_drop(SgLocks *locks, const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		switch (stmt->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_FOREIGN_TABLE:
				locks->schema_owner = true;
				add_table(locks, sg_find_named((List *) lfirst(lc), 0));
				break;
			case OBJECT_INDEX:
				if (!stmt->concurrent)
					add_index_table(locks,
									sg_find_named((List *) lfirst(lc), 0));
				break;
			case OBJECT_TRIGGER:
			case OBJECT_RULE:
			case OBJECT_POLICY:
				add_table(locks, sg_find_owner(stmt->removeType,
											   (List *) lfirst(lc)));
				break;
			default:
				break;
		}
	}
}

static void
add_reindex(SgLocks *locks, const ReindexStmt *stmt)
{
	locks->mode = ShareLock;
	locks->privilege = SG_ACL_MAINTAIN;
	if (sg_is_concurrent((const Node *) stmt))
		return;
	locks->unnamed = stmt->relation == NULL;
	if (stmt->kind == REINDEX_OBJECT_INDEX)
		add_index_table(locks, sg_find_relation(stmt->relation));
	else
		add_name(locks, stmt->relation);
}

static void
add_vacuum(SgLocks *locks, const VacuumStmt *stmt)
{
	ListCell   *lc;

	locks->privilege = SG_ACL_MAINTAIN;
	if (!sg_has_option(stmt->options, "full"))
		return;
	locks->unnamed = stmt->rels == NIL;
	foreach(lc, stmt->rels)
		add_name(locks, lfirst_node(VacuumRelation, lc)->relation);
}

static void
collect(SgLocks *locks, const Node *stmt)
{
	ListCell   *lc;

	locks->mode = AccessExclusiveLock;
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			if (((const AlterTableStmt *) stmt)->objtype != OBJECT_INDEX)
				add_alter_table(locks, (const AlterTableStmt *) stmt);
			break;
		case T_RenameStmt:
			add_rename(locks, (const RenameStmt *) stmt);
			break;
		case T_DropStmt:
			add_drop(locks, (const DropStmt *) stmt);
			break;
		case T_AlterObjectSchemaStmt:
			add_name(locks, ((const AlterObjectSchemaStmt *) stmt)->relation);
			break;
		case T_CreatePolicyStmt:
			add_name(locks, ((const CreatePolicyStmt *) stmt)->table);
			break;
		case T_AlterPolicyStmt:
			add_name(locks, ((const AlterPolicyStmt *) stmt)->table);
			break;
		case T_RuleStmt:
			add_name(locks, ((const RuleStmt *) stmt)->relation);
			break;
		case T_CreateStmt:
			if (((const CreateStmt *) stmt)->if_not_exists &&
				OidIsValid(sg_find_relation(((const CreateStmt *) stmt)->relation)))
				break;
			foreach(lc, ((const CreateStmt *) stmt)->inhRelations)
				add_partitioned(locks,
								sg_find_relation(lfirst_node(RangeVar, lc)));
			break;
		case T_TruncateStmt:
			locks->privilege = ACL_TRUNCATE;
			foreach(lc, ((const TruncateStmt *) stmt)->relations)
				add_name(locks, lfirst_node(RangeVar, lc));
			break;
		case T_ClusterStmt:
			locks->privilege = SG_ACL_MAINTAIN;
			locks->unnamed = ((const ClusterStmt *) stmt)->relation == NULL;
			add_name(locks, ((const ClusterStmt *) stmt)->relation);
			break;
		case T_VacuumStmt:
			add_vacuum(locks, (const VacuumStmt *) stmt);
			break;
		case T_IndexStmt:
			add_index(locks, (const IndexStmt *) stmt);
			break;
		case T_ReindexStmt:
			add_reindex(locks, (const ReindexStmt *) stmt);
			break;
		default:
			break;
	}
}

/* ---------------- reporting ---------------- */

static SgFinding *
make_finding(SgUtility *utility, Oid relid, LOCKMODE mode)
{
	SgDdl	   *ddl = sg_ddl(utility);
	SgFinding  *finding = sg_ddl_finding(SG_RULE_LOCK_TIMEOUT, relid);

	if (sg_is_named(utility->pstmt->utilityStmt, finding->schema_name,
					finding->table_name))
		finding->reads = NIL;
	if (OidIsValid(relid))
		finding->message = psprintf("%s locks table \"%s\" while lock_timeout is 0",
									ddl->command, finding->table_name);
	else
		finding->message = psprintf("%s locks tables, one after the other, while lock_timeout is 0",
									ddl->command);
	finding->detail = mode == ShareLock ?
		pstrdup("The command waits for a SHARE lock as long as others write to the table, and all later writes wait behind it.") :
		pstrdup("The command waits for an ACCESS EXCLUSIVE lock as long as others use the table, and all who come later wait behind it.");
	finding->hint = psprintf(LIMIT_HINT "%s",
							 sg_allow_table(utility, SG_RULE_LOCK_TIMEOUT,
											relid));
	finding->closed_message = psprintf("%s locks a table while lock_timeout is 0",
									   ddl->command);
	if (relid == ddl->target)
		finding->location = ddl->location;
	return finding;
}

/*
 * Which table it is stays a secret, what to do about it does not.
 */
static void
close_finding(SgFinding *finding, SgUtility *utility, SgDecision *decision)
{
	finding->message = finding->closed_message;
	finding->schema_name = NULL;
	finding->table_name = NULL;
	finding->reads = NIL;
	finding->hint = psprintf(LIMIT_HINT "%s",
							 sg_allow_text(utility, SG_RULE_LOCK_TIMEOUT, NULL,
										   false));
	decision->readable = true;
}

/*
 * Of the tables of one command, keep the one on which the rule acts most
 * severely, so that a command makes one finding.
 */
static SgDecision *
worse(SgDecision *worst, SgUtility *utility, Oid relid, const SgLocks *locks)
{
	SgFinding  *finding;
	SgDecision *decision;
	List	   *decisions;

	/* a cascade may come with thousands of tables */
	if (worst != NULL &&
		sg_level_for(SG_RULE_LOCK_TIMEOUT, relid) <= worst->level)
		return worst;
	finding = make_finding(utility, relid, locks->mode);
	if (locks->partitioned_index || sg_session_is_restore())
		finding->highest = SG_LEVEL_RECORD;
	decisions = sg_decide(list_make1(finding));
	if (decisions == NIL)
		return worst;
	decision = linitial(decisions);
	if (!decision->readable)
		close_finding(finding, utility, decision);
	return worst == NULL || decision->level > worst->level ? decision : worst;
}

static void
deliver(SgDecision *decision, int tables, SgUtility *utility)
{
	SgFinding  *finding;

	if (decision == NULL)
		return;
	finding = (SgFinding *) decision->finding;
	if (tables > 1)
		finding->detail = psprintf("%s  Tables that the command locks: %d.",
								   finding->detail, tables);
	sg_ddl_deliver(list_make1(decision), utility);
}

/*
 * Nothing is locked yet.
 */
void
sg_lock_timeout_before(SgUtility *utility)
{
	SgLocks		locks = {0};
	SgDecision *worst = NULL;
	ListCell   *lc;

	if (sg_lock_timeout_meant() != 0)
		return;
	collect(&locks, utility->pstmt->utilityStmt);
	foreach(lc, locks.tables)
		worst = worse(worst, utility, lfirst_oid(lc), &locks);
	if (locks.unnamed)
		worst = worse(worst, utility, InvalidOid, &locks);
	deliver(worst, list_length(locks.tables), utility);
}

/*
 * The object access hook: what a table is called must be kept, it may go.
 */
void
sg_lock_timeout_access(SgUtility *utility, ObjectAccessType access,
					   Oid classId, Oid objectId, int subId, void *arg)
{
	SgLocks		locks = {.mode = AccessExclusiveLock};
	MemoryContext caller;
	SgDdl	   *ddl;
	Oid			relid;

	if ((access != OAT_DROP && access != OAT_POST_ALTER) || utility == NULL ||
		sg_lock_timeout_meant() != 0 ||
		(utility->trial != NULL && utility->trial->locked))
		return;
	relid = sg_locked_by_event(utility->pstmt->utilityStmt, access, classId,
							   objectId, arg);
	if (!OidIsValid(relid))
		return;
	caller = MemoryContextSwitchTo(utility->context);
	ddl = sg_ddl(utility);
	ddl->locked = worse(ddl->locked, utility, relid, &locks);
	ddl->locked_tables = list_append_unique_oid(ddl->locked_tables, relid);
	MemoryContextSwitchTo(caller);
}

void
sg_lock_timeout_done(SgUtility *utility)
{
	if (utility->ddl != NULL)
		deliver(utility->ddl->locked,
				list_length(utility->ddl->locked_tables), utility);
}
