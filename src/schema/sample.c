/*-------------------------------------------------------------------------
 *
 * sample.c
 *		Some rows of a table, to sort out what cannot be a key.
 *
 * Two rows that are equal in some columns prove that these are not unique, so
 * what a sample excludes is excluded for good.  Values are kept as hashes of
 * 64 bits, which is little memory whatever the table holds; that two values
 * of a sample share one is less likely than a fault of the machine.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "schema/keys.h"

/* rows of a sample, within work_mem */
#define MAX_ROWS	20000
#define MIN_ROWS	1000

typedef struct SampleReceiver
{
	DestReceiver pub;			/* MUST BE FIRST */
	SgSample   *sample;
	FmgrInfo  **hash;			/* by column; NULL: hash its text */
	FmgrInfo   *output;			/* by column, where its text is hashed */
	const SgKeyColumn *columns;
	MemoryContext row_context;
} SampleReceiver;

/* A number for a value; equal values have the same. */
static uint64
hash_value(SampleReceiver *receiver, int n, Datum value)
{
	uint64		hash;

	if (receiver->hash[n] != NULL)
		hash = DatumGetUInt64(FunctionCall2Coll(receiver->hash[n],
												receiver->columns[n].collation,
												value, Int64GetDatum(0)));
	else
	{
		/* equal texts are equal values; the other way round is not needed */
		char	   *text = OutputFunctionCall(&receiver->output[n], value);

		hash = hash_bytes_extended((const unsigned char *) text,
								   strlen(text), 0);
	}
	return hash == 0 ? 1 : hash;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	SampleReceiver *receiver = (SampleReceiver *) self;
	SgSample   *sample = receiver->sample;
	uint64	   *row = sample->values + (Size) sample->nrows * sample->ncols;
	MemoryContext old;

	if (sample->nrows == sample->max_rows)
		return false;
	slot_getallattrs(slot);
	old = MemoryContextSwitchTo(receiver->row_context);
	for (int i = 0; i < sample->ncols; i++)
	{
		row[i] = 0;
		if (slot->tts_isnull[i])
			continue;
		if (receiver->columns[i].typlen == -1 &&
			toast_raw_datum_size(slot->tts_values[i]) > BLCKSZ)
			sample->too_wide[i] = true;
		if (!sample->too_wide[i])
			row[i] = hash_value(receiver, i, slot->tts_values[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_context);
	sample->nrows++;
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

static void
look_up_functions(SampleReceiver *receiver, int ncols)
{
	receiver->hash = palloc0(ncols * sizeof(FmgrInfo *));
	receiver->output = palloc0(ncols * sizeof(FmgrInfo));
	for (int i = 0; i < ncols; i++)
	{
		Oid			type = receiver->columns[i].type;
		TypeCacheEntry *entry = lookup_type_cache(type,
												  TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		Oid			output;
		bool		varlena;

		if (OidIsValid(entry->hash_extended_proc_finfo.fn_oid))
			receiver->hash[i] = &entry->hash_extended_proc_finfo;
		else
		{
			getTypeOutputInfo(type, &output, &varlena);
			fmgr_info(output, &receiver->output[i]);
		}
	}
}

static int
compare_values(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* How many values each column has, and what share of NULLs. */
static void
count_values(SgSample *sample)
{
	uint64	   *values = palloc(Max(sample->nrows, 1) * sizeof(uint64));

	sample->distinct = palloc0(sample->ncols * sizeof(double));
	sample->nulls = palloc0(sample->ncols * sizeof(double));
	for (int i = 0; i < sample->ncols && sample->nrows > 0; i++)
	{
		int			nulls = 0;

		for (int j = 0; j < sample->nrows; j++)
			values[j] = sample->values[(Size) j * sample->ncols + i];
		qsort(values, sample->nrows, sizeof(uint64), compare_values);
		for (int j = 0; j < sample->nrows; j++)
		{
			if (values[j] == 0)
				nulls++;
			else if (j == 0 || values[j] != values[j - 1])
				sample->distinct[i]++;
		}
		sample->nulls[i] = (double) nulls / sample->nrows;
	}
	pfree(values);
}

/*
 * Take a sample of a relation that has about so many rows (less than 0: not
 * known).  Blocks from all over a large table; the first rows of what cannot
 * be sampled.
 */
SgSample *
sg_sample(Relation rel, int ncols, const SgKeyColumn *columns, double rows)
{
	SampleReceiver receiver = {{0}};
	SgSample   *sample = palloc0(sizeof(SgSample));
	Size		fit = (Size) work_mem * 1024 / (ncols * sizeof(uint64));
	char	   *sql = sg_select_columns(rel, ncols, columns, false);
	double		percent;

	sample->ncols = ncols;
	sample->max_rows = Max(MIN_ROWS, Min(MAX_ROWS, (int) Min(fit, MAX_ROWS)));
	sample->too_wide = palloc0(ncols * sizeof(bool));
	sample->values = palloc((Size) sample->max_rows * ncols * sizeof(uint64));
	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = receive_startup;
	receiver.pub.rShutdown = receive_nothing;
	receiver.pub.rDestroy = receive_nothing;
	receiver.pub.mydest = DestNone;
	receiver.sample = sample;
	receiver.columns = columns;
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "safeguard row",
												 ALLOCSET_SMALL_SIZES);
	look_up_functions(&receiver, ncols);

	percent = rows > 0 ? 150.0 * sample->max_rows / rows : 100.0;
	if (percent < 50.0 && rel->rd_rel->relkind != RELKIND_VIEW &&
		rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		sg_run_select(psprintf("%s TABLESAMPLE pg_catalog.system (%g) REPEATABLE (0)",
							   sql, percent), &receiver.pub);
	/* the estimate may have been wrong by far */
	if (sample->nrows < MIN_ROWS)
	{
		sample->nrows = 0;
		sg_run_select(psprintf("%s LIMIT %d", sql, sample->max_rows),
					  &receiver.pub);
		sample->complete = sample->nrows < sample->max_rows;
	}
	MemoryContextDelete(receiver.row_context);
	count_values(sample);
	return sample;
}

/*
 * Are these columns unique in the sample, apart from rows with a NULL in one
 * of them?
 */
bool
sg_sample_is_unique(const SgSample *sample, int nset, const int *set)
{
	uint32		size = 16;
	uint64	   *seen;
	double		possible = 1;
	bool		unique = true;

	/* fewer values than rows: no need to look */
	for (int i = 0; i < nset; i++)
		possible *= sample->distinct[set[i]] + (sample->nulls[set[i]] > 0 ?
												sample->nrows : 0);
	if (possible < sample->nrows)
		return false;

	while (size < 2 * (uint32) sample->nrows)
		size *= 2;
	seen = palloc0(size * sizeof(uint64));
	for (int row = 0; row < sample->nrows && unique; row++)
	{
		uint64	   *values = sample->values + (Size) row * sample->ncols;
		uint64		hash = 0;
		uint32		slot;
		bool		null = false;

		for (int i = 0; i < nset && !null; i++)
		{
			null = values[set[i]] == 0;
			hash = hash_combine64(hash, values[set[i]]);
		}
		if (null)
			continue;
		if (hash == 0)
			hash = 1;
		for (slot = hash & (size - 1); seen[slot] != 0 && unique;
			 slot = (slot + 1) & (size - 1))
			unique = seen[slot] != hash;
		seen[slot] = hash;
	}
	pfree(seen);
	return unique;
}
