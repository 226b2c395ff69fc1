/*-------------------------------------------------------------------------
 *
 * violations.c
 *		Violated constraints, counted in shared memory.
 *
 * Those that a statement raises are seen where the error is raised, by a
 * callback for the context of errors around what the client runs, so that they
 * count too when a function catches them.  Others, those at commit, are seen
 * on their way to the log.  Both only note them: what follows is a rollback of
 * the transaction or subtransaction, and there the last one noted is counted,
 * once.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "review/rehearse.h"
#include "stats/area.h"
#include "stats/queries.h"

typedef struct SharedViolations
{
	pg_atomic_uint64 evicted;
	int			nentries;
	SgViolationEntry entry[SG_MAX_VIOLATIONS];
} SharedViolations;

static SharedViolations *shared = NULL;

/* the last one, until its transaction is rolled back */
static SgViolationKey noted;
bool		sg_violation_noted = false;

Size
sg_violations_size(void)
{
	return sizeof(SharedViolations);
}

void
sg_violations_startup(void)
{
	bool		found;

	shared = ShmemInitStruct("safeguard violations", sizeof(SharedViolations),
							 &found);
	if (found)
		return;
	memset(shared, 0, sizeof(*shared));
	pg_atomic_init_u64(&shared->evicted, 0);
}

/*
 * How many constraints have an entry.
 */
int
sg_violations_used(void)
{
	int			used;

	LWLockAcquire(sg_lock(SG_LOCK_VIOLATIONS), LW_SHARED);
	used = shared->nentries;
	LWLockRelease(sg_lock(SG_LOCK_VIOLATIONS));
	return used;
}

uint64
sg_violations_evicted(void)
{
	return pg_atomic_read_u64(&shared->evicted);
}

/* ---------------- noting ---------------- */

/*
 * Take note of a violation.  Neither allocates, locks nor raises.
 */
void
sg_violation_note(const ErrorData *edata)
{
	/* what is rehearsed has not happened */
	if (sg_rehearsal != NULL)
		return;

	/* what a function raises may name any table, and violates nothing */
	if (edata->funcname != NULL &&
		strcmp(edata->funcname, "exec_stmt_raise") == 0)
		return;
	memset(&noted, 0, sizeof(noted));
	noted.dbid = MyDatabaseId;
	noted.sqlstate = edata->sqlerrcode;
	sg_copy_text(noted.schema, edata->schema_name, NAMEDATALEN);
	sg_copy_text(noted.relation, edata->table_name, NAMEDATALEN);
	sg_copy_text(noted.constraint, edata->constraint_name, NAMEDATALEN);
	sg_violation_noted = true;
}

/*
 * Called for each message that is reported while the client's statement runs.
 */
void
sg_violation_callback(void *arg)
{
	static MemoryContext work = NULL;
	MemoryContext caller;
	ErrorData  *edata;

	if (ERRCODE_TO_CATEGORY(geterrcode()) !=
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		return;

	/*
	 * A copy is the only way to its fields; they are few and short.  Not all
	 * of them would be freed by FreeErrorData.
	 */
	if (work == NULL)
		work = AllocSetContextCreate(TopMemoryContext, "safeguard violation",
									 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(work);
	edata = CopyErrorData();
	MemoryContextSwitchTo(caller);
	if (edata->elevel >= ERROR)
		sg_violation_note(edata);
	MemoryContextReset(work);
}

/* ---------------- counting ---------------- */

static SgViolationEntry *
find(const SgViolationKey *key)
{
	for (int i = 0; i < shared->nentries; i++)
	{
		if (memcmp(&shared->entry[i].key, key, sizeof(*key)) == 0)
			return &shared->entry[i];
	}
	return NULL;
}

/*
 * A place for a constraint that is not there.
 */
static SgViolationEntry *
make_room(void)
{
	SgViolationEntry *rarest = &shared->entry[0];

	if (shared->nentries < SG_MAX_VIOLATIONS)
		return &shared->entry[shared->nentries++];
	for (int i = 1; i < SG_MAX_VIOLATIONS; i++)
	{
		SgViolationEntry *entry = &shared->entry[i];

		if (entry->count < rarest->count ||
			(entry->count == rarest->count && entry->last < rarest->last))
			rarest = entry;
	}
	pg_atomic_fetch_add_u64(&shared->evicted, 1);
	return rarest;
}

/*
 * The transaction or subtransaction has been rolled back: count what was noted.
 */
void
sg_violation_count(void)
{
	SgViolationEntry *entry;
	LWLock	   *lock;

	if (!sg_violation_noted)
		return;
	sg_violation_noted = false;
	lock = sg_lock(SG_LOCK_VIOLATIONS);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = find(&noted);
	if (entry == NULL)
	{
		entry = make_room();
		memset(entry, 0, sizeof(*entry));
		entry->key = noted;
		entry->encoding = GetDatabaseEncoding();
	}
	entry->count++;
	entry->last = GetCurrentStatementStartTimestamp();
	LWLockRelease(lock);
}

/* ---------------- reading ---------------- */

/*
 * Copies of all entries, palloc'd; NULL if there is no memory.
 */
SgViolationEntry *
sg_violations_collect(uint64 *nentries, bool alone)
{
	SgViolationEntry *copies;

	copies = palloc_extended(sizeof(shared->entry), MCXT_ALLOC_NO_OOM);
	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_VIOLATIONS), LW_SHARED);
	*nentries = shared->nentries;
	memcpy(copies, shared->entry, shared->nentries * sizeof(copies[0]));
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_VIOLATIONS));
	return copies;
}

void *
sg_violations_snapshot(uint64 *nitems, bool alone)
{
	return sg_violations_collect(nitems, alone);
}

void
sg_violations_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems && i < SG_MAX_VIOLATIONS; i++)
	{
		SgViolationEntry *item = (SgViolationEntry *) items + i;

		item->key.schema[NAMEDATALEN - 1] = '\0';
		item->key.relation[NAMEDATALEN - 1] = '\0';
		item->key.constraint[NAMEDATALEN - 1] = '\0';
		if (PG_VALID_ENCODING(item->encoding))
			shared->entry[shared->nentries++] = *item;
	}
}

void
sg_violations_reset(void)
{
	LWLockAcquire(sg_lock(SG_LOCK_VIOLATIONS), LW_EXCLUSIVE);
	shared->nentries = 0;
	pg_atomic_write_u64(&shared->evicted, 0);
	LWLockRelease(sg_lock(SG_LOCK_VIOLATIONS));
}
