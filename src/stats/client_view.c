/*-------------------------------------------------------------------------
 *
 * client_view.c
 *		safeguard.pool_clients and safeguard.connection_leaks: sessions by who
 *		holds them.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "safeguard.h"
#include "stats/pool.h"

#define POOL_CLIENTS_COLUMNS	12
#define LEAKS_COLUMNS			9

PG_FUNCTION_INFO_V1(sg_pool_clients);
PG_FUNCTION_INFO_V1(sg_connection_leaks);

/* The sessions of one database, role, application and client. */
typedef struct ClientGroup
{
	SgClientKey key;			/* MUST BE FIRST */
	int			total;
	int			active;
	int			idle;
	int			idle_in_transaction;
	int			waiting;
	int64		acquisitions;
	TimestampTz idle_in_transaction_since;	/* the longest, 0: none */
	TimestampTz in_transaction_since;	/* likewise */
	TimestampTz last_change;	/* when one of them last changed its state, or
								 * started, if it has ended since */
	bool		working;		/* one of them is */
} ClientGroup;

/* ---------------- groups ---------------- */

static HTAB *
make_groups(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(SgClientKey);
	ctl.entrysize = sizeof(ClientGroup);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("safeguard groups", 128, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static ClientGroup *
find_group(HTAB *groups, const SgClientKey *key)
{
	bool		found;
	ClientGroup	   *group = hash_search(groups, key, HASH_ENTER, &found);

	if (!found)
	{
		memset(group, 0, sizeof(*group));
		group->key = *key;
	}
	return group;
}

static void
keep_first(TimestampTz *first, TimestampTz ts)
{
	if (ts != 0 && (*first == 0 || ts < *first))
		*first = ts;
}

static void
add_session(HTAB *groups, const SgSession *session)
{
	const PgBackendStatus *status = session->status;
	ClientGroup	   *group = find_group(groups, &session->group);

	group->total++;
	if (session->waiting)
		group->waiting++;
	keep_first(&group->in_transaction_since, status->st_xact_start_timestamp);
	group->last_change = Max(group->last_change,
							 status->st_state_start_timestamp);
	if (status->st_state == STATE_IDLE)
		group->idle++;
	else if (sg_session_is_idle_in_transaction(status))
	{
		group->idle_in_transaction++;
		keep_first(&group->idle_in_transaction_since,
				   status->st_state_start_timestamp);
	}
	else
	{
		group->working = true;
		if (status->st_state == STATE_RUNNING ||
			status->st_state == STATE_FASTPATH)
			group->active++;
	}
}

static HTAB *
group_sessions(List *sessions)
{
	HTAB	   *groups = make_groups();
	ListCell   *lc;

	foreach(lc, sessions)
		add_session(groups, (const SgSession *) lfirst(lc));
	return groups;
}

/*
 * Bring in what the groups have started, also those that have no session now.
 */
static void
add_starts(HTAB *groups, int64 *others)
{
	int			nentries;
	SgClientEntry *entries = sg_clients_copy(&nentries, others);

	for (int i = 0; i < nentries; i++)
	{
		ClientGroup *group = find_group(groups, &entries[i].key);

		group->acquisitions = entries[i].acquisitions;
		group->last_change = Max(group->last_change, entries[i].last_seen);
	}
}

/* ---------------- columns ---------------- */

static bool
sees_all(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

static bool
sees(Oid roleid)
{
	return has_privs_of_role(GetUserId(), roleid) || sees_all();
}

/*
 * Names of roles and databases are in the encoding of the database in which
 * they were given; what is none of ours is replaced, as one row must not make
 * the whole fail.
 */
static Datum
valid_text(char *str, bool *isnull)
{
	*isnull = str == NULL;
	if (str == NULL)
		return (Datum) 0;
	if (!pg_verify_mbstr(GetDatabaseEncoding(), str, strlen(str), true))
	{
		for (char *p = str; *p != '\0'; p++)
		{
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		}
	}
	return CStringGetTextDatum(str);
}

static Datum
valid_name(char *str, bool *isnull)
{
	*isnull = str == NULL;
	return *isnull ? (Datum) 0 :
		DirectFunctionCall1(namein, CStringGetDatum(str));
}

/*
 * A time span until now as an interval, NULL if there is no begin.  The clock
 * of another session may be ahead.
 */
static Datum
span(TimestampTz since, TimestampTz now, bool *isnull)
{
	*isnull = since == 0;
	return *isnull ? (Datum) 0 :
		DirectFunctionCall2(timestamp_mi,
							TimestampTzGetDatum(Max(now, since)),
							TimestampTzGetDatum(since));
}

/* ---------------- safeguard.pool_clients ---------------- */

static void
put_group(ReturnSetInfo *rsinfo, const ClientGroup *group, TimestampTz now)
{
	Datum		values[POOL_CLIENTS_COLUMNS];
	bool		nulls[POOL_CLIENTS_COLUMNS] = {0};
	int			n = 0;

	values[n] = valid_text(get_database_name(group->key.dbid), &nulls[n]);
	n++;
	values[n] = valid_text(GetUserNameFromId(group->key.roleid, true),
						   &nulls[n]);
	n++;
	values[n] = valid_text(pstrdup(group->key.application), &nulls[n]);
	n++;
	values[n] = valid_text(group->key.client[0] == '\0' ? NULL :
						   pstrdup(group->key.client), &nulls[n]);
	n++;
	values[n++] = Int32GetDatum(group->total);
	values[n++] = Int32GetDatum(group->active);
	values[n++] = Int32GetDatum(group->idle);
	values[n++] = Int32GetDatum(group->idle_in_transaction);
	values[n++] = Int32GetDatum(group->waiting);
	nulls[n] = !sg_has_shmem();
	values[n++] = Int64GetDatum(group->acquisitions);
	values[n] = span(group->idle_in_transaction_since, now, &nulls[n]);
	n++;
	values[n] = span(group->in_transaction_since, now, &nulls[n]);
	n++;
	Assert(n == POOL_CLIENTS_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}


/*
 * Sessions by database, role, application and client, of all roles or of
 * those that the current user is.
 */
Datum
sg_pool_clients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ClientGroup		other = {{0}};
	HASH_SEQ_STATUS seq;
	SgSlots		slots;
	HTAB	   *groups;
	ClientGroup	   *group;
	TimestampTz now;

	InitMaterializedSRF(fcinfo, 0);
	sg_slots_look(&slots);
	groups = group_sessions(sg_sessions_look(&slots));
	add_starts(groups, &other.acquisitions);
	now = GetCurrentTimestamp();

	hash_seq_init(&seq, groups);
	while ((group = hash_seq_search(&seq)) != NULL)
	{
		if (sees(group->key.roleid))
			put_group(rsinfo, group, now);
	}
	if (other.acquisitions > 0 && sees_all())
	{
		strlcpy(other.key.application, "other", sizeof(other.key.application));
		put_group(rsinfo, &other, now);
	}
	return (Datum) 0;
}

/* ---------------- safeguard.connection_leaks ---------------- */

static const char *
state_name(const PgBackendStatus *status)
{
	switch (status->st_state)
	{
		case STATE_IDLE:
			return "idle";
		case STATE_IDLEINTRANSACTION:
			return "idle in transaction";
		case STATE_IDLEINTRANSACTION_ABORTED:
			return "idle in transaction (aborted)";
		default:
			return "";
	}
}

/*
 * What the session has run last, without constants.  A text that has been cut
 * may be no statement any more: then nothing is shown.
 */
static Datum
last_query(const PgBackendStatus *status, bool *isnull)
{
	char	   *text = pgstat_clip_activity(status->st_activity_raw);

	*isnull = false;
	if (!pg_verify_mbstr(GetDatabaseEncoding(), text, strlen(text), true))
		return CStringGetTextDatum("");
	return CStringGetTextDatum(sg_normalize(text, -1, 0));
}

static void
put_leak(ReturnSetInfo *rsinfo, const SgSession *session, TimestampTz now)
{
	const PgBackendStatus *status = session->status;
	Datum		values[LEAKS_COLUMNS];
	bool		nulls[LEAKS_COLUMNS] = {0};
	int			n = 0;

	values[n++] = Int32GetDatum(status->st_procpid);
	values[n] = valid_name(get_database_name(session->group.dbid), &nulls[n]);
	n++;
	values[n] = valid_name(GetUserNameFromId(session->group.roleid, true),
						   &nulls[n]);
	n++;
	values[n] = valid_text(pstrdup(session->group.application), &nulls[n]);
	n++;
	nulls[n] = session->group.client[0] == '\0';
	values[n++] = CStringGetTextDatum(session->group.client);
	values[n++] = CStringGetTextDatum(state_name(status));
	values[n] = span(status->st_state_start_timestamp, now, &nulls[n]);
	n++;
	values[n] = span(status->st_xact_start_timestamp, now, &nulls[n]);
	n++;
	values[n] = last_query(status, &nulls[n]);
	n++;
	Assert(n == LEAKS_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Has the group of an idle session run nothing since then?
 */
static bool
group_is_idle(HTAB *groups, const SgSession *session, TimestampTz since)
{
	const ClientGroup *group = hash_search(groups, &session->group, HASH_FIND, NULL);

	return group != NULL && !group->working && group->last_change <= since;
}

static bool
is_leak(HTAB *groups, const SgSession *session, TimestampTz since,
		bool crowded)
{
	const PgBackendStatus *status = session->status;

	if (sg_session_is_idle_in_transaction(status))
		return status->st_state_start_timestamp <= since;
	return status->st_state == STATE_IDLE && crowded &&
		group_is_idle(groups, session, since);
}

/*
 * The time before which a session must have fallen idle to be a leak.
 */
static TimestampTz
leak_limit(FunctionCallInfo fcinfo, TimestampTz now)
{
	Datum		limit;

	if (PG_ARGISNULL(0))
		return TimestampTzPlusMilliseconds(now, -(int64) sg_leak_after * 1000);
	limit = DirectFunctionCall2(timestamptz_mi_interval,
								TimestampTzGetDatum(now), PG_GETARG_DATUM(0));
	if (DatumGetTimestampTz(limit) > now)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("threshold must not be negative"));
	return DatumGetTimestampTz(limit);
}

/*
 * Sessions that hold a connection without work.
 */
Datum
sg_connection_leaks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since = leak_limit(fcinfo, now);
	SgSlots		slots;
	List	   *sessions;
	HTAB	   *groups;
	int64		others;
	bool		crowded;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	sg_slots_look(&slots);
	crowded = sg_slots_utilization(&slots) > sg_utilization_warning;
	sessions = sg_sessions_look(&slots);
	groups = group_sessions(sessions);
	add_starts(groups, &others);
	foreach(lc, sessions)
	{
		const SgSession *session = (const SgSession *) lfirst(lc);

		if (sees(session->group.roleid) &&
			is_leak(groups, session, since, crowded))
			put_leak(rsinfo, session, now);
	}
	return (Datum) 0;
}
