/*-------------------------------------------------------------------------
 *
 * family.c
 *		Keys of relations that the target of an ON CONFLICT descends from, or
 *		that descend from it.
 *
 * Somebody has made the key, but not where it counts.  The catalogs are read
 * without a lock on these relations, which the statement would not take.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "safeguard.h"
#include "upsert/arbiter.h"

/* No more relatives than these are asked. */
#define MAX_RELATIVES 100

/* Is an index a total unique key on the columns that ON CONFLICT names? */
static bool
is_such_key(SgArbitration *arb, Form_pg_index form, HeapTuple tuple)
{
	int			nfound = 0;

	if (!form->indisunique || form->indisexclusion || !form->indisvalid ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	att = form->indkey.values[i];
		char	   *name = att > 0 ?
			get_attname(form->indrelid, att, true) : NULL;
		AttrNumber	own = name != NULL ?
			get_attnum(arb->relid, name) : InvalidAttrNumber;

		if (own == InvalidAttrNumber || !bms_is_member(own, arb->attnums))
			return false;
		nfound++;
	}
	return nfound == bms_num_members(arb->attnums);
}

/* Has a relation such a key? */
static bool
has_such_key(SgArbitration *arb, Oid relid)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1,
							  &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = is_such_key(arb, (Form_pg_index) GETSTRUCT(tuple), tuple);
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
	return found;
}

/* May the user read the columns of a relative that ON CONFLICT names? */
static bool
relative_is_readable(SgArbitration *arb, Oid relid)
{
	List	   *reads = NIL;
	int			att = -1;

	while ((att = bms_next_member(arb->attnums, att)) >= 0)
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));
		char	   *name = get_attname(arb->relid, att, false);

		ref->relid = relid;
		ref->attnum = get_attnum(relid, name);
		if (ref->attnum == InvalidAttrNumber)
			return false;
		reads = lappend(reads, ref);
	}
	return sg_columns_are_readable(reads);
}

static char *
first_with_key(SgArbitration *arb, List *relids)
{
	int			n = 0;
	ListCell   *lc;

	if (!arb->plain || arb->attnums == NULL)
		return NULL;
	foreach(lc, relids)
	{
		if (n++ == MAX_RELATIVES)
			break;
		if (has_such_key(arb, lfirst_oid(lc)) &&
			relative_is_readable(arb, lfirst_oid(lc)))
			return get_rel_name(lfirst_oid(lc));
	}
	return NULL;
}

/*
 * The name of a partition or child of the target that has the key which the
 * target lacks, or NULL.
 */
char *
sg_child_with_key(SgArbitration *arb)
{
	if (!arb->rel->rd_rel->relhassubclass)
		return NULL;
	return first_with_key(arb, find_inheritance_children(arb->relid, NoLock));
}

/*
 * The name of an inheritance parent that has it, or NULL.  A partition has the
 * keys of its parent.
 */
char *
sg_parent_with_key(SgArbitration *arb)
{
	Relation	pg_inherits;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *parents = NIL;

	if (arb->rel->rd_rel->relispartition)
		return NULL;
	pg_inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(arb->relid));
	scan = systable_beginscan(pg_inherits, InheritsRelidSeqnoIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents,
							  ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(pg_inherits, AccessShareLock);
	return first_with_key(arb, parents);
}

/* ---------------- partition keys ---------------- */

/*
 * Adds the names of the columns by which one relation is partitioned.
 */
static List *
add_partition_key(List *names, Oid relid, bool *expression)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Form_pg_partitioned_table form;

	if (!HeapTupleIsValid(tuple))
		return names;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	for (int i = 0; i < form->partnatts; i++)
	{
		AttrNumber	att = form->partattrs.values[i];

		if (att == 0)
			*expression = true;
		else
			names = lappend(names, get_attname(relid, att, false));
	}
	ReleaseSysCache(tuple);
	return names;
}

/*
 * Columns by which a partitioned table, and partitioned tables below it, are
 * partitioned, by number of the target's own; what a unique key has to have.
 * Sets *expression if one of them is partitioned by an expression, which rules
 * a unique key out.
 */
Bitmapset *
sg_partition_columns(SgArbitration *arb, bool *expression)
{
	List	   *pending = list_make1_oid(arb->relid);
	Bitmapset  *columns = NULL;

	*expression = false;
	for (int n = 0; n < list_length(pending) && n < MAX_RELATIVES; n++)
	{
		Oid			relid = list_nth_oid(pending, n);
		ListCell   *lc;

		foreach(lc, add_partition_key(NIL, relid, expression))
		{
			AttrNumber	att = get_attnum(arb->relid, lfirst(lc));

			if (att > 0)
				columns = bms_add_member(columns, att);
		}
		foreach(lc, find_inheritance_children(relid, NoLock))
		{
			if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
				pending = lappend_oid(pending, lfirst_oid(lc));
		}
	}
	return columns;
}
