/*-------------------------------------------------------------------------
 *
 * pending.c
 *		Migrations of this transaction, whose outcome it decides.
 *
 * A migration is applied when its transaction commits, and not when its text
 * is through: only then the log has its line and the figures count it.  One
 * that is rolled back has failed, whatever has rolled it back.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "migrate/log.h"
#include "migrate/migrate.h"
#include "review/rehearse.h"
#include "safeguard.h"

/* Lives in the memory of the transaction. */
typedef struct Pending
{
	struct Pending *next;
	SgMigrationName name;
	SgMigrationFigures figures;
	SubTransactionId subid;
	bool		done;			/* its text is through */
} Pending;

/* in the order in which they were begun */
static Pending *pending = NULL;

/* the error that ends the transaction, or the subtransaction; or empty */
static char cause[SG_LOG_ERROR];

/*
 * The statement is not logged with it: it has the text of the migration.  Nor
 * is it sent to the client, whatever its client_min_messages: an error while
 * the line is converted to its encoding would come after the commit, which
 * the server survives by no means.
 */
static void
tell_applied(const Pending *migration)
{
	const SgMigrationFigures *figures = &migration->figures;

	if (figures->rows_changed < 0)
		ereport(LOG_SERVER_ONLY,
				errhidestmt(true),
				errmsg("migration \"%s\" of project \"%s\" was applied: %.0f ms",
					   migration->name.version, migration->name.project,
					   figures->duration_ms));
	else
		ereport(LOG_SERVER_ONLY,
				errhidestmt(true),
				errmsg("migration \"%s\" of project \"%s\" was applied: statements: %d, rows: " INT64_FORMAT ", WAL: " UINT64_FORMAT " bytes, %.0f ms",
					   migration->name.version, migration->name.project,
					   figures->statements, figures->rows_changed,
					   figures->wal_bytes, figures->duration_ms));
	sg_migration_applied(&migration->name, figures);
}

static void
tell_rolled_back(const Pending *migration)
{
	sg_migration_failed(&migration->name, &migration->figures,
						ERRCODE_TRANSACTION_ROLLBACK,
						cause[0] != '\0' ? cause : migration->done ?
						"the transaction around the migration was rolled back" :
						"the session was ended");
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	Pending    *first = pending;

	if (first == NULL)
		return;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	pending = NULL;
	for (Pending *migration = first; migration; migration = migration->next)
	{
		if (event == XACT_EVENT_COMMIT)
			tell_applied(migration);
		else if (event == XACT_EVENT_ABORT)
			tell_rolled_back(migration);
		else
			sg_migration_forgotten(&migration->name);
	}
	cause[0] = '\0';
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mySubid,
						 SubTransactionId parentSubid, void *arg)
{
	Pending   **link = &pending;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL)
	{
		Pending    *migration = *link;

		if (migration->subid == mySubid && event == SUBXACT_EVENT_ABORT_SUB)
		{
			*link = migration->next;
			tell_rolled_back(migration);
			continue;
		}
		if (migration->subid == mySubid)
			migration->subid = parentSubid;
		link = &migration->next;
	}

	/* what ends the transaction around it is something else */
	if (event == SUBXACT_EVENT_ABORT_SUB)
		cause[0] = '\0';
}

/*
 * An error is on its way to the log.  What it ends is rolled back next.
 */
void
sg_migration_ends_by(const ErrorData *edata)
{
	if (pending != NULL && edata->message != NULL)
		sg_copy_text(cause, edata->message, sizeof(cause));
}

static Pending *
find(const SgMigrationName *name)
{
	for (Pending *migration = pending; migration; migration = migration->next)
	{
		if (!migration->done &&
			strcmp(migration->name.version, name->version) == 0 &&
			strcmp(migration->name.project, name->project) == 0)
			return migration;
	}
	return NULL;
}

/*
 * The migration is claimed, and its text is about to run.  A rehearsal is
 * none.
 */
void
sg_migration_begins(const SgMigrationName *name)
{
	static bool registered = false;
	MemoryContext caller;
	Pending    *migration;
	Pending   **link = &pending;

	if (sg_rehearsal != NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		registered = true;
	}
	caller = MemoryContextSwitchTo(TopTransactionContext);
	migration = palloc0(sizeof(Pending));
	migration->name.project = pstrdup(name->project);
	migration->name.version = pstrdup(name->version);
	migration->subid = GetCurrentSubTransactionId();
	migration->figures.started_at = GetCurrentTimestamp();
	MemoryContextSwitchTo(caller);
	while (*link != NULL)
		link = &(*link)->next;
	*link = migration;
	sg_migration_started(&migration->name);
}

/*
 * Its text is through.
 */
void
sg_migration_ends(const SgMigrationName *name,
				  const SgMigrationFigures *figures)
{
	Pending    *migration = find(name);

	if (migration == NULL)
		return;
	migration->figures = *figures;
	migration->done = true;
}

/*
 * It has failed with this error, which goes on.
 */
void
sg_migration_breaks(const SgMigrationName *name,
					const SgMigrationFigures *figures, const ErrorData *edata)
{
	Pending    *migration = find(name);
	Pending   **link = &pending;

	if (migration == NULL)
		return;
	while (*link != migration)
		link = &(*link)->next;
	*link = migration->next;
	sg_migration_failed(name, figures, edata->sqlerrcode, edata->message);
}
