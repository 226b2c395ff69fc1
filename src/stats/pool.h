/*-------------------------------------------------------------------------
 *
 * pool.h
 *		Sessions as a pool: who got one, who was refused, what they do.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_POOL_H
#define SG_POOL_H

#include "access/xact.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

/* Why a client got no session; the order is that of safeguard.pool_failures. */
typedef enum SgRefusal
{
	SG_REFUSED_FULL,			/* no slot, not even a reserved one */
	SG_REFUSED_RESERVED,		/* only slots that others may have are left */
	SG_REFUSED_ROLE_LIMIT,
	SG_REFUSED_DATABASE_LIMIT,
	SG_REFUSED_TIMEOUT,			/* authentication_timeout */
	SG_REFUSED_PASSWORD,
	SG_REFUSED_HBA,
	SG_REFUSED_AUTHENTICATION,	/* any other method that said no */
	SG_REFUSED_GAVE_UP,			/* the client left when it was asked */
	SG_REFUSED_NO_ROLE,
	SG_REFUSED_NO_DATABASE,
	SG_REFUSED_PERMISSION,		/* CONNECT, LOGIN, ALLOW_CONNECTIONS */
	SG_REFUSED_NOT_ACCEPTING,	/* the server starts, stops or recovers */
	SG_REFUSED_OTHER,
	SG_NUM_REFUSALS				/* keep last */
} SgRefusal;

/* Upper limits of the histogram's buckets in ms; one more has none. */
#define SG_ACQUISITION_LIMITS \
	{0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000}
#define SG_ACQUISITION_BUCKETS	16

/* Figures of session starts; all of it is atomic: who is refused has no lock. */
typedef struct SgAcquisitions
{
	pg_atomic_uint64 bucket[SG_ACQUISITION_BUCKETS];
	pg_atomic_uint64 total_us;	/* time to set them up */
	pg_atomic_uint64 max_us;
	pg_atomic_uint64 refused[SG_NUM_REFUSALS];
	pg_atomic_uint64 refused_at[SG_NUM_REFUSALS];	/* TimestampTz, 0: never */
} SgAcquisitions;

/* A row of safeguard.pool_history, and what safeguard.pool_stats() returns. */
typedef struct SgPoolStats
{
	TimestampTz ts;
	int32		pool_size;
	int32		available;
	int32		active;
	int32		idle;
	int32		idle_in_transaction;
	int32		waiting;
	int64		acquisitions;
	int64		failures;
	double		avg_acquisition_ms;
	double		max_acquisition_ms;
	int64		slow_queries;
	double		utilization;
	int64		timeouts;
	int64		exhaustion_events;
	double		error_rate;
} SgPoolStats;

/* Who the sessions of a group belong to; hashed as bytes, so zero it first. */
typedef struct SgClientKey
{
	Oid			dbid;
	Oid			roleid;
	char		application[NAMEDATALEN];
	char		client[NAMEDATALEN];	/* address */
} SgClientKey;

/* Session starts of a group, in shared memory and in the statistics file. */
typedef struct SgClientEntry
{
	SgClientKey key;			/* MUST BE FIRST */
	int64		acquisitions;
	TimestampTz last_seen;
} SgClientEntry;

/* A client's session that exists now. */
typedef struct SgSession
{
	const PgBackendStatus *status;
	SgClientKey group;
	bool		waiting;		/* for a heavyweight lock */
} SgSession;

/* What the regular slots of the server are doing. */
typedef struct SgSlots
{
	int			size;			/* slots for everybody */
	int			used;			/* also by sessions that are still starting */
	int			nwaiting;		/* for a heavyweight lock */
	int		   *waiting;		/* their process ids, sorted */
} SgSlots;

/* ---------------- stats/acquire.c ---------------- */

extern SgAcquisitions *sg_acquisitions;

extern const char *sg_refusal_name(SgRefusal reason);
extern double sg_acquisition_limit(int bucket);
extern void sg_acquisitions_fill(SgPoolStats *stats);
extern SG_OWN bool sg_session_starts;

extern void sg_pool_authenticated(int status);
extern void sg_pool_transaction(XactEvent event);
extern void sg_pool_log(const ErrorData *edata);

/* ---------------- stats/clients.c ---------------- */

extern void sg_client_count(TimestampTz now);
extern SgClientEntry *sg_clients_copy(int *nentries, int64 *others);

/* ---------------- stats/sessions.c ---------------- */

extern void sg_slots_look(SgSlots *slots);
extern double sg_slots_utilization(const SgSlots *slots);
extern List *sg_sessions_look(const SgSlots *slots);
extern void sg_sessions_count(SgPoolStats *stats);
extern bool sg_session_is_idle_in_transaction(const PgBackendStatus *status);

/* ---------------- stats/pool.c ---------------- */

extern void sg_pool_look(SgPoolStats *stats);
extern void sg_pool_sample(TimestampTz now);
extern SgPoolStats *sg_history_copy(TimestampTz since, int *nsamples);

#endif							/* SG_POOL_H */
