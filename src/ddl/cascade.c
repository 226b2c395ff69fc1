/*-------------------------------------------------------------------------
 *
 * cascade.c
 *		Tables that a command locks without naming them, for lock_timeout.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "utils/lsyscache.h"

#include "ddl/ddl.h"

/*
 * Is it a table of the kind that the rule is about?
 */
bool
sg_is_lockable(Oid relid)
{
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	return (relkind == RELKIND_RELATION ||
			relkind == RELKIND_PARTITIONED_TABLE ||
			relkind == RELKIND_FOREIGN_TABLE) &&
		get_rel_persistence(relid) != RELPERSISTENCE_TEMP;
}

/*
 * Does the command reach tables only by what depends on what it names?
 */
static bool
is_cascade(const Node *stmt)
{
	if (IsA(stmt, DropOwnedStmt))
		return true;
	if (!IsA(stmt, DropStmt))
		return false;
	switch (((const DropStmt *) stmt)->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_INDEX:
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			return false;
		default:
			return true;
	}
}

/*
 * The table that an event locks, or InvalidOid.  A table that is dropped or
 * changes its owner is locked by now; one that loses a trigger, constraint,
 * default, policy, rule or index is locked after the event.
 */
Oid
sg_locked_by_event(const Node *stmt, ObjectAccessType access, Oid classId,
				   Oid objectId, void *arg)
{
	Oid			relid;

	if (IsA(stmt, ReassignOwnedStmt))
		relid = access == OAT_POST_ALTER && classId == RelationRelationId ?
			objectId : InvalidOid;
	else if (access == OAT_POST_ALTER && classId == PolicyRelationId &&
			 IsA(stmt, DropOwnedStmt))
		relid = sg_table_of_object(classId, objectId);
	else if (access == OAT_DROP && is_cascade(stmt) &&
			 (((const ObjectAccessDrop *) arg)->dropflags &
			  PERFORM_DELETION_INTERNAL) == 0)
	{
		if (classId == RelationRelationId && sg_is_lockable(objectId))
			relid = objectId;
		else
		{
			relid = sg_table_of_object(classId, objectId);
			/* what DROP OWNED takes a role out of is locked before that */
			if (OidIsValid(relid) &&
				!(classId == PolicyRelationId && IsA(stmt, DropOwnedStmt)) &&
				sg_relation_is_held(relid, AccessExclusiveLock))
				return InvalidOid;
		}
	}
	else
		return InvalidOid;
	return sg_is_lockable(relid) && !sg_relation_is_new(relid) ? relid : InvalidOid;
}
