/*-------------------------------------------------------------------------
 *
 * migrate.c
 *		safeguard.migrate(): applies a migration, once.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "errcodes.h"
#include "migrate/migrate.h"
#include "rows/rows.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migrate);

/* A call of migrate(). */
typedef struct Migration
{
	SgMigrationName name;
	char	   *sql;			/* canonical */
	char	   *checksum;
	char	   *description;	/* or NULL */
	int64		expected;		/* -1: any number of rows */
	bool		keep_rows;
	SgMigrationFigures figures;
} Migration;

static void
get_arguments(FunctionCallInfo fcinfo, Migration *migration)
{
	sg_migration_arguments(fcinfo, 0, 5, &migration->name);
	sg_require_argument(fcinfo, 1, "sql");
	migration->sql =
		sg_migration_canonical(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	migration->checksum = sg_migration_checksum(migration->sql);
	if (!PG_ARGISNULL(2))
		migration->description = text_to_cstring(PG_GETARG_TEXT_PP(2));
	migration->expected = -1;
	if (!PG_ARGISNULL(3))
	{
		migration->expected = PG_GETARG_INT64(3);
		if (migration->expected < 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("argument \"%s\" must not be negative",
						   "expected_rows"));
	}
	sg_require_argument(fcinfo, 4, "keep_rows");
	migration->keep_rows = PG_GETARG_BOOL(4);
}

/*
 * Somebody is at the migration in transactions of its own, and perhaps builds
 * an index concurrently, for which this statement's snapshot must go first.
 */
static void
refuse_running(const Migration *migration, const SgMigrationRow *row)
{
	const char *version = quote_literal_cstr(migration->name.version);
	const char *project = quote_literal_cstr(migration->name.project);

	ereport(ERROR,
			errcode(ERRCODE_OBJECT_IN_USE),
			errmsg("migration \"%s\" of project \"%s\" is running",
				   migration->name.version, migration->name.project),
			row->pid == MyProcPid ?
			errdetail("This session has claimed it with safeguard.migration_begin().") :
			errdetail("Process %d has claimed it with safeguard.migration_begin(). safeguard.migrate() waits for no claim, since CREATE INDEX CONCURRENTLY would wait for its snapshot in turn.",
					  row->pid),
			row->pid == MyProcPid ?
			errhint("Run its statements by themselves, and then SELECT safeguard.migration_end(%s, %s).",
					version, project) :
			errhint("Wait for it: CALL safeguard.migration_wait(%s, project => %s). Then try again.",
					version, project));
}

/*
 * Raise an error if there is a claim.
 */
static void
refuse_claimed(const Migration *migration, const SgMigrationRow *row)
{
	const SgMigrationName *name = &migration->name;

	if (row->state == SG_MIGRATION_OWN)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("migration \"%s\" of project \"%s\" is already running in this transaction",
					   name->version, name->project));
	if (row->state == SG_MIGRATION_RUNNING)
		refuse_running(migration, row);
	if (row->state == SG_MIGRATION_ABANDONED)
		sg_migration_abandoned(ERROR, ERRCODE_OBJECT_IN_USE, name, row);
}

/*
 * Under REPEATABLE READ the text must not work on rows that are older than
 * what a migration before it has made of them.
 */
static void
refuse_old_snapshot(const Migration *migration)
{
	const char *newer = sg_migration_newer(&migration->name);

	if (newer != NULL)
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not apply migration \"%s\" in a transaction that is older than migration \"%s\"",
					   migration->name.version, newer),
				errdetail("At isolation level REPEATABLE READ or SERIALIZABLE the rows that migration \"%s\" has changed cannot be seen in this transaction.",
						  newer),
				errhint("Run the transaction again, or run each migration in a transaction of its own."));
}

