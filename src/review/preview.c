/*-------------------------------------------------------------------------
 *
 * preview.c
 *		safeguard.preview(): runs a script and takes it back.
 *
 * All of it happens in one subtransaction, which is rolled back whatever
 * comes of it: that gives back rows, catalogs, settings, roles, cursors and
 * locks.  What a subtransaction does not give back is refused before anything
 * runs (preview_refuse.c), or taken back by hand here: prepared statements and
 * advisory locks of the session.  Sequences stay where they are.
 *
 * While it runs, hooks see sg_rehearsal; every way out of it resets that.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "commands/prepare.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "review/preview.h"

PG_FUNCTION_INFO_V1(sg_preview);

SgRehearsal *sg_rehearsal = NULL;
ErrorContextCallback *sg_top_context = NULL;

/* ---------------- time ---------------- */

static volatile sig_atomic_t timed_out = false;

/* The rehearsal has had its time: the same as a cancel request. */
static void
end_by_timeout(void)
{
	timed_out = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * A function may have caught the cancellation and gone on.
 */
void
sg_preview_check_time(void)
{
	if (timed_out)
		ereport(ERROR,
				errcode(ERRCODE_QUERY_CANCELED),
				errmsg("canceling statement due to timeout of the rehearsal"));
}

static TimeoutId
get_timer(void)
{
	static TimeoutId timer = MAX_TIMEOUTS;

	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, end_by_timeout);
	return timer;
}

static void
stop_timer(void)
{
	disable_timeout(get_timer(), false);

	/* it may have gone off just when there was nothing left to cancel */
	if (timed_out)
		QueryCancelPending = false;
}

/*
 * What the script will find as lock_timeout when it is not rehearsed: ours is
 * not its own.
 */
int
sg_lock_timeout_meant(void)
{
	if (sg_rehearsal != NULL && sg_rehearsal->lock_timeout > 0 &&
		!sg_rehearsal->script_sets_lock_timeout &&
		LockTimeout == sg_rehearsal->lock_timeout)
		return sg_rehearsal->session_lock_timeout;
	return LockTimeout;
}

/* ---------------- the rehearsal ---------------- */

static void
begin_rehearsal(SgRehearsal *rehearsal)
{
	char		value[32];

	rehearsal->subid = GetCurrentSubTransactionId();
	rehearsal->caller = GetUserId();
	rehearsal->trigger_depth =
		DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
	rehearsal->session_lock_timeout = LockTimeout;
	if (rehearsal->lock_timeout > 0)
	{
		snprintf(value, sizeof(value), "%d", rehearsal->lock_timeout);
		(void) set_config_option("lock_timeout", value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
								 false);
	}
	if (rehearsal->timeout > 0)
		enable_timeout_after(get_timer(), rehearsal->timeout);
	sg_guard_cursors(rehearsal);
	sg_watch_subtransactions(rehearsal);
	sg_top_context = error_context_stack;
	sg_rehearsal = rehearsal;
	sg_capture = sg_preview_capture;
}

/* Raises nothing. */
static void
end_rehearsal(SgRehearsal *rehearsal)
{
	sg_unwatch_subtransactions(rehearsal);
	sg_release_cursors(rehearsal);
	sg_rehearsal = NULL;
	sg_capture = NULL;
	sg_top_context = NULL;
	stop_timer();
}

/*
 * Is this the failure of a statement, and not the end of the caller's own
 * statement?
 */
static bool
is_told(const SgRehearsal *rehearsal, const ErrorData *edata)
{
	if (rehearsal->current == NULL)
		return false;
	if (timed_out && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return true;
	return !sg_is_interrupt(edata);
}

/*
 * Take back what no rollback takes back.
 */
static void
clean_session(SgRehearsal *rehearsal, const SgHeldLocks *locks)
{
	ListCell   *lc;

	foreach(lc, rehearsal->prepared)
		DropPreparedStatement(lfirst(lc), false);
	sg_release_advisory(locks);
}

static void
rehearse(SgRehearsal *rehearsal)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			level = GetCurrentTransactionNestLevel();
	ErrorData  *volatile edata = NULL;
	SgHeldLocks locks;

	sg_held_locks(&locks);
	rehearsal->holds_advisory = sg_holds_advisory(&locks);
	timed_out = false;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		begin_rehearsal(rehearsal);
		sg_preview_script(rehearsal);
		end_rehearsal(rehearsal);
	}
	PG_CATCH();
	{
		end_rehearsal(rehearsal);
		edata = sg_keep_error(rehearsal->context);
		if (rehearsal->current != NULL)
			sg_preview_stop_clock(rehearsal);
	}
	PG_END_TRY();

	/* an error may have left one within it */
	while (GetCurrentTransactionNestLevel() > level)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	clean_session(rehearsal, &locks);
	if (edata == NULL)
		return;
	if (timed_out && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		edata->message = psprintf("the rehearsal has not ended within its timeout of %d ms",
								  rehearsal->timeout);
	if (!is_told(rehearsal, edata))
		ReThrowError(edata);
	sg_preview_failed(rehearsal, edata);
}

