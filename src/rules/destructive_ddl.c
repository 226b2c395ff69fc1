/*-------------------------------------------------------------------------
 *
 * destructive_ddl.c
 *		Finds commands that drop or truncate a table that holds data, and
 *		those that rewrite a large table, or build an index on it, while
 *		others wait.
 *
 * What is new in this transaction, empty, or temporary is never found, nor
 * what the server drops by itself.  See ddl/loss.c and ddl/bulk.c.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"

#include "ddl/ddl.h"

/*
 * Commands during which the rule wants to know what happens.
 */
bool
sg_destructive_ddl_wants(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
		case T_ClusterStmt:
		case T_DropOwnedStmt:
		case T_DropStmt:
		case T_DropdbStmt:
		case T_IndexStmt:
		case T_ReindexStmt:
		case T_TruncateStmt:
		case T_VacuumStmt:
			return true;
		default:
			return false;
	}
}

void
sg_destructive_ddl_before(SgUtility *utility)
{
	const Node *stmt = utility->pstmt->utilityStmt;

	if (IsA(stmt, ReindexStmt) ? !sg_is_concurrent(stmt) :
		IsA(stmt, AlterTableStmt))
		sg_bulk_before(utility);
}

/*
 * The object access hook.
 */
void
sg_destructive_ddl_access(SgUtility *utility, ObjectAccessType access,
						  Oid classId, Oid objectId, int subId, void *arg)
{
	if (access == OAT_DROP && classId == RelationRelationId)
	{
		const ObjectAccessDrop *drop = arg;

		if ((drop->dropflags & PERFORM_DELETION_INTERNAL) == 0)
			sg_loss_dropped(utility, objectId, subId);
	}
	else if (access == OAT_DROP && classId == DatabaseRelationId)
		sg_loss_database(utility, objectId);
	else if (access == OAT_TRUNCATE && utility != NULL)
		sg_loss_truncated(utility, objectId);
	else if (access == OAT_POST_CREATE && classId == RelationRelationId &&
			 subId == 0 && utility != NULL)
		sg_bulk_created(utility, objectId);
}

void
sg_destructive_ddl_done(SgUtility *utility)
{
	sg_bulk_deliver(utility);
	sg_loss_deliver(utility);
}
