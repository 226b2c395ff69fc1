/*-------------------------------------------------------------------------
 *
 * count.c
 *		Counts the rows of each key in one pass.
 *
 * The server sorts the columns (in work_mem and temporary files, or by an
 * index) and hands over row by row; a key's rows come one after the other, so
 * that one key and a small sample are all there is in memory.  Rows with a
 * NULL belong to no key, as in a unique index.
 *
 * Where statistics promise few keys, the server counts the rows of each: by
 * hash, and in parallel.  For 10 values in three million rows that took half of
 * the time that sorting takes.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "schema/keys.h"

/* keys are few if there are so many rows of each, as statistics have it */
#define FEW_KEYS	8

typedef struct KeyReceiver
{
	DestReceiver pub;			/* MUST BE FIRST */
	int			ncols;
	const SgKeyColumn *columns;
	bool		first_only;		/* stop at the first duplicate */
	bool		grouped;		/* a row is a key; its number of rows follows */
	SgKeyCount *count;
	int64		key_rows;		/* of the current key; 0: there is none yet */
	Datum	   *key;			/* in key_context */
	MemoryContext result_context;
	MemoryContext key_context;
	MemoryContext row_context;	/* for what comparing leaves behind */
} KeyReceiver;

static bool
is_current_key(KeyReceiver *receiver, const Datum *values)
{
	for (int i = 0; i < receiver->ncols; i++)
	{
		const SgKeyColumn *column = &receiver->columns[i];

		if (column->typbyval && receiver->key[i] == values[i])
			continue;
		if (!DatumGetBool(FunctionCall2Coll(column->equal, column->collation,
											receiver->key[i], values[i])))
			return false;
	}
	return true;
}

/* Keep a key's values in the current context, with nothing left in TOAST. */
static void
copy_values(KeyReceiver *receiver, const Datum *from, Datum *to)
{
	for (int i = 0; i < receiver->ncols; i++)
	{
		const SgKeyColumn *column = &receiver->columns[i];

		if (column->typlen == -1)
			to[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(from[i]));
		else
			to[i] = datumCopy(from[i], column->typbyval, column->typlen);
	}
}

/* Put the current key where it belongs in the sample, if it does. */
static void
add_to_sample(KeyReceiver *receiver)
{
	SgKeyCount *count = receiver->count;
	int			n = count->nsample;
	Datum	   *values = NULL;
	MemoryContext old;

	if (n == SG_KEY_SAMPLE)
	{
		n--;
		if (count->sample[n].rows >= receiver->key_rows)
			return;
		values = count->sample[n].values;
		for (int i = 0; i < receiver->ncols; i++)
			if (!receiver->columns[i].typbyval)
				pfree(DatumGetPointer(values[i]));
	}
	else
		count->nsample++;

	old = MemoryContextSwitchTo(receiver->result_context);
	if (values == NULL)
		values = palloc(receiver->ncols * sizeof(Datum));
	copy_values(receiver, receiver->key, values);
	MemoryContextSwitchTo(old);

	/* equal numbers stay in the order of the keys */
	for (; n > 0 && count->sample[n - 1].rows < receiver->key_rows; n--)
		count->sample[n] = count->sample[n - 1];
	count->sample[n].rows = receiver->key_rows;
	count->sample[n].values = values;
}

/* The rows of the current key are complete. */
static void
finish_key(KeyReceiver *receiver)
{
	SgKeyCount *count = receiver->count;

	if (receiver->key_rows == 0)
		return;
	count->distinct_keys++;
	if (receiver->key_rows > 1)
	{
		count->duplicate_keys++;
		count->surplus_rows += receiver->key_rows - 1;
		add_to_sample(receiver);
	}
}

static void
begin_key(KeyReceiver *receiver, const Datum *values)
{
	MemoryContext old;

	MemoryContextReset(receiver->key_context);
	old = MemoryContextSwitchTo(receiver->key_context);
	for (int i = 0; i < receiver->ncols; i++)
		receiver->key[i] = datumCopy(values[i], receiver->columns[i].typbyval,
									 receiver->columns[i].typlen);
	MemoryContextSwitchTo(old);
}

static bool
has_null(const TupleTableSlot *slot, int ncols)
{
	for (int i = 0; i < ncols; i++)
		if (slot->tts_isnull[i])
			return true;
	return false;
}

/* Takes one row; false ends the query. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	KeyReceiver *receiver = (KeyReceiver *) self;
	MemoryContext old;
	int64		rows = 1;
	bool		same = false;

	slot_getallattrs(slot);
	if (receiver->grouped)
		rows = DatumGetInt64(slot->tts_values[receiver->ncols]);
	receiver->count->rows += rows;
	if (has_null(slot, receiver->ncols))
	{
		receiver->count->null_rows += rows;
		return true;
	}
	if (receiver->key_rows > 0 && !receiver->grouped)
	{
		old = MemoryContextSwitchTo(receiver->row_context);
		same = is_current_key(receiver, slot->tts_values);
		MemoryContextSwitchTo(old);
		MemoryContextReset(receiver->row_context);
	}
	if (same)
	{
		receiver->key_rows++;
		return !receiver->first_only;
	}
	finish_key(receiver);
	begin_key(receiver, slot->tts_values);
	receiver->key_rows = rows;
	return true;
}

static void
receive_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
receive_nothing(DestReceiver *self)
{
}

/* ---------------- few keys ---------------- */

