/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Configuration parameters.
 *
 * Who may switch a guard off must not be the one who is guarded: what weakens
 * it is PGC_SUSET and delegated with GRANT SET ON PARAMETER.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "failopen.h"
#include "safeguard.h"

/* safeguard.enabled: off switches every rule off */
bool		sg_enabled = true;

/* safeguard.max_level: no rule acts above it, whatever else says so */
int			sg_max_level = SG_LEVEL_ERROR;

/* safeguard.temp_tables: judge writes to temporary tables too */
bool		sg_temp_tables = false;

/* safeguard.true_is_unqualified: WHERE true is no WHERE clause */
bool		sg_true_is_unqualified = false;

/* safeguard.max_findings: entries of the shared table of findings */
int			sg_max_findings = 1000;

/* safeguard.max_rows: a statement may change this many rows; 0 for any number */
int			sg_max_rows = 0;
const char	sg_max_rows_name[] = "safeguard.max_rows";

/* safeguard.max_rows_session: the same, for everybody to be more careful */
int			sg_max_rows_session = 0;
const char	sg_max_rows_session_name[] = "safeguard.max_rows_session";

/* safeguard.expected_rows: a statement must affect just this many; -1 for any */
int			sg_expected_rows = -1;

/* safeguard.overwrite_min_rows: a load of fewer rows is not judged */
int			sg_overwrite_min_rows = 100;

/* safeguard.overwrite_ratio: share of rows that replaced rows of their load */
double		sg_overwrite_ratio = 0.5;

/* safeguard.large_table: kB; DDL that works through more is found */
int			sg_large_table = 1024 * 1024;

/* safeguard.max_upserts: entries of the shared table of upserts */
int			sg_max_upserts = 1000;

/* safeguard.slow_query_ms: a statement that takes longer is slow */
int			sg_slow_query_ms = 1000;

/* safeguard.track_queries: which statements have figures */
int			sg_track_queries = SG_TRACK_AUTO;

/* safeguard.track_pool: count and sample sessions */
bool		sg_track_pool = true;

/* safeguard.sample_interval, safeguard.save_interval: of the collector, s */
int			sg_sample_interval = 10;
int			sg_save_interval = 60;

/* what safeguard.health() and safeguard.connection_leaks() go by */
int			sg_leak_after = 300;	/* s */
int			sg_utilization_warning = 80;	/* per cent */
int			sg_utilization_critical = 90;	/* per cent */
int			sg_critical_for = 300;	/* s */
int			sg_failures_per_minute = 10;
int			sg_timeouts_per_minute = 5;
int			sg_slow_queries_per_hour = 50;
int			sg_acquisition_warning_ms = 100;

/* entries of shared tables */
int			sg_max_queries = 5000;
int			sg_max_watched = 1000;

/* safeguard.history_size: samples of the pool that are kept */
int			sg_history_size = 8640;

/* safeguard.<rule>, by SgRuleId */
int			sg_rule_level[SG_NUM_RULES];

static const struct config_enum_entry level_options[] = {
	{"off", SG_LEVEL_OFF, false},
	{"record", SG_LEVEL_RECORD, false},
	{"warning", SG_LEVEL_WARNING, false},
	{"error", SG_LEVEL_ERROR, false},
	{NULL, 0, false}
};

#define LEVEL_DESCRIPTION \
	"\"off\" does not look, \"record\" only counts in safeguard.findings, " \
	"\"warning\" counts and sends a WARNING, \"error\" counts and rejects " \
	"the statement."

/* of a rule that is about errors of the server's own */
#define WARNING_DESCRIPTION \
	"\"off\" does not look, \"record\" only counts in safeguard.findings, " \
	"\"warning\" counts and sends a WARNING, \"error\" does the same, since " \
	"the server itself rejects the statement."

const char *
sg_level_name(SgLevel level)
{
	return level_options[level].name;
}

/*
 * The level called "name", or -1.
 */
int
sg_level_by_name(const char *name)
{
	for (int i = 0; level_options[i].name != NULL; i++)
	{
		if (strcmp(level_options[i].name, name) == 0)
			return level_options[i].val;
	}
	return -1;
}

/*
 * The names of all levels, for a hint.
 */
char *
sg_level_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; level_options[i].name != NULL; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 level_options[i].name);
	return buf.data;
}

/*
 * The name of the parameter that sets a rule's level, palloc'd.
 */