static void
check_rows(const Migration *migration)
{
	int64		rows = migration->figures.rows_changed;

	if (migration->expected < 0 || rows == migration->expected)
		return;
	ereport(ERROR,
			errcode(SG_ERRCODE_ROW_LIMIT),
			errmsg("migration \"%s\" affects " INT64_FORMAT " row%s instead of " INT64_FORMAT,
				   migration->name.version, rows, rows == 1 ? "" : "s",
				   migration->expected),
			errdetail("It was undone."),
			errhint("Look at what it does: SELECT * FROM safeguard.preview(...). If the number is right, expect it: expected_rows => " INT64_FORMAT ".",
					rows));
}

/*
 * The label under which the rows that it changes are kept.
 */
static const char *
row_label(const SgMigrationName *name)
{
	return strcmp(name->project, "default") == 0 ? name->version :
		psprintf("%s/%s", name->project, name->version);
}

static void
run(Migration *migration)
{
	SgKeepLabel *label = migration->keep_rows ?
		sg_keep_begin(row_label(&migration->name), true, false) : NULL;

	PG_TRY();
	{
		sg_migration_run(&migration->name, migration->sql,
						 &migration->figures);
	}
	PG_CATCH();
	{
		if (label != NULL)
			sg_keep_end(label);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (label != NULL)
		sg_keep_late(label);
}

/*
 * Claim, run, finish.  An error undoes all of it, with the transaction or the
 * subtransaction that it ends, and is counted.
 */
static void
apply(Migration *migration, SgMigrationRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	SgMigrationFigures *figures = &migration->figures;
	uint64		wal = pgWalUsage.wal_bytes;
	instr_time	start;
	instr_time	now;

	INSTR_TIME_SET_CURRENT(start);
	figures->started_at = GetCurrentTimestamp();
	sg_migration_begins(&migration->name);
	PG_TRY();
	{
		sg_migration_claim(&migration->name, migration->description,
						   migration->checksum, row);
		run(migration);
		check_rows(migration);
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		figures->duration_ms = INSTR_TIME_GET_MILLISEC(now);
		figures->wal_bytes = pgWalUsage.wal_bytes - wal;
		sg_migration_finish(&migration->name, row, "applied", figures);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		figures->duration_ms = INSTR_TIME_GET_MILLISEC(now);
		figures->wal_bytes = pgWalUsage.wal_bytes - wal;
		sg_migration_breaks(&migration->name, figures, edata);
		FreeErrorData(edata);
		PG_RE_THROW();
	}
	PG_END_TRY();
	sg_migration_ends(&migration->name, figures);
}

/* Is it applied, as the same text? */
static bool
is_applied(Migration *migration, SgMigrationRow *row, bool waited)
{
	sg_migration_look(&migration->name, row);
	if (row->state != SG_MIGRATION_APPLIED)
		return false;
	sg_migration_check_sum(&migration->name, row, migration->checksum);
	sg_migration_skipped(&migration->name, waited);
	return true;
}

/*
 * migrate(version text, sql text, description text, expected_rows bigint,
 *		   keep_rows bool, project text) → 'applied' or 'already applied'
 */
Datum
sg_migrate(PG_FUNCTION_ARGS)
{
	Migration	migration = {0};
	SgMigrationRow row;
	bool		waited;

	get_arguments(fcinfo, &migration);

	/* almost always it is, and no lock is needed to see that */
	if (is_applied(&migration, &row, false))
		PG_RETURN_TEXT_P(cstring_to_text("already applied"));

	PreventCommandDuringRecovery("safeguard.migrate()");
	PreventCommandIfReadOnly("safeguard.migrate()");
	PreventCommandIfParallelMode("safeguard.migrate()");
	(void) sg_migration_lock(&migration.name, true, &waited);
	if (is_applied(&migration, &row, waited))
	{
		/* who waits behind this session need not wait for its end */
		sg_migration_unlock(&migration.name);
		PG_RETURN_TEXT_P(cstring_to_text("already applied"));
	}
	refuse_claimed(&migration, &row);
	refuse_old_snapshot(&migration);
	apply(&migration, &row);
	PG_RETURN_TEXT_P(cstring_to_text("applied"));
}
