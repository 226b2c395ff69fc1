/*-------------------------------------------------------------------------
 *
 * query_bank.c
 *		Figures of statements on their way to the shared table.
 *
 * Each process has a bank of its own in shared memory, with a slot for each of
 * the last statements that it ran.  Nobody else writes to it, so that counting
 * a known statement takes no lock; whoever shows figures reads all banks too,
 * so that those of a session that has gone idle, or is gone, are never
 * missing.  About once a second, and when there is no room, the owner moves
 * its figures into the table.
 *
 * The owner raises the bank's change count before and after it changes
 * something; a reader copies again until the count was even and the same.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "stats/area.h"
#include "stats/queries.h"

/* A statement has a slot in its set only: few comparisons find it. */
#define BANK_SETS	16
#define BANK_WAYS	4

/* nanoseconds between two moves of the figures into the table */
#define FLUSH_AFTER	UINT64CONST(1000000000)

/* a slot with so many calls is moved before a bucket overflows */
#define MAX_PENDING	60000

/* copies of a bank that its owner keeps changing, before it is left out */
#define MAX_COPIES	10000

typedef struct SgQuerySlot
{
	SgQueryKey	key;			/* id 0: empty */
	uint32		calls;
	uint32		errors;
	uint32		slow_calls;
	uint32		pending;		/* counts of any kind since the last move */
	uint64		rows;
	uint64		total;
	uint64		max;
	TimestampTz last;
	uint16		bucket[SG_QUERY_BUCKETS];
} SgQuerySlot;

typedef struct SgQueryBank
{
	volatile uint32 changes;
	uint32		epoch;			/* see SharedBanks */
	SgQuerySlot slot[BANK_SETS][BANK_WAYS];
} SgQueryBank;

typedef struct SharedBanks
{
	/*
	 * Raised when all figures are forgotten: what a bank of an older epoch
	 * holds is void, and its owner clears it when it counts again.
	 */
	pg_atomic_uint32 epoch;
	int			nbanks;
	SgQueryBank bank[FLEXIBLE_ARRAY_MEMBER];
} SharedBanks;

static SharedBanks *shared = NULL;
static SgQueryBank *own = NULL;
static uint64 flushed = 0;		/* when, in nanoseconds */
static uint32 next_victim = 0;

Size
sg_query_banks_size(void)
{
	return add_size(offsetof(SharedBanks, bank),
					mul_size(MaxBackends + NUM_AUXILIARY_PROCS,
							 sizeof(SgQueryBank)));
}

void
sg_query_banks_startup(void)
{
	bool		found;

	shared = ShmemInitStruct("safeguard query banks", sg_query_banks_size(),
							 &found);
	if (found)
		return;
	memset(shared, 0, sg_query_banks_size());
	shared->nbanks = MaxBackends + NUM_AUXILIARY_PROCS;
	pg_atomic_init_u32(&shared->epoch, 0);
}

/*
 * Forget what is in all banks.  Caller must hold the lock exclusively.
 */
void
sg_query_banks_reset(void)
{
	pg_atomic_fetch_add_u32(&shared->epoch, 1);
}

/* ---------------- the owner ---------------- */

static inline void
change_begin(void)
{
	own->changes++;
	pg_write_barrier();
}

static inline void
change_end(void)
{
	pg_write_barrier();
	own->changes++;
}

/*
 * Find the bank of this process; the one who had it before may have left
 * something there.
 */
static pg_noinline bool
attach(void)
{
	ptrdiff_t	place;

	if (shared == NULL || MyProc == NULL)
		return false;
	place = MyProc - ProcGlobal->allProcs;
	if (place < 0 || place >= shared->nbanks)
		return false;
	own = &shared->bank[place];
	return true;
}

static pg_noinline void
clear(uint32 epoch)
{
	change_begin();
	memset(own->slot, 0, sizeof(own->slot));
	own->epoch = epoch;
	change_end();
}

static inline bool
ready(void)
{
	uint32		epoch;

	if (unlikely(own == NULL) && !attach())
		return false;
	epoch = pg_atomic_read_u32(&shared->epoch);
	if (unlikely(own->epoch != epoch))
		clear(epoch);
	return true;
}

