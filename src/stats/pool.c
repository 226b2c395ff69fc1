/*-------------------------------------------------------------------------
 *
 * pool.c
 *		Sessions as a pool: figures in shared memory.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "stats/pool.h"

/*
 * Look at all sessions and write down what they do.  Called by the collector.
 */
void
sg_pool_sample(TimestampTz now)
{
}
