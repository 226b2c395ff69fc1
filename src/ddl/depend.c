/*-------------------------------------------------------------------------
 *
 * depend.c
 *		What a DROP would take with it, read from pg_depend.
 *
 * The server walks the same way when it drops (findDependentObjects), but
 * locks and deletes what it finds; here nothing is touched.  The order is the
 * server's: what depends on an object goes before it, newer objects before
 * older ones.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

#include "ddl/ddl.h"

/* more objects than this are not looked at */
#define MAX_DROPS		100000

/* how an object has been reached */
#define BY_REQUEST		0x01
#define BY_NEED			0x02	/* it depends on what goes: only CASCADE */
#define BY_ITSELF		0x04	/* goes with what it belongs to */
#define BY_PARTITION	0x08	/* the same, with its parent's */
#define IS_PARTITION	0x10	/* goes only BY_PARTITION */

/* An object that would be dropped. */
typedef struct SgDrop
{
	ObjectAddress object;		/* MUST BE FIRST */
	int			flags;
} SgDrop;

struct SgDrops
{
	HTAB	   *found;			/* of SgDrop */
	List	   *order;			/* of ObjectAddress *, of the running call */
	List	   *targets;		/* the same: what is to be dropped by it */
	bool		refused;		/* the server would not do it */
};

/* The objects that have led to one, innermost first. */
typedef struct SgDropStack
{
	const ObjectAddress *object;
	int			flags;
	struct SgDropStack *outer;
} SgDropStack;

static void visit(SgDrops *drops, Relation depend, const ObjectAddress *object,
				  int flags, SgDropStack *stack);

SgDrops *
sg_drops_make(void)
{
	SgDrops    *drops = palloc0(sizeof(SgDrops));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(ObjectAddress);
	ctl.entrysize = sizeof(SgDrop);
	ctl.hcxt = CurrentMemoryContext;
	drops->found = hash_create("safeguard drops", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return drops;
}

static SgDrop *
find(const SgDrops *drops, Oid classId, Oid objectId, int subId)
{
	ObjectAddress key;

	ObjectAddressSubSet(key, classId, objectId, subId);
	return hash_search(drops->found, &key, HASH_FIND, NULL);
}

/*
 * Would it be dropped, by itself or as a part of what would be?
 */
bool
sg_drops_have(const SgDrops *drops, Oid classId, Oid objectId, int subId)
{
	return find(drops, classId, objectId, 0) != NULL ||
		(subId != 0 && find(drops, classId, objectId, subId) != NULL);
}

static bool
is_found(SgDrops *drops, const ObjectAddress *object, int flags)
{
	SgDrop	   *drop = find(drops, object->classId, object->objectId,
							object->objectSubId);

	if (drop != NULL)
		drop->flags |= flags;
	return drop != NULL ||
		find(drops, object->classId, object->objectId, 0) != NULL;
}

static bool
is_on_stack(SgDropStack *stack, const ObjectAddress *object, int flags)
{
	for (; stack != NULL; stack = stack->outer)
	{
		const ObjectAddress *other = stack->object;

		if (other->classId != object->classId ||
			other->objectId != object->objectId)
			continue;
		if (other->objectSubId == object->objectSubId)
		{
			stack->flags |= flags;
			return true;
		}
		if (other->objectSubId == 0)
			return true;
	}
	return false;
}

static bool
is_target(const SgDrops *drops, const ObjectAddress *object)
{
	ListCell   *lc;

	foreach(lc, drops->targets)
	{
		const ObjectAddress *target = lfirst(lc);

		if (target->classId == object->classId &&
			target->objectId == object->objectId &&
			(target->objectSubId == 0 ||
			 target->objectSubId == object->objectSubId))
			return true;
	}
	return false;
}

static SysScanDesc
scan_depend(Relation depend, bool references, const ObjectAddress *object)
{
	ScanKeyData key[3];

	ScanKeyInit(&key[0], references ? Anum_pg_depend_refclassid :
				Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->classId));
	ScanKeyInit(&key[1], references ? Anum_pg_depend_refobjid :
				Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->objectId));
	ScanKeyInit(&key[2], references ? Anum_pg_depend_refobjsubid :
				Anum_pg_depend_objsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(object->objectSubId));

	/* of a whole object, those of its columns too */
	return systable_beginscan(depend, references ? DependReferenceIndexId :
							  DependDependerIndexId, true, NULL,
							  object->objectSubId != 0 ? 3 : 2, key);
}

static bool
is_same_object(const ObjectAddress *a, const ObjectAddress *b)
{
	return a->classId == b->classId && a->objectId == b->objectId &&
		a->objectSubId == 0;
}

/*
 * What an object belongs to goes in its place, unless that is what has led
 * here.  Returns true if the object is done with.
 */
static bool
visit_owner(SgDrops *drops, Relation depend, const ObjectAddress *object,
			int *flags, SgDropStack *stack)
{
	SysScanDesc scan = scan_depend(depend, false, object);
	HeapTuple	tuple;
	ObjectAddress owner;
	bool		owned = false;

	while (!owned && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		ObjectAddressSubSet(owner, form->refclassid, form->refobjid,
							form->refobjsubid);
		if (is_same_object(object, &owner))
			continue;
		if (form->deptype == DEPENDENCY_PARTITION_PRI ||
			form->deptype == DEPENDENCY_PARTITION_SEC)
			*flags |= IS_PARTITION;
		else if (form->deptype == DEPENDENCY_INTERNAL ||
				 form->deptype == DEPENDENCY_EXTENSION)
			owned = !is_on_stack(stack, &owner, 0);
	}
	systable_endscan(scan);
	if (!owned)
		return false;
	if (stack != NULL)
	{
		visit(drops, depend, &owner, 0, stack);
		(void) is_found(drops, object, *flags);
	}
	else if (!is_target(drops, &owner))
		drops->refused = true;
	return true;
}

