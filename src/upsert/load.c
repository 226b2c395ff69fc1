/*-------------------------------------------------------------------------
 *
 * load.c
 *		What this session has written lately by upserts.
 *
 * A load goes on from statement to statement and from transaction to
 * transaction, until nothing has come for some minutes or the session is
 * reset.  It remembers which keys it has written, not which rows, so a row
 * that was rolled back and written again is one key.
 *
 * Its statements may yet be rolled back.  Which rows are there then cannot be
 * told, so a load that loses some begins anew.
 *
 * The figures of a statement are added when it has ended well; its keys a
 * little earlier, when it is judged.  So a statement that the rule rejects
 * leaves the load as it was, but for keys that the next attempt brings again.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "upsert/upsert.h"

/* loads that a session remembers */
#define MAX_LOADS		32

/* a load is over when it has been quiet for this long */
#define LOAD_PAUSE		(INT64CONST(10) * 60 * USECS_PER_SEC)

static dlist_head loads = DLIST_STATIC_INIT(loads);

static void
forget(SgLoad *load)
{
	dlist_delete(&load->link);
	MemoryContextDelete(load->context);
}

/* ---------------- the end of transactions ---------------- */

/* has this transaction written to any load? */
static bool written = false;

/*
 * Forget the loads that have been written to in subtransactions from "first"
 * on: it or one begun later, which went with it.
 */
static void
forget_written(SubTransactionId first)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &loads)
	{
		SgLoad	   *load = dlist_container(SgLoad, link, iter.cur);

		if (load->written_in != InvalidSubTransactionId &&
			load->written_in >= first)
			forget(load);
	}
}

static void
transaction_ends(XactEvent event, void *arg)
{
	dlist_iter	iter;

	if (!written || event == XACT_EVENT_PRE_COMMIT ||
		event == XACT_EVENT_PRE_PREPARE)
		return;
	if (event == XACT_EVENT_ABORT)
		forget_written(TopSubTransactionId);
	dlist_foreach(iter, &loads)
		dlist_container(SgLoad, link, iter.cur)->written_in = InvalidSubTransactionId;
	written = false;
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId mySubid,
					SubTransactionId parentSubid, void *arg)
{
	if (written && event == SUBXACT_EVENT_ABORT_SUB)
		forget_written(mySubid);
}

static void
watch_transactions(void)
{
	static bool watching = false;

	if (watching)
		return;
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
	watching = true;
}

/* ---------------- the loads of a session ---------------- */

/*
 * The session is given to somebody else.
 */
void
sg_loads_forget(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &loads)
		forget(dlist_container(SgLoad, link, iter.cur));
}

/*
 * The load that an upsert goes on with, or NULL.
 */
SgLoad *
sg_load_find(const SgTracker *tracker)
{
	dlist_iter	iter;

	dlist_foreach(iter, &loads)
	{
		SgLoad	   *load = dlist_container(SgLoad, link, iter.cur);

		if (load->root != tracker->target.root ||
			load->target != tracker->target.id ||
			load->roleid != GetUserId())
			continue;
		/* a statement that takes its time is no pause */
		if (tracker->started - load->last_seen > LOAD_PAUSE)
		{
			forget(load);
			return NULL;
		}
		return load;
	}
	return NULL;
}

static void
make_room(void)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &loads)
		n++;
	if (n >= MAX_LOADS)
		forget(dlist_tail_element(SgLoad, link, &loads));
}

/*
 * The load that an upsert goes on with or begins.
 */
SgLoad *
sg_load_make(const SgTracker *tracker)
{
	SgLoad	   *load = sg_load_find(tracker);
	MemoryContext context;

	if (load != NULL)
	{
		dlist_move_head(&loads, &load->link);
		return load;
	}
	watch_transactions();
	make_room();
	context = AllocSetContextCreate(TopMemoryContext, "safeguard load",
									ALLOCSET_SMALL_SIZES);
	load = MemoryContextAllocZero(context, sizeof(SgLoad));
	load->context = context;
	load->root = tracker->target.root;
	load->target = tracker->target.id;
	load->roleid = GetUserId();
	load->last_seen = tracker->started;
	sg_sketch_init(&load->keys, context);
	sg_sketch_init(&load->window.keys, context);
	dlist_push_head(&loads, &load->link);
	return load;
}

/* ---------------- the window ---------------- */

static SgLoadCandidate *
candidate_of(SgWindow *window, AttrNumber attnum, MemoryContext context)
{
	SgLoadCandidate *candidate;

	for (int i = 0; i < window->ncandidates; i++)
	{
		if (window->candidates[i].attnum == attnum)
			return &window->candidates[i];
	}
	if (window->ncandidates >= SG_MAX_CANDIDATES)
		return NULL;
	candidate = &window->candidates[window->ncandidates++];
	candidate->attnum = attnum;
	sg_sketch_init(&candidate->values, context);
	return candidate;
}

/*
 * Begin to look at candidates with the next statement.
 */
static void
open_window(SgWindow *window)
{
	window->open = true;
	window->proposed = window->replaced = 0;
}

/*
 * Stop looking at candidates, until the load has so many rows.
 */
void
sg_window_close(SgWindow *window, int64 opens_at)
{
	for (int i = 0; i < window->ncandidates; i++)
		sg_sketch_free(&window->candidates[i].values);
	window->ncandidates = 0;
	sg_sketch_free(&window->keys);
	window->open = false;
	window->opens_at = opens_at;
}

/* ---------------- a statement ---------------- */

/*
 * Take in which keys and values a statement has proposed.
 */
void
sg_load_see(SgLoad *load, SgTracker *tracker)
{
	SgWindow   *window = &load->window;

	sg_sketch_add(&load->keys, &tracker->keys);
	if (!window->open)
		return;
	sg_sketch_add(&window->keys, &tracker->keys);
	for (int i = 0; i < tracker->ncandidates; i++)
	{
		SgLoadCandidate *candidate =
			candidate_of(window, tracker->candidates[i].attnum, load->context);

		if (candidate != NULL)
			sg_sketch_add(&candidate->values, &tracker->candidates[i].seen);
	}
}

/*
 * The statement has ended well: its figures are part of the load.
 */
void
sg_load_commit(SgLoad *load, const SgTracker *tracker)
{
	SgWindow   *window = &load->window;

	load->written_in = GetCurrentSubTransactionId();
	written = true;
	load->last_seen = GetCurrentTimestamp();
	load->proposed += tracker->proposed;
	load->inserted += tracker->inserted;
	load->replaced += tracker->replaced;
	if (window->open)
	{
		window->proposed += tracker->proposed;
		window->replaced += tracker->replaced;
	}
	else if (sg_upsert_overwrite_suspects(load))
		open_window(window);
}
