/*-------------------------------------------------------------------------
 *
 * restore_columns.c
 *		Which columns kept rows have in common with their relation, and what
 *		identifies its rows.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_index.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "rows/restore.h"

/* ---------------- columns ---------------- */

Form_pg_attribute
sg_restore_column(Relation rel, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(rel), attnum - 1);
}

/* ready for a query */
const char *
sg_restore_column_name(Relation rel, AttrNumber attnum)
{
	return quote_identifier(NameStr(sg_restore_column(rel, attnum)->attname));
}

static AttrNumber
find_column(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	return InvalidAttrNumber;
}

/*
 * A table that has lost columns of the kept rows and got others may have
 * renamed them: nobody knows but who has done it.
 */
static void
report_missing(const SgComparison *cmp, const char *missing, const char *added)
{
	const char *relname = RelationGetRelationName(cmp->rel);
	const char *kept = quote_qualified_identifier(SG_KEPT_SCHEMA,
												  RelationGetRelationName(cmp->kept));

	if (added == NULL)
	{
		ereport(NOTICE,
				errmsg("column \"%s\" of the kept rows is left out",
					   missing),
				errdetail("Table \"%s\" does not have it any more.", relname));
		return;
	}
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_COLUMN),
			errmsg("column \"%s\" of table \"%s\" does not exist any more",
				   missing, relname),
			errdetail("Rows of the table were kept with it; column \"%s\" is new since then.",
					  added),
			errhint("If the column was renamed, rename that of the kept rows: ALTER TABLE %s RENAME COLUMN %s TO %s. If it was dropped, drop that of the kept rows, too.",
					kept, quote_identifier(missing), quote_identifier(added)),
			errtable(cmp->rel));
}

/* Is a column computed by the server, from the others? */
static bool
is_generated(Form_pg_attribute att)
{
	return att->attgenerated != '\0';
}

/* Is the relation the one that the numbers of the columns are good for? */
static bool
knows_numbers(const SgComparison *cmp)
{
	return cmp->table != NULL && cmp->table->attnums != NULL &&
		cmp->table->relation == RelationGetRelid(cmp->rel);
}

/*
 * The columns that are still there, whatever their names are now.
 */
static void
match_by_number(SgComparison *cmp)
{
	TupleDesc	desc = RelationGetDescr(cmp->rel);
	TupleDesc	kept = RelationGetDescr(cmp->kept);

	for (int i = 0; i < cmp->table->nattnums; i++)
	{
		AttrNumber	attnum = cmp->table->attnums[i];
		int			j = SG_KEPT_COLUMNS + i;

		if (j < kept->natts && !TupleDescAttr(kept, j)->attisdropped &&
			attnum > 0 && attnum <= desc->natts &&
			!TupleDescAttr(desc, attnum - 1)->attisdropped)
			cmp->kept_of[attnum - 1] = j + 1;
	}
}

/* Has a column of the kept table got one of the relation? */
static bool
is_matched(const SgComparison *cmp, AttrNumber kept)
{
	for (int i = 0; i < RelationGetDescr(cmp->rel)->natts; i++)
		if (cmp->kept_of[i] == kept)
			return true;
	return false;
}

/*
 * The other columns, by their names: one may have been dropped and added again.
 * Returns one that is new, or NULL.
 */
static const char *
match_by_name(SgComparison *cmp)
{
	TupleDesc	desc = RelationGetDescr(cmp->rel);
	const char *added = NULL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrNumber	kept;

		if (att->attisdropped || cmp->kept_of[i] != InvalidAttrNumber)
			continue;
		kept = find_column(cmp->kept, NameStr(att->attname));
		if (kept != InvalidAttrNumber && !is_matched(cmp, kept))
			cmp->kept_of[i] = kept;
		else if (!is_generated(att))
			added = NameStr(att->attname);
	}
	return added;
}

/*
 * Which column of the relation is which of the kept table.
 */
static void
match_columns(SgComparison *cmp)
{
	TupleDesc	kept = RelationGetDescr(cmp->kept);
	const char *added;

	cmp->kept_of = palloc0(RelationGetDescr(cmp->rel)->natts * sizeof(AttrNumber));
	if (knows_numbers(cmp))
		match_by_number(cmp);
	added = match_by_name(cmp);
	for (int i = SG_KEPT_COLUMNS; i < kept->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(kept, i);

		/* with numbers it is certain that it was not renamed */
		if (!att->attisdropped && !is_matched(cmp, i + 1))
			report_missing(cmp, NameStr(att->attname),
						   knows_numbers(cmp) ? NULL : added);
	}
}

/*
 * How a kept value becomes one of the column's type, if that is another now.
 */
