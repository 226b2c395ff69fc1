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

#include "errcodes.h"
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
		.page = "rules/composite_key.md",
		.description = "the same as composite_key, where the catalogs do not decide whether it is a mistake",
		.detect_dml = NULL,
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
 * Can any rule have something to say about this data-modifying Query?  Keeps
 * the everyday statement, which names its rows by constants or parameters,
 * from paying for more than this test.
 */
bool
sg_registry_wants_dml(const Query *query)
{
	bool		has_source = query->hasSubLinks ||
		list_length(query->rtable) > 1;

	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (sg_rules[i].detect_dml == NULL)
			continue;
		if (has_source || !sg_rules[i].needs_source)
			return true;
	}
	return false;
}

/*
 * Let every rule look at one data-modifying Query; they append to
 * stmt->findings.  May raise whatever a catalog look-up raises: the caller
 * must contain that.
 */
void
sg_registry_detect_dml(SgStatement *stmt)
{
	bool		has_source = stmt->query->hasSubLinks ||
		list_length(stmt->query->rtable) > 1;

	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		if (sg_rules[i].detect_dml == NULL)
			continue;
		if (has_source || !sg_rules[i].needs_source)
			sg_rules[i].detect_dml(stmt);
	}
}
