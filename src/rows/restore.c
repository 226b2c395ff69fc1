/*-------------------------------------------------------------------------
 *
 * restore.c
 *		safeguard.restore_rows(): puts kept rows back.
 *
 * All or nothing, in the transaction of the caller and with the caller's rights.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "migrate/migrate.h"
#include "rows/restore.h"
#include "safeguard.h"

/* rows that are read at once */
#define BATCH_ROWS		500

PG_FUNCTION_INFO_V1(sg_restore_rows);

/* ---------------- restoring ---------------- */

static bool
is_refusal(char act)
{
	return act != SG_ACT_UPDATE && act != SG_ACT_DELETE &&
		act != SG_ACT_REMOVE && act != SG_ACT_INSERT;
}

/* Is a row put back by this?  One that another has become is no row by itself. */
static bool
counts(char act)
{
	return act != SG_ACT_DELETE && act != SG_ACT_MOVED && act != SG_ACT_LOST;
}

/*
 * Without a key nobody can tell whether a deleted row is there again: a second
 * call would insert it twice.
 */
static void
check_again(const SgRestore *restore, const SgRestoreTarget *target, char act)
{
	if (act != SG_ACT_INSERT || !target->again || restore->force ||
		OidIsValid(target->query->key))
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("the rows of table \"%s\" of \"%s\" have been put back already",
				   RelationGetRelationName(target->rel), restore->label),
			errdetail("The table has no key that tells whether those that were deleted are there."),
			errhint("To insert them once more: SELECT safeguard.restore_rows(%s, force => true).",
					quote_literal_cstr(restore->label)),
			errtable(target->rel));
}

static void
restore_batch(SgRestore *restore, SgRestoreTarget *target)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;
		char		act = DatumGetChar(SPI_getbinval(row, desc, SG_QUERY_ACT,
													 &isnull));

		CHECK_FOR_INTERRUPTS();
		check_again(restore, target, act);
		if (is_refusal(act))
			sg_restore_refuse(restore, target, act, row, desc);

		/* when there will be an error, only count */
		if (restore->refused > 0 && !restore->force)
			continue;
		sg_restore_row(target, act, row, desc);

		if (counts(act))
			restore->restored++;
	}
}

/*
 * The cursor of a query.
 */
static Portal
open_query(const SgRestoreQuery *query, int64 first, int64 last)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[2];
	int			nestlevel = NewGUCNestLevel();
	SPIPlanPtr	plan;
	Portal		portal;

	/* to compile it takes longer than to run it */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	values[0] = Int64GetDatum(first);
	values[1] = Int64GetDatum(last);
	plan = SPI_prepare(query->sql, lengthof(types), types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s",
			 SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, values, NULL, false);
	AtEOXact_GUC(true, nestlevel);
	return portal;
}

static SgRestoreQuery *
query_of(SgRestoreTarget *target, Oid relid)
{
	Relation	kept = table_open(relid, AccessShareLock);
	const SgKeptTable *table = NULL;
	SgRestoreQuery *query;
	ListCell   *lc;

	foreach(lc, target->kept)
	{
		if (((const SgKeptTable *) lfirst(lc))->relid == relid)
			table = lfirst(lc);
	}
	query = sg_restore_query(target->rel, kept, table);
	table_close(kept, NoLock);
	return query;
}

/*
 * Undo the changes of one run.
 */
static void
restore_run(SgRestore *restore, SgRestoreTarget *target, const SgKeptRun *run)
{
	SgRestoreQuery *query = query_of(target, run->kept);
	Portal		portal;

	sg_restore_pass_begin(target, query);
	portal = open_query(query, run->first, run->last);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		if (SPI_processed == 0)
			break;
		restore_batch(restore, target);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	sg_restore_pass_end(target);
}

/*
 * A row may have been put back by several runs: count what has become of all of
 * them.
 */
