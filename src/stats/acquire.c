/*-------------------------------------------------------------------------
 *
 * acquire.c
 *		Session starts: those that came about, how long they took, and those
 *		that were refused.
 *
 * A session has started when the transaction in which the server sets it up
 * has committed: all checks are behind it, and no statement has run.  A
 * refusal is known by the message with which the server ends the process.
 *
 * A client that is refused for want of a slot has no PGPROC, so it must not
 * take a lock; what stands here is atomic, and of fixed size whatever names
 * strangers come with.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "safeguard.h"
#include "stats/area.h"
#include "stats/counters.h"
#include "stats/pool.h"

/* 17 has it in its list of codes */
#define SQLSTATE_TRANSACTION_TIMEOUT	MAKE_SQLSTATE('2', '5', 'P', '0', '4')

static const char *const refusal_names[] = {
	"server full",
	"reserved slots",
	"role limit",
	"database limit",
	"start-up timeout",
	"bad password",
	"rejected by pg_hba",
	"authentication failed",
	"client gave up",
	"no such role",
	"no such database",
	"no permission",
	"not accepting",
	"other",
};

StaticAssertDecl(lengthof(refusal_names) == SG_NUM_REFUSALS,
				 "every refusal has a name");

static const double limits[] = SG_ACQUISITION_LIMITS;

StaticAssertDecl(lengthof(limits) == SG_ACQUISITION_BUCKETS - 1,
				 "every bucket but the last has a limit");

/* names of the items of the statistics file that are no refusals */
#define ITEM_BUCKET		"*bucket %d"
#define ITEM_TOTAL		"*total"
#define ITEM_MAX		"*max"
#define NUM_ITEMS		(SG_NUM_REFUSALS + SG_ACQUISITION_BUCKETS + 2)

SgAcquisitions *sg_acquisitions = NULL;

/* of the session of this process, if it is a client's */
static bool authenticated = false;
static bool started = false;
bool		sg_session_starts = false;	/* the one, but not yet the other */

/* ---------------- shared memory ---------------- */

Size
sg_acquisitions_size(void)
{
	return MAXALIGN(sizeof(SgAcquisitions));
}

/*
 * Forget all figures.  Each is a pg_atomic_uint64, so the whole is an array.
 */
void
sg_acquisitions_reset(void)
{
	pg_atomic_uint64 *value = (pg_atomic_uint64 *) sg_acquisitions;

	for (int i = 0; i < sizeof(SgAcquisitions) / sizeof(*value); i++)
		pg_atomic_write_u64(&value[i], 0);
}

void
sg_acquisitions_startup(void)
{
	pg_atomic_uint64 *value;
	bool		found;

	sg_acquisitions = ShmemInitStruct("safeguard acquisitions",
									  sizeof(SgAcquisitions), &found);
	value = (pg_atomic_uint64 *) sg_acquisitions;
	for (int i = 0; !found && i < sizeof(SgAcquisitions) / sizeof(*value); i++)
		pg_atomic_init_u64(&value[i], 0);
}

/* ---------------- session starts ---------------- */

const char *
sg_refusal_name(SgRefusal reason)
{
	return refusal_names[reason];
}

/* Upper limit of a bucket, in ms. */
double
sg_acquisition_limit(int bucket)
{
	return bucket < lengthof(limits) ? limits[bucket] : get_float8_infinity();
}

static int
bucket_of(uint64 us)
{
	int			i = 0;

	while (i < lengthof(limits) && us > limits[i] * 1000)
		i++;
	return i;
}

static void
raise_to(pg_atomic_uint64 *maximum, uint64 value)
{
	uint64		old = pg_atomic_read_u64(maximum);

	while (value > old &&
		   !pg_atomic_compare_exchange_u64(maximum, &old, value))
		 /* "old" has been read again */ ;
}

static void
count_start(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz began = sg_session_began();
	uint64		us = now > began ? now - began : 0;

	pg_atomic_fetch_add_u64(&sg_acquisitions->bucket[bucket_of(us)], 1);
	pg_atomic_fetch_add_u64(&sg_acquisitions->total_us, us);
	raise_to(&sg_acquisitions->max_us, us);
	sg_client_count(now);
}

/*
 * The first commit after authentication is that of the transaction in which
 * the server has set the session up. 
 */
