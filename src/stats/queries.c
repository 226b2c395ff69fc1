/*-------------------------------------------------------------------------
 *
 * queries.c
 *		Statements: figures in shared memory.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "stats/queries.h"

/*
 * A message on its way to the log.  Neither allocates, locks nor raises.
 */
void
sg_query_log(ErrorData *edata)
{
}
