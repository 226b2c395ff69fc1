/*-------------------------------------------------------------------------
 *
 * message.c
 *		The words of a row_limit finding.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "limit/limit.h"

/* a message names no more tables than this */
#define MAX_NAMED_TABLES	5

static char *
number_of_rows(int64 rows)
{
	return psprintf(INT64_FORMAT " row%s", rows, rows == 1 ? "" : "s");
}

static const char *
command_name(const SgLimitTarget *target)
{
	switch (target->rows.node->operation)
	{
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		case CMD_MERGE:
			return "MERGE";
		default:
			return target->rows.upsert ? "INSERT ... ON CONFLICT DO UPDATE" :
				"INSERT";
	}
}

static char *
object_name(const SgLimitTarget *target)
{
	return psprintf("%s \"%s\"",
					target->relation->rd_rel->relkind == RELKIND_VIEW ?
					"view" : "table",
					RelationGetRelationName(target->relation));
}

char *
sg_limit_schema(const SgLimitTarget *target)
{
	return get_namespace_name(RelationGetNamespace(target->relation));
}

/*
 * The rows of a target that a verdict is about.
 */
int64
sg_limit_rows(const SgLimitTarget *target, const SgLimitVerdict *verdict)
{
	if (!verdict->limit)
		return target->rows.affected;
	return target->level >= verdict->level ? target->rows.changed : 0;
}

/*
 * The same of what the other products of rules have changed before.
 */
static int64
rows_before(const SgLimitStatement *statement, const SgLimitVerdict *verdict)
{
	int64		rows = 0;

	if (!verdict->limit)
		return 0;
	for (int i = verdict->level; i < SG_NUM_LEVELS; i++)
		rows += statement->before.changed[i];
	return rows;
}

/*
 * Do rows of others count too, of the same table or of another?
 */
static bool
has_others(const SgLimitStatement *statement, const SgLimitVerdict *verdict,
		   const SgLimitTarget *target, bool same_table)
{
	if (rows_before(statement, verdict) > 0)
		return true;
	for (int i = 0; i < statement->ntargets; i++)
	{
		const SgLimitTarget *other = &statement->targets[i];

		if (other != target && sg_limit_rows(other, verdict) > 0 &&
			(same_table || other->relation != target->relation))
			return true;
	}
	return false;
}

/*
 * How many rows of which tables, for a statement with several.
 */
static void
append_tables(StringInfo buf, const SgLimitStatement *statement,
			  const SgLimitVerdict *verdict)
{
	int			named = 0;

	for (int i = 0; i < statement->ntargets; i++)
	{
		const SgLimitTarget *target = &statement->targets[i];

		if (sg_limit_rows(target, verdict) == 0)
			continue;
		if (++named > MAX_NAMED_TABLES)
			break;
		appendStringInfo(buf, "%s %s %s of %s", named == 1 ? " Its parts:" : ",",
						 command_name(target),
						 number_of_rows(sg_limit_rows(target, verdict)),
						 object_name(target));
	}
	if (named > MAX_NAMED_TABLES)
		appendStringInfoString(buf, ", and more of other tables");
	if (named > 0)
		appendStringInfoChar(buf, '.');
}

char *
sg_limit_detail(const SgLimitStatement *statement,
				const SgLimitVerdict *verdict,
				const SgLimitTarget *target, bool stopped)
{
	StringInfoData buf;
	int64		before = rows_before(statement, verdict);

	initStringInfo(&buf);
	if (verdict->limit)
		appendStringInfo(&buf, "The limit is %s = %d.",
						 statement->limit_parameter, statement->limit);
	if (statement->expected >= 0)
		appendStringInfo(&buf, "%ssafeguard.expected_rows is %d.",
						 buf.len > 0 ? " " : "", statement->expected);
	if (stopped)
		appendStringInfoString(&buf, " The statement was stopped at the first row too many.");
	if (has_others(statement, verdict, target, true))
		append_tables(&buf, statement, verdict);
	if (before > 0)
		appendStringInfo(&buf, " What rules have made of the statement had changed %s before.",
						 number_of_rows(before));
	return buf.data;
}

static char *
limit_hint(const SgLimitStatement *statement, const SgLimitTarget *target)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "Count the rows with a SELECT first. If all of them are meant, lift the limit for this transaction: SET LOCAL %s = 0",
					 statement->limit_parameter);
	if (statement->limit_parameter == sg_max_rows_name)
		appendStringInfo(&buf, " (by a role that may set it), or for the table: SELECT safeguard.set_level(%s, 'row_limit', 'off')",
						 quote_literal_cstr(quote_qualified_identifier(sg_limit_schema(target),
																	   RelationGetRelationName(target->relation))));
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

static char *
expected_hint(int64 rows)
{
	return psprintf("Count the rows with a SELECT first. If the number is right, expect it: SET LOCAL safeguard.expected_rows = " INT64_FORMAT "; -1 expects nothing.",
					rows);
}

char *
sg_limit_message(const SgLimitStatement *statement,
				 const SgLimitVerdict *verdict,
				 const SgLimitTarget *target, bool stopped)
{
	const char *command = has_others(statement, verdict, target, true) ?
		"statement" : command_name(target);
	char	   *object = object_name(target);

	if (has_others(statement, verdict, target, false))
		object = psprintf("%s and others", object);

	if (!verdict->limit)
		return psprintf("%s affects %s of %s instead of %d", command,
						number_of_rows(verdict->rows), object,
						statement->expected);
	if (stopped)
		return psprintf("%s changes more than %s of %s", command,
						number_of_rows(statement->limit), object);
	return psprintf("%s changes %s of %s, more than the limit of %d", command,
					number_of_rows(verdict->rows), object, statement->limit);
}

char *
sg_limit_hint(const SgLimitStatement *statement,
			  const SgLimitVerdict *verdict, const SgLimitTarget *target)
{
	return verdict->limit ? limit_hint(statement, target) :
		expected_hint(verdict->rows);
}
