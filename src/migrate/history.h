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

#include "utils/relcache.h"

/* ---------------- trust.c ---------------- */

extern bool sg_table_is_plain(Relation rel);

#endif							/* SG_HISTORY_H */
