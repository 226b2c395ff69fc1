/*-------------------------------------------------------------------------
 *
 * history.h
 *		What the files that read history tables share.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_HISTORY_H
#define SG_HISTORY_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#define SG_FIGURE_COLUMNS	8

/* ---------------- trust.c ---------------- */

extern bool sg_role_is_trusted(Oid role);
extern bool sg_table_is_plain(Relation rel);

/* ---------------- figures.c ---------------- */

extern List *sg_figures_load(void);
extern void sg_figures_put(List *entries, Oid relid, TransactionId xmin,
						   const char *project, const char *version,
						   double duration_ms, Datum *values, bool *nulls);

#endif							/* SG_HISTORY_H */