void
sg_pool_transaction(XactEvent event)
{
	if (event != XACT_EVENT_COMMIT)
		return;
	sg_session_starts = false;
	started = true;
	if (sg_track_pool)
		count_start();
}

static void
count_refusal(SgRefusal reason)
{
	pg_atomic_fetch_add_u64(&sg_acquisitions->refused[reason], 1);
	raise_to(&sg_acquisitions->refused_at[reason], GetCurrentTimestamp());
}

/*
 * The server knows whether it believes a client.  Replication takes slots of
 * its own, and is no client of the pool.
 */
void
sg_pool_authenticated(int status)
{
	if (sg_acquisitions == NULL || am_walsender)
		return;
	if (status == STATUS_OK && !authenticated)
	{
		authenticated = true;
		sg_session_starts = true;
	}
	else if (status == STATUS_EOF && sg_track_pool)
		count_refusal(SG_REFUSED_GAVE_UP);
}

/* ---------------- messages ---------------- */

/*
 * Does the message begin so, before it is translated?
 */
static bool
begins(const ErrorData *edata, const char *text)
{
	return edata->message_id != NULL &&
		strncmp(edata->message_id, text, strlen(text)) == 0;
}

static SgRefusal
refusal_without_slot(const ErrorData *edata)
{
	if (MyProc == NULL)
		return SG_REFUSED_FULL;
	if (begins(edata, "too many connections for role"))
		return SG_REFUSED_ROLE_LIMIT;
	if (begins(edata, "too many connections for database"))
		return SG_REFUSED_DATABASE_LIMIT;
	return SG_REFUSED_RESERVED;
}

static SgRefusal
refusal_by_authorization(const ErrorData *edata)
{
	if (begins(edata, "pg_hba.conf rejects") ||
		begins(edata, "no pg_hba.conf entry"))
		return SG_REFUSED_HBA;
	if (begins(edata, "role \"%s\" does not exist"))
		return SG_REFUSED_NO_ROLE;
	if (begins(edata, "role \"%s\" is not permitted to log in"))
		return SG_REFUSED_PERMISSION;
	return SG_REFUSED_AUTHENTICATION;
}

/*
 * Why the server ends a process that has not become a session yet.
 */
static SgRefusal
refusal_of(const ErrorData *edata)
{
	switch (edata->sqlerrcode)
	{
		case ERRCODE_TOO_MANY_CONNECTIONS:
			return refusal_without_slot(edata);
		case ERRCODE_QUERY_CANCELED:
			return SG_REFUSED_TIMEOUT;
		case ERRCODE_INVALID_PASSWORD:
			return SG_REFUSED_PASSWORD;
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
			return refusal_by_authorization(edata);
		case ERRCODE_UNDEFINED_DATABASE:
			return SG_REFUSED_NO_DATABASE;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return SG_REFUSED_PERMISSION;
		case ERRCODE_CANNOT_CONNECT_NOW:
			return SG_REFUSED_NOT_ACCEPTING;
		default:
			return SG_REFUSED_OTHER;
	}
}

/*
 * Has a timeout of the server ended this statement or session?  A statement
 * that somebody has cancelled has the same SQLSTATE as one out of time.
 */
static bool
is_timeout(const ErrorData *edata)
{
	switch (edata->sqlerrcode)
	{
		case ERRCODE_QUERY_CANCELED:
			return begins(edata, "canceling statement due to statement timeout");
		case ERRCODE_LOCK_NOT_AVAILABLE:
			return begins(edata, "canceling statement due to lock timeout");
		case ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT:
		case ERRCODE_IDLE_SESSION_TIMEOUT:
		case SQLSTATE_TRANSACTION_TIMEOUT:
			/* anybody may raise an ERROR with this SQLSTATE */
			return edata->elevel == FATAL;
		default:
			return false;
	}
}

/*
 * An ERROR or worse is on its way to the log.  Nothing here allocates, locks
 * or raises.
 */
void
sg_pool_log(const ErrorData *edata)
{
	if (sg_acquisitions == NULL || !sg_track_pool ||
		MyProcPort == NULL || am_walsender)
		return;
	if (!started)
	{
		if (edata->elevel == FATAL)
			count_refusal(refusal_of(edata));
		return;
	}
	/*
	 * Against statements, which are counted where queries are tracked, but
	 * for those that a failed block refuses.
	 */
	if (edata->elevel == ERROR && sg_track_queries != SG_TRACK_OFF &&
		edata->sqlerrcode != ERRCODE_IN_FAILED_SQL_TRANSACTION)
		sg_count_error();
	if (is_timeout(edata))
		sg_count_timeout();
}

