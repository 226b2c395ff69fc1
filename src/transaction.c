/*-------------------------------------------------------------------------
 *
 * transaction.c
 *		The end of a transaction.
 *
 * One callback for all that every session has to do there.  What only some
 * sessions need registers a callback of its own when it comes up.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/pool.h"
#include "stats/queries.h"

static pg_noinline void
eventful_end(XactEvent event)
{
	if (sg_session_starts)
		sg_pool_transaction(event);
	sg_migration_transaction(event);
	if (sg_violations_named)
		sg_violation_transaction(event);
	if (event == XACT_EVENT_ABORT)
		sg_query_rolled_back();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		sg_violation_watch();
}

/*
 * Most transactions have done nothing that is of interest here: these are two
 * tests before the commit, and a few stores behind it.  One callback instead
 * of three, and no call from it, save 50 instructions of a transaction.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (unlikely((sg_migration_seen | sg_violations_named |
				  sg_session_starts) != 0 || event == XACT_EVENT_ABORT))
		eventful_end(event);
	else if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
	{
		sg_migration_begin_anew();
		sg_violation_noted = false;
		if (unlikely(error_context_stack == NULL))
			sg_violation_watch();
	}
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	sg_migration_subtransaction(event, mine, parent);
	if (event == SUBXACT_EVENT_ABORT_SUB)
		sg_query_rolled_back();
}

/*
 * Called once, when the library is preloaded.
 */
void
sg_transaction_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
