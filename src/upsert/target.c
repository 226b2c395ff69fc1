/*-------------------------------------------------------------------------
 *
 * target.c
 *		What a backend remembers of the conflict targets that it has met.
 *
 * Looked up at each execution of an upsert, so everything that needs a catalog
 * is read once and kept until the relation is invalidated.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "upsert/upsert.h"

/*
 * More than most sessions meet, unless they make and drop tables all the time;
 * one takes a kilobyte and a half.
 */
#define MAX_TARGETS		512

static HTAB *targets = NULL;	/* of SgTarget */

/* grows with each invalidation, to notice one that comes while reading */
static uint64 invalidations = 0;

/* ---------------- the cache ---------------- */

/*
 * A relation has changed, or (InvalidOid) any may have.  A type's or an index's
 * change reaches us as one of its table.
 */
static void
relcache_callback(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	SgTarget   *target;

	invalidations++;
	if (targets == NULL)
		return;
	hash_seq_init(&seq, targets);
	while ((target = hash_seq_search(&seq)) != NULL)
	{
		if (!OidIsValid(relid) || target->key.relid == relid ||
			target->root == relid)
			target->valid = false;
	}
}

static void
create_cache(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(((SgTarget *) NULL)->key);
	ctl.entrysize = sizeof(SgTarget);
	ctl.hcxt = TopMemoryContext;
	targets = hash_create("safeguard upsert targets", 32, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/*
 * Forget what is remembered, if it has become too much.
 */
static void
make_room(void)
{
	HASH_SEQ_STATUS seq;
	SgTarget   *target;

	if (hash_get_num_entries(targets) < MAX_TARGETS)
		return;
	hash_seq_init(&seq, targets);
	while ((target = hash_seq_search(&seq)) != NULL)
		hash_search(targets, &target->key, HASH_REMOVE, NULL);
}

/* ---------------- hashing ---------------- */

/*
 * Prepare to hash values of a column.  Returns false if its type cannot be
 * hashed.
 */
bool
sg_hashed_init(SgHashed *hashed, AttrNumber attnum, Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(type,
											  TYPECACHE_HASH_EXTENDED_PROC |
											  TYPECACHE_HASH_EXTENDED_PROC_FINFO);

	if (!OidIsValid(entry->hash_extended_proc))
		return false;
	hashed->attnum = attnum;
	hashed->state = NULL;
	hashed->type = entry;
	hashed->width = type == INT2OID || type == INT4OID || type == INT8OID ?
		entry->typlen : 0;
	hashed->collation = collation;
	if (!OidIsValid(collation) && OidIsValid(entry->typcollation))
		hashed->collation = DEFAULT_COLLATION_OID;
	return true;
}

/*
 * Prepare to hash the key of a proposed row by these columns of the root.
 */
static void
prepare_hashing(SgTarget *target, Relation rel, Bitmapset *root_columns)
{
	int			root_attnum = -1;

	target->nhashed = 0;
	while ((root_attnum = bms_next_member(root_columns, root_attnum)) >= 0)
	{
		char	   *name = get_attname(target->root, root_attnum, true);
		AttrNumber	attnum = name == NULL ? 0 :
			get_attnum(target->key.relid, name);
		Form_pg_attribute att;

		if (attnum <= 0)
			break;
		att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

		/* a generated column is not in the proposed row yet */
		if (att->attgenerated != '\0' || target->nhashed >= INDEX_MAX_KEYS ||
			!sg_hashed_init(&target->hashed[target->nhashed], attnum,
							att->atttypid, att->attcollation))
			break;
		target->nhashed++;
	}
	/* part of a key is no key */
	if (root_attnum >= 0)
		target->nhashed = 0;
}

/* ---------------- reading ---------------- */

/* What is read about a target before it is put together. */
typedef struct Reading
{
	Bitmapset  *columns;		/* of the root, that the key is made of */
	uint64		extra;			/* hash of expressions and predicate */
	int			exprs_len;		/* bytes used of SgTarget.exprs */
	bool		failed;
} Reading;

static uint64
hash_text(const char *str)
{
	return hash_bytes_extended((const unsigned char *) str, strlen(str), 0);
}

/*
 * The root's column that is this one of a relation in its tree, or 0.
 */
AttrNumber
sg_target_in_root(const SgTarget *target, Oid relid, AttrNumber attnum)
{
	char	   *name;

	if (target->root == relid)
		return attnum;
	name = get_attname(relid, attnum, true);
	return name == NULL ? 0 : get_attnum(target->root, name);
}

static void
read_column(SgTarget *target, Reading *reading, AttrNumber attnum)
{
	AttrNumber	root_attnum = sg_target_in_root(target, target->key.relid,
												attnum);

	if (root_attnum <= 0)
	{
		reading->failed = true;
		return;
	}
	target->keys[target->nkeys] = attnum;
	target->root_keys[target->nkeys++] = root_attnum;
	reading->columns = bms_add_member(reading->columns, root_attnum);
}

/*
 * An element of an index that is an expression: its text, and the columns
 * that it is made of.
 */
static void
read_expression(SgTarget *target, Reading *reading, Node *expr, int column)
{
	Datum		source = OidFunctionCall3(F_PG_GET_INDEXDEF_OID_INT4_BOOL,
										ObjectIdGetDatum(target->key.index),
										Int32GetDatum(column),
										BoolGetDatum(true));
	char	   *str = TextDatumGetCString(source);
	int			room = SG_UPSERT_EXPRS - reading->exprs_len;
	Bitmapset  *attnums = NULL;
	int			i = -1;

	target->keys[target->nkeys] = 0;
	target->root_keys[target->nkeys++] = 0;
	reading->extra = hash_combine64(reading->extra, hash_text(str));
	if (room > 1)
	{
		strlcpy(target->exprs + reading->exprs_len, str, room);
		reading->exprs_len += Min((int) strlen(str) + 1, room);
	}

	pull_varattnos(expr, 1, &attnums);
	while ((i = bms_next_member(attnums, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			attnum = sg_target_in_root(target, target->key.relid, attnum);
		if (attnum > 0)
			reading->columns = bms_add_member(reading->columns, attnum);
	}
}

static List *
index_expressions(HeapTuple tuple)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indexprs, &isnull);

	return isnull ? NIL : (List *) stringToNode(TextDatumGetCString(datum));
}

static void
read_index(SgTarget *target, Reading *reading)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID,
										ObjectIdGetDatum(target->key.index));
	Form_pg_index form;
	List	   *exprs;
	Datum		predicate;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
	{
		reading->failed = true;
		return;
	}
	form = (Form_pg_index) GETSTRUCT(tuple);
	exprs = index_expressions(tuple);
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	attnum = form->indkey.values[i];

		if (attnum != 0)
			read_column(target, reading, attnum);
		else if (exprs != NIL)
		{
			read_expression(target, reading, linitial(exprs), i + 1);
			exprs = list_delete_first(exprs);
		}
	}
	predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
								&isnull);
	if (!isnull)
	{
		Datum		source = DirectFunctionCall2(pg_get_expr, predicate,
											   ObjectIdGetDatum(target->key.relid));

		reading->extra = hash_combine64(reading->extra,
										hash_text(TextDatumGetCString(source)));
	}
	ReleaseSysCache(tuple);
}

