/*-------------------------------------------------------------------------
 *
 * exceptions.c
 *		What has been declared about single tables: levels and columns.
 *
 * The rows of safeguard.table_levels and safeguard.column_roles are cached
 * per relation in each backend.  A trigger on both tables, written or
 * restored, sends a relcache invalidation for the relation that a row is
 * about, and that drops the entry in every session at commit.
 *
 * An entry holds the relation's own rows only, and a partition asks its root
 * each time: a tree that is attached elsewhere does not invalidate its leaves.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "safeguard.h"

/* a relation's rows are read this often when they change under the reader */
#define MAX_READS	3

/* entries kept; a session that makes temporary tables all day needs a limit */
#define MAX_DECLARED	1024

/* what is declared about one relation by rows of its own */
typedef struct SgDeclared
{
	Oid			relid;			/* hash key, MUST BE FIRST */
	bool		valid;			/* false: read it again */
	int8		levels[SG_NUM_RULES];	/* SgLevel, or -1 for no row */
	Bitmapset  *columns[SG_NUM_COLUMN_ROLES];	/* attribute numbers */
	Oid			root;			/* of the partition tree, InvalidOid: none */
	uint64		root_as_of;		/* invalidations when it was looked up, 0: it
								 * was not */
} SgDeclared;

static const char *const column_role_names[SG_NUM_COLUMN_ROLES] = {
	[SG_COLUMN_IDENTITY] = "identity",
	[SG_COLUMN_SCOPE] = "scope",
};

static HTAB *declared = NULL;	/* of SgDeclared */
static MemoryContext declared_context = NULL;	/* column sets */

/* the tables that entries were read from, to notice when they go */
static Oid	levels_oid = InvalidOid;
static Oid	roles_oid = InvalidOid;

/* grows with each invalidation, to notice one that comes while reading */
static uint64 invalidations = 1;

/* ---------------- names ---------------- */

const char *
sg_column_role_name(SgColumnRole role)
{
	return column_role_names[role];
}

/*
 * The column role called "name", or -1.
 */
int
sg_column_role_by_name(const char *name)
{
	for (int i = 0; i < SG_NUM_COLUMN_ROLES; i++)
	{
		if (strcmp(column_role_names[i], name) == 0)
			return i;
	}
	return -1;
}

/*
 * The names of all column roles, for a hint.
 */
char *
sg_column_role_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < SG_NUM_COLUMN_ROLES; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 column_role_names[i]);
	return buf.data;
}

/* ---------------- the cache ---------------- */

static void
forget_all(void)
{
	HASH_SEQ_STATUS seq;
	SgDeclared *entry;

	hash_seq_init(&seq, declared);
	while ((entry = hash_seq_search(&seq)) != NULL)
		entry->valid = false;
}

/*
 * A relation has changed, or (InvalidOid) any may have.  Comes at any moment,
 * so it only marks entries.
 */
static void
relcache_callback(Datum arg, Oid relid)
{
	SgDeclared *entry;

	invalidations++;
	if (declared == NULL)
		return;
	if (!OidIsValid(relid) || relid == levels_oid || relid == roles_oid)
	{
		forget_all();
		return;
	}
	entry = hash_search(declared, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		entry->valid = false;
}

/*
 * A schema has changed: ours may have got another name.
 */
static void
namespace_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidations++;
	if (declared != NULL)
		forget_all();
}

/*
 * Register for invalidations.  Called once, from _PG_init.
 */
void
sg_exceptions_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_callback, (Datum) 0);
}

