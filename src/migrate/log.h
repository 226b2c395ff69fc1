/*-------------------------------------------------------------------------
 *
 * log.h
 *		What migrations have cost, as it is kept in shared memory.
 *
 * doc/architecture.md, "How a migration is measured".
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_MIGRATION_LOG_H
#define SG_MIGRATION_LOG_H

#include "access/xact.h"
#include "executor/execdesc.h"
#include "executor/instrument.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

#include "migrate/migrate.h"
#include "migrate/tools.h"
#include "own.h"
#include "stats/findings.h"

#define SG_LOG_ENTRIES	1000	/* migrations that are remembered */
#define SG_LOG_DATABASES	100 /* databases that have totals */
#define SG_LOG_XIDS		8		/* transactions that one row has had */
#define SG_LOG_TOOL		64
#define SG_LOG_ERROR	256
#define SG_FINGERPRINT	72		/* hexadecimal SHA-256 */

/* Rows changed, not those in catalogs and TOAST tables. */
typedef struct SgRows
{
	int64		inserted;		/* -1: track_counts is off */
	int64		updated;
	int64		deleted;
} SgRows;

/* One migration; in shared memory and in the statistics file. */
typedef struct SgLogEntry
{
	uint64		xid;			/* FullTransactionId, 0: none */
	TransactionId xids[SG_LOG_XIDS];	/* that its row may have as xmin */
	int32		nxids;
	Oid			dbid;
	Oid			relid;			/* history table; 0: safeguard's own */
	Oid			roleid;
	int32		encoding;		/* of all texts */
	int32		pid;			/* of the session */
	TimestampTz session;		/* when it began */
	TimestampTz started_at;
	double		duration_ms;
	int64		ddl_count;		/* -1: not known */
	SgRows		rows;
	int64		wal_bytes;
	double		lock_wait_ms;	/* -1: log_lock_waits is off */
	int64		findings;		/* of the rules; -1: not known */
	bool		succeeded;
	bool		removed;		/* the row was taken out of the history */
	char		database[NAMEDATALEN];
	char		tool[SG_LOG_TOOL];
	char		project[SG_MIGRATION_NAME + 1];
	char		schema[NAMEDATALEN];
	char		relation[NAMEDATALEN];
	char		version[SG_MIGRATION_NAME + 1];
	char		error[SG_LOG_ERROR];
} SgLogEntry;

/* The fingerprint of schema public, and after which migration. */
typedef struct SgNotedFingerprint
{
	int64		id;				/* last one in safeguard.migrations */
	int64		entries;		/* as in the totals */
	char		text[SG_FINGERPRINT];	/* empty: not known */
} SgNotedFingerprint;

/* What the migrations of a database come to. */
typedef struct SgMigrationTotals
{
	Oid			dbid;
	int32		encoding;		/* of the version */
	int64		applied;
	int64		failed;
	int64		skipped;
	double		total_ms;
	double		max_ms;
	int64		rows_changed;
	TimestampTz last_applied_at;	/* 0: never */
	TimestampTz last_seen;
	Oid			last_role;		/* 0: the last version is for everybody */
	char		last_version[SG_MIGRATION_NAME + 1];
	int64		entries;		/* made or added to: grows with each that a tool
								 * says something about */
	SgNotedFingerprint fingerprint;
} SgMigrationTotals;

/* What a session is doing; one place for each PGPROC. */
typedef struct SgMigrationSlot
{
	int32		pid;			/* 0: no migration */
	Oid			dbid;
	Oid			roleid;
	int32		encoding;
	TimestampTz since;
	char		tool[SG_LOG_TOOL];
	char		project[SG_MIGRATION_NAME + 1];
	char		version[SG_MIGRATION_NAME + 1];
} SgMigrationSlot;

/* ---------------- log_store.c ---------------- */

extern Size sg_migration_log_size(void);
extern void sg_migration_log_startup(void);
extern void *sg_migration_log_snapshot(uint64 *nitems, bool alone);
extern void sg_migration_log_restore(void *items, uint64 nitems);
extern void sg_migration_log_reset(void);
extern void *sg_migration_totals_snapshot(uint64 *nitems, bool alone);
extern void sg_migration_totals_restore(void *items, uint64 nitems);

extern SG_OWN bool sg_migration_log_on; /* is there shared memory for it? */

extern void sg_log_add(const SgLogEntry *entry, bool only_history);
extern void sg_log_skip(void);
extern void sg_log_slot(const char *tool, const char *project,
						const char *version, TimestampTz since);
extern void sg_log_slot_clear(void);

/* The entries, oldest first, palloc'd. */
extern SgLogEntry *sg_log_copy(uint64 *nentries, bool alone);
extern bool sg_log_totals(Oid dbid, SgMigrationTotals *totals);
extern void sg_log_totals_sum(SgMigrationTotals *sum);
extern int64 sg_log_fingerprint(SgNotedFingerprint *noted);
extern void sg_log_note_fingerprint(const SgNotedFingerprint *noted);
extern List *sg_log_slots(void);

/* Is a row with this xmin, of this table of this database, one of it? */
static inline bool
sg_log_wrote(const SgLogEntry *entry, Oid dbid, Oid relid, TransactionId xmin)
{
	if (entry->relid != relid || entry->dbid != dbid || !entry->succeeded)
		return false;
	for (int i = 0; i < entry->nxids && i < SG_LOG_XIDS; i++)
		if (entry->xids[i] == xmin)
			return true;
	return false;
}

/* ---------------- log_view.c ---------------- */

extern bool sg_log_may_see(Oid roleid);

/* ---------------- measure.c ---------------- */

/* what was so when the last transaction ended, or has come since */
typedef struct SgMigrationBefore
{
	uint64		wal;
	int64		findings;
	int64		lock_wait_us;
	char		error[SG_LOG_ERROR];
} SgMigrationBefore;

extern SG_OWN SgMigrationBefore sg_migration_before;
extern SG_OWN bool sg_migration_seen;	/* what would be told of this one */

/* A transaction has ended, of which nothing has to be told. */
static inline void
sg_migration_begin_anew(void)
{
	sg_migration_before.wal = pgWalUsage.wal_bytes;
	sg_migration_before.findings = sg_findings_raised;
	sg_migration_before.lock_wait_us = 0;
	sg_migration_before.error[0] = '\0';
}

extern void sg_migration_transaction(XactEvent event);
extern void sg_migration_subtransaction(SubXactEvent event,
										SubTransactionId mine,
										SubTransactionId parent);
extern void sg_migration_wrote(QueryDesc *queryDesc);
extern void sg_migration_command(const Node *stmt);
extern void sg_migration_log_error(const ErrorData *edata);
extern void sg_migration_log_wait(const ErrorData *edata);
extern void sg_measure_entry(SgLogEntry *entry);
extern int64 sg_measured_commands(void);

/* ---------------- rows.c ---------------- */

extern void sg_rows_of_transaction(SgRows *rows, Oid except);
extern bool sg_rows_of_table(SgRows *rows, Oid relid);

/* ---------------- written.c ---------------- */

/* What a statement has written into a history table. */
typedef struct SgWritten
{
	bool		any;
	bool		removed;		/* a row was deleted, none written */
	bool		failed;			/* the row says that the migration has failed */
	char		version[SG_MIGRATION_NAME + 1];
	char		project[SG_MIGRATION_NAME + 1];
} SgWritten;

extern void sg_history_written(Relation rel, const SgTool *tool,
							   CommandId cid, uint64 processed,
							   SgWritten *written);

#endif							/* SG_MIGRATION_LOG_H */
