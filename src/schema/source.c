/*-------------------------------------------------------------------------
 *
 * source.c
 *		All rows of a table, for functions that judge its data.
 *
 * Whoever asks must be able to read them by SELECT, all of them: what row
 * security hides would make the answer wrong without a word.  The queries run
 * with the caller's rights and name everything with its schema.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/typcache.h"

#include "safeguard.h"
#include "schema/keys.h"

/*
 * The first argument as a relation that has rows, locked until the end of
 * the transaction.
 */
Relation
sg_open_rows(FunctionCallInfo fcinfo)
{
	Relation	rel = sg_open_argument(fcinfo);

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_MATVIEW:
		case RELKIND_VIEW:
			break;
		default:
			ereport(ERROR,
					errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("\"%s\" is not a table or view",
						   RelationGetRelationName(rel)),
					errhint("Name a table, partitioned table, foreign table, view or materialized view."));
	}
	return rel;
}

/*
 * An error unless the caller may read these columns, in all rows.  The query
 * itself would raise the first one too, but after more has been told.
 */
void
sg_require_all_rows(Relation rel, int ncols, const AttrNumber *attnums)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			roleid = GetUserId();

	if (pg_class_aclcheck(relid, roleid, ACL_SELECT) != ACLCHECK_OK)
	{
		for (int i = 0; i < ncols; i++)
			if (pg_attribute_aclcheck(relid, attnums[i], roleid,
									  ACL_SELECT) != ACLCHECK_OK)
				aclcheck_error(ACLCHECK_NO_PRIV,
							   get_relkind_objtype(rel->rd_rel->relkind),
							   RelationGetRelationName(rel));
	}
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("query would be affected by row-level security policy for table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("A key is judged by all rows, and row security may hide some of them from role \"%s\".",
						  GetUserNameFromId(roleid, false)),
				errhint("Ask as the owner of the table or as a role with BYPASSRLS."));
}

/* A column of the relation, and how its values are compared. */
void
sg_key_column(SgKeyColumn *column, Relation rel, AttrNumber attnum)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	TypeCacheEntry *type = lookup_type_cache(attr->atttypid,
											 TYPECACHE_LT_OPR |
											 TYPECACHE_EQ_OPR_FINFO);

	column->attnum = attnum;
	column->type = attr->atttypid;
	column->collation = attr->attcollation;
	column->typlen = attr->attlen;
	column->typbyval = attr->attbyval;
	column->notnull = attr->attnotnull;
	column->equal = NULL;
	if (OidIsValid(type->lt_opr) && OidIsValid(type->eq_opr_finfo.fn_oid))
		column->equal = &type->eq_opr_finfo;
}

/*
 * The relation in a FROM.  A table's inheritance children are left out as a
 * unique index leaves them out.
 */
char *
sg_rows_of(Relation rel)
{
	return psprintf("%s%s",
					rel->rd_rel->relkind == RELKIND_RELATION ? "ONLY " : "",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											   RelationGetRelationName(rel)));
}

/* SELECT a, b FROM s.t, with the number of rows if they are grouped */
char *
sg_select_columns(Relation rel, int ncols, const SgKeyColumn *columns,
				  bool grouped)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < ncols; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "SELECT ",
						 quote_identifier(get_attname(RelationGetRelid(rel),
													  columns[i].attnum,
													  false)));
	appendStringInfo(&buf, "%s FROM %s",
					 grouped ? ", pg_catalog.count(*)" : "", sg_rows_of(rel));
	return buf.data;
}

/*
 * Is it a type of the server, or made of such types?  A cast of any other may
 * belong to whoever has made the type, and would run as the role that asks.
 * (The server looks for no cast of an array, a composite type or a domain.)
 */
bool
sg_is_server_type(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	bool		result = true;
	TupleDesc	desc;

	check_stack_depth();
	if (OidIsValid(element))
		return sg_is_server_type(element);
	if (base < FirstNormalObjectId)
		return base != RECORDOID;
	if (!type_is_rowtype(base))
		return false;
	desc = lookup_rowtype_tupdesc(base, -1);
	for (int i = 0; i < desc->natts && result; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			result = sg_is_server_type(TupleDescAttr(desc, i)->atttypid);
	}
	ReleaseTupleDesc(desc);
	return result;
}

/* What the type's output function says, which only a superuser can make. */
Datum
sg_value_as_text(Oid type, Datum value)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(type, &output, &varlena);
	return CStringGetTextDatum(OidOutputFunctionCall(output, value));
}

/*
 * Run a SELECT, row by row into "dest", in the snapshot of the statement that
 * asks.  Row security that would act in a view raises the server's error.
 */
void
sg_run_select(const char *sql, DestReceiver *dest)
{
	SPIExecuteOptions options = {0};
	int			nestlevel = NewGUCNestLevel();
	int			rc;

	(void) set_config_option("row_security", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	options.read_only = true;
	options.dest = dest;
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_extended failed: %s",
			 SPI_result_code_string(rc));
	SPI_finish();
	AtEOXact_GUC(true, nestlevel);
}
