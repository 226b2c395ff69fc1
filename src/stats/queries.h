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

#include "access/xact.h"
#include "executor/execdesc.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "portability/instr_time.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/elog.h"

#include "compat.h"
#include "safeguard.h"

/* Two buckets for each power of two, from a microsecond to 73 minutes. */
#define SG_QUERY_BUCKETS	64
#define SG_QUERY_FIRST_POWER	10	/* of nanoseconds; less is in the first */

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

/* The figures of a statement; times in nanoseconds. */
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
	bool		failed;
	bool		known;			/* only an error of a call counted before */
	bool		seek;			/* by its text, among those with identifiers */
	bool		slow;
	uint64		rows;
	uint64		elapsed;		/* nanoseconds */
	uint64		now;			/* sg_nanoseconds(), or 0 */
} SgQueryCall;

/* Now, in nanoseconds of a clock that is never put back. */
static inline uint64
sg_nanoseconds(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (uint64) INSTR_TIME_GET_NANOSEC(now);
}

/* Does this process run statements of a client? */
static inline bool
sg_query_has_client(void)
{
	return MyBackendType == B_BACKEND || !IsUnderPostmaster;
}

/* Is it longer than safeguard.slow_query_ms says? */
static inline bool
sg_query_is_slow(uint64 elapsed)
{
	return unlikely(elapsed > (uint64) sg_slow_query_ms * 1000000) ||
		unlikely(sg_slow_query_ms == 0);
}

/* The bucket of a time. */
static inline int
sg_query_bucket(uint64 elapsed)
{
	int			power;

	if (elapsed < (UINT64CONST(1) << SG_QUERY_FIRST_POWER))
		return 0;
	power = pg_leftmost_one_pos64(elapsed) - SG_QUERY_FIRST_POWER;
	if (power >= SG_QUERY_BUCKETS / 2)
		return SG_QUERY_BUCKETS - 1;
	return 2 * power +
		(int) ((elapsed >> (power + SG_QUERY_FIRST_POWER - 1)) & 1);
}

/* ---------------- stats/query_store.c ---------------- */

extern SG_OWN bool sg_queries_on;	/* is there shared memory for them? */

extern void sg_query_store(const SgQueryCall *call);
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

/* what the error hook asks */
typedef enum SgQueryPhase
{
	SG_QUERY_NONE,				/* nothing of this message was seen */
	SG_QUERY_PREPARING,			/* seen, but does not run */
	SG_QUERY_RUNNING,
	SG_QUERY_DONE,				/* has been counted */
	SG_QUERY_PASSED				/* has ended, and was too fast to count */
} SgQueryPhase;

/* of the last statement, as long as its message is the present one */
extern SG_OWN SgQueryPhase sg_query_phase;

/* see violations.c */
extern SG_OWN ErrorContextCallback sg_violation_watcher;

/* is DECLARE CURSOR running? */
extern SG_OWN bool sg_query_declares;

static inline bool
sg_queries_tracked(void)
{
	return sg_queries_on && sg_track_queries != SG_TRACK_OFF;
}

/*
 * Is there nothing to be known of a statement but the constraints it violates,
 * and are these seen already?
 */
static inline bool
sg_query_is_nothing(void)
{
	return error_context_stack == &sg_violation_watcher &&
		(sg_track_queries | sg_query_phase) == 0;
}

/* Can ExecutorFinish have something to do? */
static inline bool
sg_query_modifies(const QueryDesc *queryDesc)
{
	return queryDesc->operation != CMD_SELECT ||
		queryDesc->plannedstmt->hasModifyingCTE;
}

extern void sg_query_note(const char *text, int location, int len,
						  uint64 queryid);
extern bool sg_query_run_begin(ErrorContextCallback *callback,
							   QueryDesc *queryDesc);
extern void sg_query_run_end(ErrorContextCallback *callback,
							 QueryDesc *queryDesc, uint64 fetched);
extern bool sg_query_finish_begin(ErrorContextCallback *callback,
								  QueryDesc *queryDesc);
extern void sg_query_finish_end(ErrorContextCallback *callback,
								QueryDesc *queryDesc);
extern void sg_query_declare(QueryDesc *queryDesc);
extern void sg_query_count(const SgSource *source, uint64 elapsed,
						   uint64 rows);
extern bool sg_query_utility_begin(ErrorContextCallback *callback,
								   const PlannedStmt *pstmt,
								   const char *text,
								   ProcessUtilityContext context);
extern void sg_query_utility_end(ErrorContextCallback *callback,
								 const QueryCompletion *qc);

extern SgQueryPhase sg_query_current(SgQueryCall *call, int *end);
extern void sg_query_failed(void);

/* ---------------- stats/query_cursor.c ---------------- */

/* cursors, or NULL */
extern SG_OWN struct SgOpenQuery *sg_open_queries;

extern void sg_cursor_open(QueryDesc *queryDesc, const SgSource *source);
extern bool sg_cursor_source(const QueryDesc *queryDesc, SgSource *source);
extern void sg_cursor_run(QueryDesc *queryDesc, const SgSource *source,
						  bool first, uint64 elapsed);
extern void sg_cursor_failed(const QueryDesc *queryDesc, SgQueryCall *call);
extern void sg_cursor_close(const QueryDesc *queryDesc);

/* ---------------- stats/query_error.c ---------------- */

extern void sg_query_log(ErrorData *edata);
extern void sg_query_rolled_back(void);

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
	TimestampTz first;			/* when the entry was made */
	TimestampTz last;
	int32		encoding;
	int32		unused;
} SgViolationEntry;

/* entries; a violation of another constraint drives the rarest out */
#define SG_MAX_VIOLATIONS	1000

extern SgViolationEntry *sg_violations_collect(uint64 *nentries, bool alone);
extern void sg_violation_callback(void *arg);
extern void sg_violation_watch(void);
extern void sg_violation_note(const ErrorData *edata);
extern SG_OWN bool sg_violation_noted;
extern void sg_violation_count(void);
extern void sg_violation_named(Oid classId, Oid objectId, bool created);
extern SG_OWN bool sg_violations_named; /* by this transaction */
extern void sg_violation_transaction(XactEvent event);
extern int	sg_violations_used(void);
extern uint64 sg_violations_evicted(void);

#endif							/* SG_QUERIES_H */
