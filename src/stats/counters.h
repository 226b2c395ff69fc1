/*-------------------------------------------------------------------------
 *
 * counters.h
 *		Counters of the whole cluster that every statement may raise.
 *
 * Each process has a slot of its own, one cache line, that nobody else writes
 * to: to count is a load, an addition and a store.  Who reads adds the slots
 * up.  A slot outlives its owner and is never zeroed, the next process that
 * gets it goes on counting there.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_COUNTERS_H
#define SG_COUNTERS_H

#include "port/atomics.h"

/* What is counted, in client sessions only.  New ones are added at the end. */
typedef enum SgCounter
{
	SG_COUNT_STATEMENTS,		/* top-level ones that ended without an error */
	SG_COUNT_ERRORS,			/* errors that the log has seen, where queries
								 * are tracked, as are statements */
	SG_COUNT_SLOW_QUERIES,		/* top-level ones over slow_query_ms */
	SG_COUNT_TIMEOUTS,			/* statements and sessions that a timeout of
								 * the server has ended */
	SG_NUM_COUNTERS				/* keep last */
} SgCounter;

/* The counters of one process; shared memory pads it to a cache line. */
typedef struct SgCounterSlot
{
	pg_atomic_uint64 value[SG_NUM_COUNTERS];
} SgCounterSlot;

/* the slot of this process; NULL until it counts, or without shared memory */
extern SgCounterSlot *sg_own_counters;

/* ---------------- stats/counters.c ---------------- */

extern bool sg_counters_attach(void);
extern uint64 sg_counter_get(SgCounter counter);

/*
 * Count one event.  Neither allocates, locks nor raises.  Not to be called
 * while the process exits, when somebody else may have got its slot.
 */
static inline void
sg_count(SgCounter counter)
{
	if (likely(sg_own_counters != NULL) || sg_counters_attach())
	{
		pg_atomic_uint64 *value = &sg_own_counters->value[counter];

		/* nobody else writes, so two halves are as good as one instruction */
		pg_atomic_write_u64(value, pg_atomic_read_u64(value) + 1);
	}
}

static inline void
sg_count_statement(void)
{
	sg_count(SG_COUNT_STATEMENTS);
}

static inline void
sg_count_error(void)
{
	sg_count(SG_COUNT_ERRORS);
}

static inline void
sg_count_slow_query(void)
{
	sg_count(SG_COUNT_SLOW_QUERIES);
}

static inline void
sg_count_timeout(void)
{
	sg_count(SG_COUNT_TIMEOUTS);
}

#endif							/* SG_COUNTERS_H */
