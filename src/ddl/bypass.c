/*-------------------------------------------------------------------------
 *
 * bypass.c
 *		constraint_bypass: which of its parts a command or an event is for.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"

#include "ddl/bypass.h"

bool
sg_bypass_wants(const Node *stmt)
{
	return IsA(stmt, AlterTableStmt) || IsA(stmt, AlterDomainStmt) ||
		sg_bypass_role_wants(stmt);
}

void
sg_bypass_before(SgUtility *utility)
{
	sg_bypass_role_before(utility);
}

/*
 * The object access hook.  Triggers and constraints are looked at only when
 * ALTER TABLE or ALTER DOMAIN has to do with them.
 */
void
sg_bypass_access(SgUtility *utility, ObjectAccessType access, Oid classId,
				 Oid objectId, int subId, void *arg)
{
	const Node *stmt = utility == NULL ? NULL : utility->pstmt->utilityStmt;

	if (stmt == NULL ||
		(!IsA(stmt, AlterTableStmt) && !IsA(stmt, AlterDomainStmt)))
		return;
	if (classId == TriggerRelationId && access == OAT_POST_ALTER)
		sg_bypass_trigger_altered(utility, objectId);
	if (classId != ConstraintRelationId)
		return;
	if (access == OAT_POST_CREATE)
		sg_bypass_constraint_made(utility, objectId);
	else if (access == OAT_POST_ALTER)
		sg_bypass_constraint_altered(utility, objectId);
	else if (access == OAT_DROP)
		sg_bypass_constraint_dropped(utility, objectId);
}

void
sg_bypass_done(SgUtility *utility)
{
	sg_bypass_role_done(utility);
	if (utility->ddl == NULL)
		return;
	sg_bypass_trigger_done(utility);
	sg_bypass_constraint_done(utility);
}
