/*-------------------------------------------------------------------------
 *
 * sessions.c
 *		What the sessions of clients are doing now.
 *
 * Slots and lock waits are read from the PGPROCs, without a lock: a session
 * that is still being authenticated has one, but is not in the status array
 * yet.  States and names come from the status array, of which the server
 * makes a copy that lasts until the transaction ends, as for
 * pg_stat_activity.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/proc.h"
#include "utils/backend_status.h"

#include "compat.h"
#include "safeguard.h"
#include "stats/pool.h"

#define WAIT_CLASS_MASK		0xFF000000U

static int
compare_pids(const void *a, const void *b)
{
	int			pa = *(const int *) a;
	int			pb = *(const int *) b;

	return pa < pb ? -1 : pa > pb ? 1 : 0;
}

/*
 * Look at the regular slots.  Whoever has one owns its latch, from before
 * authentication until he gives it back; the process id stays behind.
 */
void
sg_slots_look(SgSlots *slots)
{
	memset(slots, 0, sizeof(*slots));
	slots->size = MaxConnections - sg_reserved_slots();
	slots->waiting = palloc(MaxConnections * sizeof(int));

	/* the first PGPROCs are those for clients */
	for (int i = 0; i < MaxConnections; i++)
	{
		const PGPROC *proc = &ProcGlobal->allProcs[i];
		int			pid = proc->procLatch.owner_pid;

		if (pid == 0)
			continue;
		slots->used++;
		if ((proc->wait_event_info & WAIT_CLASS_MASK) == PG_WAIT_LOCK)
			slots->waiting[slots->nwaiting++] = pid;
	}
	qsort(slots->waiting, slots->nwaiting, sizeof(int), compare_pids);
}

/*
 * Per cent of the slots for everybody; more than 100 where reserved ones are
 * used, too.
 */
double
sg_slots_utilization(const SgSlots *slots)
{
	return slots->size <= 0 ? 100.0 : 100.0 * slots->used / slots->size;
}

static SgSession *
make_session(const PgBackendStatus *status, const SgSlots *slots)
{
	SgSession  *session = palloc0(sizeof(SgSession));
	SgClientKey *group = &session->group;

	session->status = status;
	group->dbid = status->st_databaseid;
	group->roleid = status->st_userid;
	strlcpy(group->application, status->st_appname, sizeof(group->application));
	sg_copy_client(group->client, &status->st_clientaddr,
				   sizeof(group->client));
	session->waiting = bsearch(&status->st_procpid, slots->waiting,
							   slots->nwaiting, sizeof(int),
							   compare_pids) != NULL;
	return session;
}

static bool
is_client(const PgBackendStatus *status)
{
	return status != NULL && status->st_procpid > 0 &&
		status->st_backendType == B_BACKEND;
}

/*
 * The sessions of clients, a list of SgSession.
 */
List *
sg_sessions_look(const SgSlots *slots)
{
	List	   *sessions = NIL;
	int			n = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *status = sg_backend_status(i);

		if (is_client(status))
			sessions = lappend(sessions, make_session(status, slots));
	}
	return sessions;
}

/*
 * Count the sessions of clients by what they do.
 */
void
sg_sessions_count(SgPoolStats *stats)
{
	int			n = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *status = sg_backend_status(i);

		if (!is_client(status))
			continue;
		if (status->st_state == STATE_RUNNING ||
			status->st_state == STATE_FASTPATH)
			stats->active++;
		else if (status->st_state == STATE_IDLE)
			stats->idle++;
		else if (sg_session_is_idle_in_transaction(status))
			stats->idle_in_transaction++;
	}
}

bool
sg_session_is_idle_in_transaction(const PgBackendStatus *status)
{
	return status->st_state == STATE_IDLEINTRANSACTION ||
		status->st_state == STATE_IDLEINTRANSACTION_ABORTED;
}
