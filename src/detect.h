/*-------------------------------------------------------------------------
 *
 * detect.h
 *		What the rules find in a statement when it is planned.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_DETECT_H
#define SG_DETECT_H

#include "safeguard.h"

/*
 * What has been found so far.  The rules look at a statement in the same order
 * whenever they are called; after one of them has failed the walk is begun again
 * with "turn" 0, and goes on behind it.
 */
typedef struct SgFound
{
	List	   *findings;		/* of SgFinding */
	List	   *consulted;		/* OIDs, see SgStatement */
	int			looked;			/* pairs of Query and rule that have been begun */
	int			turn;			/* those that this walk has come by */
} SgFound;

/* ---------------- registry.c ---------------- */

extern void sg_registry_detect_dml(SgStatement *stmt, SgFound *found);
extern void sg_registry_detect_upsert(SgUpsert *upsert, SgFound *found);

/* ---------------- context.c ---------------- */

extern void sg_find(Query *parse, SgFound *found);
extern void sg_find_upserts(Query *parse, PlannedStmt *plan,
							const Node *where, SgFound *found);

#endif							/* SG_DETECT_H */