/* ---------------- reading ---------------- */

static int64
refused(SgRefusal reason)
{
	return pg_atomic_read_u64(&sg_acquisitions->refused[reason]);
}

/*
 * Put the figures of session starts into "stats".
 */
void
sg_acquisitions_fill(SgPoolStats *stats)
{
	double		total_ms =
		pg_atomic_read_u64(&sg_acquisitions->total_us) / 1000.0;
	int64		count = 0;

	for (int i = 0; i < SG_ACQUISITION_BUCKETS; i++)
		count += pg_atomic_read_u64(&sg_acquisitions->bucket[i]);
	stats->acquisitions = count;
	stats->avg_acquisition_ms = count == 0 ? 0 : total_ms / count;
	stats->max_acquisition_ms =
		pg_atomic_read_u64(&sg_acquisitions->max_us) / 1000.0;
	stats->exhaustion_events = refused(SG_REFUSED_FULL) +
		refused(SG_REFUSED_RESERVED) + refused(SG_REFUSED_ROLE_LIMIT) +
		refused(SG_REFUSED_DATABASE_LIMIT);
	stats->failures = stats->exhaustion_events + refused(SG_REFUSED_TIMEOUT);
}

/* ---------------- file ---------------- */

static void
put_item(SgCountItem *item, const char *name, const pg_atomic_uint64 *count,
		 const pg_atomic_uint64 *last_seen)
{
	memset(item, 0, sizeof(*item));
	strlcpy(item->name, name, sizeof(item->name));
	item->count = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, count));
	if (last_seen != NULL)
		item->last_seen =
			pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, last_seen));
}

void *
sg_acquisitions_snapshot(uint64 *nitems, bool alone)
{
	SgCountItem *items = palloc_extended(NUM_ITEMS * sizeof(SgCountItem),
										 MCXT_ALLOC_NO_OOM);
	char		name[NAMEDATALEN];
	int			n = 0;

	if (items == NULL)
		return NULL;
	for (int i = 0; i < SG_NUM_REFUSALS; i++)
		put_item(&items[n++], refusal_names[i], &sg_acquisitions->refused[i],
				 &sg_acquisitions->refused_at[i]);
	for (int i = 0; i < SG_ACQUISITION_BUCKETS; i++)
	{
		snprintf(name, sizeof(name), ITEM_BUCKET, i);
		put_item(&items[n++], name, &sg_acquisitions->bucket[i], NULL);
	}
	put_item(&items[n++], ITEM_TOTAL, &sg_acquisitions->total_us, NULL);
	put_item(&items[n++], ITEM_MAX, &sg_acquisitions->max_us, NULL);
	Assert(n == NUM_ITEMS);
	*nitems = n;
	return items;
}

static void
restore_one(const SgCountItem *item)
{
	int			bucket;

	if (strcmp(item->name, ITEM_TOTAL) == 0)
		pg_atomic_write_u64(&sg_acquisitions->total_us, item->count);
	else if (strcmp(item->name, ITEM_MAX) == 0)
		pg_atomic_write_u64(&sg_acquisitions->max_us, item->count);
	else if (sscanf(item->name, ITEM_BUCKET, &bucket) == 1)
	{
		if (bucket >= 0 && bucket < SG_ACQUISITION_BUCKETS)
			pg_atomic_write_u64(&sg_acquisitions->bucket[bucket], item->count);
	}
	for (int i = 0; i < SG_NUM_REFUSALS; i++)
	{
		if (strcmp(item->name, refusal_names[i]) != 0)
			continue;
		pg_atomic_write_u64(&sg_acquisitions->refused[i], item->count);
		if (IS_VALID_TIMESTAMP(item->last_seen))
			pg_atomic_write_u64(&sg_acquisitions->refused_at[i],
								item->last_seen);
	}
}

void
sg_acquisitions_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgCountItem *item = (SgCountItem *) items + i;

		item->name[NAMEDATALEN - 1] = '\0';
		restore_one(item);
	}
}