/*
 * What tells the targets of a relation apart: the set of their columns, their
 * expressions, their predicate.
 */
static uint64
target_id(const SgTarget *target, const Reading *reading)
{
	Bitmapset  *columns = NULL;
	uint64		id = reading->extra;
	int			attnum = -1;

	for (int i = 0; i < target->nkeys; i++)
	{
		if (target->root_keys[i] > 0)
			columns = bms_add_member(columns, target->root_keys[i]);
	}
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		id = hash_combine64(id, hash_bytes_uint32_extended(attnum, 0));
	return id;
}

/* our own tables are nobody's business */
static bool
is_ours(Oid relid)
{
	return get_rel_namespace(relid) == get_namespace_oid("safeguard", true) &&
		OidIsValid(getExtensionOfObject(RelationRelationId, relid));
}

static void
read_target(SgTarget *target, Relation rel, const SgUpsertNote *note)
{
	Reading		reading = {0};

	target->nkeys = 0;
	target->nhashed = 0;
	memset(target->exprs, 0, sizeof(target->exprs));
	target->uncounted = rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE ||
		is_ours(target->key.relid);
	if (target->uncounted)
		return;
	if (OidIsValid(target->key.index))
		read_index(target, &reading);
	else
	{
		for (int i = 0; i < note->nkeys; i++)
			read_column(target, &reading, note->keys[i]);
	}
	target->uncounted = reading.failed;
	target->id = target_id(target, &reading);
	prepare_hashing(target, rel, reading.columns);
}