static int
flags_of(char deptype)
{
	switch (deptype)
	{
		case DEPENDENCY_NORMAL:
			return BY_NEED;
		case DEPENDENCY_PARTITION_PRI:
		case DEPENDENCY_PARTITION_SEC:
			return BY_PARTITION;
		default:
			return BY_ITSELF;
	}
}

/*
 * The order in which the server visits them.
 */
static int
compare_drops(const ListCell *a, const ListCell *b)
{
	const ObjectAddress *x = &((const SgDrop *) lfirst(a))->object;
	const ObjectAddress *y = &((const SgDrop *) lfirst(b))->object;

	if (x->objectId != y->objectId)
		return x->objectId > y->objectId ? -1 : 1;
	if (x->classId != y->classId)
		return x->classId < y->classId ? -1 : 1;
	if (x->objectSubId != y->objectSubId)
		return (unsigned int) x->objectSubId < (unsigned int) y->objectSubId ? -1 : 1;
	return 0;
}

static List *
dependents_of(Relation depend, const ObjectAddress *object)
{
	SysScanDesc scan = scan_depend(depend, true, object);
	HeapTuple	tuple;
	List	   *result = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		SgDrop	   *drop;
		ObjectAddress other;

		ObjectAddressSubSet(other, form->classid, form->objid, form->objsubid);
		if (is_same_object(object, &other) ||
			list_length(result) >= MAX_DROPS)
			continue;
		drop = palloc(sizeof(SgDrop));
		drop->object = other;
		drop->flags = flags_of(form->deptype);
		result = lappend(result, drop);
	}
	systable_endscan(scan);
	list_sort(result, compare_drops);
	return result;
}

/*
 * Is it one that the server cannot do without?
 */
static bool
is_pinned(const ObjectAddress *object)
{
	return object->objectId < FirstUnpinnedObjectId &&
		!(object->classId == NamespaceRelationId &&
		  object->objectId == PG_PUBLIC_NAMESPACE);
}

/*
 * Find what goes with an object, and the object itself last.
 */
static void
visit(SgDrops *drops, Relation depend, const ObjectAddress *object, int flags,
	  SgDropStack *stack)
{
	SgDropStack here = {object, 0, stack};
	List	   *dependents;
	ListCell   *lc;
	SgDrop	   *drop;
	bool		known;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (drops->refused || hash_get_num_entries(drops->found) >= MAX_DROPS ||
		is_on_stack(stack, object, flags) || is_found(drops, object, flags))
		return;
	if (is_pinned(object))
	{
		drops->refused = true;
		return;
	}
	if (visit_owner(drops, depend, object, &flags, stack))
		return;

	here.flags = flags;
	dependents = dependents_of(depend, object);
	foreach(lc, dependents)
	{
		SgDrop	   *dependent = lfirst(lc);

		visit(drops, depend, &dependent->object, dependent->flags, &here);
	}
	list_free_deep(dependents);

	drop = hash_search(drops->found, object, HASH_ENTER, &known);
	drop->flags = here.flags;
	drops->order = lappend(drops->order, memcpy(palloc(sizeof(*object)),
												object, sizeof(*object)));
}

/*
 * Would the server refuse to drop an object that it has come to?
 */
static bool
is_refused(const SgDrops *drops, const ObjectAddress *object,
		   DropBehavior behavior)
{
	const SgDrop *drop = find(drops, object->classId, object->objectId,
							  object->objectSubId);

	if (object->objectSubId != 0 &&
		find(drops, object->classId, object->objectId, 0) != NULL)
		return false;
	if ((drop->flags & IS_PARTITION) != 0 && (drop->flags & BY_PARTITION) == 0)
		return true;
	return behavior == DROP_RESTRICT &&
		(drop->flags & (BY_REQUEST | BY_ITSELF | BY_PARTITION)) == 0;
}

/*
 * Find out what goes if these objects (list of ObjectAddress *) are dropped by
 * one command, or by one step of a command that has dropped others before.
 * Returns false if the server would refuse it; otherwise sets "dropped" to all
 * that goes in this step, in its order.
 */
bool
sg_drops_add(SgDrops *drops, List *targets, DropBehavior behavior,
			 List **dropped)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ListCell   *lc;

	drops->order = NIL;
	drops->targets = targets;
	foreach(lc, targets)
		visit(drops, depend, lfirst(lc), BY_REQUEST, NULL);
	table_close(depend, AccessShareLock);
	foreach(lc, drops->order)
	{
		if (is_refused(drops, lfirst(lc), behavior))
			drops->refused = true;
	}
	*dropped = drops->order;
	return !drops->refused;
}

/*
 * OIDs of the relations that would be dropped.
 */
List *
sg_drops_relations(const SgDrops *drops)
{
	HASH_SEQ_STATUS seq;
	SgDrop	   *drop;
	List	   *relids = NIL;

	hash_seq_init(&seq, drops->found);
	while ((drop = hash_seq_search(&seq)) != NULL)
	{
		if (drop->object.classId == RelationRelationId &&
			drop->object.objectSubId == 0)
			relids = lappend_oid(relids, drop->object.objectId);
	}
	return relids;
}
