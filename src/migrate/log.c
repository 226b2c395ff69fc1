/*-------------------------------------------------------------------------
 *
 * log.c
 *		What becomes of safeguard's own migrations, for the figures.
 *
 * Several of them may run in one transaction.  What each has cost is read when
 * the next one starts or the transaction is about to end, and told when it is
 * known what has become of it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "migrate/log.h"
#include "safeguard.h"
#include "stats/findings.h"

#define MAX_OWN		8

/* One that has started; the sums are those of the transaction. */
typedef struct OwnMigration
{
	uint64		name;			/* hash of project and version */
	bool		ended;
	SgRows		rows;			/* before it; when it has ended, of it */
	int64		ddl_count;		/* the same */
	int64		findings;		/* the same */
} OwnMigration;

static OwnMigration own[MAX_OWN];
static int	nown = 0;
static Oid	own_table = InvalidOid;
static char database[NAMEDATALEN];

static uint64
hash_name(const SgMigrationName *name)
{
	return hash_bytes_extended((const unsigned char *) name->project,
							   strlen(name->project),
							   hash_bytes_extended((const unsigned char *) name->version,
												   strlen(name->version), 0));
}

static void
end_own(OwnMigration *migration)
{
	SgRows		now;

	if (migration->ended)
		return;
	migration->ended = true;
	migration->findings = sg_findings_raised - migration->findings;
	sg_rows_of_transaction(&now, own_table);
	migration->ddl_count = sg_measured_commands() - migration->ddl_count;
	if (now.inserted < 0 || migration->rows.inserted < 0)
	{
		migration->rows = now;
		return;
	}
	migration->rows.inserted = now.inserted - migration->rows.inserted;
	migration->rows.updated = now.updated - migration->rows.updated;
	migration->rows.deleted = now.deleted - migration->rows.deleted;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		return;
	for (int i = 0; i < nown; i++)
		end_own(&own[i]);
}

/*
 * The migration runs in this transaction.
 */
void
sg_migration_started(const SgMigrationName *name)
{
	static bool registered = false;
	OwnMigration *migration;

	if (!sg_migration_log_on)
		return;
	if (!registered)
		RegisterXactCallback(xact_callback, NULL);
	registered = true;
	own_table = sg_migrations_table();
	if (database[0] == '\0')
		sg_copy_text(database, get_database_name(MyDatabaseId), NAMEDATALEN);
	if (nown > 0)
		end_own(&own[nown - 1]);
	if (nown == MAX_OWN)
	{
		memmove(&own[0], &own[1], (MAX_OWN - 1) * sizeof(OwnMigration));
		nown--;
	}
	migration = &own[nown++];
	migration->name = hash_name(name);
	migration->ended = false;
	migration->ddl_count = sg_measured_commands();
	migration->findings = sg_findings_raised;
	sg_rows_of_transaction(&migration->rows, own_table);
	sg_log_slot("safeguard", name->project, name->version,
				GetCurrentTimestamp());
}

/*
 * It is over: take it out.  Returns false if it is not known.
 */
static bool
take_own(const SgMigrationName *name, OwnMigration *migration)
{
	uint64		hash = hash_name(name);
	bool		found = false;

	for (int i = nown - 1; i >= 0 && !found; i--)
	{
		found = own[i].name == hash;
		if (found)
		{
			*migration = own[i];
			memmove(&own[i], &own[i + 1],
					(nown - i - 1) * sizeof(OwnMigration));
			nown--;
		}
	}
	if (nown == 0)
		sg_log_slot_clear();
	return found;
}

static void
fill_entry(SgLogEntry *entry, const SgMigrationName *name,
		   const SgMigrationFigures *figures)
{
	memset(entry, 0, sizeof(*entry));
	sg_measure_entry(entry);
	entry->started_at = figures->started_at;
	entry->duration_ms = figures->duration_ms;
	entry->ddl_count = -1;
	entry->findings = -1;
	entry->rows.inserted = entry->rows.updated = entry->rows.deleted = -1;
	entry->wal_bytes = figures->wal_bytes;
	memcpy(entry->database, database, NAMEDATALEN);
	strlcpy(entry->tool, "safeguard", sizeof(entry->tool));
	strlcpy(entry->schema, "safeguard", NAMEDATALEN);
	strlcpy(entry->relation, "migrations", NAMEDATALEN);
	sg_copy_text(entry->project, name->project, sizeof(entry->project));
	sg_copy_text(entry->version, name->version, sizeof(entry->version));
}

/*
 * It has been committed.
 */
void
sg_migration_applied(const SgMigrationName *name,
					 const SgMigrationFigures *figures)
{
	OwnMigration migration;
	SgLogEntry	entry;

	if (!sg_migration_log_on)
		return;
	fill_entry(&entry, name, figures);
	entry.succeeded = true;
	/* migration_end() knows nothing of the transactions before its own */
	if (figures->rows_changed < 0)
		entry.wal_bytes = -1;
	if (take_own(name, &migration) && migration.ended &&
		figures->rows_changed >= 0)
	{
		entry.ddl_count = migration.ddl_count;
		entry.findings = migration.findings;
		entry.rows = migration.rows;
	}
	sg_log_add(&entry, false);
}

/*
 * It has been rolled back.
 */
void
sg_migration_failed(const SgMigrationName *name,
					const SgMigrationFigures *figures,
					int sqlerrcode, const char *message)
{
	OwnMigration migration;
	SgLogEntry	entry;

	if (!sg_migration_log_on)
		return;
	fill_entry(&entry, name, figures);
	if (take_own(name, &migration))
		entry.findings = migration.ended ? migration.findings :
			sg_findings_raised - migration.findings;
	sg_copy_text(entry.error, message, sizeof(entry.error));
	sg_log_add(&entry, false);
}

/*
 * It is in a transaction that has been prepared, and is nobody's now.
 */
void
sg_migration_forgotten(const SgMigrationName *name)
{
	OwnMigration migration;

	if (sg_migration_log_on)
		take_own(name, &migration);
}

/*
 * It had been applied already, perhaps while this session waited.
 */
void
sg_migration_skipped(const SgMigrationName *name, bool waited)
{
	sg_log_skip();
}