static inline SgQuerySlot *
set_of(const SgQueryKey *key)
{
	return own->slot[(key->id ^ (key->id >> 32)) % BANK_SETS];
}

static inline bool
same_key(const SgQueryKey *a, const SgQueryKey *b)
{
	return a->id == b->id && a->roleid == b->roleid && a->dbid == b->dbid &&
		a->hashed == b->hashed;
}

static inline SgQuerySlot *
find_slot(const SgQueryKey *key)
{
	SgQuerySlot *set = set_of(key);

	for (int i = 0; i < BANK_WAYS; i++)
	{
		if (same_key(&set[i].key, key))
			return &set[i];
	}
	return NULL;
}

static inline void
add_call(SgQuerySlot *slot, const SgQueryCall *call)
{
	slot->pending++;
	if (call->failed)
		slot->errors++;
	if (call->known)
		return;
	slot->calls++;
	if (call->slow)
		slot->slow_calls++;
	slot->rows += call->rows;
	slot->total += call->elapsed;
	if (call->elapsed > slot->max)
		slot->max = call->elapsed;
	slot->last = GetCurrentStatementStartTimestamp();
	slot->bucket[sg_query_bucket(call->elapsed)]++;
}

/*
 * Count a call of a statement that has a slot.  Returns false if it has none.
 */
bool
sg_query_bank_add(const SgQueryKey *key, const SgQueryCall *call)
{
	SgQuerySlot *slot;

	if (!ready())
		return false;
	slot = find_slot(key);
	if (slot == NULL)
		return false;
	change_begin();
	add_call(slot, call);
	change_end();

	if (unlikely(call->now - flushed >= FLUSH_AFTER))
		sg_query_bank_flush(false, call->now);
	else if (unlikely(slot->pending >= MAX_PENDING))
		sg_query_bank_flush(true, call->now);
	return true;
}

static SgQuerySlot *
free_slot(const SgQueryKey *key)
{
	SgQuerySlot *set = set_of(key);

	for (int i = 0; i < BANK_WAYS; i++)
	{
		SgQuerySlot *slot = &set[next_victim++ % BANK_WAYS];

		if (slot->pending == 0)
			return slot;
	}
	return NULL;
}

/*
 * Give a statement that is in the table a slot.
 */
void
sg_query_bank_enter(const SgQueryKey *key)
{
	SgQuerySlot *slot;

	if (!ready())
		return;
	slot = free_slot(key);
	if (slot == NULL)
	{
		sg_query_bank_flush(true, sg_nanoseconds());
		slot = free_slot(key);
	}
	if (slot == NULL)
		return;
	change_begin();
	memset(slot, 0, sizeof(*slot));
	slot->key = *key;
	change_end();
}

/* ---------------- into the table ---------------- */

static void
merge(SgQueryEntry *entry, const SgQuerySlot *slot)
{
	entry->usage += (double) slot->calls - Min(slot->calls, slot->errors);
	entry->calls += slot->calls;
	entry->errors += slot->errors;
	entry->slow_calls += slot->slow_calls;
	entry->rows += slot->rows;
	entry->total += slot->total;
	entry->max = Max(entry->max, slot->max);
	entry->last = Max(entry->last, slot->last);
	for (int i = 0; i < SG_QUERY_BUCKETS; i++)
		entry->bucket[i] += slot->bucket[i];
}

/*
 * A statement that has been evicted keeps no slot, so that its next call
 * brings it back; what it had here is a part of what was evicted.
 */
static void
flush_slot(SgQuerySlot *slot)
{
	SgQueryKey	key = slot->key;
	SgQueryEntry *entry = sg_query_find(&key);

	if (entry != NULL)
		merge(entry, slot);
	memset(slot, 0, sizeof(*slot));
	if (entry != NULL)
		slot->key = key;
}

/*
 * Move the figures of this process into the table.  Unless told to wait, not
 * while somebody else uses it: the next call will try again.
 */
