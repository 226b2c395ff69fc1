/*-------------------------------------------------------------------------
 *
 * upsert.h
 *		What the files share that account for upserts.
 *
 * An upsert is an INSERT ... ON CONFLICT, or a MERGE that updates what its ON
 * matches and inserts what it does not.  Its target is the set of columns
 * (and expressions) by which it finds the row that is already there.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_UPSERT_H
#define SG_UPSERT_H

#include "executor/execdesc.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "stats/upserts.h"

/* ---------------- note.c ---------------- */

/* What execution must know of an upsert that does not stand in its plan. */
typedef struct SgUpsertNote
{
	Oid			relid;			/* the target as the statement names it */
	Oid			constraint;		/* of ON CONFLICT ON CONSTRAINT */
	int			nkeys;			/* columns that a MERGE matches by */
	AttrNumber	keys[INDEX_MAX_KEYS];	/* ascending */
} SgUpsertNote;

extern bool sg_upsert_note(const PlannedStmt *plan, Oid relid,
						   SgUpsertNote *note);

/* ---------------- sketch.c ---------------- */

/* a statement, and a set, of no more than this are exact */
#define SG_EXACT_HASHES		1024

/* The hashes that one statement has seen; repeated ones too. */
typedef struct SgHashes
{
	int			n;				/* in "values" */
	int			size;			/* of "values" */
	uint64	   *values;
	uint8	   *registers;		/* not NULL: there were too many, see here */
	int64		added;			/* how many */
	MemoryContext context;		/* of both */
} SgHashes;

/* The different hashes of many statements: a set, an estimate when large. */
typedef struct SgSketch
{
	int			n;				/* members of the set */
	int			size;			/* slots of the set, a power of two, or 0 */
	uint64	   *slots;			/* zero: free */
	uint8	   *registers;		/* not NULL: the set was too large */
	int64		added;			/* rows that it was told of */
	int64		counted_at;		/* "added" when registers were last read */
	int64		counted;		/* what they said */
	MemoryContext context;
} SgSketch;

extern void sg_hashes_init(SgHashes *hashes, MemoryContext context);
extern void sg_hashes_grow(SgHashes *hashes, uint64 hash);
extern int64 sg_registers_count(const uint8 *registers);
extern void sg_sketch_init(SgSketch *sketch, MemoryContext context);
extern void sg_sketch_free(SgSketch *sketch);
extern void sg_sketch_add(SgSketch *sketch, const SgHashes *hashes);
extern int64 sg_sketch_at_least(SgSketch *sketch);
extern int64 sg_sketch_at_most(SgSketch *sketch);
extern int64 sg_sketch_now(SgSketch *sketch);
extern void sg_registers_add(uint8 *registers, const uint64 *hashes, int n);

static inline void
sg_hashes_add(SgHashes *hashes, uint64 hash)
{
	if (hashes->n < hashes->size)
		hashes->values[hashes->n++] = hash;
	else
		sg_hashes_grow(hashes, hash);
}

/* ---------------- target.c ---------------- */

/* A value of the proposed row that is hashed. */
typedef struct SgHashed
{
	AttrNumber	attnum;			/* in the slot, unless there is a "state" */
	int16		width;			/* of an integer in bytes, 0: no integer */
	ExprState  *state;			/* an expression, of a MERGE */
	Oid			collation;
	TypeCacheEntry *type;		/* has a hash function; lives forever */
} SgHashed;

/* A conflict target of a relation, as a backend remembers it. */
typedef struct SgTarget
{
	struct
	{
		Oid			relid;		/* as the statement names it */
		Oid			index;		/* first arbiter, or InvalidOid */
		uint64		columns;	/* of a MERGE: hash of its columns */
	}			key;			/* MUST BE FIRST */
	bool		valid;
	bool		uncounted;		/* of no interest */
	Oid			root;			/* under which it is counted */
	uint64		id;				/* tells the targets of the root apart */
	int			nkeys;			/* elements; 0: there is no target */
	AttrNumber	keys[INDEX_MAX_KEYS];	/* columns of relid, 0: expression */
	AttrNumber	root_keys[INDEX_MAX_KEYS];	/* the same of the root */
	char		exprs[SG_UPSERT_EXPRS];	/* texts of the expressions, each with
										 * its terminating zero */
	int			nhashed;		/* 0: the key of a row cannot be hashed */
	SgHashed	hashed[INDEX_MAX_KEYS];
} SgTarget;

extern void sg_target_get(SgTarget *target, Relation rel, Oid index,
						  const SgUpsertNote *note);
extern AttrNumber sg_target_in_root(const SgTarget *target, Oid relid,
									AttrNumber attnum);
