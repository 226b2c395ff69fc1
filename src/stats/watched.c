/*-------------------------------------------------------------------------
 *
 * watched.c
 *		Changes of watched tables in shared memory.
 *
 * One entry for each scope of a table.  Entries beyond safeguard.max_watched
 * are counted together, per table as long as the reserve lasts: a figure may
 * get coarse, but no change is lost.
 *
 * Note about locking: the lock is held exclusively to count, which happens
 * once per transaction that has changed a watched table, and shared to read.
 * Nothing is allocated, looked up or reported while it is held, so that
 * counting, which comes after the commit, can fail for no reason of its own.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "stats/area.h"
#include "stats/watched.h"

/* entries beyond max_watched: for tables, and one for all the rest */
#define RESERVE			100
#define CAPACITY		(sg_max_watched + RESERVE + 1)

static HTAB *watched = NULL;	/* of SgWatchedEntry */

/* ---------------- shared memory ---------------- */

Size
sg_watched_size(void)
{
	return hash_estimate_size(CAPACITY, sizeof(SgWatchedEntry));
}

void
sg_watched_startup(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(SgWatchedKey);
	ctl.entrysize = sizeof(SgWatchedEntry);
	watched = ShmemInitHash("safeguard watched", CAPACITY, CAPACITY, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

/* ---------------- counting ---------------- */

/*
 * Entries that there may be before one with this key is made.
 */
static long
limit_for(const SgWatchedKey *key)
{
	if (key->scope != 0)
		return sg_max_watched;
	if (OidIsValid(key->relid))
		return sg_max_watched + RESERVE;
	return CAPACITY;
}

/*
 * The entry with this key, a new one if need be, or NULL if there is no room.
 * Caller must hold the lock exclusively, or be alone.
 */
static SgWatchedEntry *
get_entry(const SgWatchedKey *key)
{
	SgWatchedEntry *entry = hash_search(watched, key, HASH_FIND, NULL);

	if (entry != NULL)
		return entry;
	if (hash_get_num_entries(watched) >= limit_for(key))
		return NULL;
	entry = hash_search(watched, key, HASH_ENTER_NULL, NULL);
	if (entry != NULL)
		memset((char *) entry + sizeof(SgWatchedKey), 0,
			   sizeof(SgWatchedEntry) - sizeof(SgWatchedKey));
	return entry;
}

/*
 * The entry to count a change in; NULL never happens but by damage.
 */
static SgWatchedEntry *
entry_for(const SgWatchedEntry *change)
{
	SgWatchedKey key = change->key;
	SgWatchedEntry *entry = get_entry(&key);

	if (entry == NULL && key.scope != 0)
	{
		key.scope = 0;
		entry = get_entry(&key);
	}
	if (entry == NULL)
	{
		memset(&key, 0, sizeof(key));
		entry = get_entry(&key);
	}
	return entry;
}

/*
 * Bring a change into the entry that has been found for it.
 */
static void
merge(SgWatchedEntry *entry, const SgWatchedEntry *change)
{
	SgWatchedEntry sum = *change;

	sum.key = entry->key;
	sum.inserted += entry->inserted;
	sum.updated += entry->updated;
	sum.deleted += entry->deleted;
	if (sum.key.scope == 0)
		sum.scope[0] = '\0';
	if (!OidIsValid(sum.key.relid))
		sum.database[0] = sum.schema[0] = sum.relation[0] = '\0';
	memcpy(entry, &sum, sizeof(sum));
}

/*
 * Count what a transaction has changed in one scope of a table.  Does nothing
 * without shared memory.
 */
void
sg_watched_count(const SgWatchedEntry *change)
{
	SgWatchedEntry *entry;

	if (watched == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_WATCHED), LW_EXCLUSIVE);
	entry = entry_for(change);
	if (entry != NULL)
		merge(entry, change);
	LWLockRelease(sg_lock(SG_LOCK_WATCHED));
}

/*
 * Forget the figures of a table that is not watched any more, or with
 * InvalidOid all of a database, or of all.
 */
void
sg_watched_forget(Oid dbid, Oid relid)
{
	HASH_SEQ_STATUS seq;
	SgWatchedEntry *entry;

	if (watched == NULL)
		return;
	LWLockAcquire(sg_lock(SG_LOCK_WATCHED), LW_EXCLUSIVE);
	hash_seq_init(&seq, watched);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if ((!OidIsValid(dbid) || entry->key.dbid == dbid) &&
			(!OidIsValid(relid) || entry->key.relid == relid))
			hash_search(watched, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(sg_lock(SG_LOCK_WATCHED));
}

void
sg_watched_reset(void)
{
	sg_watched_forget(InvalidOid, InvalidOid);
}

/* ---------------- reading ---------------- */

/*
 * Copies of all entries, palloc'd with these flags, and their number.
 */
SgWatchedEntry *
sg_watched_copy(int flags, bool alone, uint64 *n)
{
	HASH_SEQ_STATUS seq;
	SgWatchedEntry *entry;
	SgWatchedEntry *copies;

	/* made before the lock is taken; pages that are not used cost nothing */
	copies = palloc_extended(CAPACITY * sizeof(SgWatchedEntry),
							 MCXT_ALLOC_HUGE | flags);
	*n = 0;
	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_WATCHED), LW_SHARED);
	hash_seq_init(&seq, watched);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (*n < CAPACITY)
			copies[(*n)++] = *entry;
	}
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_WATCHED));
	return copies;
}

/*
 * Number of entries in use.
 */
uint64
sg_watched_used(void)
{
	uint64		used;

	LWLockAcquire(sg_lock(SG_LOCK_WATCHED), LW_SHARED);
	used = hash_get_num_entries(watched);
	LWLockRelease(sg_lock(SG_LOCK_WATCHED));
	return used;
}

/* ---------------- the statistics file ---------------- */

void *
sg_watched_snapshot(uint64 *nitems, bool alone)
{
	return sg_watched_copy(MCXT_ALLOC_NO_OOM, alone, nitems);
}

static void
restore_one(SgWatchedEntry *change)
{
	SgWatchedEntry *entry;

#define TERMINATE(field) (change->field[sizeof(change->field) - 1] = '\0')
	TERMINATE(database);
	TERMINATE(schema);
	TERMINATE(relation);
	TERMINATE(role);
	TERMINATE(application);
	TERMINATE(scope);
#undef TERMINATE
	entry = entry_for(change);
	if (entry != NULL)
		merge(entry, change);
}

void
sg_watched_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
		restore_one((SgWatchedEntry *) items + i);
}
