/*-------------------------------------------------------------------------
 *
 * query_store.c
 *		Figures of statements in shared memory: the table of all of them.
 *
 * Note about locking: SG_LOCK_QUERIES is held exclusively to add, change or
 * remove entries, shared to read them.  Nothing is allocated or reported while
 * it is held.  A statement that its process knows needs no lock, see
 * query_bank.c.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "failopen.h"
#include "stats/area.h"
#include "stats/queries.h"

/* per cent of the entries that are dropped at once when the table is full */
#define EVICT_PERCENT	5

/* what an eviction leaves of the weight of older calls */
#define USAGE_KEPT		0.99

typedef struct SharedQueries
{
	pg_atomic_uint64 evicted;	/* entries */
} SharedQueries;

bool		sg_queries_on = false;

static SharedQueries *shared = NULL;
static HTAB *table = NULL;

Size
sg_queries_size(void)
{
	Size		size = MAXALIGN(sizeof(SharedQueries));

	size = add_size(size, hash_estimate_size(sg_max_queries,
											 sizeof(SgQueryEntry)));
	return add_size(size, sg_query_banks_size());
}

void
sg_queries_startup(void)
{
	HASHCTL		ctl = {0};
	bool		found;

	shared = ShmemInitStruct("safeguard queries", sizeof(SharedQueries),
							 &found);
	if (!found)
		pg_atomic_init_u64(&shared->evicted, 0);
	ctl.keysize = sizeof(SgQueryKey);
	ctl.entrysize = sizeof(SgQueryEntry);
	table = ShmemInitHash("safeguard query table", sg_max_queries,
						  sg_max_queries, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	sg_query_banks_startup();
	sg_queries_on = true;
}

/*
 * The entry of a statement, or NULL.  Caller must hold the lock.
 */
SgQueryEntry *
sg_query_find(const SgQueryKey *key)
{
	return hash_search(table, key, HASH_FIND, NULL);
}

uint64
sg_queries_evicted(void)
{
	return pg_atomic_read_u64(&shared->evicted);
}

int
sg_queries_used(void)
{
	int			used;

	LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_SHARED);
	used = (int) hash_get_num_entries(table);
	LWLockRelease(sg_lock(SG_LOCK_QUERIES));
	return used;
}

/* ---------------- entries ---------------- */

/*
 * The least used first.  A flood of failing texts has no usage at all, so it
 * drives out only itself.
 */
static int
compare_usage(const void *a, const void *b)
{
	const SgQueryEntry *ea = *(SgQueryEntry *const *) a;
	const SgQueryEntry *eb = *(SgQueryEntry *const *) b;

	if (ea->usage != eb->usage)
		return ea->usage > eb->usage ? 1 : -1;
	if (ea->last != eb->last)
		return ea->last > eb->last ? 1 : -1;
	return 0;
}

/*
 * Drop the least used entries.  "room" holds sg_max_queries pointers; caller
 * must hold the lock exclusively.
 */
static void
evict(SgQueryEntry **room)
{
	HASH_SEQ_STATUS seq;
	SgQueryEntry *entry;
	int			n = 0;
	int			victims;

	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		entry->usage *= USAGE_KEPT;
		room[n++] = entry;
	}
	qsort(room, n, sizeof(room[0]), compare_usage);

	victims = Min(n, Max(1, sg_max_queries / 100 * EVICT_PERCENT));
	for (int i = 0; i < victims; i++)
		hash_search(table, &room[i]->key, HASH_REMOVE, NULL);
	pg_atomic_fetch_add_u64(&shared->evicted, victims);
}

/*
 * Count a call in an entry.  Caller must hold the lock exclusively.
 */
static void
add_call(SgQueryEntry *entry, const SgQueryCall *call)
{
	if (call->failed)
		entry->errors++;
	if (call->known)
		return;
	if (!call->failed)
		entry->usage += 1;
	entry->calls++;
	if (call->slow)
		entry->slow_calls++;
	entry->rows += call->rows;
	entry->total += call->elapsed;
	entry->max = Max(entry->max, call->elapsed);
	entry->last = GetCurrentStatementStartTimestamp();
	entry->bucket[sg_query_bucket(call->elapsed)]++;
}

