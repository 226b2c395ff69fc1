/*-------------------------------------------------------------------------
 *
 * wait.c
 *		safeguard.migration_wait(): waits until a migration has been applied.
 *
 * CREATE INDEX CONCURRENTLY waits for every transaction that has a snapshot
 * older than its own.  A function that waits has one, the statement's that
 * called it; so who builds an index and who waits for him would wait for each
 * other.  A procedure can commit: each look is a transaction, and in between
 * nothing is held.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "migrate/migrate.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migration_wait);

/* from one look to the next, in ms */
#define FIRST_PAUSE		10
#define LONGEST_PAUSE	500

/*
 * Has it been applied?  An error if it cannot be any more without somebody's
 * help.
 */
static bool
look(const SgMigrationName *name, MemoryContext work, SgMigrationRow *row)
{
	MemoryContext caller = MemoryContextSwitchTo(work);

	PushActiveSnapshot(GetTransactionSnapshot());
	sg_migration_look(name, row);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	if (row->state == SG_MIGRATION_ABANDONED)
		sg_migration_abandoned(ERROR,
							   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							   name, row);
	return row->state == SG_MIGRATION_APPLIED;
}

static void
give_up(const SgMigrationName *name, const SgMigrationRow *row)
{
	ereport(ERROR,
			errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			errmsg("migration \"%s\" of project \"%s\" has not been applied within the timeout",
				   name->version, name->project),
			row->state == SG_MIGRATION_RUNNING ?
			errdetail("Process %d is at it.", row->pid) :
			sg_migration_is_locked(name) ?
			errdetail("A transaction is at it.") :
			errdetail("Nobody is at it."));
}

static void
pause_for(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
wait_for(const SgMigrationName *name, double timeout, MemoryContext work)
{
	TimestampTz start = GetCurrentTimestamp();
	SgMigrationRow row;
	double		pause = FIRST_PAUSE;

	while (!look(name, work, &row))
	{
		double		left = timeout -
			(double) (GetCurrentTimestamp() - start) / 1000;

		if (timeout >= 0 && left <= 0)
			give_up(name, &row);

		/* ends the transaction, and begins one that holds nothing yet */
		SPI_commit();
		MemoryContextReset(work);
		pause_for((long) (timeout >= 0 ? ceil(Min(pause, left)) : pause));
		pause = Min(pause * 1.5, LONGEST_PAUSE);
	}
}

/*
 * CALL migration_wait(version text, timeout interval, project text)
 */
Datum
sg_migration_wait(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	SgMigrationName name;
	double		timeout;
	MemoryContext work;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("safeguard.migration_wait() cannot run inside a transaction block or a function"),
				errdetail("It commits between its looks, so that it holds no snapshot while it waits."));

	/* what is allocated from here on outlives the commits */
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	sg_migration_arguments(fcinfo, 0, 2, &name);
	timeout = sg_milliseconds_argument(fcinfo, 1, "timeout");
	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard migration",
								 ALLOCSET_SMALL_SIZES);
	wait_for(&name, timeout, work);
	SPI_finish();
	PG_RETURN_VOID();
}
