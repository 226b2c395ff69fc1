/*-------------------------------------------------------------------------
 *
 * row.c
 *		What safeguard.migrations says about a migration at this moment.
 *
 * The snapshot of the statement that asks, or under REPEATABLE READ of its
 * transaction, is older than the wait for somebody else.  So the tables are
 * read as the catalogs are: what is committed now, and what this transaction
 * has done.  A row that is being changed while it is read may be missed; who
 * is about to write holds the migration's lock, and looks again.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "extension.h"
#include "migrate/migrate.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migration_claim_is_live);

/* columns of safeguard.migrations */
#define MIGRATIONS_PROJECT		2
#define MIGRATIONS_VERSION		3
#define MIGRATIONS_CHECKSUM		5
#define MIGRATIONS_STATUS		6

/* columns of safeguard.migration_claims */
#define CLAIMS_PROJECT			1
#define CLAIMS_VERSION			2
#define CLAIMS_PID				3
#define CLAIMS_BACKEND_START	4

/* ---------------- arguments ---------------- */

static char *
name_argument(FunctionCallInfo fcinfo, int n, const char *argument)
{
	char	   *name;

	sg_require_argument(fcinfo, n, argument);
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (name[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be empty", argument));
	if (strlen(name) > SG_MIGRATION_NAME)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be longer than %d bytes",
					   argument, SG_MIGRATION_NAME));
	return name;
}

/*
 * The n-th and m-th argument as the name of a migration.
 */
void
sg_migration_arguments(FunctionCallInfo fcinfo, int version, int project,
					   SgMigrationName *name)
{
	name->version = name_argument(fcinfo, version, "version");
	name->project = name_argument(fcinfo, project, "project");
}

/*
 * The n-th argument as a checksum; NULL if none is given.
 */
char *
sg_checksum_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *checksum;

	if (PG_ARGISNULL(n))
		return NULL;
	checksum = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (checksum[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be empty", "checksum"));
	return checksum;
}

/* ---------------- tables ---------------- */

static Oid
table_of_ours(const char *relname)
{
	Oid			relid = sg_config_table(relname);

	if (!OidIsValid(relid))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("table \"safeguard.%s\" of the extension does not exist",
					   relname),
				errhint("Create the extension again."));
	return relid;
}

Oid
sg_migrations_table(void)
{
	return table_of_ours("migrations");
}

Oid
sg_claims_table(void)
{
	return table_of_ours("migration_claims");
}

/*
 * Begin to read the rows of a migration, or with no version of a project.
 * Both columns have the collation "C", which is the one that scan keys have.
 */
static SysScanDesc
begin_scan(Relation rel, const SgMigrationName *name, AttrNumber project,
		   AttrNumber version)
{
	ScanKeyData keys[2];
	int			nkeys = 0;
	Oid			index;

	/* finds out which one is the primary key, too */
	list_free(RelationGetIndexList(rel));
	index = rel->rd_pkindex;

	ScanKeyInit(&keys[nkeys++], project, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name->project));
	if (version != InvalidAttrNumber)
		ScanKeyInit(&keys[nkeys++], version, BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(name->version));
	return systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf,
							  nkeys, keys);
}

static char *
text_column(HeapTuple tuple, Relation rel, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, RelationGetDescr(rel),
									 &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static bool
is_applied(const char *status)
{
	return strcmp(status, "applied") == 0 || strcmp(status, "repaired") == 0;
}

/* ---------------- claims ---------------- */

/*
 * Is this a backend that is still there?  Somebody else may have got its
 * number since, but not at the same moment.
 */
bool
sg_claim_is_live(int pid, TimestampTz backend_start)
{
	int			n;

	/* the backend is one of another server */
	if (RecoveryInProgress())
		return true;

	/* a transaction sees the same ones all the time, unless it asks anew */
	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *backend = sg_backend_status(i);

		if (backend != NULL && backend->st_procpid == pid &&
			backend->st_proc_start_timestamp == backend_start)
			return true;
	}
	return false;
}

/*
 * Who has claimed the migration?  Returns whether there is a claim.
 */
