/*-------------------------------------------------------------------------
 *
 * status.c
 *		safeguard.status(), and the word of warning at CREATE EXTENSION.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "compat.h"
#include "extension.h"
#include "stats/collector.h"
#include "stats/findings.h"
#include "stats/queries.h"
#include "stats/watched.h"

#define STATUS_COLUMNS	3

/* dead rows that are named one by one */
#define STATUS_MAX_DEAD	10

PG_FUNCTION_INFO_V1(sg_status);
PG_FUNCTION_INFO_V1(sg_warn_unguarded);

static void
put_row(ReturnSetInfo *rsinfo, const char *item, const char *value,
		const char *detail)
{
	Datum		values[STATUS_COLUMNS] = {0};
	bool		nulls[STATUS_COLUMNS];

	values[0] = CStringGetTextDatum(item);
	nulls[0] = false;
	nulls[1] = value == NULL;
	if (value != NULL)
		values[1] = CStringGetTextDatum(value);
	nulls[2] = detail == NULL;
	if (detail != NULL)
		values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Does a list of libraries name ours?
 */
static bool
setting_names_us(const char *setting)
{
	const char *libraries = GetConfigOption(setting, true, false);

	return libraries != NULL && strstr(libraries, "safeguard") != NULL;
}

static void
put_loaded(ReturnSetInfo *rsinfo)
{
	if (sg_preloaded)
		put_row(rsinfo, "loaded", "shared_preload_libraries",
				"Every session is guarded, findings are counted.");
	else if (setting_names_us("session_preload_libraries"))
		put_row(rsinfo, "loaded", "session_preload_libraries",
				"Sessions with this setting are guarded, findings are not counted.");
	else if (setting_names_us("local_preload_libraries"))
		put_row(rsinfo, "loaded", "local_preload_libraries",
				"Sessions with this setting are guarded, findings are not counted.");
	else
		put_row(rsinfo, "loaded", "session",
				"Only this session is guarded, findings are not counted.");
}

/*
 * The version of the SQL, and how it goes with that of the library.
 */
static void
put_extension(ReturnSetInfo *rsinfo)
{
	char	   *version = sg_extension_version();
	List	   *unknown = sg_unknown_tables();
	StringInfoData detail;
	ListCell   *lc;

	if (version == NULL)
	{
		put_row(rsinfo, "extension", "not created",
				"Tables have no exceptions in this database.");
		return;
	}
	initStringInfo(&detail);
	if (sg_compare_versions(version, SG_VERSION) < 0)
		appendStringInfoString(&detail, "The library is newer.  Run ALTER EXTENSION safeguard UPDATE.");
	else if (sg_compare_versions(version, SG_VERSION) > 0)
		appendStringInfoString(&detail, "The library is older.  Install that of this version, and restart the server if it was loaded at its start.");
	foreach(lc, unknown)
		appendStringInfo(&detail, "%sTable safeguard.%s has other columns than the library knows and is not read.",
						 detail.len > 0 ? "  " : "", (char *) lfirst(lc));
	put_row(rsinfo, "extension", version,
			detail.len > 0 ? detail.data : NULL);
}

static void
put_rules(ReturnSetInfo *rsinfo)
{
	StringInfoData detail;
	int			nactive = 0;

	initStringInfo(&detail);
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		SgLevel		level = sg_level_for((SgRuleId) i, InvalidOid);

		if (level != SG_LEVEL_OFF)
			nactive++;
		appendStringInfo(&detail, "%s%s %s", i > 0 ? ", " : "",
						 sg_rules[i].name, sg_level_name(level));
	}
	put_row(rsinfo, "rules active",
			psprintf("%d of %d", nactive, SG_NUM_RULES), detail.data);
}

static void
put_shared_memory(ReturnSetInfo *rsinfo)
{
	int64		used;

	if (sg_shared == NULL)
	{
		put_row(rsinfo, "findings", NULL,
				"They need shared_preload_libraries.");
		put_row(rsinfo, "shared memory bytes", "0", NULL);
		return;
	}
	LWLockAcquire(sg_shared->lock, LW_SHARED);
	used = hash_get_num_entries(sg_finding_table);
	LWLockRelease(sg_shared->lock);
	put_row(rsinfo, "findings", psprintf(INT64_FORMAT, used),
			psprintf("At most %d, evicted " UINT64_FORMAT ".",
					 sg_max_findings,
					 pg_atomic_read_u64(&sg_shared->evicted)));
	put_row(rsinfo, "watched scopes",
			psprintf(UINT64_FORMAT, sg_watched_used()),
			psprintf("At most %d of one table and %d in all, then changes are counted by table.",
					 sg_max_watched, 2 * sg_max_watched));
	put_row(rsinfo, "shared memory bytes",
			psprintf("%zu", sg_shmem_size()), NULL);
}

/*
 * Which statements have figures, and how many have.
 */
