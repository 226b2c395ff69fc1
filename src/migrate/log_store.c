/*-------------------------------------------------------------------------
 *
 * log_store.c
 *		The log of migrations in shared memory: a ring, totals per database, and
 *		what sessions are doing.
 *
 * Note about locking: one lock guards all of it.  It is taken by what a
 * migration does, never by other statements, and nothing is allocated, looked
 * up or reported while it is held, since most of it happens when a transaction
 * has ended.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/area.h"

typedef struct SharedLog
{
	int32		next;			/* place of the next entry */
	int32		nentries;
	int32		ntotals;
	int32		nslots;
	SgMigrationTotals totals[SG_LOG_DATABASES];
	SgLogEntry	entry[SG_LOG_ENTRIES];
	SgMigrationSlot slot[FLEXIBLE_ARRAY_MEMBER];
} SharedLog;

static SharedLog *shared = NULL;
bool		sg_migration_log_on = false;

/* processes that have a PGPROC */
static int
slots_needed(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
sg_migration_log_size(void)
{
	return add_size(offsetof(SharedLog, slot),
					mul_size(slots_needed(), sizeof(SgMigrationSlot)));
}

void
sg_migration_log_startup(void)
{
	bool		found;

	shared = ShmemInitStruct("safeguard migration log",
							 sg_migration_log_size(), &found);
	sg_migration_log_on = true;
	if (found)
		return;
	memset(shared, 0, sg_migration_log_size());
	shared->nslots = slots_needed();
}

/* ---------------- totals ---------------- */

/*
 * The totals of a database, new ones if need be; where there is no room, in
 * the place of those that were not touched for longest.
 */
static SgMigrationTotals *
get_totals(Oid dbid)
{
	SgMigrationTotals *oldest = &shared->totals[0];

	for (int i = 0; i < shared->ntotals; i++)
	{
		SgMigrationTotals *totals = &shared->totals[i];

		if (totals->dbid == dbid)
			return totals;
		if (totals->last_seen < oldest->last_seen)
			oldest = totals;
	}
	if (shared->ntotals < SG_LOG_DATABASES)
		oldest = &shared->totals[shared->ntotals++];
	memset(oldest, 0, sizeof(*oldest));
	oldest->dbid = dbid;
	return oldest;
}

static void
count(const SgLogEntry *entry, TimestampTz now)
{
	SgMigrationTotals *totals = get_totals(entry->dbid);

	totals->last_seen = now;
	totals->entries++;
	if (!entry->succeeded)
	{
		totals->failed++;
		return;
	}
	totals->applied++;
	totals->total_ms += entry->duration_ms;
	totals->max_ms = Max(totals->max_ms, entry->duration_ms);
	if (entry->rows.inserted >= 0)
		totals->rows_changed += entry->rows.inserted + entry->rows.updated +
			entry->rows.deleted;
	if (entry->removed)
		return;
	totals->last_applied_at = now;
	totals->encoding = entry->encoding;
	/* safeguard.migrations can be read by everybody */
	totals->last_role = OidIsValid(entry->relid) ? entry->roleid : InvalidOid;
	memcpy(totals->last_version, entry->version, sizeof(totals->last_version));
}

/*
 * Somebody had been there before.
 */
void
sg_log_skip(void)
{
	SgMigrationTotals *totals;

	if (shared == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	totals = get_totals(MyDatabaseId);
	totals->skipped++;
	totals->last_seen = GetCurrentStatementStartTimestamp();
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

/*
 * The totals of a database.  Returns false if it has none.
 */
bool
sg_log_totals(Oid dbid, SgMigrationTotals *totals)
{
	bool		found = false;

	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_SHARED);
	for (int i = 0; i < shared->ntotals && !found; i++)
	{
		found = shared->totals[i].dbid == dbid;
		if (found)
			*totals = shared->totals[i];
	}
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
	return found;
}

/*
 * The same of all databases together.
 */
void
sg_log_totals_sum(SgMigrationTotals *sum)
{
	memset(sum, 0, sizeof(*sum));
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_SHARED);
	for (int i = 0; i < shared->ntotals; i++)
	{
		sum->applied += shared->totals[i].applied;
		sum->failed += shared->totals[i].failed;
		sum->skipped += shared->totals[i].skipped;
	}
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

/*
 * What is noted for this database; returns what tells whether a tool has been
 * at a migration since, which may have begun one before.
 */
int64
sg_log_fingerprint(SgNotedFingerprint *noted)
{
	SgMigrationTotals totals;

	if (!sg_log_totals(MyDatabaseId, &totals))
		return 0;
	*noted = totals.fingerprint;
	return totals.entries;
}

void
sg_log_note_fingerprint(const SgNotedFingerprint *noted)
{
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	get_totals(MyDatabaseId)->fingerprint = *noted;
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

/* ---------------- the ring ---------------- */

static SgLogEntry *
at(int place)
{
	return &shared->entry[(place + SG_LOG_ENTRIES) % SG_LOG_ENTRIES];
}

static void
append(const SgLogEntry *entry)
{
	*at(shared->next) = *entry;
	shared->next = (shared->next + 1) % SG_LOG_ENTRIES;
	if (shared->nentries < SG_LOG_ENTRIES)
		shared->nentries++;
}

/*
 * The migration that an entry only says more about: the last one in that
 * table, if it is of the same version.
 */
static SgLogEntry *
continued(const SgLogEntry *entry)
{
	for (int i = 1; i <= shared->nentries; i++)
	{
		SgLogEntry *other = at(shared->next - i);

		if (other->relid != entry->relid || other->dbid != entry->dbid)
			continue;
		if (other->succeeded && !other->removed &&
			strcmp(other->version, entry->version) == 0)
			return other;
		return NULL;
	}
	return NULL;
}

static void
add_xids(SgLogEntry *to, const SgLogEntry *from)
{
	for (int i = 0; i < from->nxids && i < SG_LOG_XIDS; i++)
	{
		if (to->nxids < SG_LOG_XIDS)
			to->nxids++;
		else
			memmove(&to->xids[0], &to->xids[1],
					(SG_LOG_XIDS - 1) * sizeof(TransactionId));
		to->xids[to->nxids - 1] = from->xids[i];
	}
}

/*
 * A transaction has written nothing but the row of a migration that is known:
 * the tool says that it is done, or how long it took.  For the session that
 * began it, it has lasted until now.
 */
static void
continue_entry(SgLogEntry *entry, const SgLogEntry *more)
{
	double		until;

	add_xids(entry, more);
	get_totals(entry->dbid)->entries++;
	if (entry->pid != more->pid || entry->session != more->session)
		return;
	until = (more->started_at - entry->started_at) / 1000.0 + more->duration_ms;
	if (until <= entry->duration_ms)
		return;
	get_totals(entry->dbid)->total_ms += until - entry->duration_ms;
	get_totals(entry->dbid)->max_ms = Max(get_totals(entry->dbid)->max_ms, until);
	entry->duration_ms = until;
}

/*
 * A migration is over.  "only_history" says that its transaction has done
 * nothing but write to the history table.  Does nothing without shared memory.
 */
void
sg_log_add(const SgLogEntry *entry, bool only_history)
{
	SgLogEntry *known = NULL;

	if (shared == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	if (only_history && entry->succeeded && !entry->removed &&
		OidIsValid(entry->relid) && entry->version[0] != '\0')
		known = continued(entry);
	if (known != NULL)
		continue_entry(known, entry);
	else
	{
		append(entry);
		count(entry, entry->started_at + (TimestampTz) (entry->duration_ms * 1000));
	}
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

/*
 * Copies of the entries, oldest first, palloc'd; NULL if there is no memory.
 */
SgLogEntry *
sg_log_copy(uint64 *nentries, bool alone)
{
	SgLogEntry *copies = palloc_extended(sizeof(shared->entry),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);

	*nentries = 0;
	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_SHARED);
	for (int i = shared->nentries; i > 0; i--)
		copies[(*nentries)++] = *at(shared->next - i);
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
	return copies;
}

/* ---------------- what sessions are doing ---------------- */

static SgMigrationSlot *
own_slot(void)
{
	ptrdiff_t	place;

	if (shared == NULL || MyProc == NULL)
		return NULL;
	place = MyProc - ProcGlobal->allProcs;
	return place < 0 || place >= shared->nslots ? NULL : &shared->slot[place];
}

/*
 * This session is migrating.
 */
void
sg_log_slot(const char *tool, const char *project, const char *version,
			TimestampTz since)
{
	SgMigrationSlot *slot = own_slot();

	if (slot == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	slot->pid = MyProcPid;
	slot->dbid = MyDatabaseId;
	slot->roleid = GetOuterUserId();
	slot->encoding = GetDatabaseEncoding();
	slot->since = since;
	strlcpy(slot->tool, tool, sizeof(slot->tool));
	strlcpy(slot->project, project, sizeof(slot->project));
	strlcpy(slot->version, version, sizeof(slot->version));
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

void
sg_log_slot_clear(void)
{
	SgMigrationSlot *slot = own_slot();

	if (slot == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	slot->pid = 0;
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}

/*
 * Copies of the slots in use that are of this database.
 */
List *
sg_log_slots(void)
{
	SgMigrationSlot *copies = palloc(shared->nslots * sizeof(SgMigrationSlot));
	List	   *slots = NIL;

	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_SHARED);
	memcpy(copies, shared->slot, shared->nslots * sizeof(SgMigrationSlot));
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
	for (int i = 0; i < shared->nslots; i++)
	{
		if (copies[i].pid != 0 && copies[i].dbid == MyDatabaseId)
			slots = lappend(slots, &copies[i]);
	}
	return slots;
}

/* ---------------- the statistics file ---------------- */

void *
sg_migration_log_snapshot(uint64 *nitems, bool alone)
{
	return sg_log_copy(nitems, alone);
}

void
sg_migration_log_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgLogEntry *entry = (SgLogEntry *) items + i;

#define TERMINATE(field) (entry->field[sizeof(entry->field) - 1] = '\0')
		TERMINATE(database);
		TERMINATE(tool);
		TERMINATE(project);
		TERMINATE(schema);
		TERMINATE(relation);
		TERMINATE(version);
		TERMINATE(error);
#undef TERMINATE
		entry->nxids = Max(0, Min(entry->nxids, SG_LOG_XIDS));
		if (PG_VALID_ENCODING(entry->encoding))
			append(entry);
	}
}

void *
sg_migration_totals_snapshot(uint64 *nitems, bool alone)
{
	SgMigrationTotals *copies = palloc_extended(sizeof(shared->totals),
												MCXT_ALLOC_NO_OOM);

	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_SHARED);
	*nitems = shared->ntotals;
	memcpy(copies, shared->totals, sizeof(shared->totals));
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
	return copies;
}

void
sg_migration_totals_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems && i < SG_LOG_DATABASES; i++)
	{
		SgMigrationTotals *totals = (SgMigrationTotals *) items + i;

		totals->last_version[sizeof(totals->last_version) - 1] = '\0';

		/*
		 * perhaps there have been migrations since that a crash has taken
		 * from the totals, or another version of the server was here
		 */
		memset(&totals->fingerprint, 0, sizeof(totals->fingerprint));
		if (PG_VALID_ENCODING(totals->encoding))
			shared->totals[shared->ntotals++] = *totals;
	}
}

void
sg_migration_log_reset(void)
{
	LWLockAcquire(sg_lock(SG_LOCK_MIGRATIONS), LW_EXCLUSIVE);
	shared->next = shared->nentries = shared->ntotals = 0;
	LWLockRelease(sg_lock(SG_LOCK_MIGRATIONS));
}