static bool
is_stored(const SgQueryKey *key)
{
	bool		found;

	LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_SHARED);
	found = sg_query_find(key) != NULL;
	LWLockRelease(sg_lock(SG_LOCK_QUERIES));
	return found;
}

/*
 * Find the identifier of a statement whose text alone is known, since it has
 * failed before the server had one.  That is a walk through the whole table.
 */
static bool
walk_for_text(SgQueryKey *key, uint64 text_hash)
{
	HASH_SEQ_STATUS seq;
	SgQueryEntry *entry;
	bool		found = false;

	LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_SHARED);
	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->text_hash == text_hash && entry->key.hashed == 0 &&
			entry->key.dbid == key->dbid && entry->key.roleid == key->roleid)
		{
			*key = entry->key;
			found = true;
			hash_seq_term(&seq);
			break;
		}
	}
	LWLockRelease(sg_lock(SG_LOCK_QUERIES));
	return found;
}

/*
 * Make an entry and count its first call there.  Returns false, having done
 * nothing, if the table is full and there is no "room".
 */
static bool
insert(const SgQueryKey *key, const SgQueryCall *call, const char *query,
	   uint64 text_hash, SgQueryEntry **room)
{
	SgQueryEntry *entry;
	bool		found = false;

	LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_EXCLUSIVE);
	entry = sg_query_find(key);
	if (entry == NULL && hash_get_num_entries(table) >= sg_max_queries)
	{
		if (room == NULL)
		{
			LWLockRelease(sg_lock(SG_LOCK_QUERIES));
			return false;
		}
		evict(room);
	}
	if (entry == NULL)
		entry = hash_search(table, key, HASH_ENTER_NULL, &found);
	else
		found = true;
	if (entry == NULL)
		pg_atomic_fetch_add_u64(&shared->evicted, 1);
	else
	{
		if (!found)
		{
			memset((char *) entry + sizeof(SgQueryKey), 0,
				   sizeof(SgQueryEntry) - sizeof(SgQueryKey));
			entry->text_hash = text_hash;
			entry->encoding = GetDatabaseEncoding();
			memcpy(entry->query, query, strlen(query) + 1);
		}
		add_call(entry, call);
	}
	LWLockRelease(sg_lock(SG_LOCK_QUERIES));
	return true;
}

/*
 * The key of a statement without an identifier.  A client that fails again and
 * again is answered from what this process has found lately.
 */
static void
key_by_text(SgQueryKey *key, uint64 text_hash, bool seek)
{
#define NUM_FOUND	16
	static struct
	{
		uint64		text_hash;
		SgQueryKey	key;
	}			found[NUM_FOUND];
	int			n = (int) (text_hash % NUM_FOUND);

	if (seek && found[n].text_hash == text_hash &&
		found[n].key.id != 0 && found[n].key.roleid == key->roleid)
	{
		*key = found[n].key;
		return;
	}
	if (!seek || !walk_for_text(key, text_hash))
	{
		key->id = text_hash == 0 ? 1 : text_hash;
		key->hashed = 1;
	}
	if (seek)
	{
		found[n].text_hash = text_hash;
		found[n].key = *key;
	}
}

/*
 * Count a call without looking at its text.  Returns false if the table does
 * not have the statement.
 */
static bool
store_known(const SgQueryKey *key, const SgQueryCall *call)
{
	if (likely(sg_query_bank_add(key, call)))
		return true;
	if (!is_stored(key))
		return false;
	sg_query_bank_enter(key);
	return sg_query_bank_add(key, call);
}

/*
 * The same for one whose text is wanted.
 */
