/*-------------------------------------------------------------------------
 *
 * written.c
 *		Which migration a statement has written into a history table.
 *
 * The table is read once more, since only the row that is there tells what
 * defaults and triggers have made of it.  Such tables are small; of one that
 * is not, only the end is read.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "migrate/log.h"
#include "safeguard.h"

#define BLOCKS_READ		256

/*
 * A column as text.  Returns false if there is no such column, or it is NULL.
 */
static bool
column_text(HeapTuple tuple, TupleDesc desc, const char *name, char *to,
			Size size)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		bool		isnull;
		Datum		value;

		if (attr->attisdropped || strcmp(NameStr(attr->attname), name) != 0)
			continue;
		value = heap_getattr(tuple, i + 1, desc, &isnull);
		if (isnull)
			return false;
		switch (attr->atttypid)
		{
			case TEXTOID:
			case VARCHAROID:
				/* no more of a long one than is wanted */
				value = PointerGetDatum(PG_DETOAST_DATUM_SLICE(value, 0, size));
				sg_copy_text(to, TextDatumGetCString(value), size);
				return true;
			case INT4OID:
				snprintf(to, size, "%d", DatumGetInt32(value));
				return true;
			case INT8OID:
				snprintf(to, size, INT64_FORMAT, DatumGetInt64(value));
				return true;
			case BOOLOID:
				strlcpy(to, DatumGetBool(value) ? "true" : "false", size);
				return true;
			case NAMEOID:
				sg_copy_text(to, NameStr(*DatumGetName(value)), size);
				return true;
			default:
				return false;
		}
	}
	return false;
}

/*
 * The version as safeguard.migration_history shows it.
 */
static void
read_version(HeapTuple tuple, TupleDesc desc, const SgTool *tool,
			 SgWritten *written)
{
	char		app[SG_MIGRATION_NAME + 1];
	char		key[SG_MIGRATION_NAME + 1];

	written->version[0] = written->project[0] = '\0';
	if (!column_text(tuple, desc, tool->key, key, sizeof(key)) &&
		!column_text(tuple, desc, "created_at", key, sizeof(key)))
		return;
	if (strcmp(tool->name, "Django") == 0 &&
		column_text(tuple, desc, "app", app, sizeof(app)))
		sg_copy_text(written->version, psprintf("%s.%s", app, key),
					 sizeof(written->version));
	else
		strlcpy(written->version, key, sizeof(written->version));
	if (strcmp(tool->name, "Sqitch") == 0)
		column_text(tuple, desc, "project", written->project,
					sizeof(written->project));
}

/* Does the row say that its migration has failed? */
static bool
says_failed(HeapTuple tuple, TupleDesc desc, const SgTool *tool)
{
	char		value[NAMEDATALEN];

	return tool->failed_column != NULL &&
		column_text(tuple, desc, tool->failed_column, value, sizeof(value)) &&
		strcmp(value, tool->failed_value) == 0;
}

/* Has a command from "cid" on, of this transaction, made the row version? */
static bool
is_written(HeapTupleHeader tuple, CommandId cid)
{
	return !HeapTupleHeaderXminFrozen(tuple) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(tuple)) &&
		HeapTupleHeaderGetCmin(tuple) >= cid;
}

/* Or deleted it, and put no other in its place? */
static bool
is_deleted(HeapTuple tuple, CommandId cid)
{
	HeapTupleHeader header = tuple->t_data;

	return (header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		ItemPointerEquals(&tuple->t_self, &header->t_ctid) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(header)) &&
		HeapTupleHeaderGetCmax(header) >= cid;
}

/*
 * Look for what commands from "cid" on have written: the row that comes last,
 * or if there is none, one that was deleted.  The command tag says "processed".
 */
void
sg_history_written(Relation rel, const SgTool *tool, CommandId cid,
				   uint64 processed, SgWritten *written)
{
	TupleDesc	desc = RelationGetDescr(rel);
	BlockNumber blocks;
	TableScanDesc scan;
	HeapTuple	tuple;
	HeapTuple	last = NULL;

	memset(written, 0, sizeof(*written));
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
	{
		written->any = processed > 0;
		return;
	}
	blocks = RelationGetNumberOfBlocks(rel);
	scan = table_beginscan_strat(rel, SnapshotAny, 0, NULL, true, false);
	if (blocks > BLOCKS_READ)
		heap_setscanlimits(scan, blocks - BLOCKS_READ, BLOCKS_READ);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		bool		gone = is_deleted(tuple, cid);

		if (gone ? !written->any || written->removed :
			is_written(tuple->t_data, cid))
		{
			written->any = true;
			written->removed = gone;
			if (last != NULL)
				heap_freetuple(last);
			last = heap_copytuple(tuple);
		}
	}
	table_endscan(scan);
	if (last != NULL)
	{
		read_version(last, desc, tool, written);
		written->failed = !written->removed && says_failed(last, desc, tool);
	}

	/* perhaps in the part that was not read */
	if (blocks > BLOCKS_READ && processed > 0)
		written->any = true;
	/* what is applied is in the other table of the tool */
	if (tool->extra && !written->failed)
		written->any = false;
}
