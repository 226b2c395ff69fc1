/*-------------------------------------------------------------------------
 *
 * watch.h
 *		Tables that are watched: the trigger that makes a table one, and what
 *		a transaction has changed in it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_WATCH_H
#define SG_WATCH_H

#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/reltrigger.h"

#include "stats/watched.h"

/*
 * Of our triggers, the one for rows makes a table a watched one; the other is
 * for TRUNCATE.
 */
#define SG_IS_ROW_TRIGGER(tgtype) \
	(TRIGGER_FOR_ROW(tgtype) && TRIGGER_FOR_AFTER(tgtype))

/* ---------------- watch/declare.c ---------------- */

extern bool sg_is_watch_function(Oid funcid);
extern Trigger *sg_watch_trigger(Relation rel);

/* ---------------- watch/list.c ---------------- */

/* A table of this database that is watched. */
typedef struct SgWatch
{
	Oid			relid;
	List	   *scope;			/* of char *, as declared */
} SgWatch;


extern List *sg_watch_all(void);

/* ---------------- watch/scope.c ---------------- */

extern char *sg_watch_scope(const Trigger *trigger, HeapTuple tuple,
							TupleDesc desc);

/* ---------------- watch/pending.c ---------------- */

typedef enum SgChange
{
	SG_CHANGE_INSERT,
	SG_CHANGE_UPDATE,
	SG_CHANGE_DELETE
} SgChange;

extern void sg_watch_note(Oid relid, const char *scope, SgChange change,
						  int64 rows);
extern void sg_watch_note_end(Oid relid);

#endif							/* SG_WATCH_H */
