/*-------------------------------------------------------------------------
 *
 * areas.c
 *		The table of areas, and shared memory for all of them.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/area.h"
#include "stats/findings.h"
#include "stats/pool.h"
#include "stats/queries.h"
#include "stats/upserts.h"
#include "stats/watched.h"

#define TRANCHE	"safeguard"

/* In the order in which they are set up, written and read. */
const SgArea sg_areas[] = {
	{
		.name = "collector",
		.size = sg_collector_size, .startup = sg_collector_startup
	},
	{
		.name = "findings", .version = 3, .item_size = sizeof(SgFindingEntry),
		.size = sg_findings_size, .startup = sg_findings_startup,
		.snapshot = sg_findings_snapshot, .restore = sg_findings_restore,
		.reset = sg_findings_forget
	},
	{
		.name = "rules", .version = 1, .item_size = sizeof(SgRuleItem),
		.snapshot = sg_rules_snapshot, .restore = sg_rules_restore
	},
	{
		.name = "upserts", .version = 3, .item_size = sizeof(SgUpsertEntry),
		.size = sg_upserts_size, .startup = sg_upserts_startup,
		.snapshot = sg_upserts_snapshot, .restore = sg_upserts_restore,
		.reset = sg_upserts_reset
	},
	{
		.name = "counters", .version = 1, .item_size = sizeof(SgCountItem),
		.size = sg_counters_size, .startup = sg_counters_startup,
		.snapshot = sg_counters_snapshot, .restore = sg_counters_restore,
		.reset = sg_counters_reset
	},
	{
		.name = "acquisitions", .version = 1, .item_size = sizeof(SgCountItem),
		.size = sg_acquisitions_size, .startup = sg_acquisitions_startup,
		.snapshot = sg_acquisitions_snapshot,
		.restore = sg_acquisitions_restore, .reset = sg_acquisitions_reset
	},
	{
		.name = "clients", .version = 1, .item_size = sizeof(SgClientEntry),
		.size = sg_clients_size, .startup = sg_clients_startup,
		.snapshot = sg_clients_snapshot, .restore = sg_clients_restore,
		.reset = sg_clients_reset
	},
	{
		.name = "history", .version = 1, .item_size = sizeof(SgPoolStats),
		.size = sg_history_bytes, .startup = sg_history_startup,
		.snapshot = sg_history_snapshot, .restore = sg_history_restore,
		.reset = sg_history_reset
	},
	{
		.name = "watched", .version = 2, .item_size = sizeof(SgWatchedEntry),
		.size = sg_watched_size, .startup = sg_watched_startup,
		.snapshot = sg_watched_snapshot, .restore = sg_watched_restore,
		.reset = sg_watched_reset
	},
	{
		.name = "queries", .version = 1, .item_size = sizeof(SgQueryEntry),
		.size = sg_queries_size, .startup = sg_queries_startup,
		.snapshot = sg_queries_snapshot, .restore = sg_queries_restore,
		.reset = sg_queries_reset
	},
	{
		.name = "violations", .version = 2, .item_size = sizeof(SgViolationEntry),
		.size = sg_violations_size, .startup = sg_violations_startup,
		.snapshot = sg_violations_snapshot, .restore = sg_violations_restore,
		.reset = sg_violations_reset
	},
	{
		.name = "migration log", .version = 2, .item_size = sizeof(SgLogEntry),
		.size = sg_migration_log_size, .startup = sg_migration_log_startup,
		.snapshot = sg_migration_log_snapshot,
		.restore = sg_migration_log_restore, .reset = sg_migration_log_reset
	},
	{
		.name = "migrations", .version = 2,
		.item_size = sizeof(SgMigrationTotals),
		.snapshot = sg_migration_totals_snapshot,
		.restore = sg_migration_totals_restore
	},
};

const int	sg_num_areas = lengthof(sg_areas);

static LWLockPadded *locks = NULL;

/*
 * One of our locks; NULL without shared memory.
 */
LWLock *
sg_lock(SgLockId id)
{
	return locks == NULL ? NULL : &locks[id].lock;
}

/*
 * Bytes of shared memory that the present settings need.
 */
Size
sg_shmem_size(void)
{
	Size		size = 0;

	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].size != NULL)
			size = add_size(size, MAXALIGN((*sg_areas[i].size) ()));
	}
	return size;
}

void
sg_shmem_request(void)
{
	RequestAddinShmemSpace(sg_shmem_size());
	RequestNamedLWLockTranche(TRANCHE, SG_NUM_LOCKS);
}

/*
 * Has the server been stopped in order?  After an immediate shutdown the
 * process exits with code 0, too; pg_control knows better.
 */
static bool
stopped_in_order(void)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool		result = crc_ok && (control->state == DB_SHUTDOWNED ||
									control->state == DB_SHUTDOWNED_IN_RECOVERY);

	pfree(control);
	return result;
}

static void
write_at_shutdown(int code, Datum arg)
{
	/*
	 * Processes that were killed may have left anything in shared memory, or
	 * a spinlock taken.  Then the file that the collector has written last
	 * stays.
	 */
	if (code == 0 && stopped_in_order())
		sg_persist_write(true);
}

/*
 * Create or attach; the process that starts the server reads the statistics
 * file, and writes it when the server stops.
 */
void
sg_shmem_startup(void)
{
	bool	   *initialised;
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	initialised = ShmemInitStruct("safeguard areas", sizeof(bool), &found);
	*initialised = true;
	locks = GetNamedLWLockTranche(TRANCHE);
	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].startup != NULL)
			(*sg_areas[i].startup) ();
	}
	LWLockRelease(AddinShmemInitLock);

	if (!IsUnderPostmaster)
	{
		on_shmem_exit(write_at_shutdown, (Datum) 0);
		ereport(LOG,
				errmsg("safeguard uses %zu bytes of shared memory",
					   sg_shmem_size()));
	}
	if (!found)
		sg_persist_read();
}

/*
 * Forget all figures, in the statistics file, too.
 */
void
sg_shmem_reset(void)
{
	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].reset != NULL)
			(*sg_areas[i].reset) ();
	}
	sg_persist_write(false);
}
