/*-------------------------------------------------------------------------
 *
 * findings.h
 *		Findings and counters as they lie in shared memory.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_FINDINGS_H
#define SG_FINDINGS_H

#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/hsearch.h"

#include "safeguard.h"

/* sizes of texts in shared memory, in bytes with the terminating zero */
#define SG_FINDING_MESSAGE	512
#define SG_FINDING_HINT		1024
#define SG_FINDING_CLIENT	64
#define SG_UNJUDGED_MESSAGE	256

/* What makes two findings the same; hashed as bytes, so zero it first. */
typedef struct SgFindingKey
{
	uint64		query;			/* query id, or hash of the normalised text */
	Oid			dbid;
	Oid			roleid;
	Oid			relid;
	int32		rule;			/* SgRuleId */
	int32		level;			/* SgLevel that was acted on */
	int32		padding;
} SgFindingKey;

/* One finding of the shared table, and of the statistics file. */
typedef struct SgFindingEntry
{
	SgFindingKey key;			/* MUST BE FIRST */
	bool		has_queryid;	/* key.query is the server's query id */
	int32		encoding;		/* of all texts */
	int64		calls;			/* executions found */
	int64		rejected;		/* of these, rejected */
	TimestampTz first_seen;
	TimestampTz last_seen;
	char		rule[NAMEDATALEN];	/* its name, filled for the file only */
	char		database[NAMEDATALEN];	/* names as last seen */
	char		role[NAMEDATALEN];
	char		schema[NAMEDATALEN];
	char		relation[NAMEDATALEN];
	char		application[NAMEDATALEN];
	char		client[SG_FINDING_CLIENT];
	char		query[SG_FINDING_QUERY];
	char		message[SG_FINDING_MESSAGE];
	char		hint[SG_FINDING_HINT];
} SgFindingEntry;

/* Counters of a rule in the statistics file. */
typedef struct SgRuleItem
{
	char		name[NAMEDATALEN];
	uint64		seen;
	uint64		rejected;
} SgRuleItem;

/* The fixed part of our shared memory. */
typedef struct SgShared
{
	LWLock	   *lock;			/* guards the table and the plain fields */
	pg_atomic_uint64 seen[SG_NUM_RULES];
	pg_atomic_uint64 rejected[SG_NUM_RULES];
	pg_atomic_uint64 evicted;	/* findings dropped for want of room */
	pg_atomic_uint64 unjudged;	/* statements on which detection failed */
	pg_atomic_uint64 unjudged_at;	/* when the last one, 0: not since the
									 * server's start */
	int			unjudged_sqlstate;	/* why the last one did */
	char		unjudged_message[SG_UNJUDGED_MESSAGE];
} SgShared;

/* NULL without shared memory */
extern SgShared *sg_shared;
extern HTAB *sg_finding_table;

extern SG_OWN int64 sg_findings_raised; /* by this session */

extern uint64 sg_unjudged_get(int *sqlstate, char *message, Size size);

/* ---------------- stats/views.c ---------------- */

extern Datum sg_text_column(const char *stored, int encoding, bool *isnull);

#endif							/* SG_FINDINGS_H */
