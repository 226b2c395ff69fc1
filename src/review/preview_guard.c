/*-------------------------------------------------------------------------
 *
 * preview_guard.c
 *		What a rehearsal must not touch, and what is taken back within it.
 *
 * PL/pgSQL moves and closes cursors without a command that could be refused.
 * Those that the session had before are therefore marked as in use while the
 * rehearsal runs, as the server marks the one that is running.
 *
 * A function may roll back a part of what it did, by an EXCEPTION clause.
 * What was counted in that part is taken back with it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "review/preview.h"

/* ---------------- cursors ---------------- */

/*
 * The cursors of the session that could be moved or closed: list of names, in
 * the rehearsal's memory.
 */
static List *
open_cursors(MemoryContext context)
{
	List	   *names = NIL;

	SPI_connect();
	if (SPI_execute("SELECT name FROM pg_catalog.pg_cursor()", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not list the cursors of the session");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1);
		Portal		portal = name ? GetPortalByName(name) : NULL;
		MemoryContext caller;

		if (!PortalIsValid(portal) || portal->status != PORTAL_READY)
			continue;
		caller = MemoryContextSwitchTo(context);
		names = lappend(names, pstrdup(name));
		MemoryContextSwitchTo(caller);
	}
	SPI_finish();
	return names;
}

/*
 * Keep the script from the cursors that the session has.
 */
void
sg_guard_cursors(SgRehearsal *rehearsal)
{
	List	   *names = open_cursors(rehearsal->context);
	ListCell   *lc;

	/* raises nothing, so that either all of them are known or none marked */
	rehearsal->cursors = names;
	foreach(lc, names)
		GetPortalByName(lfirst(lc))->status = PORTAL_ACTIVE;
}

/*
 * Give them back.  Raises nothing.
 */
void
sg_release_cursors(SgRehearsal *rehearsal)
{
	ListCell   *lc;

	foreach(lc, rehearsal->cursors)
	{
		Portal		portal = GetPortalByName(lfirst(lc));

		if (PortalIsValid(portal) && portal->status == PORTAL_ACTIVE)
			portal->status = PORTAL_READY;
	}
	rehearsal->cursors = NIL;
}

/* ---------------- subtransactions ---------------- */

/* What was counted when a subtransaction began; in the rehearsal's "work". */
struct SgCounted
{
	SubTransactionId subid;
	int			nhits;
	int64	   *rows;			/* of each hit */
	struct SgCounted *outer;
};

static void
remember_counts(SgRehearsal *rehearsal, SubTransactionId subid)
{
	int			n = list_length(rehearsal->hits);
	struct SgCounted *counted = MemoryContextAlloc(rehearsal->work,
												   sizeof(struct SgCounted) +
												   n * sizeof(int64));

	counted->subid = subid;
	counted->nhits = n;
	counted->rows = (int64 *) (counted + 1);
	for (int i = 0; i < n; i++)
		counted->rows[i] = ((SgHit *) list_nth(rehearsal->hits, i))->rows;
	counted->outer = rehearsal->counted;
	rehearsal->counted = counted;
}

/*
 * Keys cannot be taken back: of a relation that was hit before, too, they are
 * not told any more.
 */
static void
take_back_counts(SgRehearsal *rehearsal, const struct SgCounted *counted)
{
	rehearsal->hits = list_truncate(rehearsal->hits, counted->nhits);
	for (int i = 0; i < counted->nhits; i++)
	{
		SgHit	   *hit = list_nth(rehearsal->hits, i);

		if (hit->rows == counted->rows[i])
			continue;
		hit->rows = counted->rows[i];
		hit->keys_unknown = true;
	}
}

/*
 * A subtransaction begins or ends.
 */
static void
see_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	SgRehearsal *rehearsal = arg;
	struct SgCounted *counted;

	if (rehearsal->current == NULL || event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		return;
	if (event == SUBXACT_EVENT_START_SUB)
	{
		remember_counts(rehearsal, subid);
		return;
	}
	counted = rehearsal->counted;
	if (counted == NULL || counted->subid != subid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		take_back_counts(rehearsal, counted);
	rehearsal->counted = counted->outer;
	pfree(counted);
}

void
sg_watch_subtransactions(SgRehearsal *rehearsal)
{
	RegisterSubXactCallback(see_subtransaction, rehearsal);
}

/* Raises nothing. */
void
sg_unwatch_subtransactions(SgRehearsal *rehearsal)
{
	UnregisterSubXactCallback(see_subtransaction, rehearsal);
}
