/*-------------------------------------------------------------------------
 *
 * refuse.c
 *		What must not be done to a table while its rows are kept.
 *
 * TRUNCATE, DROP and ALTER that rewrites take rows away or change them without a
 * statement that could gather them.  The object access hook tells of each
 * table that they come to, however they come to it.  A column that is dropped
 * takes its values along; migrations do that on purpose, so it is only told.
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
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows/rows.h"

/* Is it a table that the rows are put into, or noted in? */
static bool
is_written_to(const SgKeepLabel *label, Oid relid)
{
	ListCell   *lc;

	if (relid == sg_kept_registry_relid)
		return true;
	foreach(lc, label->relations)
	{
		if (((const SgKeptRelation *) lfirst(lc))->kept == relid)
			return true;
	}
	return false;
}

/*
 * Under which label are the rows of a table kept, or is it one of those that
 * they are put into?  NULL: neither.
 */
static SgKeepLabel *
keeping_label(Relation rel)
{
	for (SgKeepLabel *label = sg_keep_labels; label != NULL;
		 label = label->next)
	{
		if (sg_keeps(label, rel) ||
			is_written_to(label, RelationGetRelid(rel)))
			return label;
	}
	return NULL;
}

/* Is it a table, and not the heap that one has left behind or will get? */
static bool
is_table(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			return !OidIsValid(rel->rd_rel->relrewrite);
		default:
			return false;
	}
}

static void
refuse(Oid relid, const char *action, const char *hint)
{
	Relation	rel = RelationIdGetRelation(relid);
	const SgKeepLabel *label;

	/* TRUNCATE asks before it has locked it */
	if (rel == NULL)
		return;
	label = is_table(rel) ? keeping_label(rel) : NULL;
	if (label != NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("cannot %s table \"%s\" while its rows are kept",
					   action, RelationGetRelationName(rel)),
				errdetail("They are kept under the label \"%s\", from which they could not be restored.",
						  label->label),
				errhint("%s", hint),
				errtable(rel));
	RelationClose(rel);
}

/*
 * The table whose new heap has been created as "relid", or 0.  No command can
 * see it yet.
 */
static Oid
rewritten_table(Oid relid)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_class, ClassOidIndexId, true, SnapshotSelf,
							  1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_class) GETSTRUCT(tuple))->relrewrite;
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	return result;
}

/* ---------------- columns ---------------- */

/*
 * Was the column there before this transaction?  Its commands may have altered
 * it since then: an older version counts, too.
 */
static bool
column_existed_before(Oid relid, AttrNumber attnum)
{
	Relation	pg_attribute = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		before = false;

	ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(pg_attribute, AttributeRelidNumIndexId, true,
							  SnapshotAny, 2, key);
	while (!before && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		before = !TransactionIdIsCurrentTransactionId(xmin) &&
			TransactionIdDidCommit(xmin);
	}
	systable_endscan(scan);
	table_close(pg_attribute, AccessShareLock);
	return before;
}

/* The first value ends the search. */
static bool
table_has_values(Relation rel, AttrNumber attnum)
{
	TableScanDesc scan = table_beginscan(rel, SnapshotSelf, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		found = false;

	while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		found = !slot_attisnull(slot, attnum);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return found;
}

/*
 * A column is about to be dropped.  Partitions lose it one by one, before their
 * root: the first one that has values in it stands for all.
 */
static void
warn_of_column(Oid relid, AttrNumber attnum)
{
	Relation	rel = RelationIdGetRelation(relid);
	SgKeepLabel *label = NULL;
	Form_pg_attribute att;

	if (rel == NULL)
		return;
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (rel->rd_rel->relkind == RELKIND_RELATION && att->attgenerated == '\0')
		label = keeping_label(rel);
	if (label != NULL)
	{
		char	   *name = pstrdup(NameStr(att->attname));
		SgKeptRelation *root = sg_kept_relation(label, sg_keep_root(relid));
		AttrNumber	column = get_attnum(root->relid, name);

		if (root->dropped != column && column_existed_before(relid, attnum) &&
			table_has_values(rel, attnum))
		{
			root->dropped = column;
			ereport(WARNING,
					errmsg("column \"%s\" of table \"%s\" is dropped while rows of the table are kept",
						   name, get_rel_name(root->relid)),
					errdetail("Its values in rows that have not been changed under the label \"%s\" are not kept.",
							  label->label),
					errhint("To be able to restore them, set the column to null with UPDATE first, or drop it in a later transaction."),
					errtablecol(rel, attnum));
		}
	}
	RelationClose(rel);
}

/*
 * Something is about to happen to a relation, or has been created.  "altering":
 * by ALTER TABLE, since CLUSTER rewrites a table too, but leaves its rows as
 * they are.
 */
void
sg_keep_access(ObjectAccessType access, Oid relid, int column, bool altering)
{
	if (column != 0)
	{
		if (access == OAT_DROP && column > 0)
			warn_of_column(relid, column);
	}
	else if (access == OAT_TRUNCATE)
		refuse(relid, "truncate",
			   "Delete its rows with DELETE, or truncate it in another transaction.");
	else if (access == OAT_DROP)
		refuse(relid, "drop", "Drop it in another transaction.");
	else if (access == OAT_POST_CREATE && altering)
	{
		Oid			rewritten = rewritten_table(relid);

		if (OidIsValid(rewritten))
			refuse(rewritten, "rewrite",
				   "Alter it in another transaction, or add a column, fill it with UPDATE and drop the old one later.");
	}
}
