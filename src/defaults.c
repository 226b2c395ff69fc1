/*-------------------------------------------------------------------------
 *
 * defaults.c
 *		Takes back what default privileges have given on the extension.
 *
 * ALTER DEFAULT PRIVILEGES of whoever creates the extension holds for its
 * objects, too: who may write all tables to come could loosen rules by the
 * tables of exceptions, and who may create in all schemas could put functions
 * beside ours.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"

#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_revoke_defaults);

/*
 * One REVOKE for each privilege that is neither the owner's nor one that
 * everybody has.
 */
static const char own_privileges[] =
"SELECT pg_catalog.format('REVOKE %s ON %s FROM %s', a.privilege_type, o.name, "
"       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END) "
"  FROM (SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::pg_catalog.regclass AS name, "
"               c.relowner AS owner, c.relacl AS acl, 'SELECT' AS everybody "
"          FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid "
"         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' "
"           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = $1 "
"        UNION ALL "
"        SELECT 'ROUTINE ' || p.oid::pg_catalog.regprocedure, p.proowner, p.proacl, 'EXECUTE' "
"          FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid "
"         WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e' "
"           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = $1 "
"        UNION ALL "
"        SELECT 'SCHEMA ' || pg_catalog.quote_ident(n.nspname), n.nspowner, n.nspacl, 'USAGE' "
"          FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.objid "
"         WHERE d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'e' "
"           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = $1) o, "
"       pg_catalog.aclexplode(o.acl) a "
" WHERE a.grantee <> o.owner AND NOT (a.grantee = 0 AND a.privilege_type = o.everybody)";

/*
 * Called by the script that creates the extension, when all is made.
 */
Datum
sg_revoke_defaults(PG_FUNCTION_ARGS)
{
	Oid			types[] = {OIDOID};
	Datum		params[] = {ObjectIdGetDatum(CurrentExtensionObject)};
	SPITupleTable *found;
	uint64		nfound;

	if (!creating_extension)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this function can only be called by the script of an extension"));
	SPI_connect();
	if (SPI_execute_with_args(own_privileges, 1, types, params, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for privileges");
	found = SPI_tuptable;
	nfound = SPI_processed;
	for (uint64 i = 0; i < nfound; i++)
	{
		char	   *sql = SPI_getvalue(found->vals[i], found->tupdesc, 1);

		if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not run \"%s\"", sql);
	}
	SPI_finish();
	PG_RETURN_VOID();
}
