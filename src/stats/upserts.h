/*-------------------------------------------------------------------------
 *
 * upserts.h
 *		Upserts as they are counted in shared memory.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_UPSERTS_H
#define SG_UPSERTS_H

#include "storage/s_lock.h"
#include "utils/hsearch.h"

#include "safeguard.h"

/* bytes of the texts of a conflict target's expressions */
#define SG_UPSERT_EXPRS		256

/* bits that choose one of a sketch's registers */
#define SG_SKETCH_BITS		12
#define SG_SKETCH_REGISTERS	(1 << SG_SKETCH_BITS)

/* A conflict target of a table; hashed as bytes. */
typedef struct SgUpsertKey
{
	Oid			dbid;
	Oid			relid;			/* root of a partition tree */
	uint64		target;			/* see SgTarget.id */
} SgUpsertKey;

/* What is known of the upserts on one target. */
typedef struct SgUpsertEntry
{
	SgUpsertKey key;			/* MUST BE FIRST */
	slock_t		mutex;			/* guards all that follows */
	int32		nkeys;			/* elements of the target, 0: there is none */
	AttrNumber	keys[INDEX_MAX_KEYS];	/* columns, 0: expression */
	char		exprs[SG_UPSERT_EXPRS]; /* see SgTarget */
	Oid			constraint;		/* named by the last ON CONSTRAINT */
	bool		by_columns;		/* has an INSERT named its columns? */
	bool		sketched;		/* do the registers tell anything? */
	int64		statements;
	int64		proposed;		/* rows */
	int64		inserted;
	int64		replaced;
	int64		skipped;
	TimestampTz last_seen;
	TimestampTz text_at;		/* when the text was taken */
	Oid			roleid;			/* whose statement it is */
	int32		encoding;		/* of the texts */
	char		statement[SG_FINDING_QUERY];	/* normalised */
	uint8		registers[SG_SKETCH_REGISTERS]; /* of the keys proposed */
} SgUpsertEntry;

extern HTAB *sg_upsert_table;	/* NULL without shared memory */

extern List *sg_upserts_of(Oid relid);

#endif							/* SG_UPSERTS_H */
