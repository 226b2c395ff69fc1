/*-------------------------------------------------------------------------
 *
 * sketch.c
 *		How many different hashes have been seen.
 *
 * Exact as long as they are few, beyond that by the server's HyperLogLog. Its
 * estimate reads all registers, which takes longer than most statements, so
 * it is made anew when there is a 16th more to be told; in between the number
 * is known to lie within bounds.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "lib/hyperloglog.h"
#include "utils/memutils.h"

#include "upsert/upsert.h"

/* slots that a set begins with */
#define FIRST_SLOTS	32

/* hashes that a statement begins with: most have one row */
#define FIRST_HASHES	8

/* registers are read again when they have been told of so much more */
#define COUNT_AGAIN_AT(rows) ((rows) + (rows) / 16)

/* ---------------- registers ---------------- */

/*
 * A state of the server's that uses registers of ours.
 */
static hyperLogLogState *
state_of(const uint8 *registers)
{
	static hyperLogLogState state;
	static bool ready = false;

	if (!ready)
	{
		initHyperLogLog(&state, SG_SKETCH_BITS);
		freeHyperLogLog(&state);
		ready = true;
	}
	state.hashesArr = (uint8 *) registers;
	return &state;
}

/*
 * Tell registers of hashes.  May be called with a spinlock held, once any
 * SgHashes has been made.
 */
void
sg_registers_add(uint8 *registers, const uint64 *hashes, int n)
{
	hyperLogLogState *state = state_of(registers);

	for (int i = 0; i < n; i++)
		/* both halves: one alone is not even where columns are equal */
		addHyperLogLog(state, (uint32) (hashes[i] >> 32) ^ (uint32) hashes[i]);
}

/*
 * The number of different hashes that registers have seen, more or less.
 */
int64
sg_registers_count(const uint8 *registers)
{
	return (int64) rint(estimateHyperLogLog(state_of(registers)));
}

/* ---------------- one statement ---------------- */

void
sg_hashes_init(SgHashes *hashes, MemoryContext context)
{
	(void) state_of(NULL);
	hashes->n = 0;
	hashes->added = 0;
	hashes->size = FIRST_HASHES;
	hashes->registers = NULL;
	hashes->context = context;
	hashes->values = MemoryContextAlloc(context,
										FIRST_HASHES * sizeof(uint64));
}

/*
 * Add a hash for which there is no room.
 */
void
sg_hashes_grow(SgHashes *hashes, uint64 hash)
{
	if (hashes->size > 0 && hashes->size < SG_EXACT_HASHES)
	{
		hashes->size = Min(hashes->size * 8, SG_EXACT_HASHES);
		hashes->values = repalloc(hashes->values,
								  hashes->size * sizeof(uint64));
		hashes->values[hashes->n++] = hash;
		return;
	}
	if (hashes->registers == NULL)
	{
		hashes->registers = MemoryContextAllocZero(hashes->context,
												   SG_SKETCH_REGISTERS);
		sg_registers_add(hashes->registers, hashes->values, hashes->n);
		hashes->added = hashes->n;
		hashes->n = hashes->size = 0;
	}
	sg_registers_add(hashes->registers, &hash, 1);
	hashes->added++;
}

/* ---------------- many statements ---------------- */

void
sg_sketch_init(SgSketch *sketch, MemoryContext context)
{
	memset(sketch, 0, sizeof(*sketch));
	sketch->context = context;
}

void
sg_sketch_free(SgSketch *sketch)
{
	if (sketch->slots != NULL)
		pfree(sketch->slots);
	if (sketch->registers != NULL)
		pfree(sketch->registers);
	sg_sketch_init(sketch, sketch->context);
}

/* Put a hash, not zero, into slots that have a free one. */
static bool
put_into(uint64 *slots, int size, uint64 hash)
{
	uint32		i = (uint32) hash & (size - 1);

	while (slots[i] != 0)
	{
		if (slots[i] == hash)
			return false;
		i = (i + 1) & (size - 1);
	}
	slots[i] = hash;
	return true;
}

static void
more_slots(SgSketch *sketch)
{
	int			size = sketch->size == 0 ? FIRST_SLOTS : sketch->size * 2;
	uint64	   *slots = MemoryContextAllocZero(sketch->context,
											   size * sizeof(uint64));

	for (int i = 0; i < sketch->size; i++)
	{
		if (sketch->slots[i] != 0)
			put_into(slots, size, sketch->slots[i]);
	}
	if (sketch->slots != NULL)
		pfree(sketch->slots);
	sketch->slots = slots;
	sketch->size = size;
}

static void
set_to_registers(SgSketch *sketch)
{
	sketch->registers = MemoryContextAllocZero(sketch->context,
											   SG_SKETCH_REGISTERS);
	for (int i = 0; i < sketch->size; i++)
	{
		if (sketch->slots[i] != 0)
			sg_registers_add(sketch->registers, &sketch->slots[i], 1);
	}
	if (sketch->slots != NULL)
		pfree(sketch->slots);
	sketch->slots = NULL;
	sketch->size = sketch->n = 0;
}

static void
add_hash(SgSketch *sketch, uint64 hash)
{
	if (sketch->registers == NULL && sketch->n >= SG_EXACT_HASHES)
		set_to_registers(sketch);
	if (sketch->registers != NULL)
	{
		sg_registers_add(sketch->registers, &hash, 1);
		return;
	}
	if (sketch->n * 2 >= sketch->size)
		more_slots(sketch);
	if (put_into(sketch->slots, sketch->size, hash == 0 ? 1 : hash))
		sketch->n++;
}

/*
 * Add what a statement has seen.
 */
void
sg_sketch_add(SgSketch *sketch, const SgHashes *hashes)
{
	if (hashes->registers == NULL)
	{
		for (int i = 0; i < hashes->n; i++)
			add_hash(sketch, hashes->values[i]);
		sketch->added += hashes->n;
		return;
	}
	if (sketch->registers == NULL)
		set_to_registers(sketch);
	for (int i = 0; i < SG_SKETCH_REGISTERS; i++)
		sketch->registers[i] = Max(sketch->registers[i],
								   hashes->registers[i]);
	sketch->added += hashes->added;
}

/*
 * How many there are, as well as it can be told.
 */
int64
sg_sketch_now(SgSketch *sketch)
{
	if (sketch->registers == NULL)
		return sketch->n;
	if (sketch->counted_at != sketch->added)
	{
		sketch->counted = sg_registers_count(sketch->registers);
		sketch->counted_at = sketch->added;
	}
	return sketch->counted;
}

/*
 * So many at least: without those that came since they were last counted.
 */
int64
sg_sketch_at_least(SgSketch *sketch)
{
	if (sketch->registers == NULL || sketch->counted_at == 0 ||
		sketch->added > COUNT_AGAIN_AT(sketch->counted_at))
		return sg_sketch_now(sketch);
	return sketch->counted;
}

/*
 * So many at most: as if all that came since then were new.
 */
int64
sg_sketch_at_most(SgSketch *sketch)
{
	int64		counted = sg_sketch_at_least(sketch);

	return sketch->registers == NULL ? counted :
		counted + sketch->added - sketch->counted_at;
}
