/*-------------------------------------------------------------------------
 *
 * orphans.c
 *		safeguard.orphans(): rows of a foreign key whose parent is missing.
 *
 * One anti-join, with the operators and collations that the constraint itself
 * compares by, whatever state it is in: not validated, not enforced, or with
 * its triggers disabled.  It runs with the caller's rights.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "safeguard.h"
#include "schema/keys.h"

/* more names than this make a hint unreadable */
#define HINT_MAX_KEYS	20

PG_FUNCTION_INFO_V1(sg_orphans);

typedef struct ForeignKey
{
	Relation	child;
	Relation	parent;
	bool		match_full;
	int			ncols;
	AttrNumber	child_columns[INDEX_MAX_KEYS];
	AttrNumber	parent_columns[INDEX_MAX_KEYS];
	Oid			operators[INDEX_MAX_KEYS];	/* parent = child */
} ForeignKey;

/* The foreign keys of a table, for a hint; NULL if it has none. */
static char *
foreign_key_names(Oid relid)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_constraint, ConstraintRelidTypidNameIndexId,
							  true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);

		if (con->contype != CONSTRAINT_FOREIGN)
			continue;
		if (n++ == HINT_MAX_KEYS)
		{
			appendStringInfoString(&buf, ", ...");
			break;
		}
		appendStringInfo(&buf, "%s%s", n > 1 ? ", " : "",
						 NameStr(con->conname));
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	return n > 0 ? buf.data : NULL;
}

/*
 * The constraint of this name.  The part of a foreign key that looks at one
 * partition of the referenced table stands for the whole of it: a row whose
 * parent is in another partition is no orphan.
 */
static HeapTuple
find_foreign_key(Relation rel, const char *name)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			conid = get_relation_constraint_oid(relid, name, true);

	while (OidIsValid(conid))
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(conid));
		HeapTuple	whole;
		Form_pg_constraint con;
		bool		is_part;

		if (!HeapTupleIsValid(tuple))
			break;
		con = (Form_pg_constraint) GETSTRUCT(tuple);
		if (con->contype != CONSTRAINT_FOREIGN)
		{
			ReleaseSysCache(tuple);
			break;
		}
		whole = SearchSysCache1(CONSTROID, ObjectIdGetDatum(con->conparentid));
		if (!HeapTupleIsValid(whole))
			return tuple;
		is_part = ((Form_pg_constraint) GETSTRUCT(whole))->conrelid == relid;
		conid = con->conparentid;
		ReleaseSysCache(whole);
		if (!is_part)
			return tuple;
		ReleaseSysCache(tuple);
	}
	return NULL;
}

/* Somebody who may read nothing of a table is not told its constraints. */
static int
foreign_keys_hint(Oid relid)
{
	Oid			roleid = GetUserId();
	char	   *names;

	if (!sg_owns_relation(relid, roleid) &&
		pg_class_aclcheck(relid, roleid, ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, roleid, ACL_SELECT,
								  ACLMASK_ANY) != ACLCHECK_OK)
		return 0;
	names = foreign_key_names(relid);
	return names != NULL ? errhint("Foreign keys are: %s.", names) :
		errhint("The table has no foreign keys.");
}

static void
report_no_foreign_key(Relation rel, const char *name)
{
	Oid			relid = RelationGetRelid(rel);

	if (OidIsValid(get_relation_constraint_oid(relid, name, true)))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("constraint \"%s\" of table \"%s\" is not a foreign key",
					   name, RelationGetRelationName(rel)),
				foreign_keys_hint(relid));
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("constraint \"%s\" of table \"%s\" does not exist",
				   name, RelationGetRelationName(rel)),
			foreign_keys_hint(relid));
}

/* Read a foreign key of a table, with the referenced table open and locked. */
static void
read_foreign_key(ForeignKey *fk, Relation rel, const char *name)
{
	HeapTuple	tuple = find_foreign_key(rel, name);
	Form_pg_constraint con;

	if (tuple == NULL)
		report_no_foreign_key(rel, name);
	con = (Form_pg_constraint) GETSTRUCT(tuple);
	if (sg_constraint_is_temporal(con))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("foreign key \"%s\" of table \"%s\" is over a PERIOD",
					   name, RelationGetRelationName(rel)),
				errdetail("Its rows may have several parents, which an anti-join does not see."));
	fk->child = rel;
	fk->match_full = con->confmatchtype == FKCONSTR_MATCH_FULL;
	DeconstructFkConstraintRow(tuple, &fk->ncols, fk->child_columns,
							   fk->parent_columns, fk->operators,
							   NULL, NULL, NULL, NULL);
	fk->parent = relation_open(con->confrelid, AccessShareLock);
	ReleaseSysCache(tuple);
}

/* A column, quoted. */
static const char *
column_of(Relation rel, AttrNumber attnum)
{
	return quote_identifier(get_attname(RelationGetRelid(rel), attnum, false));
}

