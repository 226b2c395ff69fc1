/*-------------------------------------------------------------------------
 *
 * write.c
 *		Writes the images of rows into the table that keeps them.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "rows/rows.h"

/* rows that are written at once */
#define BATCH_ROWS		500
#define BATCH_BYTES		(1024 * 1024)

/* Where the images of one table go under one label. */
struct SgKeepWriter
{
	SgKeepLabel *label;
	Relation	kept;
	AttrNumber *from;			/* of each column; 0: not of the relation */
	TupleTableSlot *slots[BATCH_ROWS];
	int			nslots;
	Size		bytes;
	BulkInsertState bistate;
	MemoryContext work;			/* reset when the batch is written */
};

/*
 * Which column of the table that was written to is kept where: by name.
 */
static AttrNumber *
map_columns(Relation kept, Relation rel)
{
	TupleDesc	to = RelationGetDescr(kept);
	TupleDesc	from = RelationGetDescr(rel);
	AttrNumber *map = palloc0(to->natts * sizeof(AttrNumber));

	for (int i = SG_KEPT_COLUMNS; i < to->natts; i++)
	{
		/* almost always in the same order */
		for (int n = 0; n < from->natts; n++)
		{
			int			j = (i - SG_KEPT_COLUMNS + n) % from->natts;
			Form_pg_attribute att = TupleDescAttr(from, j);

			if (!att->attisdropped &&
				strcmp(NameStr(att->attname),
					   NameStr(TupleDescAttr(to, i)->attname)) == 0)
			{
				map[i] = att->attnum;
				break;
			}
		}
	}
	return map;
}

/*
 * Begin to keep rows of a relation, or of a partition of it.
 */
SgKeepWriter *
sg_keep_writer_open(SgKeepLabel *label, Relation rel)
{
	Oid			root = sg_keep_root(RelationGetRelid(rel));
	SgKeepWriter *writer = palloc0(sizeof(SgKeepWriter));

	writer->label = label;
	writer->kept = sg_kept_open(label, sg_kept_relation(label, root));
	writer->from = map_columns(writer->kept, rel);
	writer->bistate = GetBulkInsertState();
	writer->work = AllocSetContextCreate(CurrentMemoryContext,
										 "safeguard kept rows",
										 ALLOCSET_DEFAULT_SIZES);
	return writer;
}

/*
 * Nobody who subscribes to all tables has this one, and would get no further:
 * logical decoding is told nothing of its rows.  The server does not do that
 * for many rows at once.
 */
static void
insert_unpublished(SgKeepWriter *writer)
{
	CommandId	cid = GetCurrentCommandId(true);

	for (int i = 0; i < writer->nslots; i++)
		table_tuple_insert(writer->kept, writer->slots[i], cid,
						   TABLE_INSERT_NO_LOGICAL, writer->bistate);
}

static void
writer_flush(SgKeepWriter *writer)
{
	MemoryContext caller;

	if (writer->nslots == 0)
		return;
	caller = MemoryContextSwitchTo(writer->work);
	if (XLogLogicalInfoActive())
		insert_unpublished(writer);
	else
		table_multi_insert(writer->kept, writer->slots, writer->nslots,
						   GetCurrentCommandId(true), 0, writer->bistate);
	MemoryContextSwitchTo(caller);
	for (int i = 0; i < writer->nslots; i++)
		ExecClearTuple(writer->slots[i]);
	MemoryContextReset(writer->work);
	writer->nslots = 0;
	writer->bytes = 0;
}

static void
write_image(SgKeepWriter *writer, TupleTableSlot *row, CommandId command, char image)
{
	TupleDesc	desc = RelationGetDescr(writer->kept);
	TupleTableSlot *slot = writer->slots[writer->nslots];

	if (slot == NULL)
		slot = writer->slots[writer->nslots] =
			MakeSingleTupleTableSlot(desc, table_slot_callbacks(writer->kept));
	slot_getallattrs(row);
	ExecClearTuple(slot);
	slot->tts_values[SG_KEPT_CHANGE - 1] = Int64GetDatum(writer->label->changes);
	slot->tts_values[SG_KEPT_STATEMENT - 1] = Int64GetDatum((int64) command);
	slot->tts_values[SG_KEPT_IMAGE - 1] = CharGetDatum(image);
	memset(slot->tts_isnull, false, SG_KEPT_COLUMNS * sizeof(bool));
	for (int i = SG_KEPT_COLUMNS; i < desc->natts; i++)
	{
		AttrNumber	from = writer->from[i];

		slot->tts_isnull[i] = from == 0 || row->tts_isnull[from - 1];
		slot->tts_values[i] = slot->tts_isnull[i] ? (Datum) 0 :
			row->tts_values[from - 1];
	}
	ExecStoreVirtualTuple(slot);

	/* what it points to is gone with the next row */
	ExecMaterializeSlot(slot);
	writer->bytes += ExecFetchSlotHeapTuple(slot, true, NULL)->t_len;
	writer->nslots++;
	if (writer->nslots == BATCH_ROWS || writer->bytes > BATCH_BYTES)
		writer_flush(writer);
}

/*
 * Keep one change: of a row that was updated both images, of one that was
 * deleted the old one, of one that was inserted the new one.
 */
void
sg_keep_write(SgKeepWriter *writer, TupleTableSlot *old, TupleTableSlot *new,
			  CommandId command)
{
	if (old == NULL && !writer->label->inserts)
		return;
	writer->label->changes++;
	if (old != NULL)
		write_image(writer, old, command,
					new != NULL ? SG_IMAGE_OLD : SG_IMAGE_DELETED);
	if (new != NULL)
		write_image(writer, new, command,
					old != NULL ? SG_IMAGE_NEW : SG_IMAGE_INSERTED);
}

/*
 * Keep what has become of a row that was inserted under the label: what is
 * done to it next finds its old image there, and cancels it out.
 */
void
sg_keep_write_added(SgKeepWriter *writer, TupleTableSlot *new,
					CommandId command)
{
	writer->label->changes++;
	write_image(writer, new, command, SG_IMAGE_ADDED);
}

void
sg_keep_writer_close(SgKeepWriter *writer)
{
	writer_flush(writer);
	for (int i = 0; i < BATCH_ROWS && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	FreeBulkInsertState(writer->bistate);
	MemoryContextDelete(writer->work);
	table_close(writer->kept, NoLock);
	pfree(writer);
}
