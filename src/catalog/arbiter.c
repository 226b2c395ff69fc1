/*-------------------------------------------------------------------------
 *
 * arbiter.c
 *		What the indexes promise that an ON CONFLICT relies on.
 *
 * Every upsert that is planned asks, and the answer is almost always the same
 * as before.  So it is remembered per backend: that an arbiter is immediate
 * and lets no NULL slip through, that a table has an immediate key and no
 * deferrable one, or else what the rule has had to say of it.
 *
 * All is forgotten as soon as one of the relations changes or there are too
 * many.  What was read while an invalidation arrived is not kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "optimizer/optimizer.h"
#include "common/hashfn.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"

#define MAX_ENTRIES 512

/* a table of more partitions is not looked at, partition by partition */
#define MAX_PARTITIONS 1000

/* a hash table that costs next to nothing to look into */
#define SH_PREFIX		keycache
#define SH_ELEMENT_TYPE	SgKnownKey
#define SH_KEY_TYPE		Oid
#define SH_KEY			oid
#define SH_HASH_KEY(tb, key)	murmurhash32(key)
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static MemoryContext cache_context = NULL;
static keycache_hash *cache = NULL;
static uint64 generation = 0;	/* counts invalidations */

/* ---------------- the cache ---------------- */

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
		(!OidIsValid(relid) || keycache_lookup(cache, relid) != NULL))
		forget_all();
}

/* The entry of a table or an index, made if there is none. */
static SgKnownKey *
enter(Oid oid)
{
	SgKnownKey *entry;
	bool		found;

	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "safeguard arbiters",
											  ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	}
	if (cache == NULL)
		cache = keycache_create(cache_context, 64, NULL);
	entry = keycache_insert(cache, oid, &found);
	if (!found)
	{
		entry->sound = false;
		entry->partial = false;
		entry->nexact = 0;
		entry->note = NULL;
	}
	return entry;
}

/* Makes room for an index and its table. */
static void
make_room(void)
{
	if (cache != NULL && (int) cache->members + 2 > MAX_ENTRIES)
		forget_all();
}

/*
 * What is known of an arbiter or a table; NULL if nothing is.  Good until the
 * next look at a catalog.  Raises nothing.
 */
const SgKnownKey *
sg_known_key(Oid oid)
{
	return cache == NULL ? NULL : keycache_lookup(cache, oid);
}

/* Counts what may have changed the answers. */
uint64
sg_key_generation(void)
{
	return generation;
}

/*
 * Remember what there is to say of an arbiter, or of the table itself, as
 * "copy" makes it in a context that lives as long as it is true.
 */
void
sg_remember_note(Oid oid, Oid relid, void *(*copy) (const void *note),
				 const void *note)
{
	MemoryContext old;
	void	   *kept;

	make_room();
	enter(relid);				/* is watched */
	old = MemoryContextSwitchTo(cache_context);
	kept = copy(note);
	MemoryContextSwitchTo(old);
	enter(oid)->note = kept;
}

/* Remember that an arbiter is sound. */
static void
remember_arbiter(const SgArbiter *arbiter)
{
	SgKnownKey *entry;
	int			att = -1;

	make_room();
	enter(arbiter->relid);		/* is watched */
	entry = enter(arbiter->indexid);
	entry->sound = true;
	entry->partial = arbiter->predicate != NIL;
	entry->nexact = 0;
	while ((att = bms_next_member(arbiter->exact, att)) >= 0)
		entry->exact[entry->nexact++] = att;
}

/* ---------------- arbiters ---------------- */

/*
 * Are values of an index column that are equal the same, to the last bit?
 * Not so where 1.0 equals 1.00 or 'a' equals 'A'.
 */
static bool
equal_is_same(Relation index, int n)
{
	Oid			type = index->rd_opcintype[n];
	Oid			proc;

	if (index->rd_rel->relam != BTREE_AM_OID)
		return false;
	proc = get_opfamily_proc(index->rd_opfamily[n], type, type,
							 BTEQUALIMAGE_PROC);
	return OidIsValid(proc) &&
		DatumGetBool(OidFunctionCall1Coll(proc, index->rd_indcollation[n],
										  ObjectIdGetDatum(type)));
}

static void
read_columns(SgArbiter *arbiter, Relation rel, Relation index)
{
	List	   *exprs = RelationGetIndexExpressions(index);
	ListCell   *next = list_head(exprs);

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	att = index->rd_index->indkey.values[i];

		if (att == 0)
		{
			arbiter->nullable =
				bms_add_members(arbiter->nullable,
								sg_expression_nullable(rel, lfirst(next)));
			next = lnext(exprs, next);
			continue;
		}
		if (sg_column_nullable(rel, att))
			arbiter->nullable = bms_add_member(arbiter->nullable, att);
		if (att > 0 && equal_is_same(index, i))
			arbiter->exact = bms_add_member(arbiter->exact, att);
	}
}

