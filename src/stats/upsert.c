/*-------------------------------------------------------------------------
 *
 * upsert.c
 *		Figures of upserts in shared memory, and the view that shows them.
 *
 * One entry for each conflict target of a table.
 *
 * Note about locking: the lightweight lock is held shared to find an entry
 * and while its spinlock is held to count in it, exclusively to add and
 * remove entries.  Nothing is allocated, looked up or reported under either.
 * The sketch of a large statement is merged piece by piece, so that the
 * spinlock is never held for long.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "stats/area.h"
#include "upsert/upsert.h"

/* registers, or single hashes, that are merged under one spinlock */
#define MERGE_REGISTERS	256
#define MERGE_HASHES	64

/* the text of an entry is taken again when it is older */
#define TEXT_AGE		(INT64CONST(10) * 60 * USECS_PER_SEC)

HTAB	   *sg_upsert_table = NULL;

static LWLock *upsert_lock = NULL;

/* ---------------- shared memory ---------------- */

Size
sg_upserts_size(void)
{
	return hash_estimate_size(sg_max_upserts, sizeof(SgUpsertEntry));
}

void
sg_upserts_startup(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(SgUpsertKey);
	ctl.entrysize = sizeof(SgUpsertEntry);
	sg_upsert_table = ShmemInitHash("safeguard upserts",
									sg_max_upserts, sg_max_upserts, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	upsert_lock = sg_lock(SG_LOCK_UPSERTS);
}

/* ---------------- counting ---------------- */

/*
 * Do the hashes tell the keys apart?  Of an expression only the columns that
 * it is made of are hashed.
 */
static bool
is_sketched(const SgTracker *tracker)
{
	for (int i = 0; i < tracker->target.nkeys; i++)
	{
		if (tracker->target.keys[i] == 0)
			return false;
	}
	return tracker->nhashed > 0;
}

/*
 * Count a statement in an entry.  Caller must hold the lock.  Returns whether
 * the entry's text is old.
 */
static bool
count_in(SgUpsertEntry *entry, const SgTracker *tracker, TimestampTz now)
{
	bool		old;

	SpinLockAcquire(&entry->mutex);
	entry->statements++;
	entry->proposed += tracker->proposed;
	entry->inserted += tracker->inserted;
	entry->replaced += tracker->replaced;
	entry->skipped += tracker->skipped;
	entry->last_seen = Max(entry->last_seen, now);
	if (OidIsValid(tracker->constraint))
		entry->constraint = tracker->constraint;
	else if (!tracker->merge)
		entry->by_columns = true;
	entry->sketched = entry->sketched || is_sketched(tracker);
	old = now - entry->text_at > TEXT_AGE;
	SpinLockRelease(&entry->mutex);
	return old;
}

static void
add_hashes(SgUpsertEntry *entry, const SgHashes *hashes)
{
	for (int i = 0; i < hashes->n; i += MERGE_HASHES)
	{
		int			end = Min(i + MERGE_HASHES, hashes->n);

		SpinLockAcquire(&entry->mutex);
		sg_registers_add(entry->registers, hashes->values + i, end - i);
		SpinLockRelease(&entry->mutex);
	}
}

static void
add_registers(SgUpsertEntry *entry, const uint8 *registers)
{
	for (int i = 0; i < SG_SKETCH_REGISTERS; i += MERGE_REGISTERS)
	{
		SpinLockAcquire(&entry->mutex);
		for (int j = i; j < i + MERGE_REGISTERS; j++)
			entry->registers[j] = Max(entry->registers[j], registers[j]);
		SpinLockRelease(&entry->mutex);
	}
}

static void
add_keys(SgUpsertEntry *entry, const SgTracker *tracker)
{
	if (!is_sketched(tracker))
		return;
	if (tracker->keys.registers != NULL)
		add_registers(entry, tracker->keys.registers);
	else
		add_hashes(entry, &tracker->keys);
}

static void
init_entry(SgUpsertEntry *entry, const SgTracker *tracker)
{
	SgUpsertKey key = entry->key;

	memset(entry, 0, sizeof(*entry));
	entry->key = key;
	SpinLockInit(&entry->mutex);
	entry->nkeys = tracker->target.nkeys;
	memcpy(entry->keys, tracker->target.root_keys,
		   tracker->target.nkeys * sizeof(AttrNumber));
	memcpy(entry->exprs, tracker->target.exprs, sizeof(entry->exprs));
}

/*
 * Drop the entry that has not been seen for longest.  Caller must hold the
 * lock exclusively.
 */
static void
evict(void)
{
	HASH_SEQ_STATUS seq;
	SgUpsertEntry *entry;
	SgUpsertEntry *oldest = NULL;

	hash_seq_init(&seq, sg_upsert_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (oldest == NULL || entry->last_seen < oldest->last_seen)
			oldest = entry;
	}
	if (oldest != NULL)
		hash_search(sg_upsert_table, &oldest->key, HASH_REMOVE, NULL);
}

/*
 * Count in an entry that is there.  Returns false if there is none; *old says
 * whether its text is old.
 */
static bool
count_known(const SgUpsertKey *key, const SgTracker *tracker, TimestampTz now,
			bool *old)
{
	SgUpsertEntry *entry;

	LWLockAcquire(upsert_lock, LW_SHARED);
	entry = hash_search(sg_upsert_table, key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		*old = count_in(entry, tracker, now);
		add_keys(entry, tracker);
	}
	LWLockRelease(upsert_lock);
	return entry != NULL;
}

/*
 * Write down a statement; with "counts" it has not been counted yet, and makes
 * its entry if there is none.
 */
static void
store_text(const SgUpsertKey *key, const SgTracker *tracker, TimestampTz now,
		   const char *text, bool counts)
{
	SgUpsertEntry *entry;
	bool		found = true;

	LWLockAcquire(upsert_lock, LW_EXCLUSIVE);
	entry = hash_search(sg_upsert_table, key, HASH_FIND, NULL);
	if (entry == NULL && counts)
	{
		if (hash_get_num_entries(sg_upsert_table) >= sg_max_upserts)
			evict();
		entry = hash_search(sg_upsert_table, key, HASH_ENTER_NULL, &found);
		if (entry != NULL && !found)
			init_entry(entry, tracker);
	}
	if (entry != NULL)
	{
		if (counts)
		{
			(void) count_in(entry, tracker, now);
			add_keys(entry, tracker);
		}
		entry->text_at = now;
		entry->roleid = GetUserId();
		entry->encoding = GetDatabaseEncoding();
		memcpy(entry->statement, text, sizeof(entry->statement));
	}
	LWLockRelease(upsert_lock);
}

/*
 * Count an upsert that has ended well.  Does nothing without shared memory.
 */
void
sg_upserts_count(const SgTracker *tracker, QueryDesc *queryDesc)
{
	SgUpsertKey key;
	TimestampTz now = GetCurrentTimestamp();
	bool		old = false;
	bool		known;
	char		text[SG_FINDING_QUERY];
	MemoryContext work;
	MemoryContext caller;
	SgSource	source;

	if (sg_upsert_table == NULL)
		return;
	memset(&key, 0, sizeof(key));
	key.dbid = MyDatabaseId;
	key.relid = tracker->target.root;
	key.target = tracker->target.id;
	known = count_known(&key, tracker, now, &old);
	if (known && !old)
		return;

	/* reading a text is dear, and must not happen under a lock */
	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard upsert text",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	sg_query_source(&source, queryDesc);
	sg_copy_text(text, sg_normalize(source.text, source.location, source.len),
				 sizeof(text));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	store_text(&key, tracker, now, text, !known);
}

/* ---------------- reading ---------------- */

static SgUpsertEntry *
room_for_copies(int flags)
{
	/* made before the lock is taken; pages that are not used cost nothing */
	return palloc_extended(sg_max_upserts * sizeof(SgUpsertEntry),
						   MCXT_ALLOC_HUGE | flags);
}

/*
 * Copy the entries of a database (InvalidOid: all) and a table (InvalidOid:
 * all) to "copy", which has room for sg_max_upserts.  Caller must hold the
 * lock.  Returns how many.
 */
static int
copy_entries(SgUpsertEntry *copy, Oid dbid, Oid relid)
{
	HASH_SEQ_STATUS seq;
	SgUpsertEntry *entry;
	int			n = 0;

	hash_seq_init(&seq, sg_upsert_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (n >= sg_max_upserts ||
			(OidIsValid(dbid) && entry->key.dbid != dbid) ||
			(OidIsValid(relid) && entry->key.relid != relid))
			continue;
		/* figures that belong together; the sketch needs no such care */
		SpinLockAcquire(&entry->mutex);
		memcpy(&copy[n], entry, offsetof(SgUpsertEntry, registers));
		SpinLockRelease(&entry->mutex);
		memcpy(copy[n].registers, entry->registers, SG_SKETCH_REGISTERS);
		n++;
	}
	return n;
}

/*
 * Copies of the entries of this database, of one table or (InvalidOid) of
 * all: list of SgUpsertEntry in the current memory context.
 */
List *
sg_upserts_of(Oid relid)
{
	List	   *result = NIL;
	SgUpsertEntry *copy;
	int			n;

	if (sg_upsert_table == NULL)
		return NIL;
	copy = room_for_copies(0);
	LWLockAcquire(upsert_lock, LW_SHARED);
	n = copy_entries(copy, MyDatabaseId, relid);
	LWLockRelease(upsert_lock);
	for (int i = 0; i < n; i++)
		result = lappend(result, &copy[i]);
	return result;
}

/* ---------------- the statistics file ---------------- */

void *
sg_upserts_snapshot(uint64 *nitems, bool alone)
{
	SgUpsertEntry *copy = room_for_copies(MCXT_ALLOC_NO_OOM);

	if (copy == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(upsert_lock, LW_SHARED);
	*nitems = copy_entries(copy, InvalidOid, InvalidOid);
	if (!alone)
		LWLockRelease(upsert_lock);
	return copy;
}

static void
restore_one(SgUpsertEntry *entry)
{
	SgUpsertEntry *stored;

	if (entry->nkeys < 0 || entry->nkeys > INDEX_MAX_KEYS ||
		hash_get_num_entries(sg_upsert_table) >= sg_max_upserts)
		return;
	entry->exprs[sizeof(entry->exprs) - 1] = '\0';
	entry->statement[sizeof(entry->statement) - 1] = '\0';
	stored = hash_search(sg_upsert_table, &entry->key, HASH_ENTER_NULL, NULL);
	if (stored == NULL)
		return;
	memcpy(stored, entry, sizeof(*entry));
	SpinLockInit(&stored->mutex);
}

void
sg_upserts_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
		restore_one((SgUpsertEntry *) items + i);
}

/*
 * Forget all figures.
 */
void
sg_upserts_reset(void)
{
	HASH_SEQ_STATUS seq;
	SgUpsertEntry *entry;

	if (sg_upsert_table == NULL)
		return;
	LWLockAcquire(upsert_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, sg_upsert_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		hash_search(sg_upsert_table, &entry->key, HASH_REMOVE, NULL);
	LWLockRelease(upsert_lock);
}