static SysScanDesc
begin_scan(Relation rel, Oid relid, ScanKeyData *key)
{
	Oid			index;

	/* finds out which one is the primary key, too */
	list_free(RelationGetIndexList(rel));
	index = rel->rd_pkindex;

	ScanKeyInit(key, SG_CONFIG_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	return systable_beginscan(rel, index, OidIsValid(index), NULL, 1, key);
}

/*
 * A column of one of our tables, none of which is null where this is used.
 */
static Datum
attribute(HeapTuple tuple, Relation rel, AttrNumber attnum)
{
	bool		isnull;

	return heap_getattr(tuple, attnum, RelationGetDescr(rel), &isnull);
}

static void
read_levels(Oid relid, SgDeclared *result)
{
	Relation	rel = sg_open_config_table("table_levels", &levels_oid);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL)
		return;
	scan = begin_scan(rel, relid, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		rule = attribute(tuple, rel, SG_LEVELS_RULE);
		Datum		level = attribute(tuple, rel, SG_LEVELS_LEVEL);
		int			rule_id = sg_rule_by_name(TextDatumGetCString(rule));

		/* a later version's rule or level means nothing to this one */
		if (rule_id >= 0)
			result->levels[rule_id] =
				(int8) sg_level_by_name(TextDatumGetCString(level));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_roles(Oid relid, SgDeclared *result)
{
	Relation	rel = sg_open_config_table("column_roles", &roles_oid);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL)
		return;
	scan = begin_scan(rel, relid, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		role = attribute(tuple, rel, SG_ROLES_ROLE);
		Name		column = DatumGetName(attribute(tuple, rel,
													SG_ROLES_COLUMN));
		int			role_id = sg_column_role_by_name(TextDatumGetCString(role));
		AttrNumber	attnum = get_attnum(relid, NameStr(*column));

		if (role_id >= 0 && attnum > 0)
			result->columns[role_id] =
				bms_add_member(result->columns[role_id], attnum);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Read a relation's rows, again if an invalidation came in the meantime.
 * Returns false if that went on and on; then the result may be stale and must
 * not be kept.
 */
static bool
read_declared(Oid relid, SgDeclared *result)
{
	for (int i = 0; i < MAX_READS; i++)
	{
		uint64		before = invalidations;

		memset(result, 0, sizeof(*result));
		memset(result->levels, -1, sizeof(result->levels));
		read_levels(relid, result);
		read_roles(relid, result);
		if (before == invalidations)
			return true;
	}
	return false;
}

static void
create_cache(void)
{
	HASHCTL		ctl = {0};

	declared_context = AllocSetContextCreate(CacheMemoryContext,
											 "safeguard declared columns",
											 ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SgDeclared);
	ctl.hcxt = CacheMemoryContext;
	declared = hash_create("safeguard declarations", 64, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Empties the cache when it is full. */
static void
make_room(void)
{
	if (hash_get_num_entries(declared) < MAX_DECLARED)
		return;
	hash_destroy(declared);
	declared = NULL;
	MemoryContextDelete(declared_context);
	create_cache();
}

/*
 * What is declared about a relation by rows of its own.  The result is good
 * until the next invalidation is taken in.
 */
static const SgDeclared *
get_declared(Oid relid)
{
	MemoryContext work;
	MemoryContext caller;
	SgDeclared	fresh;
	SgDeclared *entry;
	bool		found;
	bool		keep;

	if (declared == NULL)
		create_cache();
	entry = hash_search(declared, &relid, HASH_FIND, NULL);
	if (entry != NULL && entry->valid)
		return entry;

	make_room();
	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard exceptions",
								 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(work);
	keep = read_declared(relid, &fresh);

	/* reading may have moved or dropped what was found before */
	entry = hash_search(declared, &relid, HASH_ENTER, &found);
	if (!found)
		memset(entry->columns, 0, sizeof(entry->columns));
	entry->valid = false;
	entry->root_as_of = 0;
	memcpy(entry->levels, fresh.levels, sizeof(entry->levels));
	MemoryContextSwitchTo(declared_context);
	for (int i = 0; i < SG_NUM_COLUMN_ROLES; i++)
	{
		bms_free(entry->columns[i]);
		entry->columns[i] = NULL;
		entry->columns[i] = bms_copy(fresh.columns[i]);
	}
	entry->valid = keep;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return entry;
}

/* ---------------- questions ---------------- */

/*
 * The top-most ancestor of a partition, InvalidOid if it is none.
 */
Oid
sg_partition_root(Oid relid)
{
	List	   *ancestors;

	if (!get_rel_relispartition(relid))
		return InvalidOid;
	ancestors = get_partition_ancestors(relid);
	return ancestors == NIL ? InvalidOid : llast_oid(ancestors);
}

/*
 * The level in a relation's own row for a rule, or -1 if it has none.
 */
int
sg_table_level(Oid relid, SgRuleId rule)
{
	return get_declared(relid)->levels[rule];
}

/*
 * Has the column been declared to have the role, for this relation or for the
 * root of its partition tree, where the column may have another number?
 */
bool
sg_column_has_role(Oid relid, AttrNumber attnum, SgColumnRole role)
{
	Oid			root;
	char	   *name;
	AttrNumber	root_attnum;

	if (attnum <= 0)
		return false;
	if (bms_is_member(attnum, get_declared(relid)->columns[role]))
		return true;

	root = sg_partition_root(relid);
	if (!OidIsValid(root))
		return false;
	name = get_attname(relid, attnum, true);
	root_attnum = name == NULL ? InvalidAttrNumber : get_attnum(root, name);
	return root_attnum > 0 &&
		bms_is_member(root_attnum, get_declared(root)->columns[role]);
}

static const SgDeclared *
find_declared(Oid relid)
{
	const SgDeclared *entry;

	if (declared == NULL)
		return NULL;
	entry = hash_search(declared, &relid, HASH_FIND, NULL);
	return entry != NULL && entry->valid ? entry : NULL;
}

/*
 * Is it known, without reading anything, that no column of the relation has
 * the role?  False where it is not known.
 */
bool
sg_known_without_role(Oid relid, SgColumnRole role)
{
	const SgDeclared *entry = find_declared(relid);

	if (entry == NULL || entry->columns[role] != NULL ||
		entry->root_as_of != invalidations)
		return false;
	if (!OidIsValid(entry->root))
		return true;
	entry = find_declared(entry->root);
	return entry != NULL && entry->columns[role] == NULL;
}

/*
 * The columns of a relation that have been declared to have the role, for it
 * or for the root of its partition tree; palloc'd.
 */
Bitmapset *
sg_columns_with_role(Oid relid, SgColumnRole role)
{
	uint64		before = invalidations;
	Oid			root = sg_partition_root(relid);
	Bitmapset  *result = NULL;
	SgDeclared *entry;

	if (OidIsValid(root))
	{
		Bitmapset  *theirs = bms_copy(get_declared(root)->columns[role]);
		int			att = -1;

		while ((att = bms_next_member(theirs, att)) >= 0)
		{
			char	   *name = get_attname(root, att, true);
			AttrNumber	mine = name ? get_attnum(relid, name) :
				InvalidAttrNumber;

			if (mine > 0)
				result = bms_add_member(result, mine);
		}
	}
	result = bms_add_members(result, get_declared(relid)->columns[role]);

	/* for sg_known_without_role; reading may have dropped what was there */
	entry = hash_search(declared, &relid, HASH_FIND, NULL);
	if (entry != NULL && before == invalidations)
	{
		entry->root = root;
		entry->root_as_of = before;
	}
	return result;
}