static void
put_queries(ReturnSetInfo *rsinfo)
{
	const char *mode = GetConfigOption("safeguard.track_queries", false, false);
	const char *detail;

	if (!sg_queries_on)
		return;
	if (sg_track_queries == SG_TRACK_OFF)
		detail = "No statement of this session has figures.";
	else if (sg_track_queries == SG_TRACK_SLOW)
		detail = "Slow and failed statements have figures.";
	else if (IsQueryIdEnabled())
		detail = "All statements have figures.";
	else if (sg_track_queries == SG_TRACK_ALL)
		detail = "Query identifiers are missing, so only slow and failed statements have figures.  Set \"compute_query_id\" to on.";
	else
		detail = "No query identifiers are computed, so slow and failed statements have figures.";
	put_row(rsinfo, "track_queries", mode, detail);
	put_row(rsinfo, "queries", psprintf("%d", sg_queries_used()),
			psprintf("At most %d, evicted " UINT64_FORMAT ".",
					 sg_max_queries, sg_queries_evicted()));
	put_row(rsinfo, "violations", psprintf("%d", sg_violations_used()),
			psprintf("At most %d, evicted " UINT64_FORMAT ".",
					 SG_MAX_VIOLATIONS, sg_violations_evicted()));
}

/*
 * Without the collector a crash loses all figures since the server's start.
 */
static void
put_collector(ReturnSetInfo *rsinfo)
{
	uint32		pid;
	TimestampTz written;
	const char *file = "has not been written yet";

	if (sg_collector == NULL)
		return;
	pid = pg_atomic_read_u32(&sg_collector->pid);
	written = (TimestampTz) pg_atomic_read_u64(&sg_collector->written_at);
	if (written != 0)
		file = psprintf("was written at %s", timestamptz_to_str(written));
	if (pg_atomic_read_u32(&sg_collector->failing) != 0)
		file = psprintf("%s, and could not be written since", file);
	if (pid != 0)
		put_row(rsinfo, "collector", "running",
				psprintf("Process %u.  The statistics file %s.", pid, file));
	else
		put_row(rsinfo, "collector", "not running",
				psprintf("No figures are saved but at shutdown.  The statistics file %s.  The server log tells why; \"max_worker_processes\" may be too small.",
						 file));
}

/*
 * The reason of a failure may quote somebody's object or value: its text is
 * for those who read all figures.
 */
static void
put_unjudged(ReturnSetInfo *rsinfo)
{
	char		message[SG_UNJUDGED_MESSAGE];
	int			sqlstate;
	uint64		count = sg_unjudged_get(&sqlstate, message, sizeof(message));
	char	   *detail = NULL;

	if (count > 0 && sqlstate != 0)
		detail = psprintf("The last one because of an error %s%s%s.",
						  unpack_sql_state(sqlstate),
						  message[0] == '\0' ? "" : ": ", message);
	if (detail != NULL &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		detail = psprintf("The last one because of an error %s.",
						  unpack_sql_state(sqlstate));
	put_row(rsinfo, "unjudged", psprintf(UINT64_FORMAT, count), detail);
}

static void
put_dead_rows(ReturnSetInfo *rsinfo)
{
	List	   *dead = sg_dead_rows();
	StringInfoData detail;
	ListCell   *lc;

	initStringInfo(&detail);
	foreach(lc, dead)
	{
		int			n = foreach_current_index(lc);

		if (n == STATUS_MAX_DEAD)
		{
			appendStringInfoString(&detail, ", ...");
			break;
		}
		appendStringInfo(&detail, "%s%s", n > 0 ? ", " : "",
						 (char *) lfirst(lc));
	}
	put_row(rsinfo, "dead exceptions", psprintf("%d", list_length(dead)),
			dead == NIL ? NULL : detail.data);
}

/*
 * What is loaded and active in this session and cluster, a row per item.
 */
Datum
sg_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	put_row(rsinfo, "version", SG_VERSION, NULL);
	put_extension(rsinfo);
	put_loaded(rsinfo);
	put_row(rsinfo, "enabled", sg_enabled ? "on" : "off",
			sg_enabled ? NULL : "No statement is judged in this session.");
	put_row(rsinfo, "max_level", sg_level_name((SgLevel) sg_max_level), NULL);
	put_rules(rsinfo);
	put_shared_memory(rsinfo);
	put_queries(rsinfo);
	put_collector(rsinfo);
	put_unjudged(rsinfo);
	put_dead_rows(rsinfo);
	return (Datum) 0;
}

/*
 * Called by the extension's script: creating it guards no other session.
 */
Datum
sg_warn_unguarded(PG_FUNCTION_ARGS)
{
	if (!sg_preloaded)
		ereport(WARNING,
				errmsg("safeguard guards only this session yet"),
				errdetail("The library is loaded in this session, not in the others."),
				errhint("For all sessions, add it to \"shared_preload_libraries\" and restart the server.  "
						"For new sessions of this database, run ALTER DATABASE %s SET session_preload_libraries = 'safeguard', "
						"or of a role, ALTER ROLE ... SET session_preload_libraries = 'safeguard'.",
						quote_identifier(get_database_name(MyDatabaseId))));
	PG_RETURN_VOID();
}
