/*-------------------------------------------------------------------------
 *
 * drop.c
 *		What a DROP would do.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "review/trial.h"

static bool
goes_with_table(SgDrops *drops, const ObjectAddress *object)
{
	Oid			table = sg_table_of_object(object->classId, object->objectId);

	return OidIsValid(table) &&
		sg_drops_have(drops, RelationRelationId, table, 0);
}

/*
 * Tell the rules what goes when these objects (list of ObjectAddress *) are
 * dropped, one after the other.
 */
bool
sg_trial_drop_objects(SgUtility *utility, List *targets,
					  DropBehavior behavior, int flags)
{
	SgTrial    *trial = utility->trial;
	ObjectAccessDrop access = {.dropflags = flags};
	List	   *dropped;
	ListCell   *lc;

	if (trial->drops == NULL)
		trial->drops = sg_drops_make();
	if (!sg_drops_add(trial->drops, targets, behavior, &dropped))
		return false;
	foreach(lc, dropped)
	{
		const ObjectAddress *object = lfirst(lc);

		/*
		 * A part of a table that goes as a whole locks nothing by itself: the
		 * table has been locked before its first part is dropped.
		 */
		trial->locked = goes_with_table(trial->drops, object);
		sg_utility_event(utility, OAT_DROP, object->classId, object->objectId,
						 object->objectSubId, &access);
	}
	trial->locked = false;
	return true;
}

static bool
is_of_kind(ObjectType type, char relkind)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return relkind == RELKIND_RELATION ||
				relkind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_FOREIGN_TABLE:
			return relkind == RELKIND_FOREIGN_TABLE;
		case OBJECT_INDEX:
			return relkind == RELKIND_INDEX ||
				relkind == RELKIND_PARTITIONED_INDEX;
		case OBJECT_SEQUENCE:
			return relkind == RELKIND_SEQUENCE;
		case OBJECT_VIEW:
			return relkind == RELKIND_VIEW;
		case OBJECT_MATVIEW:
			return relkind == RELKIND_MATVIEW;
		default:
			return false;
	}
}

static bool
may_drop_relation(Oid relid)
{
	Oid			roleid = GetUserId();

	return sg_owns_relation(relid, roleid) ||
		sg_owns_schema(get_rel_namespace(relid), roleid);
}

/*
 * The object that a DROP names.  Sets "missing" if there is none; returns
 * false if it is one that the command does not drop.
 */
static bool
find_target(ObjectType type, Node *name, ObjectAddress *target, bool *missing)
{
	Relation	rel = NULL;

	*missing = false;
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
			ObjectAddressSet(*target, RelationRelationId,
							 sg_find_named((List *) name, 0));
			*missing = !OidIsValid(target->objectId);
			return *missing ||
				(is_of_kind(type, get_rel_relkind(target->objectId)) &&
				 may_drop_relation(target->objectId));
		default:
			*target = get_object_address(type, name, &rel, AccessShareLock,
										 true);
			if (rel != NULL)
				table_close(rel, NoLock);
			*missing = !OidIsValid(target->objectId);
			return *missing ||
				sg_trial_owns(target->classId, target->objectId);
	}
}

bool
sg_trial_drop(SgUtility *utility, DropStmt *stmt)
{
	List	   *targets = NIL;
	ListCell   *lc;

	/* on a table, which the rules have looked at by its name */
	if (stmt->removeType == OBJECT_TRIGGER ||
		stmt->removeType == OBJECT_RULE || stmt->removeType == OBJECT_POLICY)
		return true;
	foreach(lc, stmt->objects)
	{
		ObjectAddress *target = palloc0(sizeof(ObjectAddress));
		bool		missing;

		if (!find_target(stmt->removeType, lfirst(lc), target, &missing))
			return false;
		if (!missing)
			targets = lappend(targets, target);
		else if (!stmt->missing_ok)
			return false;
	}
	return sg_trial_drop_objects(utility, targets, stmt->behavior,
								 stmt->concurrent ?
								 PERFORM_DELETION_CONCURRENTLY : 0);
}
