/*-------------------------------------------------------------------------
 *
 * queries.h
 *		Statements: how often they ran, how long they took, how they failed.
 *
 * doc/architecture.md, "How queries are counted".
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_QUERIES_H
#define SG_QUERIES_H

#include "executor/execdesc.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "portability/instr_time.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/elog.h"

#include "safeguard.h"

/* Two buckets for each power of two microseconds, up to 2^32: 71 minutes. */
#define SG_QUERY_BUCKETS	64

/* What a statement is told from others by.  No padding: it is compared and
 * hashed as bytes. */
typedef struct SgQueryKey
{
	uint64		id;				/* the server's identifier, or a hash */
	Oid			dbid;
	Oid			roleid;
	uint32		hashed;			/* 1: id is a hash of the normalised text */
	uint32		unused;			/* 0 */
} SgQueryKey;

/* The figures of a statement; times in microseconds. */
typedef struct SgQueryEntry
{
	SgQueryKey	key;			/* must be first */
	uint64		text_hash;		/* of the normalised text, uncut */
	double		usage;			/* calls that went well, older ones less */
	uint64		calls;			/* failed ones, too */
	uint64		errors;
	uint64		slow_calls;
	uint64		rows;
	uint64		total;
	uint64		max;
	TimestampTz last;			/* when the last one was sent */
	int32		encoding;		/* of the text */
	int32		unused;
	uint64		bucket[SG_QUERY_BUCKETS];	/* of "calls" */
	char		query[SG_FINDING_QUERY];
} SgQueryEntry;

/* One call, or what is known of it so far. */
typedef struct SgQueryCall
{
	SgSource	source;
	Oid			roleid;
	bool		all;			/* counted even if it was fast and went well */
	bool		failed;
	bool		known;			/* only an error of a call counted before */
	bool		seek;			/* by its text, among those with identifiers */
	bool		slow;
	uint64		rows;
	uint64		elapsed;		/* microseconds */
	uint64		now;			/* sg_microseconds() */
} SgQueryCall;

/* Now, in microseconds of a clock that is never put back. */
static inline uint64
sg_microseconds(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MICROSEC(now);
}

/* Does this process run statements of a client? */
static inline bool
sg_query_has_client(void)
{
	return MyBackendType == B_BACKEND || !IsUnderPostmaster;
}

/* The bucket of a time. */
static inline int
sg_query_bucket(uint64 elapsed)
{
	int			power;

	if (elapsed < 2)
		return 0;
	power = pg_leftmost_one_pos64(elapsed);
	if (power >= SG_QUERY_BUCKETS / 2)
		return SG_QUERY_BUCKETS - 1;
	return 2 * power + (int) ((elapsed >> (power - 1)) & 1);
}

/* ---------------- stats/query_store.c ---------------- */

extern bool sg_queries_on;		/* is there shared memory for them? */

extern void sg_query_store(SgQueryCall *call);
extern SgQueryEntry *sg_query_find(const SgQueryKey *key);
extern uint64 sg_queries_evicted(void);
extern int	sg_queries_used(void);
extern SgQueryEntry *sg_queries_collect(uint64 *nentries, Oid roleid,
										bool alone);

/* ---------------- stats/query_bank.c ---------------- */

extern Size sg_query_banks_size(void);
extern void sg_query_banks_startup(void);
extern void sg_query_banks_reset(void);
extern bool sg_query_bank_add(const SgQueryKey *key, const SgQueryCall *call);
extern void sg_query_bank_enter(const SgQueryKey *key);
extern void sg_query_bank_flush(bool wait, uint64 now);
extern void *sg_query_banks_copy_room(void);
extern void sg_query_banks_copy(void *room);
extern int32 *sg_query_banks_fold_room(void);
extern void sg_query_banks_fold(const void *room, int32 *places,
								SgQueryEntry *entries, uint64 nentries);

/* ---------------- stats/query_track.c ---------------- */

/* Around what runs for the client, on the C stack. */
typedef struct SgQueryFrame
{
	ErrorContextCallback callback;
	bool		timed;
	bool		first;			/* run of this executor state */
} SgQueryFrame;

/* states of cursors that may be run again, or NULL */
extern struct SgOpenQuery *sg_open_queries;

static inline bool
sg_queries_tracked(void)
{
	return sg_queries_on && sg_track_queries != SG_TRACK_OFF;
}

extern void sg_query_note(const char *text, int location, int len,
						  uint64 queryid);
extern void sg_query_note_start(QueryDesc *queryDesc);
extern bool sg_query_run_begin(SgQueryFrame *frame, QueryDesc *queryDesc);
extern void sg_query_run_end(SgQueryFrame *frame, QueryDesc *queryDesc,
							 uint64 count);
extern bool sg_query_finish_begin(SgQueryFrame *frame, QueryDesc *queryDesc);
extern void sg_query_finish_end(SgQueryFrame *frame, QueryDesc *queryDesc);
extern void sg_query_close(QueryDesc *queryDesc);
extern bool sg_query_utility_begin(SgQueryFrame *frame,
								   const PlannedStmt *pstmt,
								   const char *text,
								   ProcessUtilityContext context);
extern void sg_query_utility_end(SgQueryFrame *frame,
								 const QueryCompletion *qc);

/* what the error hook asks */
typedef enum SgQueryPhase
{
	SG_QUERY_NONE,				/* nothing of this message was seen */
	SG_QUERY_PREPARING,			/* seen, but does not run */
	SG_QUERY_RUNNING,
	SG_QUERY_DONE				/* has been counted */
} SgQueryPhase;

extern SgQueryPhase sg_query_current(SgQueryCall *call, int *end);
extern void sg_query_forget_current(void);

/* ---------------- stats/query_error.c ---------------- */

extern void sg_query_log(ErrorData *edata);
extern void sg_query_errors_init(void);

/* ---------------- stats/violations.c ---------------- */

/* A constraint, and how often it has been violated. */
typedef struct SgViolationKey
{
	Oid			dbid;
	int32		sqlstate;
	char		schema[NAMEDATALEN];
	char		relation[NAMEDATALEN];
	char		constraint[NAMEDATALEN];
} SgViolationKey;

typedef struct SgViolationEntry
{
	SgViolationKey key;			/* must be first */
	uint64		count;
	TimestampTz last;
	int32		encoding;
	int32		unused;
} SgViolationEntry;

/* entries; a violation of another constraint drives the rarest out */
#define SG_MAX_VIOLATIONS	1000

extern SgViolationEntry *sg_violations_collect(uint64 *nentries, bool alone);
extern void sg_violation_callback(void *arg);
extern void sg_violation_note(const ErrorData *edata);
extern void sg_violation_forget(void);
extern void sg_violation_count(void);
extern int	sg_violations_used(void);
extern uint64 sg_violations_evicted(void);

#endif							/* SG_QUERIES_H */