void
sg_query_bank_flush(bool wait, uint64 now)
{
	LWLock	   *lock = sg_lock(SG_LOCK_QUERIES);

	if (wait)
		LWLockAcquire(lock, LW_EXCLUSIVE);
	else if (!LWLockConditionalAcquire(lock, LW_EXCLUSIVE))
		return;
	flushed = now;

	/* all may have been forgotten in the meantime */
	if (own->epoch == pg_atomic_read_u32(&shared->epoch))
	{
		change_begin();
		for (int i = 0; i < BANK_SETS; i++)
		{
			for (int j = 0; j < BANK_WAYS; j++)
			{
				if (own->slot[i][j].pending > 0)
					flush_slot(&own->slot[i][j]);
			}
		}
		change_end();
	}
	LWLockRelease(lock);
}

/* ---------------- readers ---------------- */

/*
 * Room for a copy of all banks; NULL if there is no memory.
 */
void *
sg_query_banks_copy_room(void)
{
	return palloc_extended(mul_size(shared->nbanks, sizeof(SgQueryBank)),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
copy_bank(SgQueryBank *to, const SgQueryBank *from, uint32 epoch)
{
	for (int i = 0; i < MAX_COPIES; i++)
	{
		uint32		before = from->changes;

		pg_read_barrier();
		memcpy(to, from, sizeof(*to));
		pg_read_barrier();
		if (before == from->changes && (before & 1) == 0)
			break;
		to->epoch = epoch + 1;	/* void */
	}
}

/*
 * Copy all banks.  Caller must hold the lock, or be alone, so that nothing
 * moves from a bank into the table meanwhile.
 */
void
sg_query_banks_copy(void *room)
{
	SgQueryBank *banks = (SgQueryBank *) room;
	uint32		epoch = pg_atomic_read_u32(&shared->epoch);

	for (int i = 0; i < shared->nbanks; i++)
	{
		/* most have never been used */
		if (shared->bank[i].changes == 0)
			banks[i].epoch = epoch + 1;
		else
			copy_bank(&banks[i], &shared->bank[i], epoch);
		/* in a copy it says whether there is something in it */
		banks[i].changes = banks[i].epoch == epoch ? 1 : 0;
	}
}

/* ---------------- adding up ---------------- */

static inline uint32
place_of(const SgQueryKey *key, uint32 mask)
{
	return (uint32) (key->id ^ (key->id >> 32) ^ key->roleid) & mask;
}

/*
 * Where copies of entries stand, by their keys.
 */
static void
index_entries(int32 *places, uint32 mask, const SgQueryEntry *entries,
			  uint64 nentries)
{
	for (uint32 i = 0; i <= mask; i++)
		places[i] = -1;
	for (uint64 i = 0; i < nentries; i++)
	{
		uint32		place = place_of(&entries[i].key, mask);

		while (places[place] >= 0)
			place = (place + 1) & mask;
		places[place] = (int32) i;
	}
}

static SgQueryEntry *
find_entry(const int32 *places, uint32 mask, SgQueryEntry *entries,
		   const SgQueryKey *key)
{
	uint32		place = place_of(key, mask);

	while (places[place] >= 0)
	{
		if (same_key(&entries[places[place]].key, key))
			return &entries[places[place]];
		place = (place + 1) & mask;
	}
	return NULL;
}

static uint32
places_mask(void)
{
	return pg_nextpower2_32(2 * (uint32) sg_max_queries) - 1;
}

/*
 * Room for sg_query_banks_fold(); NULL if there is no memory.
 */
int32 *
sg_query_banks_fold_room(void)
{
	return palloc_extended(mul_size((Size) places_mask() + 1, sizeof(int32)),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/*
 * Add what the copied banks hold to copies of entries.
 */
void
sg_query_banks_fold(const void *room, int32 *places, SgQueryEntry *entries,
					uint64 nentries)
{
	const SgQueryBank *banks = (const SgQueryBank *) room;
	uint32		mask = places_mask();

	index_entries(places, mask, entries, nentries);
	for (int i = 0; i < shared->nbanks; i++)
	{
		const SgQuerySlot *slots = &banks[i].slot[0][0];

		for (int j = 0; banks[i].changes == 1 && j < BANK_SETS * BANK_WAYS; j++)
		{
			SgQueryEntry *entry = NULL;

			if (slots[j].pending > 0)
				entry = find_entry(places, mask, entries, &slots[j].key);
			if (entry != NULL)
				merge(entry, &slots[j]);
		}
	}
}
