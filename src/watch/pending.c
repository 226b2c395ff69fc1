/*-------------------------------------------------------------------------
 *
 * pending.c
 *		What the present transaction has changed in watched tables.
 *
 * Only what is committed counts.  Changes are kept in a hash table for each
 * level of subtransactions that has made any: one that rolls back takes its
 * table with it, one that commits hands it to the level above.  All of it lives in the
 * transaction's memory, and is bounded like the shared table.
 *
 * A transaction that is prepared counts at once: what becomes of it is
 * decided in another session, and a change too many is better than one missed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "watch/watch.h"

/* One level of subtransactions. */
typedef struct SgLevelChanges
{
	struct SgLevelChanges *outer;
	int			nest;
	MemoryContext context;
	HTAB	   *changes;		/* of SgWatchedEntry */
	List	   *ended;			/* OIDs of tables that are not watched any more,
								 * or in another way; before "changes" */
} SgLevelChanges;

static SgLevelChanges *levels = NULL;	/* innermost first */

/* DROP DATABASE is a transaction of its own */
static Oid	dropped_database = InvalidOid;

/* ---------------- levels ---------------- */

static SgLevelChanges *
push_level(int nest)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "safeguard watched changes",
												  ALLOCSET_SMALL_SIZES);
	SgLevelChanges *level = MemoryContextAllocZero(context, sizeof(*level));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(SgWatchedKey);
	ctl.entrysize = sizeof(SgWatchedEntry);
	ctl.hcxt = context;
	level->changes = hash_create("safeguard watched changes", 16, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	level->context = context;
	level->nest = nest;
	level->outer = levels;
	levels = level;
	return level;
}

static SgWatchedEntry *
enter(SgLevelChanges *level, const SgWatchedKey *key)
{
	bool		found;
	SgWatchedEntry *entry = hash_search(level->changes, key, HASH_ENTER,
										&found);

	if (!found)
		memset((char *) entry + sizeof(SgWatchedKey), 0,
			   sizeof(SgWatchedEntry) - sizeof(SgWatchedKey));
	return entry;
}

/*
 * Where a level has no room for another scope, its changes go to the entry of
 * the table that has none.
 */
static void
limit_key(SgLevelChanges *level, SgWatchedKey *key)
{
	if (hash_get_num_entries(level->changes) >= sg_max_watched &&
		hash_search(level->changes, key, HASH_FIND, NULL) == NULL)
		key->scope = 0;
}

/* A table is not watched any more: what the level has counted is void. */
static void
end_table(SgLevelChanges *level, Oid relid)
{
	HASH_SEQ_STATUS seq;
	SgWatchedEntry *entry;
	MemoryContext caller = MemoryContextSwitchTo(level->context);

	level->ended = list_append_unique_oid(level->ended, relid);
	MemoryContextSwitchTo(caller);
	hash_seq_init(&seq, level->changes);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.relid == relid)
			hash_search(level->changes, &entry->key, HASH_REMOVE, NULL);
	}
}

/*
 * A subtransaction commits: bring its level into the one above.
 */
static void
fold_level(SgLevelChanges *from, SgLevelChanges *into)
{
	HASH_SEQ_STATUS seq;
	SgWatchedEntry *change;
	ListCell   *lc;

	foreach(lc, from->ended)
		end_table(into, lfirst_oid(lc));
	hash_seq_init(&seq, from->changes);
	while ((change = hash_seq_search(&seq)) != NULL)
	{
		SgWatchedEntry sum = *change;
		SgWatchedEntry *entry;

		limit_key(into, &sum.key);
		if (sum.key.scope == 0)
			sum.scope[0] = '\0';
		entry = enter(into, &sum.key);
		sum.inserted += entry->inserted;
		sum.updated += entry->updated;
		sum.deleted += entry->deleted;
		memcpy(entry, &sum, sizeof(sum));
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	SgLevelChanges *level = levels;

	if (level == NULL || level->nest < GetCurrentTransactionNestLevel())
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (level->outer == NULL || level->outer->nest < level->nest - 1)
		{
			level->nest--;
			return;
		}
		fold_level(level, level->outer);
	}
	else if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	levels = level->outer;
	MemoryContextDelete(level->context);
}

