/*-------------------------------------------------------------------------
 *
 * assert.c
 *		safeguard.assert_schema(): an application's question at its start.
 *
 * What is looked at is told by SQL functions of ours; this makes errors of it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_assert_schema);

/* more lines than this make a message unreadable */
#define MAX_LINES	10

/* Runs a query whose only parameter is the name of the schema. */
static void
ask(const char *query, Name schema)
{
	Oid			types[] = {NAMEOID};
	Datum		values[] = {NameGetDatum(schema)};

	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at schema \"%s\"", NameStr(*schema));
}

static char *
answer(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/* The first lines of a column of the answer, and how many more there are. */
static char *
lines(int column)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, '\n');
		if (i == MAX_LINES)
		{
			appendStringInfo(&buf, "and " UINT64_FORMAT " more",
							 SPI_processed - MAX_LINES);
			break;
		}
		appendStringInfoString(&buf, answer(i, column));
	}
	return buf.data;
}

static void
assert_tables(Name schema)
{
	ask("SELECT 1"
		"  FROM pg_catalog.pg_class c"
		"  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
		" WHERE n.nspname OPERATOR(pg_catalog.=) $1"
		"   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f}'::pg_catalog.\"char\"[])"
		"   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
		"                    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		"                      AND d.objid OPERATOR(pg_catalog.=) c.oid"
		"                      AND d.deptype OPERATOR(pg_catalog.=) 'e')"
		" LIMIT 1", schema);
	if (SPI_processed == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("schema \"%s\" has no table", NameStr(*schema)),
				errhint("Run the migrations first, or look whether the connection leads to the right database."),
				err_generic_string(PG_DIAG_SCHEMA_NAME, NameStr(*schema)));
}

static void
assert_foreign_keys(Name schema)
{
	ask("SELECT problem, hint FROM safeguard.unenforced_keys($1)", schema);
	if (SPI_processed > 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("foreign keys are not enforced in schema \"%s\"",
					   NameStr(*schema)),
				errdetail("%s", lines(1)),
				errhint("%s", lines(2)),
				err_generic_string(PG_DIAG_SCHEMA_NAME, NameStr(*schema)));
}

static void
assert_version(const char *expected, Name schema)
{
	char	   *found;

	ask("SELECT safeguard.schema_version() FROM (SELECT $1) s", schema);
	found = SPI_processed == 1 ? answer(0, 1) : NULL;
	if (found == NULL)
		found = "unknown";
	if (strcmp(found, expected) != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("schema version is \"%s\", not \"%s\"", found, expected),
				errdetail("safeguard.migrations says which versions were applied to this database."),
				errhint("Run the migrations first, or look whether the connection leads to the right database."));
}

static void
assert_fingerprint(const char *expected, Name schema)
{
	char	   *found;

	ask("SELECT safeguard.schema_fingerprint($1)", schema);
	found = answer(0, 1);
	if (found == NULL || strcmp(found, expected) != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("schema \"%s\" is not the expected one", NameStr(*schema)),
				errdetail("Its fingerprint is \"%s\", expected was \"%s\".",
						  found, expected),
				errhint("safeguard.schema_diff tells what differs, given the objects of the database that the expected fingerprint is from."),
				err_generic_string(PG_DIAG_SCHEMA_NAME, NameStr(*schema)));
}

/*
 * Foreign keys first: whether they are enforced is asked always.
 */
Datum
sg_assert_schema(PG_FUNCTION_ARGS)
{
	Name		schema;

	sg_require_argument(fcinfo, 2, "schema");
	schema = PG_GETARG_NAME(2);
	(void) get_namespace_oid(NameStr(*schema), false);

	SPI_connect();
	assert_tables(schema);
	assert_foreign_keys(schema);
	if (!PG_ARGISNULL(1))
		assert_version(text_to_cstring(PG_GETARG_TEXT_PP(1)), schema);
	if (!PG_ARGISNULL(0))
		assert_fingerprint(text_to_cstring(PG_GETARG_TEXT_PP(0)), schema);
	SPI_finish();
	PG_RETURN_VOID();
}
