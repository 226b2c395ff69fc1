/*-------------------------------------------------------------------------
 *
 * preview_locks.c
 *		Which locks a statement has taken, and what they would block.
 *
 * Read from the lock manager, since no hook is told of a lock.  What is held
 * is compared before and after a statement; names are looked up when all is
 * rolled back, so that a table that the script drops or renames is shown as
 * the others know it, and what only the script has made is left out.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "review/preview.h"

static int
compare_locks(const void *a, const void *b)
{
	const SgHeldLock *left = a;
	const SgHeldLock *right = b;
	int			order = memcmp(&left->tag, &right->tag, sizeof(LOCKTAG));

	return order != 0 ? order : left->mode - right->mode;
}

/* Locks on tables and advisory locks; others block nobody's statements. */
static bool
is_shown(const LOCKTAG *tag)
{
	switch ((LockTagType) tag->locktag_type)
	{
		case LOCKTAG_RELATION:
			return tag->locktag_field1 == MyDatabaseId &&
				tag->locktag_field2 >= FirstNormalObjectId;
		case LOCKTAG_ADVISORY:
			return true;
		default:
			return false;
	}
}

/*
 * How often the session itself holds an advisory lock, which only the lock's
 * own record knows.  That is had by taking the lock once more, which cannot
 * wait since it is held.
 */
static int64
session_count(const SgHeldLock *lock)
{
	LOCALLOCK  *local = NULL;
	int64		count = 0;

	if (!sg_lock_is_held(&lock->tag, lock->mode) ||
		sg_take_session_lock(&lock->tag, lock->mode,
							 &local) == LOCKACQUIRE_NOT_AVAIL)
		return 0;
	for (int i = 0; i < local->numLockOwners; i++)
	{
		if (local->lockOwners[i].owner == NULL)
			count = local->lockOwners[i].nLocks - 1;
	}
	LockRelease(&lock->tag, lock->mode, true);
	return count;
}

/*
 * The locks that this backend holds now, in the current memory context.
 */
void
sg_held_locks(SgHeldLocks *held)
{
	LockData   *data = GetLockStatusData();
	int			size = 0;

	held->n = 0;
	held->locks = NULL;
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->pid != MyProcPid || !is_shown(&lock->locktag))
			continue;
		for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
		{
			if ((lock->holdMask & LOCKBIT_ON(mode)) == 0)
				continue;
			if (held->n == size)
			{
				size = Max(size * 2, 32);
				held->locks = held->locks == NULL ?
					palloc(size * sizeof(SgHeldLock)) :
					repalloc(held->locks, size * sizeof(SgHeldLock));
			}
			held->locks[held->n].tag = lock->locktag;
			held->locks[held->n].mode = mode;
			held->locks[held->n++].session = 0;
		}
	}
	pfree(data->locks);
	pfree(data);
	for (int i = 0; i < held->n; i++)
	{
		if (held->locks[i].tag.locktag_type == LOCKTAG_ADVISORY)
			held->locks[i].session = session_count(&held->locks[i]);
	}
	if (held->n > 1)
		qsort(held->locks, held->n, sizeof(SgHeldLock), compare_locks);
}

/*
 * The locks in "now" that were not held before, in the memory context.
 */
void
sg_new_locks(SgHeldLocks *result, const SgHeldLocks *now,
			 const SgHeldLocks *before, MemoryContext context)
{
	result->n = 0;
	result->locks = NULL;
	for (int i = 0; i < now->n; i++)
	{
		if (before->n > 0 &&
			bsearch(&now->locks[i], before->locks, before->n,
					sizeof(SgHeldLock), compare_locks) != NULL)
			continue;
		if (result->locks == NULL)
			result->locks = MemoryContextAlloc(context, (now->n - i) *
											   sizeof(SgHeldLock));
		result->locks[result->n++] = now->locks[i];
	}
}

/* Is any of these an advisory lock? */
bool
sg_holds_advisory(const SgHeldLocks *held)
{
	for (int i = 0; i < held->n; i++)
	{
		if (held->locks[i].tag.locktag_type == LOCKTAG_ADVISORY)
			return true;
	}
	return false;
}