static Expr *
coercion(const SgComparison *cmp, AttrNumber attnum)
{
	Form_pg_attribute to = sg_restore_column(cmp->rel, attnum);
	Form_pg_attribute from = sg_restore_column(cmp->kept, cmp->kept_of[attnum - 1]);
	CaseTestExpr *value;
	Node	   *expr;

	if (to->atttypid == from->atttypid && to->atttypmod == from->atttypmod)
		return NULL;
	value = makeNode(CaseTestExpr);
	value->typeId = from->atttypid;
	value->typeMod = from->atttypmod;
	value->collation = from->attcollation;
	expr = coerce_to_target_type(NULL, (Node *) value, from->atttypid,
								 to->atttypid, to->atttypmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("column \"%s\" of table \"%s\" has another type than the kept rows",
					   NameStr(to->attname), RelationGetRelationName(cmp->rel)),
				errdetail("It is of type %s, and was of type %s when they were kept.",
						  format_type_with_typemod(to->atttypid, to->atttypmod),
						  format_type_with_typemod(from->atttypid, from->atttypmod)),
				errhint("Change the type of the kept rows in the same way: ALTER TABLE %s ALTER COLUMN %s TYPE %s USING ....",
						quote_qualified_identifier(SG_KEPT_SCHEMA,
												   RelationGetRelationName(cmp->kept)),
						quote_identifier(NameStr(to->attname)),
						format_type_with_typemod(to->atttypid, to->atttypmod)),
				errtablecol(cmp->rel, attnum));
	return expression_planner((Expr *) expr);
}

static void
choose_values(SgComparison *cmp)
{
	TupleDesc	desc = RelationGetDescr(cmp->rel);
	SgRestoreQuery *query = cmp->query;

	query->attnums = palloc0(desc->natts * sizeof(AttrNumber));
	query->coercions = palloc0(desc->natts * sizeof(Expr *));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || is_generated(att) || cmp->kept_of[i] == 0)
			continue;
		query->attnums[query->nvalues] = att->attnum;
		query->coercions[query->nvalues] = coercion(cmp, att->attnum);
		query->nvalues++;
	}
}

/* ---------------- key ---------------- */

/*
 * Take an index for the key, if it tells rows apart and all of its columns have
 * been kept.
 */
static bool
take_index(SgComparison *cmp, Relation index)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indisvalid || !form->indislive ||
		form->indisexclusion || !heap_attisnull(index->rd_indextuple,
												Anum_pg_index_indpred, NULL))
		return false;
	cmp->nkey = form->indnkeyatts;
	for (int i = 0; i < cmp->nkey; i++)
	{
		SgKeyPart  *key = &cmp->key[i];
		TypeCacheEntry *type;

		key->attnum = form->indkey.values[i];
		if (key->attnum <= 0 || !sg_restore_column(cmp->rel, key->attnum)->attnotnull ||
			cmp->kept_of[key->attnum - 1] == 0)
			return false;
		type = lookup_type_cache(sg_restore_column(cmp->rel, key->attnum)->atttypid,
								 TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR);
		key->operator = get_opfamily_member(index->rd_opfamily[i],
											index->rd_opcintype[i],
											index->rd_opcintype[i],
											BTEqualStrategyNumber);
		key->collation = index->rd_indcollation[i];
		if (!OidIsValid(type->lt_opr) || !OidIsValid(type->eq_opr) ||
			!OidIsValid(key->operator))
			return false;
	}
	return true;
}

static bool
try_index(SgComparison *cmp, Oid indexoid)
{
	Relation	index = index_open(indexoid, AccessShareLock);
	bool		taken = take_index(cmp, index);

	if (taken)
		cmp->query->key = indexoid;
	else
		cmp->nkey = 0;
	index_close(index, AccessShareLock);
	return taken;
}

/*
 * The primary key, or another unique key that has no NULL; there may be none.
 */
static void
choose_key(SgComparison *cmp)
{
	List	   *indexes = RelationGetIndexList(cmp->rel);
	Oid			primary = cmp->rel->rd_pkindex;
	StringInfoData buf;
	bool		found = OidIsValid(primary) && try_index(cmp, primary);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		if (!found && lfirst_oid(lc) != primary)
			found = try_index(cmp, lfirst_oid(lc));
	}
	if (!found)
		return;
	initStringInfo(&buf);
	for (int i = 0; i < cmp->nkey; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 sg_restore_column_name(cmp->rel, cmp->key[i].attnum));
	cmp->query->key_columns = buf.data;
}

void
sg_compare_columns(SgComparison *cmp)
{
	match_columns(cmp);
	choose_values(cmp);
	choose_key(cmp);
}
