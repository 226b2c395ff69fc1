/*-------------------------------------------------------------------------
 *
 * figures.c
 *		What the server has measured of the migrations in a history table.
 *
 * A row of the table and an entry of safeguard.migration_log belong together
 * if the entry's transaction has written the row as it is: no tool tells
 * more.  Transaction identifiers come round again after four thousand
 * million, and what was written that long ago has left the log by then.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "migrate/history.h"
#include "migrate/log.h"

/*
 * The entries of this database that the current user may see, latest first.
 * None without shared memory.
 */
List *
sg_figures_load(void)
{
	List	   *result = NIL;
	SgLogEntry *entries;
	uint64		n;

	if (!sg_migration_log_on)
		return NIL;
	entries = sg_log_copy(&n, false);
	for (uint64 i = n; i > 0; i--)
	{
		SgLogEntry *entry = &entries[i - 1];

		if (entry->dbid == MyDatabaseId && entry->succeeded &&
			!entry->removed && sg_log_may_see(entry->roleid))
			result = lappend(result, entry);
	}
	return result;
}

/* The entry of a row, or NULL. */
static const SgLogEntry *
find_entry(List *entries, Oid relid, TransactionId xmin, const char *project,
		   const char *version, double duration_ms)
{
	ListCell   *lc;

	foreach(lc, entries)
	{
		const SgLogEntry *entry = (const SgLogEntry *) lfirst(lc);

		if (sg_log_wrote(entry, MyDatabaseId, relid, xmin))
			return entry;
		/*
		 * safeguard's own have a name, and no other row of it; the row has
		 * the same duration unless it was marked by hand since
		 */
		if (!OidIsValid(entry->relid) && project != NULL && version != NULL &&
			entry->duration_ms == duration_ms &&
			strcmp(entry->project, project) == 0 &&
			strcmp(entry->version, version) == 0)
			return entry;
	}
	return NULL;
}

/*
 * Set the columns of figures: all NULL if there is no entry.
 */
void
sg_figures_put(List *entries, Oid relid, TransactionId xmin,
			   const char *project, const char *version,
			   double duration_ms, Datum *values, bool *nulls)
{
	const SgLogEntry *entry = find_entry(entries, relid, xmin, project,
										 version, duration_ms);
	int			n = 0;

	memset(nulls, true, SG_FIGURE_COLUMNS * sizeof(bool));
	memset(values, 0, SG_FIGURE_COLUMNS * sizeof(Datum));
	if (entry == NULL)
		return;
	nulls[0] = nulls[1] = false;
	values[n++] = TimestampTzGetDatum(TimestampTzPlusMilliseconds(entry->started_at,
																  (int64) entry->duration_ms));
	values[n++] = Float8GetDatum(entry->duration_ms);

	/* each of these may be unknown */
#define KNOWN(value) \
	nulls[n] = (value) < 0, values[n++] = Int64GetDatum(value)
	KNOWN(entry->ddl_count);
	KNOWN(entry->rows.inserted);
	KNOWN(entry->rows.updated);
	KNOWN(entry->rows.deleted);
	KNOWN(entry->wal_bytes);
#undef KNOWN
	nulls[n] = entry->lock_wait_ms < 0;
	values[n++] = Float8GetDatum(entry->lock_wait_ms);
	Assert(n == SG_FIGURE_COLUMNS);
}
