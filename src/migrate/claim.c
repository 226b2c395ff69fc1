/*-------------------------------------------------------------------------
 *
 * claim.c
 *		Claims a migration, and writes its row.
 *
 * Who applies a migration holds its lock, an object lock of this transaction,
 * and inserts its row, whose key is unique.  Both end with the transaction,
 * however it ends; nothing is left behind by a killed backend, or to the next
 * client of a pooler.  The lock is there for those who wait: it can be
 * cancelled, obeys lock_timeout, and is seen by the deadlock detector and in
 * pg_locks, and when it is granted the row can be looked at without a conflict
 * that REPEATABLE READ makes an error of.
 *
 * Nobody has the privilege to write the rows: it is done as their owner.  They
 * are found by their place, since at SERIALIZABLE a scan of the index would make
 * different migrations, which are on one page of it, conflict with each other.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "migrate/migrate.h"
#include "safeguard.h"

/* ---------------- the lock ---------------- */

/*
 * Two migrations with the same hash wait for each other, and that is all.
 */
void
sg_migration_locktag(const SgMigrationName *name, LOCKTAG *tag)
{
	uint32		hash = hash_bytes((const unsigned char *) name->project,
								  strlen(name->project));

	hash = hash_combine(hash,
						hash_bytes((const unsigned char *) name->version,
								   strlen(name->version)));
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, sg_migrations_table(), hash, 1);
}

/*
 * Get the lock of a migration until the end of the transaction.  Returns
 * false if another transaction has it and it must not be waited for.
 */
bool
sg_migration_lock(const SgMigrationName *name, bool wait, bool *waited)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	sg_migration_locktag(name, &tag);
	*waited = false;
	result = LockAcquire(&tag, ExclusiveLock, false, true);
	if (result == LOCKACQUIRE_NOT_AVAIL)
	{
		if (!wait)
			return false;
		*waited = true;
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}

	/* rows that are looked at now must keep their place until written */
	LockRelationOid(sg_migrations_table(), RowExclusiveLock);
	LockRelationOid(sg_claims_table(), RowExclusiveLock);
	return true;
}

/*
 * Give it back before the transaction ends, since nothing has been written.
 */
void
sg_migration_unlock(const SgMigrationName *name)
{
	LOCKTAG		tag;

	sg_migration_locktag(name, &tag);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Is a transaction other than this one at the migration?
 */
bool
sg_migration_is_locked(const SgMigrationName *name)
{
	LOCKTAG		tag;
	int			count;

	sg_migration_locktag(name, &tag);
	(void) GetLockConflicts(&tag, ExclusiveLock, &count);
	return count > 0;
}

/* ---------------- the row ---------------- */

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Run a statement as the owner of the tables, between SPI_connect() and
 * SPI_finish().  All names in it are qualified, so the caller's search_path has
 * no say.
 */
void
sg_owner_execute(const char *sql, int nparams, const Oid *types,
				 Datum *params, const char *nulls)
{
	Oid			owner = owner_of(sg_migrations_table());
	Oid			userid;
	int			sec_context;
	int			rc;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	rc = SPI_execute_with_args(sql, nparams, unconstify(Oid *, types), params,
							   nulls, false, 0);
	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
	SetUserIdAndSecContext(userid, sec_context);
}

/*
 * Run a statement as the owner of the tables.  Returns the number of rows; with
 * "result" also the first column of the first of them, or NULL.
 */
uint64
sg_migration_write(const char *sql, int nparams, const Oid *types,
				   Datum *params, const char *nulls, char **result)
{
	MemoryContext caller = CurrentMemoryContext;
	uint64		rows;

	SPI_connect();
	sg_owner_execute(sql, nparams, types, params, nulls);
	rows = SPI_processed;
	if (result != NULL)
	{
		char	   *value = rows == 0 ? NULL :
			SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		*result = value ? MemoryContextStrdup(caller, value) : NULL;
	}
	SPI_finish();
	return rows;
}

/*
 * Raise an error since a row that has been looked at is not found again.
 */
void
sg_migration_gone(const SgMigrationName *name)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not write the row of migration \"%s\" of project \"%s\" in a transaction that is older",
					   name->version, name->project),
				errhint("Run the transaction again."));
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("the claim of migration \"%s\" of project \"%s\" is gone",
				   name->version, name->project));
}

