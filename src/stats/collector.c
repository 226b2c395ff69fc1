/*-------------------------------------------------------------------------
 *
 * collector.c
 *		The background worker that looks at the pool and writes the
 *		statistics file.
 *
 * It has no database connection and runs no statement: it reads shared
 * memory, and works on a standby, too.  What it finds goes into the figures
 * in shared memory; nobody waits for it, and if it dies the server starts
 * another one.
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
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "safeguard.h"
#include "stats/pool.h"

/* seconds after which the server starts another one if it has died */
#define RESTART_AFTER	10

PGDLLEXPORT void sg_collector_main(Datum arg);

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

static void
loop(MemoryContext work)
{
	TimestampTz sampled = GetCurrentTimestamp();
	TimestampTz saved = sampled;

	while (!ShutdownRequestPending)
	{
		long		wait = Min(until(after(sampled, sg_sample_interval)),
							   until(after(saved, sg_save_interval)));

		if (wait > 0)
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
		if (until(after(sampled, sg_sample_interval)) <= 0)
		{
			sampled = GetCurrentTimestamp();
			if (sg_track_pool)
				sg_pool_sample(sampled);
		}
		if (until(after(saved, sg_save_interval)) <= 0)
		{
			saved = GetCurrentTimestamp();
			sg_persist_write(false);
		}
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

	work = AllocSetContextCreate(TopMemoryContext, "safeguard collector",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);
	loop(work);
	proc_exit(0);
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
