/*-------------------------------------------------------------------------
 *
 * collector.h
 *		What the others may know of the collector and the statistics file.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_COLLECTOR_H
#define SG_COLLECTOR_H

#include "port/atomics.h"
#include "utils/timestamp.h"

typedef struct SgCollector
{
	pg_atomic_uint32 pid;		/* 0: it is not running */
	pg_atomic_uint32 failing;	/* could the file not be written lately? */
	pg_atomic_uint64 written_at;	/* TimestampTz, 0: there is no file */
} SgCollector;

/* NULL without shared memory */
extern SgCollector *sg_collector;

#endif							/* SG_COLLECTOR_H */
