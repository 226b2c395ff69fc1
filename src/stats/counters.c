/*-------------------------------------------------------------------------
 *
 * counters.c
 *		Counters of the whole cluster that every statement may raise.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "stats/area.h"
#include "stats/counters.h"

typedef union PaddedSlot
{
	SgCounterSlot slot;
	char		pad[PG_CACHE_LINE_SIZE];
} PaddedSlot;

StaticAssertDecl(sizeof(SgCounterSlot) <= PG_CACHE_LINE_SIZE,
				 "counters of a process must fit into a cache line");

typedef struct SharedCounters
{
	/*
	 * What the file has told at the start, less what the slots held when the
	 * figures were forgotten.  Unsigned arithmetic wraps around to the right
	 * sum.
	 */
	pg_atomic_uint64 base[SG_NUM_COUNTERS];
	int			nslots;
} SharedCounters;

/*
 * A counter in the statistics file.  Known by its name, so that a version with
 * others can read it.
 */
static const char *const names[] = {
	"statements",
	"errors",
	"slow queries",
	"timeouts",
};

StaticAssertDecl(lengthof(names) == SG_NUM_COUNTERS,
				 "every counter has a name");

SgCounterSlot *sg_own_counters = NULL;

static SharedCounters *shared = NULL;
static PaddedSlot *slots = NULL;

/* Processes that have a PGPROC, whose place there is that of their slot. */
static int
slots_needed(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
sg_counters_size(void)
{
	Size		size = MAXALIGN(sizeof(SharedCounters));

	size = add_size(size, mul_size(slots_needed(), sizeof(PaddedSlot)));
	return add_size(size, PG_CACHE_LINE_SIZE);	/* to align them */
}

void
sg_counters_startup(void)
{
	bool		found;
	char	   *memory = ShmemInitStruct("safeguard counters",
										 sg_counters_size(), &found);

	shared = (SharedCounters *) memory;
	slots = (PaddedSlot *) TYPEALIGN(PG_CACHE_LINE_SIZE,
									 memory + MAXALIGN(sizeof(SharedCounters)));
	if (found)
		return;
	shared->nslots = slots_needed();
	for (int c = 0; c < SG_NUM_COUNTERS; c++)
	{
		pg_atomic_init_u64(&shared->base[c], 0);
		for (int i = 0; i < shared->nslots; i++)
			pg_atomic_init_u64(&slots[i].slot.value[c], 0);
	}
}

/*
 * Find the slot of this process.  Returns false if it has none, or will soon
 * have none any more.
 */
bool
sg_counters_attach(void)
{
	ptrdiff_t	place;

	if (slots == NULL || MyProc == NULL || proc_exit_inprogress)
		return false;
	place = MyProc - ProcGlobal->allProcs;
	if (place < 0 || place >= shared->nslots)
		return false;
	sg_own_counters = &slots[place].slot;
	return true;
}

static uint64
sum_of_slots(SgCounter counter)
{
	uint64		sum = 0;

	for (int i = 0; i < shared->nslots; i++)
		sum += pg_atomic_read_u64(&slots[i].slot.value[counter]);
	return sum;
}

/*
 * The count of the whole cluster.  Shared memory must be there.
 */
uint64
sg_counter_get(SgCounter counter)
{
	return pg_atomic_read_u64(&shared->base[counter]) + sum_of_slots(counter);
}

/* ---------------- file ---------------- */

void *
sg_counters_snapshot(uint64 *nitems, bool alone)
{
	SgCountItem *items = palloc_extended(SG_NUM_COUNTERS * sizeof(SgCountItem),
										 MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

	if (items == NULL)
		return NULL;
	for (int i = 0; i < SG_NUM_COUNTERS; i++)
	{
		strlcpy(items[i].name, names[i], sizeof(items[i].name));
		items[i].count = sg_counter_get((SgCounter) i);
	}
	*nitems = SG_NUM_COUNTERS;
	return items;
}

void
sg_counters_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		const SgCountItem *item = (SgCountItem *) items + i;

		for (int c = 0; c < SG_NUM_COUNTERS; c++)
		{
			if (strncmp(item->name, names[c], sizeof(item->name)) == 0)
				pg_atomic_write_u64(&shared->base[c], item->count);
		}
	}
}

/*
 * The slots belong to their processes, so forgetting is to take off what they
 * hold now.
 */
void
sg_counters_reset(void)
{
	for (int i = 0; i < SG_NUM_COUNTERS; i++)
		pg_atomic_write_u64(&shared->base[i], -sum_of_slots((SgCounter) i));
}