/* The columns that the index or its predicate uses. */
static Bitmapset *
used_columns(Relation index, List *predicate)
{
	Bitmapset  *used = NULL;
	Bitmapset  *result = NULL;
	int			member = -1;

	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &used);
	pull_varattnos((Node *) predicate, 1, &used);
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
		used = bms_add_member(used, index->rd_index->indkey.values[i] -
							  FirstLowInvalidHeapAttributeNumber);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	att = member + FirstLowInvalidHeapAttributeNumber;

		if (att > 0)
			result = bms_add_member(result, att);
	}
	return result;
}

/*
 * May the answer change without an invalidation of the table?  A domain can
 * be altered.
 */
static bool
depends_on_domain(Relation rel, Bitmapset *columns)
{
	int			att = -1;

	while ((att = bms_next_member(columns, att)) >= 0)
	{
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), att - 1);

		if (!attr->attnotnull && get_typtype(attr->atttypid) == TYPTYPE_DOMAIN)
			return true;
	}
	return false;
}

/* Takes the columns out that cannot be NULL where the conditions hold. */
void
sg_arbiter_restrict(SgArbiter *arbiter, Relation rel, List *conditions)
{
	Bitmapset  *nullable = bms_copy(arbiter->nullable);
	int			att = -1;

	while ((att = bms_next_member(nullable, att)) >= 0)
	{
		if (sg_conditions_forbid_null(rel, att, conditions))
			arbiter->nullable = bms_del_member(arbiter->nullable, att);
	}
}

/*
 * What an index says as the arbiter of an ON CONFLICT.  The planner has
 * locked both.
 */
SgArbiter *
sg_arbiter(Relation rel, Oid indexid)
{
	uint64		before = generation;
	SgArbiter  *arbiter = palloc0(sizeof(SgArbiter));
	Relation	index = index_open(indexid, NoLock);
	Form_pg_index form = index->rd_index;

	arbiter->indexid = indexid;
	arbiter->relid = RelationGetRelid(rel);
	arbiter->immediate = form->indimmediate;
	arbiter->exclusion = form->indisexclusion;
	arbiter->predicate = RelationGetIndexPredicate(index);
	arbiter->columns = used_columns(index, arbiter->predicate);
	read_columns(arbiter, rel, index);
	if (form->indnullsnotdistinct)
		arbiter->nullable = NULL;
	sg_arbiter_restrict(arbiter, rel, arbiter->predicate);
	index_close(index, NoLock);
	arbiter->steady = !depends_on_domain(rel, arbiter->columns);
	if (arbiter->immediate && bms_is_empty(arbiter->nullable) &&
		arbiter->steady && generation == before)
		remember_arbiter(arbiter);
	return arbiter;
}

/* ---------------- keys of a table ---------------- */

/* What of an index is asked when no arbiter was named. */
static void
add_index(SgTableKeys *keys, Form_pg_index form)
{
	if ((!form->indisunique && !form->indisexclusion) || !form->indisready ||
		!form->indislive)
		return;
	keys->any = true;
	if (form->indimmediate)
		keys->immediate = true;
	else if (!OidIsValid(keys->deferrable))
		keys->deferrable = form->indexrelid;
}

/*
 * Has a partition a key?  It is not locked, so its indexes are read from the
 * catalog.  A foreign table may have one where it lies.
 */
static bool
partition_has_key(Oid relid)
{
	SgTableKeys keys = {0};
	Relation	indrel;
	SysScanDesc scan;
	ScanKeyData skey;
	HeapTuple	tuple;

	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		return true;
	ScanKeyInit(&skey, Anum_pg_index_indrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	indrel = table_open(IndexRelationId, AccessShareLock);
	scan = systable_beginscan(indrel, IndexIndrelidIndexId, true, NULL, 1,
							  &skey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		add_index(&keys, (Form_pg_index) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(indrel, AccessShareLock);
	return keys.any;
}

static bool
any_partition_has_key(Oid relid, List **consulted)
{
	List	   *relids = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *lc;

	if (list_length(relids) > MAX_PARTITIONS)
		return true;
	foreach(lc, relids)
	{
		Oid			member = lfirst_oid(lc);

		if (member == relid)
			continue;
		*consulted = lappend_oid(*consulted, member);
		if (partition_has_key(member))
			return true;
	}
	return false;
}

/*
 * The keys that any row of an ON CONFLICT without a target could conflict
 * with.  Partitions that were asked are appended to *consulted.
 */
SgTableKeys
sg_table_keys(Relation rel, List **consulted)
{
	uint64		before = generation;
	SgTableKeys keys = {0};
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		add_index(&keys, (Form_pg_index) GETSTRUCT(tuple));
		ReleaseSysCache(tuple);
	}
	list_free(indexes);

	if (keys.any && !OidIsValid(keys.deferrable) && generation == before)
	{
		make_room();
		enter(RelationGetRelid(rel))->sound = true;
	}
	if (!keys.any && rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		keys.any = any_partition_has_key(RelationGetRelid(rel), consulted);
	return keys;
}
