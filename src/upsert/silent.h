/*-------------------------------------------------------------------------
 *
 * silent.h
 *		The findings of conflict_silent; each function appends one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_SILENT_H
#define SG_SILENT_H

#include "catalog/catalog.h"
#include "safeguard.h"

/*
 * "columns": of the target, that the finding tells of; none: all.  "others":
 * is there a key that would do?
 */
extern void sg_silent_deferrable(SgUpsert *upsert, Oid indexid,
								 Bitmapset *columns, bool others);
extern void sg_silent_parameter(SgUpsert *upsert, const SgArbiter *arbiter);
extern void sg_silent_no_key(SgUpsert *upsert, Relation rel);
extern void sg_silent_nullable(SgUpsert *upsert, const SgArbiter *arbiter);

/* "lost": are there others than the arbiter's columns among those set? */
extern void sg_silent_own_values(SgUpsert *upsert, bool lost, Oid relid);

/* the same finding about another statement, and a copy to keep for that */
extern void sg_silent_again(SgUpsert *upsert, const SgFinding *said);
extern void *sg_silent_copy(const void *from);

#endif							/* SG_SILENT_H */
