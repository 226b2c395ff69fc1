/*-------------------------------------------------------------------------
 *
 * table.c
 *		Questions about tables that a command is going to touch.
 *
 * No answer takes a lock: a name is looked up as it stands at this moment,
 * and a size comes from the files, as pg_relation_size() has it.  Nothing
 * here raises an error because something is not there, or no longer.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_trigger.h"
#include "commands/dbcommands.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "rewrite/rewriteSupport.h"
#include "storage/bufpage.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/ddl.h"

/* ---------------- names ---------------- */

/*
 * The relation of this name that the current user can get at, or InvalidOid.
 */
Oid
sg_find_relation(const RangeVar *name)
{
	Oid			namespaceId;

	if (name->relname == NULL)
		return InvalidOid;
	if (name->catalogname != NULL)
	{
		char	   *database = get_database_name(MyDatabaseId);

		if (database == NULL || strcmp(name->catalogname, database) != 0)
			return InvalidOid;
	}
	if (name->schemaname == NULL)
		return RelnameGetRelid(name->relname);
	namespaceId = get_namespace_oid(name->schemaname, true);
	if (!OidIsValid(namespaceId) ||
		!sg_may_use_schema(namespaceId, GetUserId()))
		return InvalidOid;
	return get_relname_relid(name->relname, namespaceId);
}

/*
 * The name of a table in a list of names as DROP has them; "extra" is the
 * number of names after it.
 */
Oid
sg_find_named(List *names, int extra)
{
	int			n = list_length(names) - extra;
	List	   *name;

	if (n < 1 || n > 3)
		return InvalidOid;
	name = list_truncate(list_copy(names), n);
	return sg_find_relation(makeRangeVarFromNameList(name));
}

/*
 * The table of a trigger, rule or policy, named behind it.  If there is none
 * of this name, nothing is dropped, or locked.
 */
Oid
sg_find_owner(ObjectType type, List *names)
{
	Oid			relid = sg_find_named(names, 1);
	const char *name = strVal(llast(names));
	Oid			object = InvalidOid;

	if (!OidIsValid(relid))
		return InvalidOid;
	if (type == OBJECT_TRIGGER)
		object = get_trigger_oid(relid, name, true);
	else if (type == OBJECT_RULE)
		object = get_rewrite_oid(relid, name, true);
	else if (type == OBJECT_POLICY)
		object = get_relation_policy_oid(relid, name, true);
	return OidIsValid(object) ? relid : InvalidOid;
}

Oid
sg_table_of_index(Oid index)
{
	char		relkind = OidIsValid(index) ? get_rel_relkind(index) : '\0';

	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		return InvalidOid;
	return IndexGetRelation(index, true);
}

/*
 * The table that a part of it (an index, or an object with a row in one of
 * these catalogs) belongs to.
 */
Oid
sg_table_of_object(Oid classId, Oid objectId)
{
	static const struct
	{
		Oid			catalog;
		Oid			index;
		AttrNumber	oid;
		AttrNumber	table;
	}			parts[] = {
		{AttrDefaultRelationId, AttrDefaultOidIndexId, Anum_pg_attrdef_oid, Anum_pg_attrdef_adrelid},
		{ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid,
		Anum_pg_constraint_conrelid},
		{PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid},
		{RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class},
		{TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid},
	};

	if (classId == RelationRelationId)
		return sg_table_of_index(objectId);
	for (int i = 0; i < lengthof(parts); i++)
	{
		Relation	rel;
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;
		bool		isnull = true;
		Datum		table = 0;

		if (parts[i].catalog != classId)
			continue;
		rel = table_open(classId, AccessShareLock);
		ScanKeyInit(&key, parts[i].oid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(objectId));
		scan = systable_beginscan(rel, parts[i].index, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
			table = heap_getattr(tuple, parts[i].table, RelationGetDescr(rel),
								 &isnull);
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
		return isnull ? InvalidOid : DatumGetObjectId(table);
	}
	return InvalidOid;
}

/*
 * A name to be used in a statement.
 */
char *
sg_qualified_name(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *table = get_rel_name(relid);

	if (schema == NULL || table == NULL)
		return pstrdup("...");
	return quote_qualified_identifier(schema, table);
}

/* ---------------- state ---------------- */

/*
 * Does this transaction hold a lock on the relation that is at least as
 * strong?  Then the command waits for nobody.  Whoever has created a relation
 * holds it, too.
 */
bool
sg_relation_is_held(Oid relid, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return sg_lock_is_held(&tag, mode) ||
		sg_lock_is_held(&tag, AccessExclusiveLock);
}

/*
 * Has this transaction created the relation?  To be asked only about a
 * relation that it has locked.
 */
bool
sg_relation_is_new(Oid relid)
{
	Relation	rel;
	bool		result;

	/* spares the relation cache a relation that is not new for sure */
	if (!sg_relation_is_held(relid, AccessExclusiveLock))
		return false;
	rel = RelationIdGetRelation(relid);
	if (rel == NULL)
		return true;
	result = rel->rd_createSubid != InvalidSubTransactionId;
	RelationClose(rel);
	return result;
}

/* ---------------- sizes ---------------- */

/*
 * Length of the file of a relation, over all its segments.
 */
uint64
sg_file_bytes(const char *path)
{
	uint64		bytes = 0;

	for (int segment = 0;; segment++)
	{
		char		name[MAXPGPATH];
		struct stat st;

		if (segment == 0)
			strlcpy(name, path, sizeof(name));
		else
			snprintf(name, sizeof(name), "%s.%d", path, segment);
		if (stat(name, &st) != 0)
			break;
		bytes += st.st_size;
	}
	return bytes;
}

/*
 * The file of a relation; NULL if it has none of its own.  A mapped catalog's
 * is not known here, and nobody's data.
 */
char *
sg_relation_file(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	char	   *path = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (RELKIND_HAS_STORAGE(form->relkind) && OidIsValid(form->relfilenode))
		path = sg_relation_path(MyDatabaseId,
								OidIsValid(form->reltablespace) ?
								form->reltablespace : MyDatabaseTableSpace,
								form->relfilenode);
	ReleaseSysCache(tuple);
	return path;
}

static uint64
main_fork_bytes(Oid relid)
{
	char	   *path = OidIsValid(relid) ? sg_relation_file(relid) : NULL;
	uint64		bytes;

	if (path == NULL)
		return 0;
	bytes = sg_file_bytes(path);
	pfree(path);
	return bytes;
}

static Oid
toast_table(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			toast;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	toast = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
	ReleaseSysCache(tuple);
	return toast;
}

/*
 * Size of a table with what it keeps out of line.  0: it holds no data, or
 * none that lies in a file of its own.
 */
uint64
sg_relation_bytes(Oid relid)
{
	uint64		bytes = main_fork_bytes(relid);

	return bytes == 0 ? 0 : bytes + main_fork_bytes(toast_table(relid));
}

/*
 * The same, summed over the leaves of a partitioned table.
 */
uint64
sg_leaves_bytes(Oid relid, int *leaves)
{
	uint64		bytes = 0;
	ListCell   *lc;

	*leaves = 0;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		bytes += sg_relation_bytes(lfirst_oid(lc));
		(*leaves)++;
	}
	return bytes;
}