/* ---------------- the end of the transaction ---------------- */

/*
 * Count.  The transaction has been committed, so nothing here may raise.
 */
static void
count_level(SgLevelChanges *level)
{
	TimestampTz now = GetCurrentTransactionStopTimestamp();
	HASH_SEQ_STATUS seq;
	SgWatchedEntry *change;
	ListCell   *lc;

	foreach(lc, level->ended)
		sg_watched_forget(MyDatabaseId, lfirst_oid(lc));
	hash_seq_init(&seq, level->changes);
	while ((change = hash_seq_search(&seq)) != NULL)
	{
		change->last_changed_at = now;
		sg_copy_text(change->application, application_name, NAMEDATALEN);
		sg_watched_count(change);
	}
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			/* subtransactions have been folded by now */
			if (levels != NULL)
				count_level(levels);
			if (OidIsValid(dropped_database))
				sg_watched_forget(dropped_database, InvalidOid);
			break;
		default:
			break;
	}
	/* the memory goes with the transaction's */
	levels = NULL;
	dropped_database = InvalidOid;
}

/* ---------------- noting ---------------- */

/* Most sessions never change a watched table. */
static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	registered = true;
}

static SgLevelChanges *
present_level(void)
{
	int			nest = GetCurrentTransactionNestLevel();

	register_callbacks();
	if (levels != NULL && levels->nest == nest)
		return levels;
	return push_level(nest);
}

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

static void
fill_names(SgWatchedEntry *entry, const char *scope)
{
	Oid			relid = entry->key.relid;

	entry->encoding = GetDatabaseEncoding();
	entry->owner = owner_of(relid);
	sg_copy_text(entry->database, get_database_name(MyDatabaseId),
				 NAMEDATALEN);
	sg_copy_text(entry->schema,
				 get_namespace_name(get_rel_namespace(relid)), NAMEDATALEN);
	sg_copy_text(entry->relation, get_rel_name(relid), NAMEDATALEN);
	sg_copy_text(entry->scope, scope, sizeof(entry->scope));
}

/*
 * The role that the session has taken on, and not the owner of a SECURITY
 * DEFINER function, or of the table that a foreign key's action writes to.
 */
static void
fill_role(SgWatchedEntry *entry)
{
	Oid			roleid = GetOuterUserId();

	if (entry->roleid == roleid)
		return;
	entry->roleid = roleid;
	sg_copy_text(entry->role, GetUserNameFromId(roleid, true), NAMEDATALEN);
}

/*
 * Note that rows of a scope (NULL: of none that can be told) have been
 * changed.
 */
void
sg_watch_note(Oid relid, const char *scope, SgChange change, int64 rows)
{
	SgLevelChanges *level = present_level();
	SgWatchedKey key;
	SgWatchedEntry *entry;

	memset(&key, 0, sizeof(key));
	key.dbid = MyDatabaseId;
	key.relid = relid;
	if (scope != NULL)
	{
		key.scope = hash_bytes_extended((const unsigned char *) scope,
										strlen(scope), 0);
		limit_key(level, &key);
	}
	entry = enter(level, &key);
	if (entry->database[0] == '\0')
		fill_names(entry, key.scope == 0 ? NULL : scope);
	fill_role(entry);
	if (change == SG_CHANGE_INSERT)
		entry->inserted += rows;
	else if (change == SG_CHANGE_UPDATE)
		entry->updated += rows;
	else
		entry->deleted += rows;
}

/*
 * Note that a table is not watched any more, or by other columns: at commit
 * its figures go.
 */
void
sg_watch_note_end(Oid relid)
{
	if (sg_has_shmem())
		end_table(present_level(), relid);
}

/*
 * Note that a database is about to be dropped.
 */
void
sg_watch_database_dropped(Oid dbid)
{
	register_callbacks();
	dropped_database = dbid;
}
