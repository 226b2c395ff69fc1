/*-------------------------------------------------------------------------
 *
 * cache.c
 *		What has been read of relations that nobody has locked: the parent
 *		in an inheritance or partition tree, the foreign keys.
 *
 * Detection asks for these again and again, and each answer is a catalog
 * scan.  They are kept per backend, and all forgotten as soon as one of the
 * relations changes (pg_attribute or pg_constraint of a relation cannot
 * change without an invalidation of it) or there are too many.
 *
 * An invalidation may arrive at any catalog access.  So what is handed out is
 * always a copy, and what was read while one arrived is not kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "catalog/catalog.h"

#define MAX_ENTRIES 512

typedef struct CachedRelation
{
	Oid			relid;			/* MUST BE FIRST */
	bool		parent_known;
	bool		fkeys_known;
	Oid			parent;
	List	   *fkeys;			/* of SgKey, in cache_context */
} CachedRelation;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static uint64 generation = 0;	/* counts invalidations */

static void
forget_all(void)
{
	cache = NULL;
	if (cache_context)
		MemoryContextReset(cache_context);
}

/* A relation has changed; InvalidOid: any may have. */
static void
relation_changed(Datum arg, Oid relid)
{
	generation++;
	if (cache != NULL &&
		(!OidIsValid(relid) ||
		 hash_search(cache, &relid, HASH_FIND, NULL) != NULL))
		forget_all();
}

/* The entry of a relation; made if "create". */
static CachedRelation *
find_entry(Oid relid, bool create)
{
	CachedRelation *entry;
	bool		found;

	if (cache == NULL && !create)
		return NULL;
	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "safeguard relations",
											  ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	}
	if (cache != NULL && create && hash_get_num_entries(cache) >= MAX_ENTRIES)
		forget_all();
	if (cache == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(CachedRelation);
		ctl.hcxt = cache_context;
		cache = hash_create("safeguard relations", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(cache, &relid, create ? HASH_ENTER : HASH_FIND, &found);
	if (entry != NULL && !found)
	{
		entry->parent_known = entry->fkeys_known = false;
		entry->fkeys = NIL;
	}
	return entry;
}

static List *
copy_keys(List *keys)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, keys)
	{
		SgKey	   *key = palloc(sizeof(SgKey));

		*key = *(SgKey *) lfirst(lc);
		key->set = bms_copy(key->set);
		result = lappend(result, key);
	}
	return result;
}

static Oid
read_parent(Oid relid)
{
	Relation	inhrel;
	SysScanDesc scan;
	ScanKeyData skey;
	HeapTuple	tuple;
	Oid			parent = InvalidOid;

	ScanKeyInit(&skey, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	inhrel = table_open(InheritsRelationId, AccessShareLock);
	scan = systable_beginscan(inhrel, InheritsRelidSeqnoIndexId, true,
							  NULL, 1, &skey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
	systable_endscan(scan);
	table_close(inhrel, AccessShareLock);
	return parent;
}

static List *
read_foreign_keys(Oid relid)
{
	Relation	conrel;
	SysScanDesc scan;
	ScanKeyData skey;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&skey, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	conrel = table_open(ConstraintRelationId, AccessShareLock);
	scan = systable_beginscan(conrel, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &skey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		SgKey	   *key;

		if (form->contype != CONSTRAINT_FOREIGN)
			continue;
		key = palloc0(sizeof(SgKey));
		key->oid = form->oid;
		key->foreign = true;
		key->parent = form->confrelid;
		DeconstructFkConstraintRow(tuple, &key->ncols, key->cols, key->refs,
								   NULL, NULL, NULL, NULL, NULL);
		for (int i = 0; i < key->ncols; i++)
			key->set = bms_add_member(key->set, key->cols[i]);
		result = lappend(result, key);
	}
	systable_endscan(scan);
	table_close(conrel, AccessShareLock);
	return result;
}

/*
 * The first inheritance or partition parent of a relation, or InvalidOid.
 * Needs no lock.
 */
Oid
sg_cached_parent(Oid relid)
{
	CachedRelation *entry = find_entry(relid, false);
	uint64		before = generation;
	Oid			parent;

	if (entry && entry->parent_known)
		return entry->parent;
	parent = read_parent(relid);
	if (generation == before)
	{
		entry = find_entry(relid, true);
		entry->parent = parent;
		entry->parent_known = true;
	}
	return parent;
}

/*
 * The foreign keys of a relation, in the current memory context.  Needs no
 * lock.
 */
List *
sg_cached_foreign_keys(Oid relid)
{
	CachedRelation *entry = find_entry(relid, false);
	uint64		before = generation;
	List	   *result;

	if (entry && entry->fkeys_known)
		return copy_keys(entry->fkeys);
	result = read_foreign_keys(relid);
	if (generation == before)
	{
		MemoryContext old;

		entry = find_entry(relid, true);
		old = MemoryContextSwitchTo(cache_context);
		entry->fkeys = copy_keys(result);
		MemoryContextSwitchTo(old);
		entry->fkeys_known = true;
	}
	return result;
}
