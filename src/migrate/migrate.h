/*-------------------------------------------------------------------------
 *
 * migrate.h
 *		Migrations that run once.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_MIGRATE_H
#define SG_MIGRATE_H

#include "fmgr.h"
#include "storage/itemptr.h"
#include "storage/lock.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

/* a project and a version must not be longer, in bytes */
#define SG_MIGRATION_NAME	255

/* Which migration. */
typedef struct SgMigrationName
{
	const char *project;
	const char *version;
} SgMigrationName;

/* What a migration has come to: once it is applied, or until it failed. */
typedef struct SgMigrationFigures
{
	TimestampTz started_at;
	double		duration_ms;
	int			statements;		/* that have run */
	int64		rows_changed;	/* -1: nobody has counted */
	uint64		wal_bytes;
} SgMigrationFigures;

/* What the row of a migration says, and who claims it. */
typedef enum SgMigrationState
{
	SG_MIGRATION_NONE,			/* no row, or one that was reverted or released */
	SG_MIGRATION_APPLIED,		/* applied or repaired */
	SG_MIGRATION_RUNNING,		/* claimed, by a backend that lives */
	SG_MIGRATION_ABANDONED,		/* claimed, by a backend that is gone */
	SG_MIGRATION_OWN			/* claimed by this very transaction */
} SgMigrationState;

typedef struct SgMigrationRow
{
	SgMigrationState state;
	bool		exists;			/* there is a row */
	char	   *status;			/* of the row, or NULL */
	char	   *checksum;		/* of the row, or NULL */
	int			pid;			/* of the claim, or 0 */
	TimestampTz backend_start;
	ItemPointerData tid;		/* of the row */
	ItemPointerData claim_tid;	/* of that in safeguard.migration_claims;
								 * invalid if there is none */
} SgMigrationRow;

/* ---------------- row.c ---------------- */

extern void sg_migration_arguments(FunctionCallInfo fcinfo, int version,
								   int project, SgMigrationName *name);
extern char *sg_checksum_argument(FunctionCallInfo fcinfo, int n);
extern Oid	sg_migrations_table(void);
extern Oid	sg_claims_table(void);
extern void sg_migration_look(const SgMigrationName *name,
							  SgMigrationRow *row);
extern const char *sg_migration_newer(const SgMigrationName *name);
extern bool sg_claim_is_live(int pid, TimestampTz backend_start);
extern void sg_migration_check_sum(const SgMigrationName *name,
								   const SgMigrationRow *row,
								   const char *checksum);
extern void sg_migration_abandoned(int elevel, int sqlerrcode,
								   const SgMigrationName *name,
								   const SgMigrationRow *row);

/* ---------------- claim.c ---------------- */

extern void sg_migration_locktag(const SgMigrationName *name, LOCKTAG *tag);
extern bool sg_migration_lock(const SgMigrationName *name, bool wait,
							  bool *waited);
extern void sg_migration_unlock(const SgMigrationName *name);
extern bool sg_migration_is_locked(const SgMigrationName *name);
extern void sg_owner_execute(const char *sql, int nparams, const Oid *types,
							 Datum *params, const char *nulls);
extern uint64 sg_migration_write(const char *sql, int nparams,
								 const Oid *types, Datum *params,
								 const char *nulls, char **result);
extern void sg_migration_gone(const SgMigrationName *name);
extern void sg_migration_claim(const SgMigrationName *name,
							   const char *description, const char *checksum,
							   SgMigrationRow *row);
extern void sg_migration_finish(const SgMigrationName *name,
								SgMigrationRow *row, const char *status,
								const SgMigrationFigures *figures);
extern void sg_migration_unclaim(SgMigrationRow *row);

/* ---------------- run.c ---------------- */

extern char *sg_migration_canonical(const char *sql);
extern char *sg_migration_checksum(const char *canonical);
extern void sg_migration_run(const SgMigrationName *name, const char *sql,
							 SgMigrationFigures *figures);

/* ---------------- pending.c ---------------- */

extern void sg_migration_begins(const SgMigrationName *name);
extern void sg_migration_ends(const SgMigrationName *name,
							  const SgMigrationFigures *figures);
extern void sg_migration_breaks(const SgMigrationName *name,
								const SgMigrationFigures *figures,
								const ErrorData *edata);
extern void sg_migration_ends_by(const ErrorData *edata);

/* ---------------- log.c ---------------- */

/*
 * For the figures; all of them do nothing without shared memory, and raise
 * nothing.  applied and failed come after the transaction (or subtransaction)
 * has ended, or while an error ends it, so that they must not allocate or
 * touch a catalog; started and skipped come in the middle of one.  Each
 * started is followed by applied or failed of the same backend, except when a
 * prepared transaction takes it over: then by sg_migration_forgotten.
 */
extern void sg_migration_started(const SgMigrationName *name);
extern void sg_migration_applied(const SgMigrationName *name,
								 const SgMigrationFigures *figures);
extern void sg_migration_failed(const SgMigrationName *name,
								const SgMigrationFigures *figures,
								int sqlerrcode, const char *message);
extern void sg_migration_forgotten(const SgMigrationName *name);
extern void sg_migration_skipped(const SgMigrationName *name, bool waited);

#endif							/* SG_MIGRATE_H */