/*
 * Give back what the session has of advisory locks more than before.  Called
 * when the subtransaction is gone, so what is left are locks of the session
 * and of what is around the subtransaction.
 */
void
sg_release_advisory(const SgHeldLocks *before)
{
	SgHeldLocks now;

	sg_held_locks(&now);
	for (int i = 0; i < now.n; i++)
	{
		const SgHeldLock *lock = &now.locks[i];
		const SgHeldLock *old = before->n == 0 ? NULL :
			bsearch(lock, before->locks, before->n, sizeof(SgHeldLock),
					compare_locks);
		int64		surplus = lock->session - (old ? old->session : 0);

		while (surplus-- > 0 && LockRelease(&lock->tag, lock->mode, true))
			;
	}
}

/* ---------------- words ---------------- */

/* Whom would this mode on a table keep waiting? */
static const char *
blocks(LOCKMODE mode)
{
	if (DoLockModesConflict(mode, AccessShareLock))
		return " (blocks readers and writers)";
	if (DoLockModesConflict(mode, RowExclusiveLock))
		return " (blocks writers)";
	return "";
}

/*
 * A name as a statement may have it, with its schema; NULL if somebody has
 * just dropped the table, which nothing prevents any more.
 */
static char *
table_text(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	if (schema == NULL || name == NULL)
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/*
 * NULL for what nobody else can wait for.
 */
static char *
relation_text(const SgHeldLock *lock)
{
	Oid			relid = lock->tag.locktag_field2;
	char		relkind = get_rel_relkind(relid);
	const char *mode = GetLockmodeName(DEFAULT_LOCKMETHOD, lock->mode);
	char	   *table;

	/* made by the script; or what stands and falls with its table */
	if (relkind == '\0' ||
		get_rel_namespace(relid) == PG_TOAST_NAMESPACE ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		return NULL;
	if ((relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX) &&
		lock->mode < AccessExclusiveLock)
		return NULL;
	table = table_text(relid);
	if (table == NULL)
		return NULL;
	if (relkind == RELKIND_SEQUENCE && lock->mode == RowExclusiveLock)
		return psprintf("%s: %s (the sequence advances, and stays so)", table,
						mode);
	return psprintf("%s: %s%s", table, mode, blocks(lock->mode));
}

static char *
advisory_text(const SgHeldLock *lock)
{
	const LOCKTAG *tag = &lock->tag;
	const char *mode = GetLockmodeName(USER_LOCKMETHOD, lock->mode);

	/* a key of 64 bits, or two of 32 */
	if (tag->locktag_field4 == 1)
		return psprintf("advisory lock " INT64_FORMAT ": %s",
						(int64) (((uint64) tag->locktag_field2 << 32) |
								 tag->locktag_field3), mode);
	return psprintf("advisory lock (%d, %d): %s", (int) tag->locktag_field2,
					(int) tag->locktag_field3, mode);
}

typedef struct LockText
{
	LOCKMODE	mode;
	char	   *text;
} LockText;

/* The strongest first, then by name. */
static int
compare_texts(const ListCell *a, const ListCell *b)
{
	const LockText *left = lfirst(a);
	const LockText *right = lfirst(b);

	if (left->mode != right->mode)
		return right->mode - left->mode;
	return strcmp(left->text, right->text);
}

/*
 * Locks in words: a list of strings.
 */
List *
sg_lock_texts(const SgHeldLocks *held)
{
	List	   *texts = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	for (int i = 0; i < held->n; i++)
	{
		const SgHeldLock *lock = &held->locks[i];
		LockText   *text = palloc(sizeof(LockText));

		text->mode = lock->mode;
		text->text = lock->tag.locktag_type == LOCKTAG_ADVISORY ?
			advisory_text(lock) : relation_text(lock);
		if (text->text != NULL)
			texts = lappend(texts, text);
	}
	list_sort(texts, compare_texts);
	foreach(lc, texts)
		result = lappend(result, ((LockText *) lfirst(lc))->text);
	return result;
}
