/*-------------------------------------------------------------------------
 *
 * area.h
 *		Areas of our shared memory, and what of them is kept in the statistics
 *		file.
 *
 * Each kind of figure has an area: it says how much memory it needs, sets it
 * up, and tells the file what to keep.  A new kind is a file of its own and
 * one line in areas.c.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_AREA_H
#define SG_AREA_H

#include "storage/lwlock.h"

/*
 * Our lightweight locks.  Nobody holds two of them at once, but that of the
 * file, which is taken before any other.
 */
typedef enum SgLockId
{
	SG_LOCK_FINDINGS,
	SG_LOCK_UPSERTS,
	SG_LOCK_QUERIES,
	SG_LOCK_VIOLATIONS,
	SG_LOCK_WATCHED,
	SG_LOCK_HISTORY,
	SG_LOCK_CLIENTS,
	SG_LOCK_MIGRATIONS,
	SG_LOCK_FILE,				/* held while the statistics file is written */
	SG_NUM_LOCKS				/* keep last */
} SgLockId;

/*
 * One area.  Functions that are NULL have nothing to do.
 *
 * The figures kept are an array of items of one size: whatever is in an item
 * is written and read as it is, so raise "version" when its meaning changes.
 * A section that another version has written is left out, with a LOG line.
 */
typedef struct SgArea
{
	const char *name;			/* of the section in the file; never changed */
	uint32		version;		/* of the layout of an item */
	Size		item_size;		/* bytes; 0: nothing is kept */

	/* bytes of shared memory that the present settings need */
	Size		(*size) (void);

	/*
	 * Create or attach to the memory; called while AddinShmemInitLock is held.
	 */
	void		(*startup) (void);

	/*
	 * A copy of the items, palloc'd, and their number, which may be 0; NULL
	 * only if there is no memory (allocate with MCXT_ALLOC_NO_OOM): then the
	 * file is not written.  Takes the locks it needs, or none if "alone":
	 * then nobody else is attached, and the process may have no PGPROC.
	 */
	void	   *(*snapshot) (uint64 *nitems, bool alone);

	/*
	 * Take over items that have been read; nobody else is attached.  They
	 * have passed a checksum, but must not be trusted to be sane: a text may
	 * lack its zero, a number may be out of bounds.
	 */
	void		(*restore) (void *items, uint64 nitems);

	/* forget all figures, for safeguard.stats_reset() */
	void		(*reset) (void);
} SgArea;

extern const SgArea sg_areas[];
extern const int sg_num_areas;

extern LWLock *sg_lock(SgLockId id);

/* A counter as the file keeps it, known by its name. */
typedef struct SgCountItem
{
	char		name[NAMEDATALEN];
	uint64		count;
	int64		last_seen;		/* TimestampTz, 0: never or not known */
} SgCountItem;

/* ---------------- the areas ---------------- */

extern Size sg_findings_size(void);
extern void sg_findings_startup(void);
extern void *sg_findings_snapshot(uint64 *nitems, bool alone);
extern void sg_findings_restore(void *items, uint64 nitems);
extern void sg_findings_forget(void);

extern void *sg_rules_snapshot(uint64 *nitems, bool alone);
extern void sg_rules_restore(void *items, uint64 nitems);

extern Size sg_upserts_size(void);
extern void sg_upserts_startup(void);
extern void *sg_upserts_snapshot(uint64 *nitems, bool alone);
extern void sg_upserts_restore(void *items, uint64 nitems);
extern void sg_upserts_reset(void);

extern Size sg_counters_size(void);
extern void sg_counters_startup(void);
extern void *sg_counters_snapshot(uint64 *nitems, bool alone);
extern void sg_counters_restore(void *items, uint64 nitems);
extern void sg_counters_reset(void);

extern Size sg_acquisitions_size(void);
extern void sg_acquisitions_startup(void);
extern void *sg_acquisitions_snapshot(uint64 *nitems, bool alone);
extern void sg_acquisitions_restore(void *items, uint64 nitems);
extern void sg_acquisitions_reset(void);

extern Size sg_clients_size(void);
extern void sg_clients_startup(void);
extern void *sg_clients_snapshot(uint64 *nitems, bool alone);
extern void sg_clients_restore(void *items, uint64 nitems);
extern void sg_clients_reset(void);

extern Size sg_history_bytes(void);
extern void sg_history_startup(void);
extern void *sg_history_snapshot(uint64 *nitems, bool alone);
extern void sg_history_restore(void *items, uint64 nitems);
extern void sg_history_reset(void);

extern Size sg_collector_size(void);
extern void sg_collector_startup(void);

extern Size sg_watched_size(void);
extern void sg_watched_startup(void);
extern void *sg_watched_snapshot(uint64 *nitems, bool alone);
extern void sg_watched_restore(void *items, uint64 nitems);
extern void sg_watched_reset(void);

extern Size sg_queries_size(void);
extern void sg_queries_startup(void);
extern void *sg_queries_snapshot(uint64 *nitems, bool alone);
extern void sg_queries_restore(void *items, uint64 nitems);
extern void sg_queries_reset(void);

extern Size sg_violations_size(void);
extern void sg_violations_startup(void);
extern void *sg_violations_snapshot(uint64 *nitems, bool alone);
extern void sg_violations_restore(void *items, uint64 nitems);
extern void sg_violations_reset(void);

#endif							/* SG_AREA_H */
