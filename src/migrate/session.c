/*-------------------------------------------------------------------------
 *
 * session.c
 *		safeguard.migration_begin() and migration_end(): a migration of which
 *		the caller runs the statements itself.
 *
 * It takes several transactions, so its claim is a row that has been
 * committed, with the backend that has made it.  The claim is alive as long as
 * that backend is; a lease that expires would need somebody to renew it.
 * Nobody takes over a claim whose backend is gone: what it was at may be half
 * done.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "migrate/migrate.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migration_begin);
PG_FUNCTION_INFO_V1(sg_migration_end);

/*
 * Indexes that are invalid, but not because somebody is building or dropping
 * them at the moment.  The view of progress alone tells one index per session,
 * while REINDEX TABLE CONCURRENTLY has several: so ask for the lock that is
 * held as long as that lasts, on the index itself by REINDEX and DROP, on its
 * table by CREATE INDEX, and there by VACUUM as well.
 */
#define LEFT_INDEXES \
	"pg_catalog.pg_index i WHERE NOT i.indisvalid AND NOT EXISTS (" \
	"SELECT FROM pg_catalog.pg_locks l, pg_catalog.pg_database d " \
	"WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() " \
	"AND l.database OPERATOR(pg_catalog.=) d.oid " \
	"AND l.locktype OPERATOR(pg_catalog.=) 'relation' " \
	"AND l.mode OPERATOR(pg_catalog.=) 'ShareUpdateExclusiveLock' AND l.granted " \
	"AND (l.relation OPERATOR(pg_catalog.=) i.indexrelid " \
	"OR l.relation OPERATOR(pg_catalog.=) i.indrelid AND EXISTS (" \
	"SELECT FROM pg_catalog.pg_stat_progress_create_index p " \
	"WHERE p.pid OPERATOR(pg_catalog.=) l.pid)))"

/* ---------------- begin ---------------- */

/*
 * Note who has claimed the migration, and which indexes are invalid without
 * its doing.
 */
static void
note_claim(const SgMigrationName *name)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID};
	Datum		params[6];

	params[0] = CStringGetTextDatum(name->project);
	params[1] = CStringGetTextDatum(name->version);
	params[2] = Int32GetDatum(MyProcPid);
	params[3] = TimestampTzGetDatum(MyStartTimestamp);
	params[4] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	params[5] = CStringGetTextDatum(application_name ? application_name : "");
	(void) sg_migration_write("INSERT INTO safeguard.migration_claims "
							  "(project, version, pid, backend_start, role, "
							  "application, since, invalid_indexes) "
							  "VALUES ($1, $2, $3, $4, $5::pg_catalog.name, $6, "
							  "pg_catalog.clock_timestamp(), "
							  "ARRAY(SELECT i.indexrelid FROM pg_catalog.pg_index i "
							  "WHERE NOT i.indisvalid))",
							  6, types, params, NULL, NULL);
}

/*
 * What to answer where nothing is to be claimed, or NULL.
 */
static const char *
answer_for(const SgMigrationName *name, const SgMigrationRow *row,
		   const char *checksum)
{
	switch (row->state)
	{
		case SG_MIGRATION_NONE:
			return NULL;
		case SG_MIGRATION_APPLIED:
			sg_migration_check_sum(name, row, checksum);
			return "already applied";
		case SG_MIGRATION_ABANDONED:
			sg_migration_abandoned(NOTICE,
								   ERRCODE_SUCCESSFUL_COMPLETION,
								   name, row);
			return "running";
		default:
			return "running";
	}
}

/*
 * migration_begin(version text, checksum text, project text)
 *		→ 'claimed', 'already applied' or 'running'
 */
Datum
sg_migration_begin(PG_FUNCTION_ARGS)
{
	SgMigrationName name;
	SgMigrationRow row;
	const char *checksum = sg_checksum_argument(fcinfo, 1);
	const char *answer;
	bool		waited;

	sg_migration_arguments(fcinfo, 0, 2, &name);
	sg_migration_look(&name, &row);
	answer = answer_for(&name, &row, checksum);
	if (answer == NULL)
	{
		PreventCommandDuringRecovery("safeguard.migration_begin()");
		PreventCommandIfReadOnly("safeguard.migration_begin()");
		PreventCommandIfParallelMode("safeguard.migration_begin()");
		if (!sg_migration_lock(&name, false, &waited))
			answer = "running";
		else
		{
			sg_migration_look(&name, &row);
			answer = answer_for(&name, &row, checksum);
			if (answer != NULL)
				sg_migration_unlock(&name);
		}
	}
	if (answer == NULL)
	{
		sg_migration_claim(&name, NULL, checksum, &row);
		note_claim(&name);
		answer = "claimed";
	}
	else if (row.state == SG_MIGRATION_APPLIED)
		sg_migration_skipped(&name, false);
	PG_RETURN_TEXT_P(cstring_to_text(answer));
}

