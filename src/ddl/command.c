/*-------------------------------------------------------------------------
 *
 * command.c
 *		The notes on a utility command, and the way its findings are reported.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "ddl/ddl.h"

/*
 * The relation that a command names, as far as it names a single one.
 */
static const RangeVar *
named_relation(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return ((const AlterTableStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((const IndexStmt *) stmt)->relation;
		case T_ClusterStmt:
			return ((const ClusterStmt *) stmt)->relation;
		case T_ReindexStmt:
			return ((const ReindexStmt *) stmt)->relation;
		case T_RenameStmt:
			return ((const RenameStmt *) stmt)->relation;
		case T_AlterObjectSchemaStmt:
			return ((const AlterObjectSchemaStmt *) stmt)->relation;
		case T_RuleStmt:
			return ((const RuleStmt *) stmt)->relation;
		case T_CreatePolicyStmt:
			return ((const CreatePolicyStmt *) stmt)->table;
		case T_AlterPolicyStmt:
			return ((const AlterPolicyStmt *) stmt)->table;
		case T_CopyStmt:
			return ((const CopyStmt *) stmt)->relation;
		default:
			return NULL;
	}
}

static bool
is_name(const char *schema_typed, const char *table_typed,
		const char *schema, const char *table)
{
	return table_typed != NULL && table != NULL &&
		strcmp(table_typed, table) == 0 &&
		(schema_typed == NULL || schema == NULL ||
		 strcmp(schema_typed, schema) == 0);
}

static bool
is_range_var(const RangeVar *name, const char *schema, const char *table)
{
	return name != NULL &&
		is_name(name->schemaname, name->relname, schema, table);
}

/*
 * Does a table's name stand in the command?  Then it tells its user nothing.
 */
bool
sg_is_named(const Node *stmt, const char *schema, const char *table)
{
	ListCell   *lc;

	if (IsA(stmt, TruncateStmt))
	{
		foreach(lc, ((const TruncateStmt *) stmt)->relations)
		{
			if (is_range_var(lfirst_node(RangeVar, lc), schema, table))
				return true;
		}
	}
	else if (IsA(stmt, VacuumStmt))
	{
		foreach(lc, ((const VacuumStmt *) stmt)->rels)
		{
			if (is_range_var(lfirst_node(VacuumRelation, lc)->relation,
							 schema, table))
				return true;
		}
	}
	else if (IsA(stmt, DropStmt) &&
			 (((const DropStmt *) stmt)->removeType == OBJECT_TABLE ||
			  ((const DropStmt *) stmt)->removeType == OBJECT_FOREIGN_TABLE))
	{
		foreach(lc, ((const DropStmt *) stmt)->objects)
		{
			List	   *names = lfirst(lc);
			int			n = list_length(names);

			if (is_name(n > 1 ? strVal(list_nth(names, n - 2)) : NULL,
						strVal(llast(names)), schema, table))
				return true;
		}
	}
	return is_range_var(named_relation(stmt), schema, table);
}

/*
 * The notes on a command, made when they are first asked for.
 */
SgDdl *
sg_ddl(SgUtility *utility)
{
	if (utility->ddl == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(utility->context);
		const RangeVar *name = named_relation(utility->pstmt->utilityStmt);
		SgDdl	   *ddl = palloc0(sizeof(SgDdl));

		ddl->command = CreateCommandName(utility->pstmt->utilityStmt);
		ddl->location = name == NULL ? -1 : name->location;
		ddl->target = name == NULL ? InvalidOid : sg_find_relation(name);
		utility->ddl = ddl;
		MemoryContextSwitchTo(caller);
	}
	return utility->ddl;
}

/*
 * Is a Boolean option of a command switched on?
 */
bool
sg_has_option(List *options, const char *name)
{
	bool		result = false;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			result = defGetBoolean(option);
	}
	return result;
}

/*
 * Does the command work on an index while others go on writing?
 */
bool
sg_is_concurrent(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((const IndexStmt *) stmt)->concurrent;
		case T_DropStmt:
			return ((const DropStmt *) stmt)->concurrent;
		case T_ReindexStmt:
			return sg_has_option(((const ReindexStmt *) stmt)->params,
								 "concurrently");
		default:
			return false;
	}
}

/*
 * What to call the command.  What another library drops by itself, outside of
 * any command, is called by what it does.
 */
const char *
sg_ddl_command(SgUtility *utility)
{
	return utility == NULL ? "DROP" : sg_ddl(utility)->command;
}

