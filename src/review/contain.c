/*-------------------------------------------------------------------------
 *
 * contain.c
 *		Runs a piece of work whose errors and locks must not remain.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "review/review.h"
#include "safeguard.h"

/*
 * Is an error somebody's wish that the statement ends?  A function may raise
 * one with the same code, but not from there.
 */
bool
sg_is_interrupt(const ErrorData *edata)
{
	return ERRCODE_TO_CATEGORY(edata->sqlerrcode) ==
		ERRCODE_OPERATOR_INTERVENTION &&
		edata->funcname != NULL &&
		strcmp(edata->funcname, "ProcessInterrupts") == 0;
}

/*
 * The error that is being caught, copied into a memory context.  What must be
 * put back is put back even if there is no memory for the copy: then it is an
 * error that says so.
 */
ErrorData *
sg_keep_error(MemoryContext context)
{
	static ErrorData no_memory = {
		.elevel = ERROR,
		.sqlerrcode = ERRCODE_OUT_OF_MEMORY,
		.message = "out of memory",
		.detail = "Another error could not be kept."
	};
	ErrorData  *volatile edata = &no_memory;

	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
	}
	PG_CATCH();
	{
		/* both of them go */
	}
	PG_END_TRY();
	FlushErrorState();
	return edata;
}

/*
 * Run a piece of work in a subtransaction and roll it back: snapshots,
 * settings, SPI connections and locks go.  What it allocates in the current
 * memory context stays.  Takes no transaction id unless the work writes, so it
 * works on a standby.  Returns the error that has ended the work, or NULL;
 * passes on what must reach the user.
 */
ErrorData *
sg_contained(void (*work) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		(*work) (arg);
	}
	PG_CATCH();
	{
		edata = sg_keep_error(caller);
	}
	PG_END_TRY();

	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (edata != NULL && sg_must_rethrow(edata->sqlerrcode))
		ReThrowError(edata);
	return edata;
}