/* ---------------- the root ---------------- */

/*
 * Is what we remember as the root of a relation's tree still the root?  An
 * ancestor may have been attached or detached without a word to the relation.
 */
static bool
root_is_known(const SgTarget *target, Relation rel)
{
	if (!rel->rd_rel->relispartition)
		return target->root == target->key.relid;
	if (target->root == target->key.relid)
		return false;
	/* all of the way from child to parent is known only if it is short */
	return !get_rel_relispartition(target->root) &&
		get_partition_parent(target->key.relid, true) == target->root;
}

static Oid
root_of(Relation rel)
{
	Oid			root = sg_partition_root(RelationGetRelid(rel));

	return OidIsValid(root) ? root : RelationGetRelid(rel);
}

/*
 * Fill *target with what is known of the target by which an upsert to "rel"
 * finds rows: the index that arbitrates, or the columns in the note, or nothing.
 */
void
sg_target_get(SgTarget *target, Relation rel, Oid index,
			  const SgUpsertNote *note)
{
	SgTarget   *entry;
	uint64		before = invalidations;
	MemoryContext work;
	MemoryContext caller;

	if (targets == NULL)
		create_cache();
	memset(&target->key, 0, sizeof(target->key));
	target->key.relid = RelationGetRelid(rel);
	target->key.index = index;
	if (!OidIsValid(index) && note->nkeys > 0)
		target->key.columns =
			hash_bytes_extended((const unsigned char *) note->keys,
								note->nkeys * sizeof(note->keys[0]), 0);

	entry = hash_search(targets, &target->key, HASH_FIND, NULL);
	if (entry != NULL && entry->valid && root_is_known(entry, rel))
	{
		memcpy(target, entry, sizeof(*target));
		return;
	}

	work = AllocSetContextCreate(CurrentMemoryContext,
								 "safeguard upsert target",
								 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(work);
	target->root = root_of(rel);
	read_target(target, rel, note);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);

	target->valid = before == invalidations;
	make_room();
	entry = hash_search(targets, &target->key, HASH_ENTER, NULL);
	memcpy(entry, target, sizeof(*entry));
}

/*
 * Is the column of the relation part of the target?
 */
bool
sg_target_has(const SgTarget *target, AttrNumber attnum)
{
	for (int i = 0; i < target->nkeys; i++)
	{
		if (target->keys[i] == attnum)
			return true;
	}
	for (int i = 0; i < target->nhashed; i++)
	{
		if (target->hashed[i].attnum == attnum)
			return true;
	}
	return false;
}

/* ---------------- questions of rules ---------------- */

/*
 * The target that a unique index serves.  Returns false if the index is not
 * unique or its table is not counted.
 */
bool
sg_target_of_index(SgTarget *target, Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Oid			relid;
	bool		serves;
	Relation	rel;
	SgUpsertNote note = {0};

	if (!HeapTupleIsValid(tuple))
		return false;
	relid = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
	serves = ((Form_pg_index) GETSTRUCT(tuple))->indisunique &&
		((Form_pg_index) GETSTRUCT(tuple))->indisvalid &&
		((Form_pg_index) GETSTRUCT(tuple))->indimmediate;
	ReleaseSysCache(tuple);
	if (!serves)
		return false;

	rel = RelationIdGetRelation(relid);
	if (!RelationIsValid(rel))
		return false;
	sg_target_get(target, rel, index, &note);
	RelationClose(rel);
	return !target->uncounted;
}

/*
 * Is there an index on the target's relation that serves the same target, and
 * is not about to go?
 */
bool
sg_target_is_served(const SgTarget *target,
					bool (*is_gone) (Oid index, void *arg), void *arg)
{
	Relation	rel = RelationIdGetRelation(target->key.relid);
	List	   *indexes;
	ListCell   *lc;
	bool		served = false;

	if (!RelationIsValid(rel))
		return false;
	indexes = RelationGetIndexList(rel);
	RelationClose(rel);
	foreach(lc, indexes)
	{
		SgTarget	other;

		if (!is_gone(lfirst_oid(lc), arg) &&
			sg_target_of_index(&other, lfirst_oid(lc)) &&
			other.root == target->root && other.id == target->id)
			served = true;
	}
	list_free(indexes);
	return served;
}
