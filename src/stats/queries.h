/*-------------------------------------------------------------------------
 *
 * queries.h
 *		Statements: how often they ran, how long they took, how they failed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_QUERIES_H
#define SG_QUERIES_H

#include "utils/elog.h"

/* ---------------- stats/queries.c ---------------- */

extern void sg_query_log(ErrorData *edata);

#endif							/* SG_QUERIES_H */
