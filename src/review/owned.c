/*-------------------------------------------------------------------------
 *
 * owned.c
 *		What belongs to a role: DROP OWNED, REASSIGN OWNED.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_shdepend.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/trial.h"

/*
 * Does the current user own an object, or the schema it is in?  One of a kind
 * that nobody owns is its table's, or whoever's the server says; take it for
 * nobody's.
 */
bool
sg_trial_owns(Oid classId, Oid objectId)
{
	ObjectAddress object;
	Relation	catalog;
	AttrNumber	attnum;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;
	Oid			schema;
	bool		isnull;

	if (superuser())
		return true;
	if (!is_objectclass_supported(classId) ||
		get_object_attnum_owner(classId) == InvalidAttrNumber)
		return false;
	catalog = table_open(classId, AccessShareLock);
	attnum = get_object_attnum_owner(classId);
	tuple = get_catalog_object_by_oid(catalog, get_object_attnum_oid(classId),
									  objectId);
	if (HeapTupleIsValid(tuple))
		owner = DatumGetObjectId(heap_getattr(tuple, attnum,
											  RelationGetDescr(catalog),
											  &isnull));
	table_close(catalog, AccessShareLock);
	if (!OidIsValid(owner))
		return false;
	if (has_privs_of_role(GetUserId(), owner))
		return true;
	ObjectAddressSet(object, classId, objectId);
	schema = get_object_namespace(&object);
	return OidIsValid(schema) && sg_owns_schema(schema, GetUserId());
}

/* Would a policy be left to other roles? */
static bool
policy_stays(Oid policy, Oid roleid)
{
	Relation	rel = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		stays = false;

	ScanKeyInit(&key, Anum_pg_policy_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(policy));
	scan = systable_beginscan(rel, PolicyOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_policy_polroles,
										 RelationGetDescr(rel), &isnull);
		ArrayType  *array = isnull ? NULL : DatumGetArrayTypeP(datum);
		int			nroles = array == NULL ? 0 :
			ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

		for (int i = 0; i < nroles; i++)
			stays = stays || ((Oid *) ARR_DATA_PTR(array))[i] != roleid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return stays;
}

/*
 * Objects of this database that depend on a role, as owner or in a policy:
 * list of ObjectAddress *, with deptype in objectSubId.
 */
static List *
dependents_of_role(Oid roleid)
{
	Relation	rel = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(roleid));
	scan = systable_beginscan(rel, SharedDependReferenceIndexId, true, NULL, 2,
							  key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend form = (Form_pg_shdepend) GETSTRUCT(tuple);
		ObjectAddress *object;

		CHECK_FOR_INTERRUPTS();
		if (form->dbid != MyDatabaseId ||
			(form->deptype != SHARED_DEPENDENCY_OWNER &&
			 form->deptype != SHARED_DEPENDENCY_POLICY))
			continue;
		object = palloc(sizeof(ObjectAddress));
		ObjectAddressSubSet(*object, form->classid, form->objid,
							form->deptype);
		result = lappend(result, object);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * The roles that a command names.  Returns false if one is not there or is not
 * the user's to speak for.
 */
static bool
find_roles(List *specs, List **roleids)
{
	ListCell   *lc;

	foreach(lc, specs)
	{
		Oid			roleid = get_rolespec_oid(lfirst_node(RoleSpec, lc), true);

		if (!OidIsValid(roleid) || !has_privs_of_role(GetUserId(), roleid))
			return false;
		*roleids = lappend_oid(*roleids, roleid);
	}
	return true;
}

static int
compare_newest_first(const ListCell *a, const ListCell *b)
{
	const ObjectAddress *x = lfirst(a);
	const ObjectAddress *y = lfirst(b);

	if (x->objectId != y->objectId)
		return x->objectId > y->objectId ? -1 : 1;
	return x->classId < y->classId ? -1 : x->classId > y->classId;
}

bool
sg_trial_drop_owned(SgUtility *utility, DropOwnedStmt *stmt)
{
	List	   *roleids = NIL;
	List	   *targets = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	if (!find_roles(stmt->roles, &roleids))
		return false;
	foreach(lc, roleids)
	{
		foreach(lc2, dependents_of_role(lfirst_oid(lc)))
		{
			ObjectAddress *object = lfirst(lc2);

			if (object->objectSubId == SHARED_DEPENDENCY_POLICY &&
				policy_stays(object->objectId, lfirst_oid(lc)))
			{
				sg_utility_event(utility, OAT_POST_ALTER, object->classId,
								 object->objectId, 0, NULL);
				continue;
			}
			object->objectSubId = 0;
			targets = lappend(targets, object);
		}
	}
	list_sort(targets, compare_newest_first);
	return sg_trial_drop_objects(utility, targets, stmt->behavior, 0);
}

bool
sg_trial_reassign_owned(SgUtility *utility, ReassignOwnedStmt *stmt)
{
	Oid			newrole = get_rolespec_oid(stmt->newrole, true);
	List	   *roleids = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	if (!OidIsValid(newrole) || !has_privs_of_role(GetUserId(), newrole) ||
		!find_roles(stmt->roles, &roleids))
		return false;
	foreach(lc, roleids)
	{
		foreach(lc2, dependents_of_role(lfirst_oid(lc)))
		{
			const ObjectAddress *object = lfirst(lc2);

			if (object->objectSubId == SHARED_DEPENDENCY_OWNER &&
				object->classId == RelationRelationId)
				sg_utility_event(utility, OAT_POST_ALTER, RelationRelationId,
								 object->objectId, 0, NULL);
		}
	}
	return true;
}
