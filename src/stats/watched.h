/*-------------------------------------------------------------------------
 *
 * watched.h
 *		Changes of watched tables as they are counted in shared memory.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_WATCHED_H
#define SG_WATCHED_H

#include "utils/timestamp.h"

#include "safeguard.h"

/* bytes of a scope, JSON with its terminating zero, and of one value in it */
#define SG_WATCHED_SCOPE	512
#define SG_WATCHED_VALUE	64

/*
 * What makes two entries the same; hashed as bytes.  Changes that found no
 * room for their scope are in the table's entry with scope 0, and if there was
 * no room for that either, in the one with all zeroes.
 */
typedef struct SgWatchedKey
{
	Oid			dbid;
	Oid			relid;			/* that watch() was called for */
	uint64		scope;			/* hash of its text, 0: no text */
} SgWatchedKey;

/*
 * Changes of the rows of one scope: in shared memory, in the statistics file,
 * and, not counted yet, of a transaction.
 */
typedef struct SgWatchedEntry
{
	SgWatchedKey key;			/* MUST BE FIRST */
	int64		inserted;
	int64		updated;
	int64		deleted;
	TimestampTz last_changed_at;
	int32		encoding;		/* of all texts */
	Oid			roleid;			/* who made the last change */
	Oid			owner;			/* of the table, when the entry was made */
	uint32		unused;			/* 0 */
	char		database[NAMEDATALEN];	/* names as last seen */
	char		schema[NAMEDATALEN];
	char		relation[NAMEDATALEN];
	char		role[NAMEDATALEN];
	char		application[NAMEDATALEN];
	char		scope[SG_WATCHED_SCOPE];	/* empty: none */
} SgWatchedEntry;

extern void sg_watched_count(const SgWatchedEntry *change);
extern void sg_watched_forget(Oid dbid, Oid relid);
extern SgWatchedEntry *sg_watched_copy(int flags, bool alone, uint64 *n);
extern uint64 sg_watched_used(void);

#endif							/* SG_WATCHED_H */
