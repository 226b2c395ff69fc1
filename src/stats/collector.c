/*-------------------------------------------------------------------------
 *
 * collector.c
 *		The background worker that looks at the pool and writes the
 *		statistics file.
 *
 * It has no database connection and runs no statement: it reads shared
 * memory, and works on a standby, too.  What it finds goes into the figures
 * in shared memory; nobody waits for it.
 *
 * It keeps nothing of its own, so trouble needs no handling here: an ERROR is
 * logged, ends the process, and the server starts another one some seconds
 * later.  So does SIGTERM, whoever sends it: a worker that ended with exit
 * code 0 would not be started again.  As with any process that is attached to
 * shared memory, the server restarts all of them if this one is killed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "safeguard.h"
#include "stats/area.h"
#include "stats/collector.h"
#include "stats/pool.h"

/* seconds after which the server starts another one if it has died */
#define RESTART_AFTER	10

PGDLLEXPORT void sg_collector_main(Datum arg);

SgCollector *sg_collector = NULL;

/* ---------------- shared memory ---------------- */

Size
sg_collector_size(void)
{
	return sizeof(SgCollector);
}

void
sg_collector_startup(void)
{
	bool		found;

	sg_collector = ShmemInitStruct("safeguard collector", sizeof(SgCollector),
								   &found);
	if (found)
		return;
	pg_atomic_init_u32(&sg_collector->pid, 0);
	pg_atomic_init_u32(&sg_collector->failing, 0);
	pg_atomic_init_u64(&sg_collector->written_at, 0);
}

static void
clear_pid(int code, Datum arg)
{
	pg_atomic_write_u32(&sg_collector->pid, 0);
}

/* ---------------- the worker ---------------- */

/*
 * Milliseconds until "due"; 0 if that is past.
 */
static long
until(TimestampTz due)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due);
}

static TimestampTz
after(TimestampTz last, int seconds)
{
	return TimestampTzPlusMilliseconds(last, (int64) seconds * 1000);
}

/*
 * Has the time since "last" come?  The clock may have been put back.
 */
static bool
is_due(TimestampTz *last, int seconds)
{
	TimestampTz now = GetCurrentTimestamp();

	if (*last <= now && until(after(*last, seconds)) > 0)
		return false;
	*last = now;
	return true;
}

static void
loop(MemoryContext work)
{
	TimestampTz sampled = 0;	/* the first sample is taken at once */
	TimestampTz saved = GetCurrentTimestamp();

	while (!ShutdownRequestPending)
	{
		long		wait = Min(until(after(sampled, sg_sample_interval)),
							   until(after(saved, sg_save_interval)));

		/* after a jump of the clock, the intervals count from now on */
		wait = Min(wait, Min(sg_sample_interval, sg_save_interval) * 1000L);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (is_due(&sampled, sg_sample_interval) && sg_track_pool)
			sg_pool_sample(sampled);
		if (is_due(&saved, sg_save_interval))
			sg_persist_write(false);
		MemoryContextReset(work);
	}
}

/*
 * The worker.
 */
void
sg_collector_main(Datum arg)
{
	MemoryContext work;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();

	on_shmem_exit(clear_pid, (Datum) 0);
	pg_atomic_write_u32(&sg_collector->pid, MyProcPid);

	work = AllocSetContextCreate(TopMemoryContext, "safeguard collector",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);
	loop(work);
	proc_exit(1);
}

/*
 * Ask the server to run the worker.  Called when the library is preloaded.
 */
void
sg_collector_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = RESTART_AFTER;
	strlcpy(worker.bgw_library_name, "safeguard", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "sg_collector_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "safeguard collector", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "safeguard collector", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}
