/*-------------------------------------------------------------------------
 *
 * relation.c
 *		Keys, foreign keys and ancestors of a relation.
 *
 * The index list and the keys are read from the relation cache and from the
 * INDEXRELID syscache: opening each index would take a lock on it and cost
 * more than the whole detection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"

/* How many levels of parents are walked before giving up on a root. */
#define MAX_ANCESTORS 64

/*
 * Reads one index into a key, or returns NULL if it can identify no row: not
 * unique, deferrable, invalid, with an expression, or a temporal key (whose
 * last column is a range that only must not overlap).
 */
static SgKey *
read_unique_index(Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index form;
	SgKey	   *key = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (form->indisunique && form->indimmediate && form->indisvalid &&
		!form->indisexclusion)
	{
		Datum		pred;
		bool		isnull;

		key = palloc0(sizeof(SgKey));
		key->oid = indexid;
		key->primary = form->indisprimary;
		for (int i = 0; i < form->indnkeyatts; i++)
		{
			key->cols[i] = form->indkey.values[i];
			if (key->cols[i] <= 0)
			{
				ReleaseSysCache(tuple);
				return NULL;
			}
			key->set = bms_add_member(key->set, key->cols[i]);
		}
		key->ncols = form->indnkeyatts;
		pred = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
							   &isnull);
		if (!isnull)
		{
			Node	   *node = stringToNode(TextDatumGetCString(pred));

			key->predicate = IsA(node, List) ? (List *) node : list_make1(node);
		}
	}
	ReleaseSysCache(tuple);
	return key;
}

/* Returns all indexes, keys or not. */
static List *
read_keys(SgRelation *info, Relation rel)
{
	List	   *indexes;
	ListCell   *lc;

	if (!rel->rd_rel->relhasindex)
		return NIL;
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		SgKey	   *key = read_unique_index(lfirst_oid(lc));

		if (key == NULL)
			continue;
		if (key->predicate != NIL)
			info->partial_keys = lappend(info->partial_keys, key);
		else if (key->primary)
			info->keys = lcons(key, info->keys);
		else
			info->keys = lappend(info->keys, key);
	}
	return indexes;
}

/* Finds or makes the entry of a relation, without looking at it. */
static SgRelation *
find_relation(SgCatalog *catalog, Oid relid)
{
	SgRelation *info;
	ListCell   *lc;

	foreach(lc, catalog->relations)
	{
		info = (SgRelation *) lfirst(lc);
		if (info->relid == relid)
			return info;
	}
	info = palloc0(sizeof(SgRelation));
	info->relid = relid;
	catalog->relations = lappend(catalog->relations, info);
	return info;
}

/*
 * Copies the foreign keys that the relation cache has.  A list of its own: what
 * sg_foreign_keys() may have put into the SgRelation before is the cache's.
 */
static List *
read_foreign_keys(Relation rel)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fkey = lfirst_node(ForeignKeyCacheInfo, lc);
		SgKey	   *key = palloc0(sizeof(SgKey));

		key->oid = fkey->conoid;
		key->foreign = true;
		key->parent = fkey->confrelid;
		key->ncols = fkey->nkeys;
		for (int i = 0; i < fkey->nkeys; i++)
		{
			key->cols[i] = fkey->conkey[i];
			key->refs[i] = fkey->confkey[i];
			key->set = bms_add_member(key->set, key->cols[i]);
		}
		result = lappend(result, key);
	}
	return result;
}

/* What other statements have found out before. */
static void
read_cached(SgRelation *info)
{
	Oid			root = info->root;
	bool		root_known = info->root_known;

	if (sg_cached_relation(info->relid, info))
	{
		info->root = root;
		info->root_known = root_known;
	}
}

/*
 * What is known of a relation; made at the first question, shared after that.
 *
 * The caller holds a lock on it, as the parser, the rewriter or the plan
 * cache do for every relation of a statement.  A relation that is gone gets
 * an entry without keys.
 */
SgRelation *
sg_relation(SgCatalog *catalog, Oid relid)
{
	SgRelation *info = find_relation(catalog, relid);
	uint64		before;
	Relation	rel;
	List	   *indexes;

	if (info->loaded)
		return info;
	sg_cache_pin(catalog);
	read_cached(info);
	if (info->loaded)
		return info;
	info->loaded = true;
	before = sg_cache_generation();
	rel = RelationIdGetRelation(relid);
	if (!RelationIsValid(rel))
		return info;
	info->relkind = rel->rd_rel->relkind;
	info->persistence = rel->rd_rel->relpersistence;
	info->has_children = info->relkind == RELKIND_PARTITIONED_TABLE ||
		(rel->rd_rel->relhassubclass && has_subclass(relid));
	info->bounded = rel->rd_rel->relispartition || rel->rd_rel->relchecks > 0;
	info->generates = RelationGetDescr(rel)->constr != NULL &&
		RelationGetDescr(rel)->constr->has_generated_stored;
	indexes = read_keys(info, rel);
	info->fkeys = read_foreign_keys(rel);
	info->fkeys_known = true;
	RelationClose(rel);
	sg_cache_relation(info, indexes, before);
	return info;
}

/*
 * Foreign keys of a relation, as a list of SgKey with "foreign" set.
 *
 * The relation may be a parent on which nobody holds a lock.
 */
List *
sg_foreign_keys(SgCatalog *catalog, Oid relid)
{
	SgRelation *rel = find_relation(catalog, relid);

	if (!rel->fkeys_known)
	{
		sg_cache_pin(catalog);
		rel->fkeys = sg_cached_foreign_keys(relid);
		rel->fkeys_known = true;
	}
	return rel->fkeys;
}

/* The topmost ancestor of a relation; itself if it has none.  Needs no lock. */
Oid
sg_relation_root(SgCatalog *catalog, Oid member)
{
	SgRelation *rel = find_relation(catalog, member);

	if (!rel->root_known)
	{
		Oid			relid = rel->relid;

		for (int i = 0; i < MAX_ANCESTORS; i++)
		{
			Oid			parent = sg_cached_parent(relid);

			if (!OidIsValid(parent))
				break;
			relid = parent;
		}
		rel->root = relid;
		rel->root_known = true;
	}
	return rel->root;
}

/*
 * The OIDs of relations that were asked about although the statement does not
 * read or write them: parents of foreign keys and of partitions.
 */
List *
sg_consulted(SgCatalog *catalog)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, catalog->relations)
	{
		SgRelation *info = (SgRelation *) lfirst(lc);

		if (!info->loaded)
			result = lappend_oid(result, info->relid);
	}
	return result;
}

/* Are both the same table, or members of one partition or inheritance tree? */
bool
sg_same_tree(SgCatalog *catalog, Oid a, Oid b)
{
	if (!OidIsValid(a) || !OidIsValid(b))
		return false;
	if (a == b)
		return true;
	return sg_relation_root(catalog, a) == sg_relation_root(catalog, b);
}

/*
 * Do these columns contain a unique key of the relation?  Partial keys do
 * not count here.
 */
bool
sg_is_unique_set(SgRelation *rel, Bitmapset *cols)
{
	ListCell   *lc;

	foreach(lc, rel->keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);

		if (bms_is_subset(key->set, cols))
			return true;
	}
	return false;
}