/* ---------------- end ---------------- */

/*
 * Raise an error if there are invalid indexes that were not there, or not
 * invalid, when the migration began.
 */
static void
check_indexes(const SgMigrationName *name, SgMigrationRow *row)
{
	Oid			types[] = {TIDOID};
	Datum		params[] = {PointerGetDatum(&row->claim_tid)};
	char	   *indexes;

	(void) sg_migration_write("SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), "
							  "', ' ORDER BY n.nspname, c.relname) "
							  "FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n, "
							  "(SELECT i.indexrelid FROM " LEFT_INDEXES ") AS x "
							  "WHERE c.oid OPERATOR(pg_catalog.=) x.indexrelid "
							  "AND n.oid OPERATOR(pg_catalog.=) c.relnamespace "
							  "AND NOT EXISTS (SELECT FROM safeguard.migration_claims m "
							  "WHERE m.ctid OPERATOR(pg_catalog.=) $1 "
							  "AND x.indexrelid OPERATOR(pg_catalog.=) ANY (m.invalid_indexes))",
							  1, types, params, NULL, &indexes);
	if (indexes != NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("migration \"%s\" of project \"%s\" has left an invalid index",
					   name->version, name->project),
				errdetail("Invalid: %s.", indexes),
				errhint("No query uses it. Drop it with DROP INDEX CONCURRENTLY, build it again, and call safeguard.migration_end() again; the claim stays until then."));
}

static void
require_claim(const SgMigrationName *name, SgMigrationRow *row)
{
	sg_migration_look(name, row);
	if (row->state == SG_MIGRATION_RUNNING ||
		row->state == SG_MIGRATION_ABANDONED)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("migration \"%s\" of project \"%s\" is not claimed",
				   name->version, name->project),
			row->status ? errdetail("Its status is \"%s\".", row->status) :
			errdetail("There is no such migration."),
			errhint("Claim it with safeguard.migration_begin() first."));
}

/*
 * Since when it is claimed, by the clock.  As numeric, since the caller may have
 * set extra_float_digits to what leaves out digits.
 */
static double
milliseconds_since_claim(SgMigrationRow *row)
{
	Oid			types[] = {TIDOID};
	Datum		params[] = {PointerGetDatum(&row->claim_tid)};
	char	   *ms;

	(void) sg_migration_write("SELECT (1000 OPERATOR(pg_catalog.*) pg_catalog.date_part('epoch', "
							  "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) since))::pg_catalog.numeric::pg_catalog.text "
							  "FROM safeguard.migration_claims "
							  "WHERE ctid OPERATOR(pg_catalog.=) $1",
							  1, types, params, NULL, &ms);
	return ms == NULL ? 0 : Max(atof(ms), 0);
}

/*
 * migration_end(version text, project text)
 *
 * Another backend may call it than has begun it: behind a pooler, a client has
 * several.
 */
Datum
sg_migration_end(PG_FUNCTION_ARGS)
{
	SgMigrationName name;
	SgMigrationRow row;
	SgMigrationFigures figures = {0};
	bool		waited;

	sg_migration_arguments(fcinfo, 0, 1, &name);
	require_claim(&name, &row);
	PreventCommandDuringRecovery("safeguard.migration_end()");
	PreventCommandIfReadOnly("safeguard.migration_end()");
	PreventCommandIfParallelMode("safeguard.migration_end()");
	(void) sg_migration_lock(&name, true, &waited);
	require_claim(&name, &row);
	check_indexes(&name, &row);

	figures.duration_ms = milliseconds_since_claim(&row);
	figures.started_at = GetCurrentTimestamp() -
		(int64) (figures.duration_ms * 1000);
	figures.rows_changed = -1;
	sg_migration_begins(&name);
	sg_migration_finish(&name, &row, "applied", &figures);
	sg_migration_ends(&name, &figures);
	PG_RETURN_VOID();
}