/*
 * Does a table, or with "alone" false one of its children, hold data that was
 * there before this transaction made the table?  To be asked only about a
 * relation that it has locked, with its children.  A foreign table may hold
 * some.
 */
bool
sg_holds_old_data(Oid relid, bool alone)
{
	List	   *relids = alone ? list_make1_oid(relid) :
		find_all_inheritors(relid, NoLock, NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			member = lfirst_oid(lc);
		char		relkind = get_rel_relkind(member);

		if (relkind == RELKIND_PARTITIONED_TABLE ||
			(relkind == RELKIND_RELATION && sg_relation_bytes(member) == 0))
			continue;
		if (!sg_relation_is_new(member))
			return true;
	}
	return false;
}

char *
sg_size_text(uint64 bytes)
{
	Datum		result = DirectFunctionCall1(pg_size_pretty,
										   Int64GetDatum((int64) bytes));

	return TextDatumGetCString(result);
}

/* ---------------- databases ---------------- */

/*
 * Is this the file of a table, with a row in its first page?  Pages of
 * indexes and sequences have a special space at their end, those of tables
 * have none.  A page that has not been written yet may be either: take it for
 * a table's.
 */
static bool
file_is_table(const char *path)
{
	PGAlignedBlock block;
	Page		page = (Page) block.data;
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t		got;

	if (fd < 0)
		return false;
	got = read(fd, block.data, BLCKSZ);
	CloseTransientFile(fd);
	if (got != BLCKSZ)
		return false;
	if (PageIsNew(page))
		return true;
	return ((PageHeader) page)->pd_special == BLCKSZ &&
		PageGetMaxOffsetNumber(page) > 0;
}

/*
 * Sum up the files in one of a database's directories that were made after
 * the server was.  Returns whether a table with rows is among them.
 */
static bool
directory_bytes(const char *directory, uint64 *bytes)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;
	bool		tables = false;

	if (dir == NULL)
		return false;
	while ((entry = ReadDirExtended(dir, directory, LOG)) != NULL)
	{
		char		path[MAXPGPATH];
		char	   *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);
		struct stat st;

		CHECK_FOR_INTERRUPTS();
		/* neither a catalog's, nor another fork or a later segment */
		if (number < FirstNormalObjectId || *end != '\0')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (stat(path, &st) != 0 || st.st_size == 0)
			continue;
		*bytes += sg_file_bytes(path);
		tables = tables || file_is_table(path);
	}
	FreeDir(dir);
	return tables;
}

/*
 * Does a database hold rows in tables that somebody has made, and how much
 * room do these take?  Its catalogs cannot be read from another database, so
 * this is what its files tell.
 */
bool
sg_database_bytes(Oid database, uint64 *bytes)
{
	char		path[MAXPGPATH];
	bool		tables;
	DIR		   *dir;
	struct dirent *entry;

	*bytes = 0;
	snprintf(path, sizeof(path), "base/%u", database);
	tables = directory_bytes(path, bytes);

	dir = AllocateDir("pg_tblspc");
	if (dir == NULL)
		return tables;
	while ((entry = ReadDirExtended(dir, "pg_tblspc", LOG)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%s/%s/%u", entry->d_name,
				 TABLESPACE_VERSION_DIRECTORY, database);
		tables = directory_bytes(path, bytes) || tables;
	}
	FreeDir(dir);
	return tables;
}
