/*-------------------------------------------------------------------------
 *
 * pool.h
 *		Sessions as a pool: who got one, who was refused, what they do.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_POOL_H
#define SG_POOL_H

#include "utils/timestamp.h"

/* ---------------- stats/pool.c ---------------- */

extern void sg_pool_sample(TimestampTz now);

#endif							/* SG_POOL_H */
