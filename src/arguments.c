/*-------------------------------------------------------------------------
 *
 * arguments.c
 *		Arguments of our SQL functions, checked.
 *
 * Each raises an error that lists what would have been right.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "safeguard.h"

/* more names than this make a hint unreadable */
#define HINT_MAX_COLUMNS	20

void
sg_require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("argument \"%s\" must not be null", name));
}

/*
 * An argument of type interval in ms; -1 if it is NULL, which is no limit.
 */
double
sg_milliseconds_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	Interval   *interval;
	double		ms;

	if (PG_ARGISNULL(n))
		return -1;
	interval = PG_GETARG_INTERVAL_P(n);
	ms = interval->time / 1000.0 +
		((double) interval->day + (double) interval->month * DAYS_PER_MONTH) *
		SECS_PER_DAY * 1000.0;
	if (ms < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be negative", name));
	return ms;
}

/*
 * The first argument as a relation of whatever kind, open and locked with
 * ACCESS SHARE.
 */
Relation
sg_open_argument(FunctionCallInfo fcinfo)
{
	Oid			relid;
	Relation	rel;

	sg_require_argument(fcinfo, 0, "relation");
	relid = PG_GETARG_OID(0);
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relid));
	return rel;
}

/*
 * The first argument as a relation: a table of whatever kind, which stays
 * until the end of the transaction.
 */
Oid
sg_relation_argument(FunctionCallInfo fcinfo)
{
	Relation	rel = sg_open_argument(fcinfo);
	Oid			relid = RelationGetRelid(rel);
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				errdetail("Rules judge the table that a statement writes to in the end."),
				relkind == RELKIND_VIEW ?
				errhint("Name the table that the view writes to.") :
				errhint("Name a table, partitioned table or foreign table."));
	relation_close(rel, NoLock);
	return relid;
}

/*
 * The n-th argument as a rule that a table can have a level for.
 */
SgRuleId
sg_rule_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name;
	int			rule;

	sg_require_argument(fcinfo, n, "rule");
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	rule = sg_rule_by_name(name);
	if (rule < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("rule \"%s\" does not exist", name),
				errhint("Rules are: %s.", sg_rule_names()));
	if (!sg_rules[rule].on_relation)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("rule \"%s\" has no level for a single table", name),
				errhint("Set parameter \"safeguard.%s\" instead.", name));
	return (SgRuleId) rule;
}

/*
 * The n-th argument as a level.
 */
SgLevel
sg_level_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name;
	int			level;

	sg_require_argument(fcinfo, n, "level");
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	level = sg_level_by_name(name);
	if (level < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("level \"%s\" does not exist", name),
				errhint("Levels are: %s.", sg_level_names()));
	return (SgLevel) level;
}

/*
 * The n-th argument as a role of a column.
 */
SgColumnRole
sg_role_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name;
	int			role;

	sg_require_argument(fcinfo, n, "role");
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	role = sg_column_role_by_name(name);
	if (role < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("column role \"%s\" does not exist", name),
				errhint("Column roles are: %s.", sg_column_role_names()));
	return (SgColumnRole) role;
}

/* Somebody who may read nothing of a table is not told its columns. */
static bool
may_see_columns(Oid relid)
{
	Oid			roleid = GetUserId();

	return sg_owns_relation(relid, roleid) ||
		pg_class_aclcheck(relid, roleid, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, roleid, ACL_SELECT,
								  ACLMASK_ANY) == ACLCHECK_OK;
}

static char *
column_names(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		if (n++ == HINT_MAX_COLUMNS)
		{
			appendStringInfoString(&buf, ", ...");
			break;
		}
		appendStringInfo(&buf, "%s%s", n > 1 ? ", " : "",
						 NameStr(TupleDescAttr(desc, i)->attname));
	}
	table_close(rel, NoLock);
	return buf.data;
}

/*
 * The number of a column of the relation, which the caller has locked; an
 * error if it has none of this name.
 */
AttrNumber
sg_column_number(Oid relid, const char *name)
{
	AttrNumber	attnum = get_attnum(relid, name);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_COLUMN),
				errmsg("column \"%s\" of relation \"%s\" does not exist",
					   name, get_rel_name(relid)),
				may_see_columns(relid) ?
				errhint("Columns are: %s.", column_names(relid)) : 0);
	if (attnum < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				errmsg("column \"%s\" is a system column", name),
				may_see_columns(relid) ?
				errhint("Columns are: %s.", column_names(relid)) : 0);
	return attnum;
}

/*
 * The n-th argument as the name of a column of the relation, which the caller
 * has locked.
 */
char *
sg_column_argument(FunctionCallInfo fcinfo, int n, Oid relid)
{
	char	   *name;

	sg_require_argument(fcinfo, n, "column_name");
	name = NameStr(*PG_GETARG_NAME(n));
	(void) sg_column_number(relid, name);
	return name;
}