/* How many different values a column has in so many rows; 0: unknown. */
static double
distinct_values(Relation rel, AttrNumber attnum, double rows)
{
	bool		inherited = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH,
										ObjectIdGetDatum(RelationGetRelid(rel)),
										Int16GetDatum(attnum),
										BoolGetDatum(inherited));
	double		distinct;

	if (!HeapTupleIsValid(tuple))
		return 0;
	distinct = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
	ReleaseSysCache(tuple);
	return distinct < 0 ? -distinct * rows : distinct;
}

/*
 * Are the keys few, by the statistics?  Where they are not, or nobody knows,
 * sorting is faster than making a group of each.
 */
static bool
has_few_keys(Relation rel, int ncols, const SgKeyColumn *columns)
{
	double		rows = rel->rd_rel->reltuples;
	double		keys = FEW_KEYS;

	for (int i = 0; i < ncols; i++)
		keys *= distinct_values(rel, columns[i].attnum, rows);
	return keys > 0 && keys <= rows;
}

/* 1, 2, 3 */
static void
append_places(StringInfo sql, int n)
{
	for (int i = 0; i < n; i++)
		appendStringInfo(sql, "%s%d", i > 0 ? ", " : "", i + 1);
}

/* ---------------- a key ---------------- */

/*
 * Count a key, which must have comparable columns, in all rows of a relation;
 * with first_only no further than to the first duplicate, of which nothing
 * but its being there is to be used.
 */
void
sg_count_key(Relation rel, int ncols, const SgKeyColumn *columns,
			 bool first_only, SgKeyCount *count)
{
	KeyReceiver receiver = {{0}};
	StringInfoData sql;

	memset(count, 0, sizeof(*count));
	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = receive_startup;
	receiver.pub.rShutdown = receive_nothing;
	receiver.pub.rDestroy = receive_nothing;
	receiver.pub.mydest = DestNone;
	receiver.ncols = ncols;
	receiver.columns = columns;
	receiver.first_only = first_only;
	receiver.grouped = !first_only && has_few_keys(rel, ncols, columns);
	receiver.count = count;
	receiver.key = palloc(ncols * sizeof(Datum));
	receiver.result_context = CurrentMemoryContext;
	receiver.key_context = AllocSetContextCreate(CurrentMemoryContext,
												 "safeguard key",
												 ALLOCSET_DEFAULT_SIZES);
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "safeguard row",
												 ALLOCSET_SMALL_SIZES);

	initStringInfo(&sql);
	appendStringInfoString(&sql, sg_select_columns(rel, ncols, columns,
												   receiver.grouped));
	if (receiver.grouped)
	{
		appendStringInfoString(&sql, " GROUP BY ");
		append_places(&sql, ncols);
	}
	appendStringInfoString(&sql, " ORDER BY ");
	append_places(&sql, ncols);
	sg_run_select(sql.data, &receiver.pub);
	finish_key(&receiver);

	MemoryContextDelete(receiver.row_context);
	MemoryContextDelete(receiver.key_context);
}

/* ---------------- NULLs ---------------- */

typedef struct NumberReceiver
{
	DestReceiver pub;			/* MUST BE FIRST */
	int64		number;
} NumberReceiver;

static bool
receive_number(TupleTableSlot *slot, DestReceiver *self)
{
	slot_getallattrs(slot);
	((NumberReceiver *) self)->number = DatumGetInt64(slot->tts_values[0]);
	return true;
}

/* The rows with a NULL in any of the columns. */
int64
sg_count_nulls(Relation rel, int ncols, const AttrNumber *attnums)
{
	NumberReceiver receiver = {{0}};
	StringInfoData sql;

	receiver.pub.receiveSlot = receive_number;
	receiver.pub.rStartup = receive_startup;
	receiver.pub.rShutdown = receive_nothing;
	receiver.pub.rDestroy = receive_nothing;
	receiver.pub.mydest = DestNone;

	/* unlike IS NULL, this takes a row of NULLs for a value as an index does */
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE pg_catalog.num_nulls(",
					 sg_rows_of(rel));
	for (int i = 0; i < ncols; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(RelationGetRelid(rel),
													  attnums[i], false)));
	appendStringInfoString(&sql, ") OPERATOR(pg_catalog.>) 0");
	sg_run_select(sql.data, &receiver.pub);
	return receiver.number;
}
