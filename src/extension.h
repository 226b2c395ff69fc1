/*-------------------------------------------------------------------------
 *
 * extension.h
 *		What the library and the SQL of the extension know of each other.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_EXTENSION_H
#define SG_EXTENSION_H

#include "utils/relcache.h"

extern int	sg_compare_versions(const char *one, const char *other);
extern bool sg_knows_columns(Relation rel);
extern Relation sg_open_own_table(Oid relid);
extern List *sg_unknown_tables(void);

#endif							/* SG_EXTENSION_H */
