/*-------------------------------------------------------------------------
 *
 * loss_report.c
 *		What is told about data that a command destroys.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "ddl/ddl.h"

/*
 * Is it told about the partition root?  A leaf with a level of its own is told
 * about by its own name.
 */
static bool
is_about_root(const SgLoss *loss)
{
	return (loss->row != loss->relid || loss->relid == loss->root) &&
		(loss->whole || loss->parts > 1);
}

static char *
column_names(const SgLoss *loss)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	appendStringInfoString(&names,
						   list_length(loss->columns) > 1 ? "columns" : "column");
	foreach(lc, loss->columns)
	{
		if (foreach_current_index(lc) == SG_DDL_MAX_NAMED)
		{
			appendStringInfoString(&names, ", ...");
			break;
		}
		appendStringInfo(&names, "%s \"%s\"",
						 foreach_current_index(lc) > 0 ? "," : "",
						 (char *) lfirst(lc));
	}
	return names.data;
}

static char *
loss_message(const SgLoss *loss, const char *command)
{
	bool		by_root = is_about_root(loss);
	bool		leaves = by_root && !loss->whole;
	const char *table = by_root ? loss->root_table : loss->table;

	if (leaves && loss->kind == SG_LOSS_COLUMN)
		return psprintf("%s destroys %s in %d partitions of table \"%s\", which hold data",
						command, column_names(loss), loss->parts, table);
	if (leaves)
		return psprintf("%s %s %d partitions of table \"%s\", which hold data",
						command,
						loss->kind == SG_LOSS_ROWS ? "empties" : "destroys",
						loss->parts, table);
	if (loss->kind == SG_LOSS_COLUMN)
		return psprintf("%s destroys %s of table \"%s\", which holds data",
						command, column_names(loss), table);
	return psprintf("%s %s table \"%s\", which holds data", command,
					loss->kind == SG_LOSS_ROWS ? "empties" : "destroys",
					table);
}

/*
 * "others" is the number of tables that lose data, too: of several errors the
 * client sees only the first.
 */
static char *
loss_detail(const SgLoss *loss, int others)
{
	char	   *size = sg_size_text(loss->bytes);
	char	   *detail;

	if (loss->parts > 1)
		detail = psprintf("There are %s of data in %d partitions.", size,
						  loss->parts);
	else
		detail = psprintf("There are %s of data.", size);
	if (others > 0 && loss->level == SG_LEVEL_ERROR)
		return psprintf("%s  Other tables that would lose data: %d.", detail,
						others);
	return detail;
}

static char *
allow_loss(const SgLoss *loss, const SgFinding *finding, SgUtility *utility)
{
	const char *name = loss->row_name;

	if (name == NULL && finding->schema_name != NULL &&
		finding->table_name != NULL)
		name = quote_qualified_identifier(finding->schema_name,
										  finding->table_name);
	return sg_allow_text(utility, SG_RULE_DESTRUCTIVE_DDL, name,
						 loss->row_name != NULL);
}

/*
 * For a user who may not read the table: its size is left out, and its name
 * if that does not stand in the command.
 */
static void
close_finding(SgFinding *finding, const SgLoss *loss, SgUtility *utility)
{
	finding->detail = NULL;
	finding->column_name = NULL;
	if (utility != NULL && loss->kind != SG_LOSS_COLUMN &&
		sg_is_named(utility->pstmt->utilityStmt, finding->schema_name,
					finding->table_name))
		return;
	finding->message = psprintf("%s %s a table that holds data",
								sg_ddl_command(utility),
								loss->kind == SG_LOSS_ROWS ? "empties" :
								loss->kind == SG_LOSS_TABLE ? "destroys" :
								"destroys a column of");
	finding->hint = sg_allow_text(utility, SG_RULE_DESTRUCTIVE_DDL, NULL,
								  false);
	finding->schema_name = NULL;
	finding->table_name = NULL;
}

/*
 * The decision about one note.  The table may be gone: nothing is asked here
 * that its catalog entries answer.
 */
static SgDecision *
loss_decision(const SgLoss *loss, SgUtility *utility, int others)
{
	SgDecision *decision = palloc0(sizeof(SgDecision));
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	const char *command = sg_ddl_command(utility);
	bool		by_root = is_about_root(loss);

	finding->rule = SG_RULE_DESTRUCTIVE_DDL;
	finding->relid = by_root ? loss->root : loss->relid;
	finding->location = -1;
	finding->schema_name = by_root ? loss->root_schema : loss->schema;
	finding->table_name = by_root ? loss->root_table : loss->table;
	finding->column_name = loss->columns == NIL ? NULL :
		linitial(loss->columns);
	finding->message = loss_message(loss, command);
	finding->detail = loss_detail(loss, others);
	finding->hint = allow_loss(loss, finding, utility);
	if (!loss->readable)
		close_finding(finding, loss, utility);
	decision->finding = finding;
	decision->level = loss->level;
	decision->readable = true;
	return decision;
}

static SgDecision *
rest_decision(const SgLossRest *rest, SgLevel level, SgUtility *utility)
{
	const char *command = sg_ddl_command(utility);
	SgDecision *decision = palloc0(sizeof(SgDecision));
	SgFinding  *finding = sg_ddl_finding(SG_RULE_DESTRUCTIVE_DDL, InvalidOid);

	finding->message = psprintf("%s destroys data of more tables: %d",
								command, rest->tables);
	finding->detail = psprintf("There are %s of data in them.",
							   sg_size_text(rest->bytes));
	finding->hint = sg_allow_text(utility, SG_RULE_DESTRUCTIVE_DDL, NULL,
								  false);
	if (rest->closed)
	{
		finding->message = psprintf("%s destroys data of more tables", command);
		finding->detail = NULL;
	}
	decision->finding = finding;
	decision->level = level;
	decision->readable = true;
	return decision;
}

/*
 * How many notes are about other tables than this one and its partitions?
 */
static int
other_tables(const SgDdl *ddl, const SgLoss *loss)
{
	int			result = 0;
	ListCell   *lc;

	foreach(lc, ddl->losses)
		result += ((SgLoss *) lfirst(lc))->root != loss->root;
	return result;
}

/*
 * Report all notes that a command has left.
 */
void
sg_loss_report(SgDdl *ddl, SgUtility *utility)
{
	List	   *decisions = NIL;
	int			rest = 0;
	ListCell   *lc;

	for (int level = SG_LEVEL_RECORD; level <= SG_LEVEL_ERROR; level++)
		rest += ddl->rest[level].tables;
	foreach(lc, ddl->losses)
		decisions = lappend(decisions,
							loss_decision(lfirst(lc), utility,
										  rest + other_tables(ddl, lfirst(lc))));
	for (int level = SG_LEVEL_RECORD; level <= SG_LEVEL_ERROR; level++)
	{
		if (ddl->rest[level].tables > 0)
			decisions = lappend(decisions,
								rest_decision(&ddl->rest[level],
											  (SgLevel) level, utility));
	}
	if (decisions != NIL)
		sg_ddl_deliver(decisions, utility);
}
