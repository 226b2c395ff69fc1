/*-------------------------------------------------------------------------
 *
 * cache.c
 *		What has been read of relations: their keys and foreign keys, and the
 *		parent in an inheritance or partition tree.
 *
 * Detection asks for these again and again, and each answer is a catalog
 * scan, or a copy out of the relation cache.  They are kept per backend, and
 * all forgotten as soon as one of the relations or of their indexes changes
 * (pg_attribute or pg_constraint of a relation, and pg_index of an index,
 * cannot change without an invalidation of it), or there are too many.
 *
 * An invalidation may arrive at any catalog access, while somebody holds what
 * was handed out.  So what is forgotten stays where it is until the last
 * SgCatalog that may have got something of it is gone, and what was read while
 * an invalidation arrived is not kept.
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

/* When it has come to this it is emptied; a table with a key takes some 800. */
#define MAX_BYTES (1024 * 1024)

/* A relation, or an index of one: of that only its change matters. */
typedef struct CachedRelation
{
	Oid			relid;			/* MUST BE FIRST */
	bool		loaded;			/* is info set? */
	bool		parent_known;
	bool		fkeys_known;
	Oid			parent;
	List	   *fkeys;			/* of SgKey */
	SgRelation	info;
} CachedRelation;

static MemoryContext cache_context = NULL;	/* all that is kept */
static MemoryContext stale_context = NULL;	/* parent of what is forgotten, but
											 * may be in use */
static HTAB *cache = NULL;
static uint64 generation = 0;	/* counts invalidations */
static int	pins = 0;			/* SgCatalogs that may use something */

/* the last one asked for: most statements ask again for the same table */
static CachedRelation *last = NULL;

/* Forget everything.  Nothing is allocated: an invalidation may have come. */
static void
forget_all(void)
{
	cache = NULL;
	last = NULL;
	if (cache_context == NULL)
		return;
	if (pins == 0)
		MemoryContextReset(cache_context);
	else
	{
		MemoryContextSetParent(cache_context, stale_context);
		cache_context = NULL;
	}
}

/* An SgCatalog has gone. */
static void
unpin(void *arg)
{
	if (--pins == 0 && stale_context->firstchild != NULL)
		MemoryContextDeleteChildren(stale_context);
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

/* To be called before anything is read that may be kept. */
static inline void
start(void)
{
	if (likely(stale_context != NULL))
		return;
	stale_context = AllocSetContextCreate(CacheMemoryContext,
										  "safeguard relations forgotten",
										  ALLOCSET_SMALL_SIZES);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

/*
 * What an SgCatalog gets from here stays as long as the memory context that is
 * current now.
 */
void
sg_cache_pin(SgCatalog *catalog)
{
	MemoryContextCallback *callback;

	if (catalog->pinned)
		return;
	start();
	callback = palloc(sizeof(MemoryContextCallback));
	callback->func = unpin;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	pins++;
	catalog->pinned = true;
}

/* The entry of a relation or index, or NULL. */
static CachedRelation *
find_entry(Oid relid)
{
	if (last != NULL && last->relid == relid)
		return last;
	return cache ? hash_search(cache, &relid, HASH_FIND, NULL) : NULL;
}

/* Makes room for a new entry, or for more of one. */
static void
make_room(void)
{
	if (cache != NULL && MemoryContextMemAllocated(cache_context, true) > MAX_BYTES)
		forget_all();
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "safeguard relations",
											  ALLOCSET_SMALL_SIZES);
	if (cache == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(CachedRelation);
		ctl.hcxt = cache_context;
		cache = hash_create("safeguard relations", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
}

static CachedRelation *
make_entry(Oid relid)
{
	bool		found;
	CachedRelation *entry = hash_search(cache, &relid, HASH_ENTER, &found);

	if (!found)
	{
		entry->loaded = entry->parent_known = entry->fkeys_known = false;
		entry->fkeys = NIL;
	}
	return entry;
}

/* Copies keys for the cache. */
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
		key->predicate = copyObject(key->predicate);
		result = lappend(result, key);
	}
	return result;
}

/* Adds the keys of several columns. */
static void
add_composite(SgRelation *info, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		if (key->ncols < 2)
			continue;
		info->composite = lappend(info->composite, key);
		info->composite_set = bms_add_members(info->composite_set, key->set);
	}
}

/* Counts what has been forgotten so far. */
uint64
sg_cache_generation(void)
{
	return generation;
}

/*
 * Gets what is known of a relation, root aside.  Saves some 1,900
 * instructions a statement over asking the relation cache, which copies its
 * lists, and pg_index.
 */
bool
sg_cached_relation(Oid relid, SgRelation *info)
{
	CachedRelation *entry = find_entry(relid);

	if (entry == NULL || !entry->loaded)
		return false;
	last = entry;
	*info = entry->info;
	return true;
}

/*
 * Keeps it, and in "info" what has been copied, unless something has changed
 * since the generation "before".  "indexes" are all it has, keys or not.
 */
void
sg_cache_relation(SgRelation *info, List *indexes, uint64 before)
{
	CachedRelation *entry;
	MemoryContext old;
	ListCell   *lc;

	if (generation != before)
	{
		add_composite(info, info->keys);
		add_composite(info, info->fkeys);
		return;
	}
	make_room();
	/* the lists have been made for this, and are not those kept before */
	Assert(info->fkeys == NIL ||
		   GetMemoryChunkContext(info->fkeys) == CurrentMemoryContext);
	old = MemoryContextSwitchTo(cache_context);
	info->keys = copy_keys(info->keys);
	info->partial_keys = copy_keys(info->partial_keys);
	info->fkeys = copy_keys(info->fkeys);
	add_composite(info, info->keys);
	add_composite(info, info->fkeys);
	MemoryContextSwitchTo(old);
	foreach(lc, indexes)
		make_entry(lfirst_oid(lc));
	entry = make_entry(info->relid);
	entry->info = *info;
	entry->info.root_known = false;
	entry->loaded = true;
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
	CachedRelation *entry = find_entry(relid);
	uint64		before = generation;
	Oid			parent;

	if (entry && entry->parent_known)
		return entry->parent;
	start();
	parent = read_parent(relid);
	if (generation == before)
	{
		make_room();
		entry = make_entry(relid);
		entry->parent = parent;
		entry->parent_known = true;
	}
	return parent;
}

/*
 * The foreign keys of a relation, for somebody who has pinned the cache.
 * Needs no lock.
 */
List *
sg_cached_foreign_keys(Oid relid)
{
	CachedRelation *entry = find_entry(relid);
	uint64		before = generation;
	List	   *result;

	if (entry && entry->loaded)
		return entry->info.fkeys;
	if (entry && entry->fkeys_known)
		return entry->fkeys;
	result = read_foreign_keys(relid);
	if (generation == before)
	{
		MemoryContext old;

		make_room();
		old = MemoryContextSwitchTo(cache_context);
		result = copy_keys(result);
		MemoryContextSwitchTo(old);
		entry = make_entry(relid);
		entry->fkeys = result;
		entry->fkeys_known = true;
	}
	return result;
}
