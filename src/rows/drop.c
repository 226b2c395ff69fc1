/*-------------------------------------------------------------------------
 *
 * drop.c
 *		Kept rows that are not needed any more, and how many there are.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "migrate/migrate.h"
#include "rows/restore.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_drop_kept_rows);
PG_FUNCTION_INFO_V1(sg_kept_changes);

/* May the current user drop a table, or forget that there was one? */
static bool
may_drop(Oid relid, const char *kept_by)
{
	Oid			role;

	if (OidIsValid(relid))
		return sg_owns_relation(relid, GetUserId());
	role = get_role_oid(kept_by, true);
	return superuser() ||
		(OidIsValid(role) && has_privs_of_role(GetUserId(), role));
}

static void
drop_table(const char *label, const SgKeptTable *table)
{
	Oid			relid = table->relid;
	ObjectAddress object;

	if (!may_drop(relid, table->kept_by))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for rows that were kept under the label \"%s\"",
					   label),
				errdetail("They belong to the owner of the table that they were kept of."));
	if (!OidIsValid(relid))
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return;
	ObjectAddressSet(object, RelationRelationId, relid);
	performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

/*
 * drop_kept_rows(label text)
 */
Datum
sg_drop_kept_rows(PG_FUNCTION_ARGS)
{
	Oid			types[] = {TEXTOID};
	Datum		params[1];
	char	   *label;
	List	   *tables;
	ListCell   *lc;

	sg_require_argument(fcinfo, 0, "label");
	label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PreventCommandDuringRecovery("safeguard.drop_kept_rows()");
	PreventCommandIfReadOnly("safeguard.drop_kept_rows()");
	PreventCommandIfParallelMode("safeguard.drop_kept_rows()");
	for (SgKeepLabel *kept = sg_keep_labels; kept != NULL; kept = kept->next)
	{
		if (strcmp(kept->label, label) == 0)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("rows are being kept under the label \"%s\"", label),
					errhint("Drop them when the transaction is over."));
	}
	sg_keep_lock(label);
	tables = sg_kept_tables(label);
	if (tables == NIL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("no rows have been kept under the label \"%s\"", label),
				errhint("The view safeguard.kept_rows lists them."));
	foreach(lc, tables)
		drop_table(label, lfirst(lc));
	params[0] = CStringGetTextDatum(label);
	(void) sg_migration_write("DELETE FROM safeguard.kept "
							  "WHERE label OPERATOR(pg_catalog.=) $1",
							  1, types, params, NULL, NULL);
	PG_RETURN_VOID();
}

static int64
count_changes(Relation rel)
{
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int64		n = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		image = slot_getattr(slot, SG_KEPT_IMAGE, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (isnull || DatumGetChar(image) != SG_IMAGE_NEW)
			n++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return n;
}

/*
 * kept_changes(kept_table regclass) → number of changes, NULL for those who
 * do not own the table
 */
Datum
sg_kept_changes(PG_FUNCTION_ARGS)
{
	Relation	rel;
	int64		n = -1;

	if (!sg_owns_relation(PG_GETARG_OID(0), GetUserId()))
		PG_RETURN_NULL();
	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel == NULL)
		PG_RETURN_NULL();
	if (sg_is_kept_table(rel))
		n = count_changes(rel);
	relation_close(rel, AccessShareLock);
	if (n < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(n);
}