static bool
look_for_claim(const SgMigrationName *name, SgMigrationRow *row)
{
	Relation	rel = sg_open_own_table(sg_claims_table());
	SysScanDesc scan = begin_scan(rel, name, CLAIMS_PROJECT, CLAIMS_VERSION);
	HeapTuple	tuple = systable_getnext(scan);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;

		row->claim_tid = tuple->t_self;
		row->pid = DatumGetInt32(heap_getattr(tuple, CLAIMS_PID, desc,
											  &isnull));
		row->backend_start =
			DatumGetTimestampTz(heap_getattr(tuple, CLAIMS_BACKEND_START,
											 desc, &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Is the backend that has made a claim still there?  For the view, whose reader
 * may not be shown when a backend of another role has started.
 */
Datum
sg_migration_claim_is_live(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(sg_claim_is_live(PG_GETARG_INT32(0),
									PG_GETARG_TIMESTAMPTZ(1)));
}

/*
 * What is the state of a migration, now?
 */
void
sg_migration_look(const SgMigrationName *name, SgMigrationRow *row)
{
	Relation	rel = sg_open_own_table(sg_migrations_table());
	SysScanDesc scan = begin_scan(rel, name, MIGRATIONS_PROJECT,
								  MIGRATIONS_VERSION);
	HeapTuple	tuple = systable_getnext(scan);
	bool		own = false;

	memset(row, 0, sizeof(*row));
	ItemPointerSetInvalid(&row->claim_tid);
	if (HeapTupleIsValid(tuple))
	{
		row->exists = true;
		row->tid = tuple->t_self;
		row->status = text_column(tuple, rel, MIGRATIONS_STATUS);
		row->checksum = text_column(tuple, rel, MIGRATIONS_CHECKSUM);
		own = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (row->exists && is_applied(row->status))
		row->state = SG_MIGRATION_APPLIED;
	else if (!row->exists || strcmp(row->status, "running") != 0)
	{
		row->state = SG_MIGRATION_NONE;

		/* somebody may have changed or deleted the row by hand */
		(void) look_for_claim(name, row);
	}
	else if (look_for_claim(name, row))
		row->state = sg_claim_is_live(row->pid, row->backend_start) ?
			SG_MIGRATION_RUNNING : SG_MIGRATION_ABANDONED;
	else
		row->state = own ? SG_MIGRATION_OWN : SG_MIGRATION_ABANDONED;
}

/*
 * A migration of the project that has been applied, but whose rows this
 * transaction cannot see since its snapshot is older; NULL if there is none.
 */
const char *
sg_migration_newer(const SgMigrationName *name)
{
	Snapshot	snapshot;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *newer = NULL;

	if (!IsolationUsesXactSnapshot())
		return NULL;
	snapshot = GetTransactionSnapshot();
	rel = sg_open_own_table(sg_migrations_table());
	scan = begin_scan(rel, name, MIGRATIONS_PROJECT, InvalidAttrNumber);
	while (newer == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		if (!TransactionIdIsCurrentTransactionId(xmin) &&
			XidInMVCCSnapshot(xmin, snapshot))
			newer = text_column(tuple, rel, MIGRATIONS_VERSION);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return newer;
}

/* ---------------- checksums ---------------- */

/*
 * Raise an error if a migration that is applied was another text.
 */
void
sg_migration_check_sum(const SgMigrationName *name, const SgMigrationRow *row,
					   const char *checksum)
{
	if (checksum == NULL || row->checksum == NULL ||
		strcmp(checksum, row->checksum) == 0)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("migration \"%s\" of project \"%s\" has changed since it was applied",
				   name->version, name->project),
			errdetail("Its checksum is %s, and was %s when it was applied.",
					  checksum, row->checksum),
			errhint("Give the changed text a version of its own. If the database is right all the same: SELECT safeguard.migration_mark(%s, 'repaired', 'reason', %s, %s).",
					quote_literal_cstr(name->version),
					quote_literal_cstr(checksum),
					quote_literal_cstr(name->project)));
}

/*
 * Tell, or raise if elevel is ERROR, that whoever claimed a migration is gone.
 */
void
sg_migration_abandoned(int elevel, int sqlerrcode,
					   const SgMigrationName *name, const SgMigrationRow *row)
{
	ereport(elevel,
			errcode(sqlerrcode),
			errmsg("migration \"%s\" of project \"%s\" has been abandoned",
				   name->version, name->project),
			errdetail("Process %d, which had claimed it with safeguard.migration_begin(), is gone.",
					  row->pid),
			errhint("Look how far it came. Then give the claim up: SELECT safeguard.migration_mark(%s, 'released', 'reason', project => %s), or if the migration is done, mark it 'repaired'.",
					quote_literal_cstr(name->version),
					quote_literal_cstr(name->project)));
}
