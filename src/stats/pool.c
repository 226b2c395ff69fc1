/*-------------------------------------------------------------------------
 *
 * pool.c
 *		The state of the pool, now and in the past.
 *
 * The past is a ring of samples, which the collector writes and anybody
 * reads.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "safeguard.h"
#include "stats/area.h"
#include "stats/counters.h"
#include "stats/pool.h"

typedef struct SharedHistory
{
	int			size;			/* places in the ring */
	int			used;			/* of these, hold a sample */
	int			next;			/* place of the next sample */
	SgPoolStats sample[FLEXIBLE_ARRAY_MEMBER];
} SharedHistory;

static SharedHistory *history = NULL;

/* ---------------- now ---------------- */

static double
error_rate(void)
{
	double		errors = sg_counter_get(SG_COUNT_ERRORS);
	double		all = errors + sg_counter_get(SG_COUNT_STATEMENTS);

	return all > 0 ? 100.0 * errors / all : 0;
}

/*
 * The pool as it is now.  Shared memory must be there.
 */
void
sg_pool_look(SgPoolStats *stats)
{
	SgSlots		slots;

	memset(stats, 0, sizeof(*stats));
	stats->ts = GetCurrentTimestamp();
	sg_slots_look(&slots);
	stats->pool_size = slots.size;
	stats->available = Max(0, slots.size - slots.used);
	stats->waiting = slots.nwaiting;
	stats->utilization = sg_slots_utilization(&slots);
	sg_sessions_count(stats);
	sg_acquisitions_fill(stats);
	stats->slow_queries = sg_counter_get(SG_COUNT_SLOW_QUERIES);
	stats->timeouts = sg_counter_get(SG_COUNT_TIMEOUTS);
	stats->error_rate = error_rate();
}

/* ---------------- history ---------------- */

Size
sg_history_bytes(void)
{
	return add_size(offsetof(SharedHistory, sample),
					mul_size(sg_history_size, sizeof(SgPoolStats)));
}

void
sg_history_startup(void)
{
	bool		found;

	history = ShmemInitStruct("safeguard history", sg_history_bytes(),
							  &found);
	if (!found)
	{
		history->size = sg_history_size;
		history->used = history->next = 0;
	}
}

/* Caller must hold the lock, or be alone. */
static void
append(const SgPoolStats *sample)
{
	history->sample[history->next] = *sample;
	history->next = (history->next + 1) % history->size;
	history->used = Min(history->used + 1, history->size);
}

/*
 * Look at the pool and write down what it does.  Called by the collector.
 */
void
sg_pool_sample(TimestampTz now)
{
	SgPoolStats sample;

	pgstat_clear_backend_activity_snapshot();
	sg_pool_look(&sample);
	pgstat_clear_backend_activity_snapshot();
	sample.ts = now;
	LWLockAcquire(sg_lock(SG_LOCK_HISTORY), LW_EXCLUSIVE);
	append(&sample);
	LWLockRelease(sg_lock(SG_LOCK_HISTORY));
}

/*
 * Copy the samples, oldest first, into memory for all of the ring.
 */
static int
copy_to(SgPoolStats *copies, TimestampTz since)
{
	int			first = history->used < history->size ? 0 : history->next;
	int			n = 0;

	for (int i = 0; i < history->used; i++)
	{
		const SgPoolStats *sample =
			&history->sample[(first + i) % history->size];

		if (sample->ts >= since)
			copies[n++] = *sample;
	}
	return n;
}

/*
 * The samples since then, oldest first, palloc'd.
 */
SgPoolStats *
sg_history_copy(TimestampTz since, int *nsamples)
{
	/* pages that are not used cost nothing */
	SgPoolStats *copies = palloc_extended(history->size * sizeof(SgPoolStats),
										  MCXT_ALLOC_HUGE);

	LWLockAcquire(sg_lock(SG_LOCK_HISTORY), LW_SHARED);
	*nsamples = copy_to(copies, since);
	LWLockRelease(sg_lock(SG_LOCK_HISTORY));
	return copies;
}

/* ---------------- file ---------------- */

void *
sg_history_snapshot(uint64 *nitems, bool alone)
{
	SgPoolStats *copies = palloc_extended(history->size * sizeof(SgPoolStats),
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);

	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_HISTORY), LW_SHARED);
	*nitems = copy_to(copies, DT_NOBEGIN);
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_HISTORY));
	return copies;
}

void
sg_history_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgPoolStats *sample = (SgPoolStats *) items + i;

		if (IS_VALID_TIMESTAMP(sample->ts))
			append(sample);
	}
}

void
sg_history_reset(void)
{
	LWLockAcquire(sg_lock(SG_LOCK_HISTORY), LW_EXCLUSIVE);
	history->used = history->next = 0;
	LWLockRelease(sg_lock(SG_LOCK_HISTORY));
}