/*
 * The row of the migration, in the state "running".  The caller holds the
 * lock, and has seen that there is no such row, or one that was reverted or
 * released, which is taken over.  *row gets its new place.
 */
void
sg_migration_claim(const SgMigrationName *name, const char *description,
				   const char *checksum, SgMigrationRow *row)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIDOID};
	Datum		params[6];
	char		nulls[] = "      ";
	char	   *tid;

	/* one that was left when somebody changed or deleted its row by hand */
	sg_migration_unclaim(row);

	params[0] = CStringGetTextDatum(name->project);
	params[1] = CStringGetTextDatum(name->version);
	params[2] = description ? CStringGetTextDatum(description) : (Datum) 0;
	nulls[2] = description ? ' ' : 'n';
	params[3] = checksum ? CStringGetTextDatum(checksum) : (Datum) 0;
	nulls[3] = checksum ? ' ' : 'n';
	params[4] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	params[5] = PointerGetDatum(&row->tid);
	(void) sg_migration_write(row->exists ?
							  "UPDATE safeguard.migrations SET id = NULL, description = $3, "
							  "checksum = $4, status = 'running', applied_at = NULL, "
							  "applied_by = $5::pg_catalog.name, duration_ms = NULL, "
							  "rows_changed = NULL, wal_bytes = NULL "
							  "WHERE ctid OPERATOR(pg_catalog.=) $6 RETURNING ctid" :
							  "INSERT INTO safeguard.migrations "
							  "(project, version, description, checksum, status, applied_by) "
							  "VALUES ($1, $2, $3, $4, 'running', $5::pg_catalog.name) "
							  "RETURNING ctid",
							  row->exists ? 6 : 5, types, params, nulls, &tid);
	if (tid == NULL)
		sg_migration_gone(name);
	row->tid = *(ItemPointer) DatumGetPointer(DirectFunctionCall1(tidin,
																  CStringGetDatum(tid)));
	row->exists = true;
}

/*
 * It is applied: from here on the row has its place in the order.
 */
void
sg_migration_finish(const SgMigrationName *name, SgMigrationRow *row,
					const char *status, const SgMigrationFigures *figures)
{
	Oid			types[] = {TIDOID, TEXTOID, FLOAT8OID, INT8OID, INT8OID};
	Datum		params[5];
	char		nulls[] = "     ";
	bool		known = figures != NULL;
	bool		counted = known && figures->rows_changed >= 0;

	params[0] = PointerGetDatum(&row->tid);
	params[1] = CStringGetTextDatum(status);
	params[2] = known ? Float8GetDatum(figures->duration_ms) : (Datum) 0;
	params[3] = counted ? Int64GetDatum(figures->rows_changed) : (Datum) 0;
	params[4] = counted ? Int64GetDatum((int64) figures->wal_bytes) : (Datum) 0;
	nulls[2] = known ? ' ' : 'n';
	nulls[3] = nulls[4] = counted ? ' ' : 'n';
	if (sg_migration_write("UPDATE safeguard.migrations SET "
						   "id = pg_catalog.nextval('safeguard.migrations_id_seq'), "
						   "status = $2, applied_at = pg_catalog.clock_timestamp(), "
						   "duration_ms = $3, rows_changed = $4, wal_bytes = $5 "
						   "WHERE ctid OPERATOR(pg_catalog.=) $1 "
						   "AND status OPERATOR(pg_catalog.=) 'running'",
						   5, types, params, nulls, NULL) != 1)
		sg_migration_gone(name);
	sg_migration_unclaim(row);
}

/*
 * Nobody is at it any more.
 */
void
sg_migration_unclaim(SgMigrationRow *row)
{
	Oid			types[] = {TIDOID};
	Datum		params[1];

	if (!ItemPointerIsValid(&row->claim_tid))
		return;
	params[0] = PointerGetDatum(&row->claim_tid);
	(void) sg_migration_write("DELETE FROM safeguard.migration_claims "
							  "WHERE ctid OPERATOR(pg_catalog.=) $1",
							  1, types, params, NULL, NULL);
	ItemPointerSetInvalid(&row->claim_tid);
}
