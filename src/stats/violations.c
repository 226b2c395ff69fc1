/*-------------------------------------------------------------------------
 *
 * violations.c
 *		Violated constraints, counted in shared memory.
 *
 * They are seen where the error is raised, by a callback for the context of
 * errors around what the client runs, so that they count too when a function
 * catches them; and again on their way to the log, since those at commit may
 * be outside of it.  Both only note them: what follows is a rollback of
 * the transaction or subtransaction, and there the last one noted is counted,
 * once.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
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

/*
 * The outermost callback for the context of errors, for a session's whole life,
 * so that a statement need not bring one: a statement of which nothing else is
 * to be known goes through the hooks as if they were not there, which saves 110
 * instructions.  An error takes it away until its transaction has been rolled
 * back, and the statement that finds none brings its own.
 */
ErrorContextCallback sg_violation_watcher = {
	.callback = sg_violation_callback
};

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

/*
 * A transaction has ended: see to it that what is violated from now on is
 * seen, unless something that calls procedures is still there to come back to.
 */
void
sg_violation_watch(void)
{
	if (error_context_stack == NULL && sg_queries_on && sg_query_has_client() &&
		!proc_exit_inprogress)
		error_context_stack = &sg_violation_watcher;
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
		entry->first = GetCurrentTimestamp();
	}
	entry->count++;
	entry->last = GetCurrentStatementStartTimestamp();
	LWLockRelease(lock);
}

/* ---------------- names that change hands ---------------- */

/*
 * Figures go by names, since an error tells nothing else.  A table that gets a
 * name, because it is new, renamed or moved, must not come by the figures of
 * the one that had it before: its owner may not be allowed to see them.
 */
typedef struct SgNamed
{
	struct SgNamed *next;
	Oid			relid;			/* of the table, or of a schema */
	Oid			nspid;			/* where it was; InvalidOid: a schema */
	TimestampTz at;
	NameData	name;			/* that it had; empty: it is new */
} SgNamed;

/* what this transaction has named, in its memory */
static SgNamed *named_last = NULL;
bool		sg_violations_named = false;

/*
 * A relation or a schema has been made, or altered in some way; the catalogs
 * still show it as it was.
 */
void
sg_violation_named(Oid classId, Oid objectId, bool created)
{
	bool		is_schema = classId == NamespaceRelationId;
	char	   *name = NULL;
	SgNamed    *named;

	/* no figures yet: most databases never have any */
	if (shared == NULL || shared->nentries == 0)
		return;
	if (!created)
	{
		/* the name it had first is what counts */
		if (named_last != NULL && named_last->relid == objectId)
			return;
		name = is_schema ? get_namespace_name(objectId) :
			get_rel_name(objectId);
		if (name == NULL)
			return;
	}
	named = MemoryContextAllocZero(TopTransactionContext, sizeof(*named));
	named->relid = objectId;
	named->at = GetCurrentTimestamp();
	if (name != NULL)
		namestrcpy(&named->name, name);
	if (name != NULL && !is_schema)
		named->nspid = get_rel_namespace(objectId);
	named->next = named_last;
	named_last = named;
	sg_violations_named = true;
}

/*
 * Has this transaction given the table, or its schema, the name that it has,
 * since the entry was made?
 */
static bool
got_name(Oid relid, Oid nspid, const SgViolationEntry *entry)
{
	const SgViolationKey *key = &entry->key;
	bool		table = false;
	bool		schema = false;

	/* the last first; what counts is the name before all of them */
	for (const SgNamed *named = named_last; named != NULL; named = named->next)
	{
		const char *before = NameStr(named->name);

		if (named->at < entry->first)
			break;
		if (named->relid == relid)
			table = named->nspid != nspid || strcmp(before, key->relation) != 0;
		else if (named->relid == nspid)
			schema = strcmp(before, key->schema) != 0;
	}
	return table || schema;
}

static void
forget(const SgViolationKey *key)
{
	SgViolationEntry *entry;

	LWLockAcquire(sg_lock(SG_LOCK_VIOLATIONS), LW_EXCLUSIVE);
	entry = find(key);
	if (entry != NULL)
		*entry = shared->entry[--shared->nentries];
	LWLockRelease(sg_lock(SG_LOCK_VIOLATIONS));
}

/*
 * The transaction is about to commit: forget the figures of names that have
 * changed hands.  The catalogs can still be asked.
 */
static void
forget_named(void)
{
	uint64		nentries;
	SgViolationEntry *entries = sg_violations_collect(&nentries, false);

	for (uint64 i = 0; entries != NULL && i < nentries; i++)
	{
		const SgViolationKey *key = &entries[i].key;
		Oid			nspid = InvalidOid;
		Oid			relid = InvalidOid;

		if (key->dbid == MyDatabaseId)
			nspid = get_namespace_oid(key->schema, true);
		if (OidIsValid(nspid))
			relid = get_relname_relid(key->relation, nspid);
		if (OidIsValid(relid) && got_name(relid, nspid, &entries[i]))
			forget(key);
	}
	if (entries != NULL)
		pfree(entries);
}

/*
 * A transaction that has named something comes to its end, or has come.
 */
void
sg_violation_transaction(XactEvent event)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		forget_named();
	named_last = NULL;
	sg_violations_named = false;
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
