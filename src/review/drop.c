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
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "rewrite/rewriteSupport.h"
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

/* What the server calls a kind of relation in a message. */
static const char *
kind_name(ObjectType type)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return "table";
		case OBJECT_FOREIGN_TABLE:
			return "foreign table";
		case OBJECT_INDEX:
			return "index";
		case OBJECT_SEQUENCE:
			return "sequence";
		case OBJECT_VIEW:
			return "view";
		case OBJECT_MATVIEW:
			return "materialized view";
		default:
			return NULL;
	}
}

/*
 * Raise the error that the server has for an object that is not there.
 */
static void
raise_missing(ObjectType type, Node *object)
{
	Relation	rel = NULL;
	RangeVar   *name;

	if (kind_name(type) == NULL)
	{
		(void) get_object_address(type, object, &rel, AccessShareLock, false);
		return;
	}
	name = makeRangeVarFromNameList((List *) object);
	/* what is in a schema that the caller may not use is not known */
	if (name->schemaname != NULL)
		(void) LookupExplicitNamespace(name->schemaname, false);
	ereport(ERROR,
			errcode(type == OBJECT_TABLE ? ERRCODE_UNDEFINED_TABLE :
					ERRCODE_UNDEFINED_OBJECT),
			errmsg("%s \"%s\" does not exist", kind_name(type),
				   name->relname));
}

/*
 * A trigger, rule or policy: the rules have looked at its table by name.
 */
static void
find_on_table(DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->missing_ok ? NIL : stmt->objects)
	{
		List	   *object = lfirst_node(List, lc);
		const char *name = strVal(llast(object));
		RangeVar   *table;
		Oid			relid;

		if (list_length(object) < 2)
			continue;
		table = makeRangeVarFromNameList(list_copy_head(object,
														list_length(object) - 1));
		relid = RangeVarGetRelid(table, NoLock, false);
		if (stmt->removeType == OBJECT_TRIGGER)
			(void) get_trigger_oid(relid, name, false);
		else if (stmt->removeType == OBJECT_RULE)
			(void) get_rewrite_oid(relid, name, false);
		else
			(void) get_relation_policy_oid(relid, name, false);
	}
}

bool
sg_trial_drop(SgUtility *utility, DropStmt *stmt)
{
	List	   *targets = NIL;
	ListCell   *lc;

	if (stmt->removeType == OBJECT_TRIGGER ||
		stmt->removeType == OBJECT_RULE || stmt->removeType == OBJECT_POLICY)
	{
		find_on_table(stmt);
		return true;
	}
	foreach(lc, stmt->objects)
	{
		ObjectAddress *target = palloc0(sizeof(ObjectAddress));
		bool		missing;

		if (!find_target(stmt->removeType, lfirst(lc), target, &missing))
			return false;
		if (!missing)
			targets = lappend(targets, target);
		else if (!stmt->missing_ok)
		{
			raise_missing(stmt->removeType, lfirst(lc));
			return false;
		}
	}
	return sg_trial_drop_objects(utility, targets, stmt->behavior,
								 stmt->concurrent ?
								 PERFORM_DELETION_CONCURRENTLY : 0);
}