/* ---------------- arguments ---------------- */

/* An interval in ms; 0 if it is NULL, which is no limit. */
static int
milliseconds(FunctionCallInfo fcinfo, int n, const char *name)
{
	double		ms = sg_milliseconds_argument(fcinfo, n, name);

	if (ms < 0)
		return 0;
	return ms >= INT_MAX ? INT_MAX : (int) ceil(ms);
}

static void
get_arguments(FunctionCallInfo fcinfo, SgRehearsal *rehearsal)
{
	sg_require_argument(fcinfo, 0, "sql");
	sg_require_argument(fcinfo, 3, "twice");
	rehearsal->sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	rehearsal->lock_timeout = milliseconds(fcinfo, 1, "lock_timeout");
	rehearsal->timeout = milliseconds(fcinfo, 2, "timeout");
	rehearsal->twice = PG_GETARG_BOOL(3);
	if (rehearsal->lock_timeout == 0 && rehearsal->timeout == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("safeguard.preview() needs a lock_timeout or a timeout"),
				errdetail("The locks of a rehearsal are real until it ends."));
}

static void
check_circumstances(void)
{
	PreventCommandDuringRecovery("safeguard.preview()");
	PreventCommandIfReadOnly("safeguard.preview()");
	PreventCommandIfParallelMode("safeguard.preview()");
	if (sg_rehearsal != NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("safeguard.preview() cannot be rehearsed by itself"));
}

/*
 * Refuse a statement that cannot be rehearsed.  One that is nested too deeply
 * to be looked at is not run either, and told when it is its turn.
 */
static void
refuse_statement(const SgScriptStatement *stmt)
{
	PG_TRY();
	{
		sg_preview_refuse_statement(stmt);
	}
	PG_CATCH();
	{
		/* nothing but memory is held where a tree is walked */
		if (geterrcode() != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
}

/*
 * Look at the whole script before anything of it runs.  What is no SQL is
 * told when it is its turn.
 */
static void
look_through(SgRehearsal *rehearsal)
{
	MemoryContext caller = MemoryContextSwitchTo(rehearsal->work);
	ListCell   *lc;

	foreach(lc, rehearsal->script)
	{
		SgScriptStatement *stmt = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (sg_script_parse(rehearsal->sql, stmt))
			refuse_statement(stmt);
		MemoryContextSwitchTo(rehearsal->work);
		stmt->text = NULL;
		stmt->raw = NULL;
		stmt->error = NULL;
		MemoryContextReset(rehearsal->work);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * preview(sql text, lock_timeout interval, timeout interval, twice bool)
 */
Datum
sg_preview(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SgRehearsal rehearsal = {0};
	MemoryContext caller;

	check_circumstances();
	InitMaterializedSRF(fcinfo, 0);

	rehearsal.context = AllocSetContextCreate(CurrentMemoryContext,
											  "safeguard rehearsal",
											  ALLOCSET_DEFAULT_SIZES);
	rehearsal.work = AllocSetContextCreate(rehearsal.context,
										   "safeguard statement",
										   ALLOCSET_DEFAULT_SIZES);
	rehearsal.names = AllocSetContextCreate(rehearsal.context,
											"safeguard names",
											ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(rehearsal.context);
	get_arguments(fcinfo, &rehearsal);
	rehearsal.script = sg_script_split(rehearsal.sql);
	look_through(&rehearsal);
	rehearse(&rehearsal);
	sg_preview_put(&rehearsal, rsinfo->setResult, rsinfo->setDesc);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(rehearsal.context);
	return (Datum) 0;
}