static int64
count_rows(SgKeepLabel *label, SgRestoreTarget *target)
{
	Oid			kept = sg_kept_relation(label, RelationGetRelid(target->rel))->kept;
	Portal		portal;
	int64		rows = 0;

	if (!OidIsValid(kept))
		return 0;
	portal = open_query(query_of(target, kept), 0, PG_INT64_MAX);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			char		act = DatumGetChar(SPI_getbinval(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc,
														 SG_QUERY_ACT, &isnull));

			if (counts(act))
				rows++;
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return rows;
}

static void
restore_relation(SgRestore *restore, SgKeepLabel *label,
				 SgRestoreTarget *target, List *kept)
{
	List	   *runs = sg_kept_runs(kept);
	int64		before = restore->restored;
	ListCell   *lc;

	target->kept = kept;
	foreach(lc, kept)
		target->again |= ((const SgKeptTable *) lfirst(lc))->restored;
	foreach(lc, runs)
	{
		restore_run(restore, target, lfirst(lc));
		if (restore->refused > 0 && !restore->force)
			return;
	}
	if (list_length(runs) > 1)
		restore->restored = before + count_rows(label, target);
}

/*
 * Put all relations back, and keep what that changes under a label of its own,
 * which is returned.
 */
static char *
restore_all(SgRestore *restore, List *rels, List *kept)
{
	char	   *name = sg_restore_label(restore->label);
	SgKeepLabel *label = sg_keep_begin(name, false, true);
	EState	   *estate;
	ListCell   *lc;
	int			i = 0;

	foreach(lc, rels)
		sg_keep_relation(label, RelationGetRelid((Relation) lfirst(lc)));
	SPI_connect();
	estate = sg_restore_begin(rels, &restore->targets);
	foreach(lc, restore->targets)
		restore_relation(restore, label, lfirst(lc), list_nth(kept, i++));
	sg_restore_report(restore);
	sg_restore_end(estate, restore->targets);
	SPI_finish();
	sg_keep_end(label);

	/* it moves rows by inserting them */
	sg_keep_since();
	return name;
}

static void
note_restored(const SgRestore *restore, List *kept)
{
	Oid			types[] = {TEXTOID};
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, kept)
	{
		foreach(lc2, (List *) lfirst(lc))
		{
			const SgKeptTable *table = lfirst(lc2);
			Datum		params[1];

			params[0] = CStringGetTextDatum(table->name);
			(void) sg_migration_write("UPDATE safeguard.kept SET restored_at = "
									  "pg_catalog.clock_timestamp() "
									  "WHERE kept_table::pg_catalog.text OPERATOR(pg_catalog.=) $1",
									  1, types, params, NULL, NULL);
		}
	}
}

/*
 * restore_rows(label text, relation regclass, force bool) → number of rows
 */
Datum
sg_restore_rows(PG_FUNCTION_ARGS)
{
	SgRestore	restore = {0};
	List	   *rels;
	List	   *kept;
	ListCell   *lc;
	char	   *name;

	sg_require_argument(fcinfo, 0, "label");
	sg_require_argument(fcinfo, 2, "force");
	restore.label = text_to_cstring(PG_GETARG_TEXT_PP(0));
	restore.force = PG_GETARG_BOOL(2);
	restore.context = CurrentMemoryContext;
	PreventCommandDuringRecovery("safeguard.restore_rows()");
	PreventCommandIfReadOnly("safeguard.restore_rows()");
	PreventCommandIfParallelMode("safeguard.restore_rows()");

	sg_restore_check_label(&restore);
	sg_keep_lock(restore.label);
	rels = sg_restore_relations(&restore,
								PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
								&kept);
	name = restore_all(&restore, rels, kept);
	note_restored(&restore, kept);
	foreach(lc, rels)
		table_close((Relation) lfirst(lc), NoLock);
	if (restore.restored > 0)
		ereport(NOTICE,
				errmsg("what was there before is kept under the label \"%s\"",
					   name));
	PG_RETURN_INT64(restore.restored);
}
