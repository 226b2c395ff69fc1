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
								 LEVEL_DESCRIPTION,
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

	/*
	 * Only the start of the server can size shared memory.  When we come in
	 * later there is none, and the server refuses a PGC_POSTMASTER parameter,
	 * but its name must still be known, since the configuration file may set
	 * it.
	 */
	DefineCustomIntVariable("safeguard.max_findings",
							"The number of different findings kept in shared memory.",
							"Beyond it the least useful are dropped and counted as evicted.",
							&sg_max_findings,
							1000,
							10,
							1000000,
							sg_preloaded ? PGC_POSTMASTER : PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("safeguard.max_upserts",
							"The number of conflict targets whose upserts are counted in shared memory.",
							"Beyond it the one not seen for longest is dropped.",
							&sg_max_upserts,
							1000,
							10,
							100000,
							sg_preloaded ? PGC_POSTMASTER : PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("safeguard");

	MemoryContextSwitchTo(oldcxt);
}
