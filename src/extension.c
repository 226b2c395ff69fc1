/*-------------------------------------------------------------------------
 *
 * extension.c
 *		The extension in this database: its version, and its tables.
 *
 * The library and the SQL may be of different versions: a package has been
 * upgraded and the extension not yet, or a server that is still running has
 * loaded the older library.  Functions are safe by their names, since what a
 * C function gets and returns is never changed under the same symbol.  Here
 * is what makes the rest safe: a script says which library it needs, and a
 * table is read only if its columns are the ones that this library knows.
 *
 * Anybody who may create a schema could make one called safeguard before the
 * extension is there; so a table counts only if it is a member of the
 * extension.
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
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "extension.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_require_library);

#define MAX_COLUMNS		6

typedef struct OwnColumn
{
	Oid			type;
	bool		not_null;		/* read without a look whether it is null */
} OwnColumn;

/*
 * The columns that our tables begin with, as far as they are read here.  A
 * later version may add others behind all of its predecessor's.
 */
static const struct
{
	const char *name;
	OwnColumn	columns[MAX_COLUMNS];
}			own_tables[] = {
	{"table_levels", {{REGCLASSOID, true}, {TEXTOID, true}, {TEXTOID, true}}},
	{"column_roles", {{REGCLASSOID, true}, {NAMEOID, true}, {TEXTOID, true}}},
	{"migrations", {{INT8OID, false}, {TEXTOID, true}, {TEXTOID, true},
	{TEXTOID, false}, {TEXTOID, false}, {TEXTOID, true}}},
	{"migration_claims", {{TEXTOID, true}, {TEXTOID, true}, {INT4OID, true},
	{TIMESTAMPTZOID, true}}},
};

/* ---------------- versions ---------------- */

/*
 * Version of the extension in this database, palloc'd, or NULL if it has not
 * been created.
 */
char *
sg_extension_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	char	   *version = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("safeguard"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

/*
 * Compare two versions by their numbers: 1.10 comes after 1.9.  What has no
 * number comes first.
 */
int
sg_compare_versions(const char *one, const char *other)
{
	while (*one != '\0' || *other != '\0')
	{
		char	   *one_end;
		char	   *other_end;
		long		a = strtol(one, &one_end, 10);
		long		b = strtol(other, &other_end, 10);

		if (a != b)
			return a < b ? -1 : 1;
		one = *one_end == '.' ? one_end + 1 : "";
		other = *other_end == '.' ? other_end + 1 : "";
	}
	return 0;
}

/*
 * Called by the extension's scripts: this version of the SQL needs a library
 * that is not older.
 */
Datum
sg_require_library(PG_FUNCTION_ARGS)
{
	char	   *version = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (sg_compare_versions(SG_VERSION, version) < 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("extension \"safeguard\" version %s needs the library of that version",
					   version),
				errdetail("This session has loaded the library of version %s.",
						  SG_VERSION),
				errhint("Install the library of version %s.  If it is installed, restart the server: it has loaded the other one at its start.",
						version));
	PG_RETURN_VOID();
}

/* ---------------- tables ---------------- */

/*
 * The OID of a table of our extension, or InvalidOid if the extension has not
 * been created in this database.  Never raises for a table that is not there.
 */
Oid
sg_config_table(const char *relname)
{
	Oid			namespaceId = get_namespace_oid("safeguard", true);
	Oid			extension;
	Oid			relid;

	if (!OidIsValid(namespaceId))
		return InvalidOid;
	relid = get_relname_relid(relname, namespaceId);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return InvalidOid;
	extension = get_extension_oid("safeguard", true);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(RelationRelationId, relid) != extension)
		return InvalidOid;
	return relid;
}

/*
 * Has a table of ours the columns that this library reads?
 */
bool
sg_knows_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < lengthof(own_tables); i++)
	{
		const OwnColumn *columns = own_tables[i].columns;

		if (strcmp(RelationGetRelationName(rel), own_tables[i].name) != 0)
			continue;
		for (int n = 0; n < MAX_COLUMNS && OidIsValid(columns[n].type); n++)
		{
			Form_pg_attribute attr;

			if (n >= desc->natts)
				return false;
			attr = TupleDescAttr(desc, n);
			if (attr->attisdropped || attr->atttypid != columns[n].type ||
				(columns[n].not_null && !attr->attnotnull))
				return false;
		}
		return true;
	}
	return false;
}

/*
 * Open a table of ours, NULL if it is not there, or is another version's with
 * other columns: then nothing is known of what it says.  *relid gets its OID.
 * The caller closes it with AccessShareLock.
 */
Relation
sg_open_config_table(const char *relname, Oid *relid)
{
	Relation	rel;

	*relid = sg_config_table(relname);
	rel = OidIsValid(*relid) ? try_table_open(*relid, AccessShareLock) : NULL;
	if (rel != NULL && !sg_knows_columns(rel))
	{
		table_close(rel, AccessShareLock);
		rel = NULL;
	}
	return rel;
}

/*
 * Open a table of ours that the caller cannot do without.
 */
Relation
sg_open_own_table(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);

	if (!sg_knows_columns(rel))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("table \"safeguard.%s\" has not the columns that the library of version %s knows",
					   RelationGetRelationName(rel), SG_VERSION),
				errhint("Run ALTER EXTENSION safeguard UPDATE, or install the library of the version that the extension has."));
	return rel;
}

/*
 * The tables that are there and cannot be read, by name.
 */
List *
sg_unknown_tables(void)
{
	List	   *result = NIL;

	for (int i = 0; i < lengthof(own_tables); i++)
	{
		Oid			relid = sg_config_table(own_tables[i].name);
		Relation	rel = OidIsValid(relid) ?
			try_table_open(relid, AccessShareLock) : NULL;

		if (rel == NULL)
			continue;
		if (!sg_knows_columns(rel))
			result = lappend(result, unconstify(char *, own_tables[i].name));
		table_close(rel, AccessShareLock);
	}
	return result;
}
