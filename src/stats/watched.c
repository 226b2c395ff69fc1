/*-------------------------------------------------------------------------
 *
 * watched.c
 *		Changes of watched tables in shared memory.
 *
 * One entry for each scope of a table, as long as the table has a right to
 * another one.  What finds no entry is counted together, per table as long as the
 * reserve lasts: a figure may get coarse, but no change is lost.
 *
 * Anybody may watch tables of his own, by columns of many values.  So there is
 * room for twice safeguard.max_watched, and the fuller it gets, the fewer
 * entries may a table have, and all tables of its owner, to get another one.
 * One table alone comes to max_watched; who comes later always finds
 * some room.  An entry is never taken away again: a figure that goes over into
 * another one would look like a change.
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

/* entries of scopes; those beyond are for tables, and one for all the rest */
#define SCOPES			(2 * (long) sg_max_watched)
#define RESERVE			100
#define CAPACITY		(SCOPES + RESERVE + 1)

/* How many entries a table has, or an owner, or all together (all zeroes). */
typedef struct HolderKey
{
	Oid			dbid;			/* of a table */
	Oid			id;				/* of a table or a role */
} HolderKey;

typedef struct Holder
{
	HolderKey	key;			/* MUST BE FIRST */
	int64		scopes;			/* entries with a scope */
	int64		tables;			/* entries without */
} Holder;

static HTAB *watched = NULL;	/* of SgWatchedEntry */
static HTAB *holders = NULL;		/* of Holder */

/* ---------------- shared memory ---------------- */

Size
sg_watched_size(void)
{
	return add_size(hash_estimate_size(CAPACITY, sizeof(SgWatchedEntry)),
					hash_estimate_size(2 * CAPACITY + 1, sizeof(Holder)));
}

void
sg_watched_startup(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(SgWatchedKey);
	ctl.entrysize = sizeof(SgWatchedEntry);
	watched = ShmemInitHash("safeguard watched", CAPACITY, CAPACITY, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	ctl.keysize = sizeof(HolderKey);
	ctl.entrysize = sizeof(Holder);
	holders = ShmemInitHash("safeguard watched holders", 2 * CAPACITY + 1,
						   2 * CAPACITY + 1, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

/* ---------------- who has how many ---------------- */

static void
change_holder(Oid dbid, Oid id, bool scope, int by)
{
	HolderKey	key = {dbid, id};
	bool		found;
	Holder	   *holder = hash_search(holders, &key,
									by > 0 ? HASH_ENTER_NULL : HASH_FIND,
									&found);

	if (holder == NULL)
		return;
	if (!found)
		holder->scopes = holder->tables = 0;
	if (scope)
		holder->scopes += by;
	else
		holder->tables += by;
	if (holder->scopes == 0 && holder->tables == 0)
		hash_search(holders, &key, HASH_REMOVE, NULL);
}

/*
 * An entry has come (1) or goes (-1).
 */
static void
change_holders(const SgWatchedKey *key, Oid owner, int by)
{
	bool		scope = key->scope != 0;

	if (!OidIsValid(key->relid))
		return;
	change_holder(InvalidOid, InvalidOid, scope, by);
	change_holder(key->dbid, key->relid, scope, by);
	if (OidIsValid(owner))
		change_holder(InvalidOid, owner, scope, by);
}

static Holder
entries_of(Oid dbid, Oid id)
{
	Holder		none = {{dbid, id}, 0, 0};
	Holder	   *holder = hash_search(holders, &none.key, HASH_FIND, NULL);

	return holder == NULL ? none : *holder;
}

/* ---------------- counting ---------------- */

/*
 * May an entry with this key be made?
 */
static bool
has_room(const SgWatchedKey *key, Oid owner)
{
	Holder		all = entries_of(InvalidOid, InvalidOid);
	Holder		own = entries_of(InvalidOid, owner);

	if (!OidIsValid(key->relid))
		return true;
	if (key->scope == 0)
		return own.tables < 2 * (RESERVE - all.tables);
	return own.scopes + entries_of(key->dbid, key->relid).scopes <
		2 * (SCOPES - all.scopes);
}

/*
 * The entry with this key, a new one if need be, or NULL if there is no room.
 * What is "restored" had its room before.  Caller must hold the lock
 * exclusively, or be alone.
 */
static SgWatchedEntry *
get_entry(const SgWatchedKey *key, Oid owner, bool restored)
{
	SgWatchedEntry *entry = hash_search(watched, key, HASH_FIND, NULL);

	if (entry != NULL)
		return entry;
	if (restored ? OidIsValid(key->relid) &&
		hash_get_num_entries(watched) >= CAPACITY - 1 :
		!has_room(key, owner))
		return NULL;
	entry = hash_search(watched, key, HASH_ENTER_NULL, NULL);
	if (entry == NULL)
		return NULL;
	memset((char *) entry + sizeof(SgWatchedKey), 0,
		   sizeof(SgWatchedEntry) - sizeof(SgWatchedKey));
	entry->owner = owner;
	change_holders(key, owner, 1);
	return entry;
}

/*
 * The entry to count a change in; NULL never happens but by damage.
 */
static SgWatchedEntry *
entry_for(const SgWatchedEntry *change, bool restored)
{
	SgWatchedKey key = change->key;
	SgWatchedEntry *entry = get_entry(&key, change->owner, restored);

	if (entry == NULL && key.scope != 0)
	{
		key.scope = 0;
		entry = get_entry(&key, change->owner, restored);
	}
	if (entry == NULL)
	{
		memset(&key, 0, sizeof(key));
		entry = get_entry(&key, InvalidOid, restored);
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
	sum.owner = entry->owner;
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
	entry = entry_for(change, false);
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
		{
			change_holders(&entry->key, entry->owner, -1);
			hash_search(watched, &entry->key, HASH_REMOVE, NULL);
		}
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
	entry = entry_for(change, true);
	if (entry != NULL)
		merge(entry, change);
}

void
sg_watched_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
		restore_one((SgWatchedEntry *) items + i);
}