static void
store_text(SgQueryKey *key, const SgQueryCall *call)
{
	char	   *text = sg_normalize(call->source.text, call->source.location,
									call->source.len);
	uint64		text_hash = hash_bytes_extended((const unsigned char *) text,
												strlen(text), 0);
	char		query[SG_FINDING_QUERY];
	SgQueryEntry **room;

	sg_fault("query_text");
	sg_copy_text(query, text, sizeof(query));
	pfree(text);
	if (key->id == 0)
	{
		key_by_text(key, text_hash, call->seek);
		if (store_known(key, call))
			return;
	}
	if (insert(key, call, query, text_hash, NULL))
		return;
	room = palloc_extended(sg_max_queries * sizeof(SgQueryEntry *),
						   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (room == NULL)
	{
		pg_atomic_fetch_add_u64(&shared->evicted, 1);
		return;
	}
	insert(key, call, query, text_hash, room);
	pfree(room);
}

/* A call of a statement that is not known yet. */
typedef struct Unknown
{
	SgQueryKey *key;
	const SgQueryCall *call;
} Unknown;

/* Called by sg_fail_open() */
static void
run_store_text(void *arg)
{
	Unknown    *unknown = (Unknown *) arg;

	store_text(unknown->key, unknown->call);
}

/*
 * Count a call.  One that its process knows costs a look into its bank; the
 * first one of a process, a shared lock; the first one of all, reading its
 * text.
 */
void
sg_query_store(const SgQueryCall *call)
{
	SgQueryKey	key;
	Unknown		unknown = {&key, call};

	key.id = call->source.queryid;
	key.dbid = MyDatabaseId;
	key.roleid = call->roleid;
	key.hashed = 0;
	key.unused = 0;

	if (likely(key.id != 0) && store_known(&key, call))
		return;

	/* who counts what has failed contains this himself */
	if (IsTransactionState())
		(void) sg_fail_open(run_store_text, &unknown);
	else
		store_text(&key, call);
}

/* ---------------- reading ---------------- */

static void
free_rooms(void *banks, void *places)
{
	if (banks != NULL)
		pfree(banks);
	if (places != NULL)
		pfree(places);
}

/*
 * Copies of all entries, or of those of a role, with what the banks hold for
 * them; palloc'd, NULL if there is no memory.  "alone" as in SgArea.
 */
SgQueryEntry *
sg_queries_collect(uint64 *nentries, Oid roleid, bool alone)
{
	HASH_SEQ_STATUS seq;
	SgQueryEntry *entry;
	SgQueryEntry *copies;
	void	   *banks;
	int32	   *places;
	uint64		n = 0;

	/* made before the lock is taken; pages that are not used cost nothing */
	copies = palloc_extended(mul_size(sg_max_queries, sizeof(SgQueryEntry)),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	banks = sg_query_banks_copy_room();
	places = sg_query_banks_fold_room();
	if (copies == NULL || banks == NULL || places == NULL)
	{
		free_rooms(banks, places);
		if (copies != NULL)
			pfree(copies);
		return NULL;
	}
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_SHARED);
	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (n < sg_max_queries &&
			(!OidIsValid(roleid) || entry->key.roleid == roleid))
			copies[n++] = *entry;
	}
	sg_query_banks_copy(banks);
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_QUERIES));

	sg_query_banks_fold(banks, places, copies, n);
	free_rooms(banks, places);
	*nentries = n;
	return copies;
}

void *
sg_queries_snapshot(uint64 *nitems, bool alone)
{
	return sg_queries_collect(nitems, InvalidOid, alone);
}

void
sg_queries_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgQueryEntry *item = (SgQueryEntry *) items + i;
		SgQueryEntry *entry = NULL;

		item->query[sizeof(item->query) - 1] = '\0';
		item->key.unused = 0;
		if (item->key.id == 0 || item->key.hashed > 1 ||
			!PG_VALID_ENCODING(item->encoding))
			continue;
		if (hash_get_num_entries(table) < sg_max_queries)
			entry = hash_search(table, &item->key, HASH_ENTER_NULL, NULL);
		if (entry == NULL)
			pg_atomic_fetch_add_u64(&shared->evicted, 1);
		else
			memcpy(entry, item, sizeof(*entry));
	}
}

/*
 * Forget all figures of statements.
 */
void
sg_queries_reset(void)
{
	HASH_SEQ_STATUS seq;
	SgQueryEntry *entry;

	LWLockAcquire(sg_lock(SG_LOCK_QUERIES), LW_EXCLUSIVE);
	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		hash_search(table, &entry->key, HASH_REMOVE, NULL);
	sg_query_banks_reset();
	pg_atomic_write_u64(&shared->evicted, 0);
	LWLockRelease(sg_lock(SG_LOCK_QUERIES));
}
