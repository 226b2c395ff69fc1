/*-------------------------------------------------------------------------
 *
 * clients.c
 *		Session starts by database, role, application and client.
 *
 * Only clients that got in have an entry here, and only so many: where a new
 * one finds no room, the one not seen for longest goes, and what it had
 * started is counted among the others, so that the sum stays right.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/backend_status.h"
#include "utils/hsearch.h"

#include "safeguard.h"
#include "stats/area.h"
#include "stats/pool.h"

#define MAX_CLIENTS		1000

/* The fixed part. */
typedef struct SharedClients
{
	int64		others;			/* session starts of those that had to go */
} SharedClients;

static SharedClients *shared = NULL;
static HTAB *clients = NULL;

Size
sg_clients_size(void)
{
	return add_size(MAXALIGN(sizeof(SharedClients)),
					hash_estimate_size(MAX_CLIENTS, sizeof(SgClientEntry)));
}

void
sg_clients_startup(void)
{
	HASHCTL		ctl = {0};
	bool		found;

	shared = ShmemInitStruct("safeguard clients", sizeof(SharedClients),
							 &found);
	if (!found)
		memset(shared, 0, sizeof(SharedClients));
	ctl.keysize = sizeof(SgClientKey);
	ctl.entrysize = sizeof(SgClientEntry);
	clients = ShmemInitHash("safeguard client groups", MAX_CLIENTS,
							MAX_CLIENTS, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

/*
 * Take out the entry not seen for longest.
 */
static void
make_room(void)
{
	HASH_SEQ_STATUS seq;
	SgClientEntry *entry;
	SgClientEntry *oldest = NULL;

	hash_seq_init(&seq, clients);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (oldest == NULL || entry->last_seen < oldest->last_seen)
			oldest = entry;
	}
	if (oldest == NULL)
		return;
	shared->others += oldest->acquisitions;
	hash_search(clients, &oldest->key, HASH_REMOVE, NULL);
}

/*
 * Add to an entry, which is made if need be.  Caller must hold the lock, or be
 * alone.
 */
static void
add(const SgClientEntry *more)
{
	SgClientEntry *entry = hash_search(clients, &more->key, HASH_FIND, NULL);

	if (entry == NULL)
	{
		if (hash_get_num_entries(clients) >= MAX_CLIENTS)
			make_room();
		entry = hash_search(clients, &more->key, HASH_ENTER_NULL, NULL);
		if (entry == NULL)
		{
			shared->others += more->acquisitions;
			return;
		}
		entry->acquisitions = 0;
		entry->last_seen = 0;
	}
	entry->acquisitions += more->acquisitions;
	entry->last_seen = Max(entry->last_seen, more->last_seen);
}

/*
 * Count the start of this session.  Called while its first transaction
 * commits: does not raise.
 */
void
sg_client_count(TimestampTz now)
{
	SgClientEntry start;

	if (MyBEEntry == NULL)
		return;
	memset(&start, 0, sizeof(start));
	start.key.dbid = MyBEEntry->st_databaseid;
	start.key.roleid = MyBEEntry->st_userid;
	strlcpy(start.key.application, MyBEEntry->st_appname,
			sizeof(start.key.application));
	sg_copy_client(start.key.client,
				   (const SockAddr *) &MyBEEntry->st_clientaddr,
				   sizeof(start.key.client));
	start.acquisitions = 1;
	start.last_seen = now;
	LWLockAcquire(sg_lock(SG_LOCK_CLIENTS), LW_EXCLUSIVE);
	add(&start);
	LWLockRelease(sg_lock(SG_LOCK_CLIENTS));
}

/*
 * Copies of all entries into memory for MAX_CLIENTS of them.
 */
static int
copy_to(SgClientEntry *copies)
{
	HASH_SEQ_STATUS seq;
	SgClientEntry *entry;
	int			n = 0;

	hash_seq_init(&seq, clients);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (n < MAX_CLIENTS)
			copies[n++] = *entry;
	}
	return n;
}

/*
 * All entries, palloc'd, and the starts that have none.  No entries without
 * shared memory.
 */
SgClientEntry *
sg_clients_copy(int *nentries, int64 *others)
{
	SgClientEntry *copies = palloc(MAX_CLIENTS * sizeof(SgClientEntry));

	*nentries = 0;
	*others = 0;
	if (clients == NULL)
		return copies;
	LWLockAcquire(sg_lock(SG_LOCK_CLIENTS), LW_SHARED);
	*nentries = copy_to(copies);
	*others = shared->others;
	LWLockRelease(sg_lock(SG_LOCK_CLIENTS));
	return copies;
}

/* ---------------- file ---------------- */

/*
 * The last item has no key: it is what the others have started.
 */
void *
sg_clients_snapshot(uint64 *nitems, bool alone)
{
	SgClientEntry *copies =
		palloc_extended((MAX_CLIENTS + 1) * sizeof(SgClientEntry),
						MCXT_ALLOC_NO_OOM);
	int			n;

	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_CLIENTS), LW_SHARED);
	n = copy_to(copies);
	memset(&copies[n], 0, sizeof(copies[n]));
	copies[n++].acquisitions = shared->others;
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_CLIENTS));
	*nitems = n;
	return copies;
}

void
sg_clients_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgClientEntry *item = (SgClientEntry *) items + i;

		item->key.application[NAMEDATALEN - 1] = '\0';
		item->key.client[NAMEDATALEN - 1] = '\0';
		if (OidIsValid(item->key.roleid))
			add(item);
		else
			shared->others += item->acquisitions;
	}
}

void
sg_clients_reset(void)
{
	HASH_SEQ_STATUS seq;
	SgClientEntry *entry;

	LWLockAcquire(sg_lock(SG_LOCK_CLIENTS), LW_EXCLUSIVE);
	hash_seq_init(&seq, clients);
	while ((entry = hash_seq_search(&seq)) != NULL)
		hash_search(clients, &entry->key, HASH_REMOVE, NULL);
	shared->others = 0;
	LWLockRelease(sg_lock(SG_LOCK_CLIENTS));
}
