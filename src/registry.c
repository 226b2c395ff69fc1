/*-------------------------------------------------------------------------
 *
 * registry.c
 *		The table of rules, and the loop that runs them.
 *
 * A new rule is one line here, one file in rules/, one test, one page.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "detect.h"
#include "errcodes.h"
#include "failopen.h"
#include "safeguard.h"

const SgRule sg_rules[SG_NUM_RULES] = {
	[SG_RULE_COMPOSITE_KEY] = {
		.name = "composite_key",
		.sqlstate = SG_ERRCODE_COMPOSITE_KEY,
		.default_level = SG_LEVEL_ERROR,
		.cap = -1,
		.on_relation = true,
		.needs_source = true,
		.page = "rules/composite_key.md",
		.description = "UPDATE, DELETE or MERGE matches its target by part of a composite key taken from other rows",
		.detect_dml = sg_composite_key_detect,
	},
	/* found by composite_key, which decides between the two */
	[SG_RULE_COMPOSITE_KEY_DOUBT] = {
		.name = "composite_key_doubt",
		.sqlstate = SG_ERRCODE_COMPOSITE_KEY,
		.default_level = SG_LEVEL_WARNING,
		.cap = SG_RULE_COMPOSITE_KEY,
		.on_relation = true,
		.needs_source = true,
		.page = "rules/composite_key_doubt.md",
		.description = "UPDATE, DELETE or MERGE does what composite_key finds, and the catalogs do not tell whether that is a mistake",
		.detect_dml = NULL,
	},
	/* found by the planner itself, see rules/conflict_target.c */
	[SG_RULE_CONFLICT_TARGET] = {
		.name = "conflict_target",
		.sqlstate = SG_ERRCODE_CONFLICT_TARGET,
		.default_level = SG_LEVEL_WARNING,
		.cap = -1,
		.highest = SG_LEVEL_WARNING,	/* the server raises the error */
		.on_relation = true,
		.page = "rules/conflict_target.md",
		.description = "no unique index or constraint serves the ON CONFLICT of a statement",
	},
	/* found while upserts run, see upsert/ */
	[SG_RULE_UPSERT_OVERWRITE] = {
		.name = "upsert_overwrite",
		.sqlstate = SG_ERRCODE_UPSERT_OVERWRITE,
		.default_level = SG_LEVEL_WARNING,
		.cap = -1,
		.on_relation = true,
		.page = "rules/upsert_overwrite.md",
		.description = "an upsert keeps replacing the rows that its own load has just written",
	},
	/* found while a statement runs */
	[SG_RULE_ROW_LIMIT] = {
		.name = "row_limit",
		.sqlstate = SG_ERRCODE_ROW_LIMIT,
		.default_level = SG_LEVEL_ERROR,
		.cap = -1,
		.on_relation = true,
		.page = "rules/row_limit.md",
		.description = "a statement changes more rows than max_rows, or another number than expected_rows",
	},
	/* found at utility commands, see utility.c */
	[SG_RULE_CONSTRAINT_BYPASS] = {
		.name = "constraint_bypass",
		.sqlstate = SG_ERRCODE_CONSTRAINT_BYPASS,
		.default_level = SG_LEVEL_WARNING,
		.cap = -1,
		.on_relation = true,
		.page = "rules/constraint_bypass.md",
		.description = "enforcement of constraints or triggers is switched off, or a command takes away a unique key that upserts need",
	},
	/* found while utility commands run, see ddl/ */
	[SG_RULE_DESTRUCTIVE_DDL] = {
		.name = "destructive_ddl",
		.sqlstate = SG_ERRCODE_DESTRUCTIVE_DDL,
		.default_level = SG_LEVEL_RECORD,
		.cap = -1,
		.on_relation = true,
		.page = "rules/destructive_ddl.md",
		.description = "a command drops or truncates a table that holds data, or works through a large one while others wait",
	},
	/* found before utility commands run, see rules/lock_timeout.c */
	[SG_RULE_LOCK_TIMEOUT] = {
		.name = "lock_timeout",
		.sqlstate = SG_ERRCODE_LOCK_TIMEOUT,
		.default_level = SG_LEVEL_RECORD,
		.cap = -1,
		.on_relation = true,
		.page = "rules/lock_timeout.md",
		.description = "a command takes a lock on a table that others use, and would wait for it without a limit",
	},
	[SG_RULE_CONFLICT_SILENT] = {
		.name = "conflict_silent",
		.sqlstate = SG_ERRCODE_CONFLICT_SILENT,
		.default_level = SG_LEVEL_RECORD,
		.cap = -1,
		.on_relation = true,
		.page = "rules/conflict_silent.md",
		.description = "an upsert can never conflict, or loses its write without a word",
		.detect_upsert = sg_conflict_silent_detect,
		.wants_upsert = sg_conflict_silent_wants,
	},
	[SG_RULE_UNQUALIFIED_DML] = {
		.name = "unqualified_dml",
		.sqlstate = SG_ERRCODE_UNQUALIFIED_DML,
		.default_level = SG_LEVEL_RECORD,
		.cap = -1,
		.on_relation = true,
		.wants_dml = sg_unqualified_dml_wants,
		.page = "rules/unqualified_dml.md",
		.description = "UPDATE or DELETE has no WHERE clause, or MERGE joins ON a constant",
		.detect_dml = sg_unqualified_dml_detect,
	},
	[SG_RULE_OUTER_REFERENCE] = {
		.name = "outer_reference",
		.sqlstate = SG_ERRCODE_OUTER_REFERENCE,
		.default_level = SG_LEVEL_ERROR,
		.cap = -1,
		.on_relation = true,
		.needs_source = true,
		.page = "rules/outer_reference.md",
		.description = "a subquery in the condition of UPDATE, DELETE or MERGE uses columns from outside it only, so that the condition is always true",
		.detect_dml = sg_outer_reference_detect,
	},
	[SG_RULE_UNLINKED_FROM] = {
		.name = "unlinked_from",
		.sqlstate = SG_ERRCODE_UNLINKED_FROM,
		.default_level = SG_LEVEL_WARNING,
		.cap = -1,
		.on_relation = true,
		.needs_source = true,
		.page = "rules/unlinked_from.md",
		.description = "UPDATE ... FROM, DELETE ... USING or MERGE never ties its target to the source",
		.detect_dml = sg_unlinked_from_detect,
	},
	[SG_RULE_SCOPE] = {
		.name = "scope",
		.sqlstate = SG_ERRCODE_SCOPE,
		.default_level = SG_LEVEL_ERROR,
		.cap = -1,
		.on_relation = true,
		.wants_dml = sg_scope_wants,
		.page = "rules/scope.md",
		.description = "UPDATE, DELETE or MERGE does not restrict a column that is declared scope",
		.detect_dml = sg_scope_detect,
	},
};