char *
sg_rule_parameter(const char *rule)
{
	return psprintf("safeguard.%s", rule);
}

static void
define_rule_levels(void)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		/* kept for the life of the process by the parameter itself */
		char	   *name = sg_rule_parameter(sg_rules[i].name);

		sg_rule_level[i] = sg_rules[i].default_level;
		DefineCustomEnumVariable(name,
								 psprintf("What to do when %s.",
										  sg_rules[i].description),
								 sg_rules[i].highest == SG_LEVEL_WARNING ?
								 WARNING_DESCRIPTION : LEVEL_DESCRIPTION,
								 &sg_rule_level[i],
								 sg_rules[i].default_level,
								 level_options,
								 PGC_SUSET,
								 0,
								 NULL, NULL, NULL);
	}
}

/*
 * Who is guarded may ask for more care, but not lift the limit that others
 * have set for him.
 */
static void
define_row_limits(void)
{
	DefineCustomIntVariable(sg_max_rows_name,
							"The number of rows that a statement may change.",
							"Rows updated and deleted count, not rows inserted. 0 means no limit.",
							&sg_max_rows,
							0,
							0,
							INT_MAX,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable(sg_max_rows_session_name,
							"The same as safeguard.max_rows, for any user to set.",
							"The smaller of the two that is not 0 holds.",
							&sg_max_rows_session,
							0,
							0,
							INT_MAX,
							PGC_USERSET,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("safeguard.expected_rows",
							"The number of rows that a statement must affect.",
							"It is the number that the command tag tells, with that of data-modifying CTEs. -1 means any number.",
							&sg_expected_rows,
							-1,
							-1,
							INT_MAX,
							PGC_USERSET,
							0,
							NULL, NULL, NULL);
}

static const struct config_enum_entry track_options[] = {
	{"off", SG_TRACK_OFF, false},
	{"slow", SG_TRACK_SLOW, false},
	{"all", SG_TRACK_ALL, false},
	{"auto", SG_TRACK_AUTO, false},
	{NULL, 0, false}
};

/* A parameter of integers, as the tables below have it. */
typedef struct IntParameter
{
	const char *name;
	const char *short_desc;
	const char *long_desc;
	int		   *variable;
	int			min;
	int			max;
	int			flags;			/* unit */
} IntParameter;

/* What the collector and the health check go by: no privilege to set, but
 * the same for all who ask. */
static const IntParameter sighup_parameters[] = {
	{"safeguard.sample_interval",
		"The time between two looks at the pool.", NULL,
	&sg_sample_interval, 1, 3600, GUC_UNIT_S},
	{"safeguard.save_interval",
		"The time between two writes of the statistics file.",
		"A crash loses the figures of this time at most.",
	&sg_save_interval, 1, 86400, GUC_UNIT_S},
	{"safeguard.leak_after",
		"The time after which a session that holds a connection without work is taken for a leak.", NULL,
	&sg_leak_after, 1, INT_MAX / 1000, GUC_UNIT_S},
	{"safeguard.utilization_warning",
		"The utilization of the pool, in per cent, from which on its health is degraded.", NULL,
	&sg_utilization_warning, 1, 100, 0},
	{"safeguard.utilization_critical",
		"The utilization of the pool, in per cent, from which on its health is critical.",
		"It must have lasted for safeguard.critical_for.",
	&sg_utilization_critical, 1, 100, 0},
	{"safeguard.critical_for",
		"The time that the utilization must have lasted to be critical.", NULL,
	&sg_critical_for, 0, 86400, GUC_UNIT_S},
	{"safeguard.failures_per_minute",
		"The number of refused connections in a minute beyond which health is critical.", NULL,
	&sg_failures_per_minute, 0, INT_MAX, 0},
	{"safeguard.timeouts_per_minute",
		"The number of timeouts in a minute beyond which health is critical.", NULL,
	&sg_timeouts_per_minute, 0, INT_MAX, 0},
	{"safeguard.slow_queries_per_hour",
		"The number of slow queries in an hour beyond which health is degraded.", NULL,
	&sg_slow_queries_per_hour, 0, INT_MAX, 0},
	{"safeguard.acquisition_warning_ms",
		"The average time to set up a session beyond which health is degraded.", NULL,
	&sg_acquisition_warning_ms, 0, INT_MAX, GUC_UNIT_MS},
};

/* Sizes of shared tables. */
static const IntParameter size_parameters[] = {
	{"safeguard.max_findings",
		"The number of different findings kept in shared memory.",
		"Beyond it the least useful are dropped and counted as evicted.",
	&sg_max_findings, 10, 1000000, 0},
	{"safeguard.max_upserts",
		"The number of conflict targets whose upserts are counted in shared memory.",
		"Beyond it the one not seen for longest is dropped.",
	&sg_max_upserts, 10, 100000, 0},
	{"safeguard.max_queries",
		"The number of different queries whose figures are kept in shared memory.",
		"Beyond it the least used are dropped and counted as evicted.",
	&sg_max_queries, 10, 1000000, 0},
	{"safeguard.max_watched",
		"The number of scope values of one watched table that are counted in shared memory.",
		"Beyond it new ones are counted together.  All tables share room for twice as many.",
	&sg_max_watched, 10, 1000000, 0},
	{"safeguard.history_size",
		"The number of samples of the pool that are kept.",
		"The oldest is replaced.",
	&sg_history_size, 10, 1000000, 0},
};

static void
define_integers(const IntParameter *parameters, int n, GucContext context)
{
	for (int i = 0; i < n; i++)
	{
		const IntParameter *p = &parameters[i];

		DefineCustomIntVariable(p->name, p->short_desc, p->long_desc,
								p->variable, *p->variable, p->min, p->max,
								context, p->flags, NULL, NULL, NULL);
	}
}

static void
define_tracking(void)
{
	DefineCustomIntVariable("safeguard.slow_query_ms",
							"The time beyond which a statement is slow.",
							NULL,
							&sg_slow_query_ms,
							1000,
							0,
							INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("safeguard.track_queries",
							 "Which statements have figures in safeguard.query_stats.",
							 "\"all\" needs query identifiers, see compute_query_id; \"slow\" are those that are slow or fail; "
							 "\"auto\" is all where identifiers are computed, and slow elsewhere.",
							 &sg_track_queries,
							 SG_TRACK_AUTO,
							 track_options,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("safeguard.track_pool",
							 "Counts and samples sessions.",
							 NULL,
							 &sg_track_pool,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
}

/*
 * Define all parameters.  Called once, from _PG_init.
 */
void
sg_guc_init(void)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(TopMemoryContext);

	define_rule_levels();

	DefineCustomBoolVariable("safeguard.enabled",
							 "Lets the rules act.",
							 "When off, no statement is judged.",
							 &sg_enabled,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomEnumVariable("safeguard.max_level",
							 "The highest level at which any rule acts.",
							 "Set it to \"record\" to run all rules in shadow mode. "
							 LEVEL_DESCRIPTION,
							 &sg_max_level,
							 SG_LEVEL_ERROR,
							 level_options,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("safeguard.temp_tables",
							 "Judges writes to temporary tables too.",
							 NULL,
							 &sg_temp_tables,
							 false,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	define_row_limits();

	DefineCustomIntVariable("safeguard.overwrite_min_rows",
							"The number of rows from which on the upserts of a load are judged.",
							"A load is what one session writes to one table by upserts on the same columns.",
							&sg_overwrite_min_rows,
							100,
							1,
							INT_MAX,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);

	DefineCustomRealVariable("safeguard.overwrite_ratio",
							 "The share of a load's rows that replaced rows of the same load, from which on it is found.",
							 NULL,
							 &sg_overwrite_ratio,
							 0.5,
							 0.01,
							 1.0,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("safeguard.true_is_unqualified",
							 "Takes a condition that is always true for no condition.",
							 "When off, WHERE true is how a statement says that it means all rows.",
							 &sg_true_is_unqualified,
							 false,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("safeguard.large_table",
							"The size of a table beyond which rewrites and blocking index builds are found.",
							NULL,
							&sg_large_table,
							1024 * 1024,
							0,
							INT_MAX,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	define_tracking();
	define_integers(sighup_parameters, lengthof(sighup_parameters),
					PGC_SIGHUP);

	/*
	 * Only the start of the server can size shared memory.  When we come in
	 * later there is none, and the server refuses a PGC_POSTMASTER parameter,
	 * but its name must still be known, since the configuration file may set
	 * it.
	 */
	define_integers(size_parameters, lengthof(size_parameters),
					sg_preloaded ? PGC_POSTMASTER : PGC_SIGHUP);

	sg_fault_init();
	MarkGUCPrefixReserved("safeguard");

	MemoryContextSwitchTo(oldcxt);
}