/* p.x = f.a, as the triggers of the constraint compare */
static void
append_match(StringInfo buf, const ForeignKey *fk, int i)
{
	Form_pg_attribute child = TupleDescAttr(RelationGetDescr(fk->child),
											fk->child_columns[i] - 1);
	Form_pg_attribute parent = TupleDescAttr(RelationGetDescr(fk->parent),
											 fk->parent_columns[i] - 1);
	HeapTuple	tuple;
	Form_pg_collation collation;

	generate_operator_clause(buf,
							 psprintf("p.%s", column_of(fk->parent, fk->parent_columns[i])),
							 parent->atttypid, fk->operators[i],
							 psprintf("f.%s", column_of(fk->child, fk->child_columns[i])),
							 child->atttypid);
	if (!OidIsValid(parent->attcollation) ||
		parent->attcollation == child->attcollation)
		return;
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(parent->attcollation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u",
			 parent->attcollation);
	collation = (Form_pg_collation) GETSTRUCT(tuple);
	appendStringInfo(buf, " COLLATE %s",
					 quote_qualified_identifier(get_namespace_name(collation->collnamespace),
												NameStr(collation->collname)));
	ReleaseSysCache(tuple);
}

/*
 * The rows that have no parent.  A MATCH SIMPLE key with a NULL needs none, a
 * MATCH FULL key none if it is all NULL.  IS DISTINCT FROM NULL, unlike IS NOT
 * NULL, takes a composite value for one value as the constraint does.
 */
static void
append_orphans(StringInfo buf, const ForeignKey *fk)
{
	appendStringInfoString(buf, "SELECT ");
	for (int i = 0; i < fk->ncols; i++)
		appendStringInfo(buf, "f.%s AS k%d, ",
						 column_of(fk->child, fk->child_columns[i]), i + 1);
	appendStringInfo(buf, "pg_catalog.count(*) AS n FROM %s f WHERE (",
					 sg_rows_of(fk->child));
	for (int i = 0; i < fk->ncols; i++)
		appendStringInfo(buf, "%sf.%s IS DISTINCT FROM NULL",
						 i == 0 ? "" : fk->match_full ? " OR " : " AND ",
						 column_of(fk->child, fk->child_columns[i]));
	appendStringInfo(buf, ") AND NOT EXISTS (SELECT FROM %s p WHERE ",
					 sg_rows_of(fk->parent));
	for (int i = 0; i < fk->ncols; i++)
	{
		if (i > 0)
			appendStringInfoString(buf, " AND ");
		append_match(buf, fk, i);
	}
	appendStringInfoString(buf, ") GROUP BY ");
	for (int i = 0; i < fk->ncols; i++)
		appendStringInfo(buf, "%s%d", i > 0 ? ", " : "", i + 1);
}

/* The keys of most rows first, each as {"column": value}. */
static char *
orphans_query(const ForeignKey *fk, int max_rows)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT pg_catalog.jsonb_build_object(");
	for (int i = 0; i < fk->ncols; i++)
	{
		const char *name = get_attname(RelationGetRelid(fk->child),
									   fk->child_columns[i], false);
		Oid			type = get_atttype(RelationGetRelid(fk->child),
									   fk->child_columns[i]);

		appendStringInfo(&buf, "%s%s, ", i > 0 ? ", " : "",
						 quote_literal_cstr(name));
		/* format() calls no cast that somebody may have made of the type */
		if (sg_is_server_type(type))
			appendStringInfo(&buf, "g.k%d", i + 1);
		else
			appendStringInfo(&buf, "CASE WHEN g.k%d IS DISTINCT FROM NULL THEN pg_catalog.format('%%s', g.k%d) END",
							 i + 1, i + 1);
	}
	appendStringInfoString(&buf, "), g.n FROM (");
	append_orphans(&buf, fk);
	appendStringInfo(&buf, " ORDER BY %d DESC", fk->ncols + 1);
	for (int i = 0; i < fk->ncols; i++)
		appendStringInfo(&buf, ", %d", i + 1);
	appendStringInfo(&buf, " LIMIT %d) g", max_rows);
	return buf.data;
}

/*
 * Fill the result, which has been set up.
 */
void
sg_put_orphans(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignKey	fk;
	Relation	rel;
	DestReceiver *dest;
	int			max_rows;

	rel = sg_open_argument(fcinfo);
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				errdetail("Only tables and partitioned tables have foreign keys."));
	sg_require_argument(fcinfo, 1, "constraint_name");
	sg_require_argument(fcinfo, 2, "max_rows");
	max_rows = PG_GETARG_INT32(2);
	if (max_rows < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"max_rows\" must not be negative"));

	read_foreign_key(&fk, rel, NameStr(*PG_GETARG_NAME(1)));
	sg_require_all_rows(fk.child, fk.ncols, fk.child_columns);
	sg_require_all_rows(fk.parent, fk.ncols, fk.parent_columns);

	dest = CreateDestReceiver(DestTuplestore);
	SetTuplestoreDestReceiverParams(dest, rsinfo->setResult,
									CurrentMemoryContext, false, NULL, NULL);
	sg_run_select(orphans_query(&fk, max_rows), dest);
	dest->rDestroy(dest);

	relation_close(fk.parent, NoLock);
	relation_close(rel, NoLock);
}

/*
 * The values of a foreign key that its parent does not have, and how many rows
 * have each.
 */
Datum
sg_orphans(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	sg_put_orphans(fcinfo);
	return (Datum) 0;
}