/*
 * Number of the rule called "name", or -1.
 */
int
sg_rule_by_name(const char *name)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (strcmp(sg_rules[i].name, name) == 0)
			return i;
	}
	return -1;
}

/*
 * The names of all rules, for a hint.
 */
char *
sg_rule_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < SG_NUM_RULES; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", sg_rules[i].name);
	return buf.data;
}

/*
 * Can a rule have something to say about this data-modifying Query?
 */
static bool
wants_dml(const SgRule *rule, const Query *query)
{
	if (rule->detect_dml == NULL)
		return false;
	if (rule->needs_source && !query->hasSubLinks &&
		list_length(query->rtable) <= 1)
		return false;
	return rule->wants_dml == NULL || rule->wants_dml(query);
}

/*
 * Can any rule?  Keeps the everyday statement, which names its rows by
 * constants or parameters, from paying for more than this test.
 */
bool
sg_registry_wants_dml(const Query *query)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (wants_dml(&sg_rules[i], query))
			return true;
	}
	return false;
}

/*
 * Is the next pair of a Query and a rule still to be looked at?
 */
static bool
next_turn(SgFound *found)
{
	if (found->turn++ < found->looked)
		return false;
	found->looked = found->turn;
	return true;
}

static void
keep_found(SgFound *found, List *findings, List *consulted)
{
	found->findings = list_concat(found->findings, findings);
	found->consulted = list_concat_unique_oid(found->consulted, consulted);
}

/*
 * Let every rule look at one data-modifying Query.  May raise whatever a
 * catalog look-up raises: the caller must contain that.
 */
void
sg_registry_detect_dml(SgStatement *stmt, SgFound *found)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (!wants_dml(&sg_rules[i], stmt->query) || !next_turn(found))
			continue;
		sg_fault(sg_rules[i].name);
		stmt->findings = stmt->consulted = NIL;
		sg_rules[i].detect_dml(stmt);
		keep_found(found, stmt->findings, stmt->consulted);
	}
}

static bool
wants_upsert(const SgRule *rule, const SgUpsert *upsert)
{
	return rule->detect_upsert != NULL &&
		(rule->wants_upsert == NULL || rule->wants_upsert(upsert));
}

/*
 * Can any rule have something to say about this INSERT ... ON CONFLICT?
 * Raises nothing.
 */
bool
sg_registry_wants_upsert(const SgUpsert *upsert)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (wants_upsert(&sg_rules[i], upsert))
			return true;
	}
	return false;
}

/*
 * Let every rule look at one planned INSERT ... ON CONFLICT, as
 * sg_registry_detect_dml does.
 */
void
sg_registry_detect_upsert(SgUpsert *upsert, SgFound *found)
{
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (!wants_upsert(&sg_rules[i], upsert) || !next_turn(found))
			continue;
		sg_fault(sg_rules[i].name);
		upsert->findings = upsert->consulted = NIL;
		sg_rules[i].detect_upsert(upsert);
		keep_found(found, upsert->findings, upsert->consulted);
	}
}