extern bool sg_target_of_index(SgTarget *target, Oid index);
extern bool sg_target_is_served(const SgTarget *target,
								bool (*is_gone) (Oid index, void *arg),
								void *arg);
extern bool sg_target_has(const SgTarget *target, AttrNumber attnum);

/* ---------------- after.c ---------------- */

/* The state that a command leaves, as far as the catalogs do not show it. */
typedef struct SgAfter
{
	SgUtility  *utility;
	Oid			without;		/* an index that will not be there for long */
} SgAfter;

extern bool sg_after_is_gone(const SgAfter *after, Oid relid,
							 AttrNumber attnum);
extern bool sg_after_is_served(const SgAfter *after, const SgTarget *target);

/* ---------------- assign.c ---------------- */

/* columns that are looked at as a better key */
#define SG_MAX_CANDIDATES	8

/* A column that an upsert overwrites with the proposed value as it is. */
typedef struct SgCandidate
{
	AttrNumber	attnum;			/* of the root */
	SgHashed	hashed;
	SgHashes	seen;			/* by this statement */
} SgCandidate;

/* ---------------- load.c ---------------- */

/* What a load knows of a candidate. */
typedef struct SgLoadCandidate
{
	AttrNumber	attnum;
	SgSketch	values;
} SgLoadCandidate;

/* The later part of a load, in which candidates are looked at. */
typedef struct SgWindow
{
	bool		open;
	int64		opens_at;		/* when the load has this many rows */
	int64		proposed;
	int64		replaced;
	SgSketch	keys;
	int			ncandidates;
	SgLoadCandidate candidates[SG_MAX_CANDIDATES];
} SgWindow;

/*
 * What this session has written lately, as one role, to one table by upserts
 * on one target.
 */
typedef struct SgLoad
{
	dlist_node	link;			/* the one written to last comes first */
	Oid			root;
	uint64		target;
	Oid			roleid;
	TimestampTz last_seen;
	SubTransactionId written_in;	/* last, of this transaction */
	int64		proposed;
	int64		inserted;
	int64		replaced;
	SgSketch	keys;
	int64		record_at;		/* found again when it has this many rows */
	int64		show_at;		/* shown again then */
	SgWindow	window;
	MemoryContext context;		/* of all of it */
} SgLoad;

/* ---------------- account.c ---------------- */

/* One upsert while it runs; lives as long as its EState. */
typedef struct SgTracker
{
	dlist_node	link;
	MemoryContextCallback unlink;
	ModifyTableState *mt;
	TimestampTz started;
	PlanState  *source;			/* the node below, whose rows are looked at */
	ExecProcNodeMtd next;		/* what fetched them before us */
	Oid			relid;			/* the target as the statement names it */
	SgTarget	target;
	Oid			constraint;		/* named by ON CONFLICT ON CONSTRAINT */
	bool		merge;
	bool		replacing;		/* its SET replaces the row */
	bool		judged;
	bool		allocates;		/* may hashing a row allocate memory? */
	int			nhashed;		/* columns of the proposed key */
	SgHashed	hashed[INDEX_MAX_KEYS];
	SgHashes	keys;
	int			ncandidates;	/* looked at by this execution */
	SgCandidate candidates[SG_MAX_CANDIDATES];
	int64		proposed;		/* rows */
	int64		inserted;
	int64		replaced;
	int64		skipped;
} SgTracker;

extern bool sg_assign_replaces(SgTracker *tracker);
extern void sg_assign_candidates(SgTracker *tracker);
extern bool sg_could_be_key(Datum value);
extern bool sg_hashed_init(SgHashed *hashed, AttrNumber attnum, Oid type,
						   Oid collation);
extern bool sg_merge_hashed(SgTracker *tracker);

extern SgLoad *sg_load_find(const SgTracker *tracker);
extern SgLoad *sg_load_make(const SgTracker *tracker);
extern void sg_load_see(SgLoad *load, SgTracker *tracker);
extern void sg_window_close(SgWindow *window, int64 opens_at);
extern void sg_load_commit(SgLoad *load, const SgTracker *tracker);

/* ---------------- outcome.c ---------------- */

extern void sg_count_outcome(SgTracker *tracker);

/* ---------------- rules/upsert_overwrite.c ---------------- */

extern bool sg_upsert_overwrite_suspects(SgLoad *load);
extern void sg_upsert_overwrite_judge(SgLoad *load, const SgTracker *tracker,
									  QueryDesc *queryDesc);

/* ---------------- stats/upsert.c ---------------- */

extern void sg_upserts_count(const SgTracker *tracker, QueryDesc *queryDesc);

#endif							/* SG_UPSERT_H */
