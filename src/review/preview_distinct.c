/*-------------------------------------------------------------------------
 *
 * preview_distinct.c
 *		Counts different values by their hashes.
 *
 * Exact up to MAX_MEMBERS, which is what anybody would check by eye and a
 * good deal more, beyond that by the server's HyperLogLog, so that memory is
 * bounded whatever a statement hits.  That two values of so many share 64
 * bits is less likely than a fault of the machine.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "upsert/upsert.h"
#include "review/preview.h"

#define FIRST_SLOTS		64
#define MAX_MEMBERS		131072

/* Put a hash that is not zero into a set that has room; is it new? */
static bool
insert(uint64 *slots, int size, uint64 hash)
{
	int			slot = (int) (hash & (size - 1));

	while (slots[slot] != 0)
	{
		if (slots[slot] == hash)
			return false;
		slot = (slot + 1) & (size - 1);
	}
	slots[slot] = hash;
	return true;
}

/* Twice as many slots. */
static void
grow(SgDistinct *distinct)
{
	int			size = distinct->size == 0 ? FIRST_SLOTS : distinct->size * 2;
	uint64	   *slots = MemoryContextAllocZero(distinct->context,
											   size * sizeof(uint64));

	for (int i = 0; i < distinct->size; i++)
	{
		if (distinct->slots[i] != 0)
			(void) insert(slots, size, distinct->slots[i]);
	}
	if (distinct->slots != NULL)
		pfree(distinct->slots);
	distinct->slots = slots;
	distinct->size = size;
}

/* From now on an estimate. */
static void
give_up_set(SgDistinct *distinct)
{
	SgHashes	ready;

	/* makes the server's state, too */
	sg_hashes_init(&ready, distinct->context);
	pfree(ready.values);
	distinct->registers = MemoryContextAllocZero(distinct->context,
												 SG_SKETCH_REGISTERS);
	for (int i = 0; i < distinct->size; i++)
	{
		if (distinct->slots[i] != 0)
			sg_registers_add(distinct->registers, &distinct->slots[i], 1);
	}
	pfree(distinct->slots);
	distinct->slots = NULL;
	distinct->size = 0;
}

void
sg_distinct_add(SgDistinct *distinct, uint64 hash)
{
	if (hash == 0)
		hash = 1;
	if (distinct->registers != NULL)
	{
		sg_registers_add(distinct->registers, &hash, 1);
		return;
	}
	if (distinct->n * 2 >= distinct->size)
		grow(distinct);
	if (insert(distinct->slots, distinct->size, hash) &&
		++distinct->n > MAX_MEMBERS)
		give_up_set(distinct);
}

int64
sg_distinct_count(const SgDistinct *distinct)
{
	if (distinct->registers != NULL)
		return sg_registers_count(distinct->registers);
	return distinct->n;
}