void
sg_ddl_source(SgSource *source, SgUtility *utility)
{
	memset(source, 0, sizeof(*source));
	source->location = -1;
	if (utility == NULL)
	{
		source->text = debug_query_string;
		return;
	}
	source->text = utility->query_string;
	source->location = utility->pstmt->stmt_location;
	source->len = utility->pstmt->stmt_len;
	source->queryid = (uint64) utility->pstmt->queryId;
}

/*
 * A finding about a table, with all that does not depend on what was found.
 * The size of a table is told only to who may read it.
 */
SgFinding *
sg_ddl_finding(SgRuleId rule, Oid relid)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));

	finding->rule = rule;
	finding->relid = relid;
	finding->location = -1;
	if (OidIsValid(relid))
	{
		SgColumnRef *ref = palloc0(sizeof(SgColumnRef));

		ref->relid = relid;
		finding->reads = list_make1(ref);
		finding->schema_name = get_namespace_name(get_rel_namespace(relid));
		finding->table_name = get_rel_name(relid);
	}
	return finding;
}

/*
 * The table whose row gives the level of "relid", or InvalidOid.
 */
Oid
sg_level_row(SgRuleId rule, Oid relid)
{
	Oid			root;

	if (!OidIsValid(relid) || sg_table_level(relid, rule) >= 0)
		return relid;
	root = sg_partition_root(relid);
	return OidIsValid(root) && sg_table_level(root, rule) >= 0 ? root :
		InvalidOid;
}

/*
 * Is the command one that cannot run in a transaction block?
 */
static bool
is_outside_blocks(SgUtility *utility)
{
	const Node *stmt = utility == NULL ? NULL : utility->pstmt->utilityStmt;
	Oid			target;
	char		relkind;

	if (stmt == NULL)
		return false;
	if (IsA(stmt, VacuumStmt) || IsA(stmt, DropdbStmt))
		return true;
	if (!IsA(stmt, ClusterStmt) && !IsA(stmt, ReindexStmt))
		return false;
	target = sg_ddl(utility)->target;
	relkind = OidIsValid(target) ? get_rel_relkind(target) : '\0';
	return named_relation(stmt) == NULL ||
		relkind == RELKIND_PARTITIONED_TABLE ||
		relkind == RELKIND_PARTITIONED_INDEX;
}

/*
 * How to allow what was found: for a transaction, or for good.  "table" is its
 * name as a statement has it, or NULL; where a row of its own gives its level,
 * no parameter changes it.
 */
char *
sg_allow_text(SgUtility *utility, SgRuleId rule, const char *table,
			  bool by_row)
{
	const char *name = sg_rules[rule].name;
	const char *set = is_outside_blocks(utility) ? "SET" : "SET LOCAL";
	char	   *for_good;

	if (table == NULL)
		return psprintf("If it is meant: %s safeguard.%s = record;", set, name);
	for_good = psprintf("SELECT safeguard.set_level(%s, '%s', 'record', 'reason');",
						quote_literal_cstr(table), name);
	if (by_row)
		return psprintf("If it is meant: %s  The table has a level of its own, which no SET changes.",
						for_good);
	return psprintf("If it is meant: %s safeguard.%s = record; or, for good, %s",
					set, name, for_good);
}

/*
 * The same for a table that is there.
 */
char *
sg_allow_table(SgUtility *utility, SgRuleId rule, Oid relid)
{
	Oid			row = sg_level_row(rule, relid);

	return sg_allow_text(utility, rule,
						 OidIsValid(relid) ?
						 sg_qualified_name(OidIsValid(row) ? row : relid) : NULL,
						 OidIsValid(row));
}

/*
 * Count and report what has been decided about a command.  Raises the ERROR of
 * a rule.  Of a command that is only looked at, keep it.
 */
void
sg_ddl_deliver(List *decisions, SgUtility *utility)
{
	SgSource	source;
	ListCell   *lc;

	if (utility == NULL || utility->trial == NULL)
	{
		sg_ddl_source(&source, utility);
		sg_deliver(decisions, &source, false);
		return;
	}
	foreach(lc, decisions)
	{
		const SgDecision *decision = lfirst(lc);
		SgFinding  *finding = (SgFinding *) decision->finding;

		finding->decided = decision->level;
		utility->trial->findings = lappend(utility->trial->findings,
											finding);
	}
}

/*
 * Report a finding now.
 */
void
sg_ddl_report(SgFinding *finding, SgUtility *utility)
{
	sg_ddl_deliver(sg_decide(list_make1(finding)), utility);
}
