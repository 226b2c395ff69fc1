/*-------------------------------------------------------------------------
 *
 * running.c
 *		Migrations that run now: what sessions have said, and whose advisory
 *		lock a key is.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/pg_crc.h"
#include "utils/timestamp.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/findings.h"

#define RUNNING_COLUMNS	5

PG_FUNCTION_INFO_V1(sg_migration_sessions);
PG_FUNCTION_INFO_V1(sg_migration_lock_tool);

/* Tools that always take the same lock. */
static const struct
{
	int64		key;
	const char *tool;
}			constant_keys[] = {
	{INT64CONST(72707369), "Prisma"},
	{INT64CONST(75474063), "Sqitch"},
	{INT64CONST(4097083626), "goose"},
	{INT64CONST(2686470616), "Atlas"},
	{INT64CONST(3853314791062309107), "Kysely"},
	{INT64CONST(7241865325823964), "node-pg-migrate"},
	{INT64CONST(4727445306447283), "graphile-migrate"},
	{INT64CONST(9628173550095224), "tern"},
	{INT64CONST(4036779288569897133), "reshape"},
	{INT64CONST(-8525285245963000605), "postgres-migrations"},
	{INT64CONST(12388221127840347), "pgroll"},
};

/* Flyway adds the hash of the table's name, an int, to this */
#define FLYWAY_KEY			INT64CONST(77431708279161)
#define RAILS_SALT			INT64CONST(2053462845)
#define SQLX_SALT			INT64CONST(0x3d32ad9e)
#define GOLANG_MIGRATE_SALT UINT64CONST(1486364155)

/* The keys of golang-migrate for the schemas of this database. */
typedef struct SchemaKeys
{
	int			n;
	uint32	   *key;
} SchemaKeys;

static uint32
crc_of(const char *data, Size size)
{
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, data, size);
	FIN_TRADITIONAL_CRC32(crc);
	return crc;
}

/*
 * golang-migrate locks for a schema; its table has the name that it always
 * has.
 */
static uint32
golang_migrate_key(const char *schema, const char *database)
{
	char		text[3 * NAMEDATALEN];
	int			size = snprintf(text, sizeof(text), "%s%cschema_migrations%c%s",
								schema, '\0', '\0', database);

	return (uint32) (crc_of(text, size) * GOLANG_MIGRATE_SALT);
}

static int
compare_keys(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

/* The keys of all schemas, in order. */
static SchemaKeys *
schema_keys(const char *database, MemoryContext context)
{
	Relation	rel = table_open(NamespaceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	int			room = 64;
	SchemaKeys *keys = MemoryContextAlloc(context, sizeof(SchemaKeys));

	keys->n = 0;
	keys->key = MemoryContextAlloc(context, room * sizeof(uint32));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tuple);

		if (keys->n == room)
		{
			room *= 2;
			keys->key = repalloc_huge(keys->key, room * sizeof(uint32));
		}
		keys->key[keys->n++] = golang_migrate_key(NameStr(form->nspname),
												  database);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	qsort(keys->key, keys->n, sizeof(uint32), compare_keys);
	return keys;
}

/*
 * Is it the key of a schema?  A query that asks for many locks reads the
 * schemas once.
 */
static bool
is_golang_migrate(int64 key, const char *database, FmgrInfo *flinfo)
{
	SchemaKeys *keys = flinfo->fn_extra;
	uint32		wanted = (uint32) key;

	if (keys == NULL)
		flinfo->fn_extra = keys = schema_keys(database, flinfo->fn_mcxt);
	return bsearch(&wanted, keys->key, keys->n, sizeof(uint32),
				   compare_keys) != NULL;
}

/*
 * The tool that takes an advisory lock with this key in this database, or
 * NULL.
 */
Datum
sg_migration_lock_tool(PG_FUNCTION_ARGS)
{
	int64		key;
	int64		crc;
	char	   *database;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	key = PG_GETARG_INT64(0);
	for (int i = 0; i < lengthof(constant_keys); i++)
	{
		if (constant_keys[i].key == key)
			PG_RETURN_TEXT_P(cstring_to_text(constant_keys[i].tool));
	}
	if (key >= FLYWAY_KEY + PG_INT32_MIN && key <= FLYWAY_KEY + PG_INT32_MAX)
		PG_RETURN_TEXT_P(cstring_to_text("Flyway"));
	database = get_database_name(MyDatabaseId);
	if (database == NULL)
		PG_RETURN_NULL();
	crc = crc_of(database, strlen(database));
	if (key == RAILS_SALT * crc)
		PG_RETURN_TEXT_P(cstring_to_text("Rails"));
	if (key == SQLX_SALT * crc)
		PG_RETURN_TEXT_P(cstring_to_text("sqlx"));
	if (key > 0 && key <= (int64) PG_UINT32_MAX &&
		is_golang_migrate(key, database, fcinfo->flinfo))
		PG_RETURN_TEXT_P(cstring_to_text("golang-migrate"));
	PG_RETURN_NULL();
}

/*
 * Sessions of this database that are in a transaction with a migration.
 */
Datum
sg_migration_sessions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (!sg_migration_log_on)
		return (Datum) 0;
	foreach(lc, sg_log_slots())
	{
		const SgMigrationSlot *slot = lfirst(lc);
		Datum		values[RUNNING_COLUMNS];
		bool		nulls[RUNNING_COLUMNS] = {0};

		if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
			!has_privs_of_role(GetUserId(), slot->roleid))
			continue;
		values[0] = Int32GetDatum(slot->pid);
		values[1] = sg_text_column(slot->tool, slot->encoding, &nulls[1]);
		values[2] = sg_text_column(slot->project, slot->encoding, &nulls[2]);
		values[3] = sg_text_column(slot->version, slot->encoding, &nulls[3]);
		values[4] = TimestampTzGetDatum(slot->since);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
