/*-------------------------------------------------------------------------
 *
 * settings.c
 *		safeguard.set_level and its kin, the only way to write exceptions.
 *
 * Nobody has write privileges on the two tables.  The functions check who
 * calls them and then write as the tables' owner.  An exception weakens or
 * moves the guard, so it takes the right to set the rule's parameter; a
 * table's owner may without it only make things stricter.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_set_level);
PG_FUNCTION_INFO_V1(sg_clear_level);
PG_FUNCTION_INFO_V1(sg_set_column);
PG_FUNCTION_INFO_V1(sg_clear_column);

/* parameters of the statements below */
#define MAX_PARAMS	5

/* bytes of a reason */
#define MAX_REASON	8192

/* the dead rows are skipped if another session is at them */
#define DELETE_DEAD_LEVELS \
	"DELETE FROM safeguard.table_levels WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(" \
	"SELECT l.ctid FROM safeguard.table_levels l WHERE NOT EXISTS (" \
	"SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) l.relation::pg_catalog.oid) " \
	"FOR UPDATE OF l SKIP LOCKED))"
#define DELETE_DEAD_COLUMNS \
	"DELETE FROM safeguard.column_roles WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(" \
	"SELECT r.ctid FROM safeguard.column_roles r WHERE NOT EXISTS (" \
	"SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) r.relation::pg_catalog.oid " \
	"AND a.attname OPERATOR(pg_catalog.=) r.column_name AND NOT a.attisdropped) " \
	"FOR UPDATE OF r SKIP LOCKED))"

/* What one call is about. */
typedef struct Setting
{
	Oid			relid;
	const char *what;			/* for messages: the setting and its value */
	const char *allowed;		/* for messages: what an owner may set */
	bool		owner_may_set;	/* may an owner set this value? */
	char	   *parameter;		/* SET on it gives all rights */
	bool		privileged;		/* the caller has them */
	const char *find;			/* query for set_by of the existing row */
	int			nkeys;			/* parameters of it, the first of params */
	Datum		params[MAX_PARAMS];
	Oid			types[MAX_PARAMS];
	char		nulls[MAX_PARAMS + 1];
} Setting;

/* ---------------- rights ---------------- */

static bool
has_all_rights(Oid roleid, const char *parameter)
{
	return superuser_arg(roleid) ||
		pg_parameter_aclcheck(parameter, roleid, ACL_SET) == ACLCHECK_OK;
}

/*
 * Raise an error unless the caller may touch this setting at all.
 */
static void
check_right(Setting *setting)
{
	Oid			roleid = GetUserId();

	setting->privileged = has_all_rights(roleid, setting->parameter);
	if (setting->privileged)
		return;
	if (setting->owner_may_set && sg_owns_relation(setting->relid, roleid))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to %s for table \"%s\"",
				   setting->what, get_rel_name(setting->relid)),
			errdetail("This takes the SET privilege on parameter \"%s\".  Without it, the owner of the table may set and clear only %s.",
					  setting->parameter, setting->allowed),
			errhint("A superuser can grant it: GRANT SET ON PARAMETER %s TO %s.",
					setting->parameter,
					quote_identifier(GetUserNameFromId(roleid, false))));
}

/*
 * Raise an error if the row that the caller is about to replace or remove was
 * set by a role with more rights than he has.  A role that is gone counts as
 * one: nobody knows any more.
 */
static void
check_existing(const Setting *setting, const char *set_by)
{
	Oid			setter;

	if (set_by == NULL || setting->privileged)
		return;
	setter = get_role_oid(set_by, true);
	if (OidIsValid(setter) && !has_all_rights(setter, setting->parameter))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to %s for table \"%s\"",
				   setting->what, get_rel_name(setting->relid)),
			OidIsValid(setter) ?
			errdetail("The present setting was made by role \"%s\", which has rights that you lack.",
					  set_by) :
			errdetail("The present setting was made by role \"%s\", which does not exist any more.",
					  set_by),
			errhint("Ask a role with the SET privilege on parameter \"%s\".",
					setting->parameter));
}

/* ---------------- writing ---------------- */

static void
execute(const char *sql, int nparams, Setting *setting)
{
	int			rc = SPI_execute_with_args(sql, nparams, setting->types,
										   setting->params, setting->nulls,
										   false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
}

/*
 * The set_by of the row that is there, or NULL.
 */
static char *
existing_set_by(Setting *setting)
{
	execute(setting->find, setting->nkeys, setting);
	if (SPI_processed == 0)
		return NULL;
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/*
 * Owner of a table of ours, with whose rights it is written.
 */
static Oid
config_owner(Oid config)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(config));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", config);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Run "sql" with the setting's parameters as the owner of the table, after
 * the check of the row that is there, and remove dead rows.  All names in the
 * statements are qualified, so the caller's search_path has no say.  Returns
 * whether there was a row before.
 */
static bool
write_setting(Setting *setting, const char *table, const char *sql,
			  int nparams)
{
	Oid			config = sg_config_table(table);
	Oid			userid;
	int			sec_context;
	char	   *set_by;

	if (!OidIsValid(config))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("table \"safeguard.%s\" of the extension does not exist",
					   table),
				errhint("Create the extension again."));

	check_right(setting);

	/* one at a time for a table, so that the check below stays true */
	LockDatabaseObject(config, setting->relid, 0, ExclusiveLock);

	GetUserIdAndSecContext(&userid, &sec_context);
	SPI_connect();
	SetUserIdAndSecContext(config_owner(config),
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	set_by = existing_set_by(setting);
	check_existing(setting, set_by);
	execute(sql, nparams, setting);
	execute(DELETE_DEAD_LEVELS, 0, setting);
	execute(DELETE_DEAD_COLUMNS, 0, setting);
	SetUserIdAndSecContext(userid, sec_context);
	SPI_finish();
	return set_by != NULL;
}

static void
add_param(Setting *setting, int n, Oid type, Datum value, bool isnull)
{
	setting->types[n] = type;
	setting->params[n] = value;
	setting->nulls[n] = isnull ? 'n' : ' ';
}

/*
 * The fourth argument.  A table's owner writes it where all read it, and
 * where safeguard.export_settings() makes one text of all.
 */
static void
add_reason(Setting *setting, FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(3) &&
		toast_raw_datum_size(PG_GETARG_DATUM(3)) - VARHDRSZ > MAX_REASON)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("reason is longer than %d bytes", MAX_REASON));
	add_param(setting, 3, TEXTOID,
			  PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3),
			  PG_ARGISNULL(3));
}

/*
 * The caller's name, for set_by.
 */
static Datum
caller_name(void)
{
	return DirectFunctionCall1(namein,
							   CStringGetDatum(GetUserNameFromId(GetUserId(),
																 false)));
}

/* ---------------- levels ---------------- */

static void
init_level_setting(Setting *setting, Oid relid, SgRuleId rule)
{
	const char *name = sg_rules[rule].name;

	memset(setting, 0, sizeof(*setting));
	setting->relid = relid;
	setting->allowed = "level \"error\"";
	setting->parameter = sg_rule_parameter(name);
	setting->find = "SELECT set_by FROM safeguard.table_levels "
		"WHERE relation OPERATOR(pg_catalog.=) $1 AND rule OPERATOR(pg_catalog.=) $2";
	setting->nkeys = 2;
	add_param(setting, 0, REGCLASSOID, ObjectIdGetDatum(relid), false);
	add_param(setting, 1, TEXTOID, CStringGetTextDatum(name), false);
}

/*
 * safeguard.set_level(relation, rule, level, reason)
 */
Datum
sg_set_level(PG_FUNCTION_ARGS)
{
	Oid			relid = sg_relation_argument(fcinfo);
	SgRuleId	rule = sg_rule_argument(fcinfo, 1);
	SgLevel		level = sg_level_argument(fcinfo, 2);
	Setting		setting;

	PreventCommandDuringRecovery("safeguard.set_level()");
	init_level_setting(&setting, relid, rule);
	setting.what = psprintf("set rule \"%s\" to level \"%s\"",
							sg_rules[rule].name, sg_level_name(level));
	setting.owner_may_set = level == SG_LEVEL_ERROR;
	add_param(&setting, 2, TEXTOID, CStringGetTextDatum(sg_level_name(level)),
			  false);
	add_reason(&setting, fcinfo);
	add_param(&setting, 4, NAMEOID, caller_name(), false);
	write_setting(&setting, "table_levels",
				  "INSERT INTO safeguard.table_levels AS l "
				  "(relation, rule, level, reason, set_by, set_at) "
				  "VALUES ($1, $2, $3, $4, $5, pg_catalog.now()) "
				  "ON CONFLICT (relation, rule) DO UPDATE SET "
				  "level = excluded.level, reason = excluded.reason, "
				  "set_by = excluded.set_by, set_at = excluded.set_at",
				  5);
	PG_RETURN_VOID();
}

/*
 * safeguard.clear_level(relation, rule)
 */
Datum
sg_clear_level(PG_FUNCTION_ARGS)
{
	Oid			relid = sg_relation_argument(fcinfo);
	SgRuleId	rule = sg_rule_argument(fcinfo, 1);
	Setting		setting;

	PreventCommandDuringRecovery("safeguard.clear_level()");
	init_level_setting(&setting, relid, rule);
	setting.what = psprintf("clear the level of rule \"%s\"",
							sg_rules[rule].name);
	setting.owner_may_set = true;
	if (!write_setting(&setting, "table_levels",
					   "DELETE FROM safeguard.table_levels "
					   "WHERE relation OPERATOR(pg_catalog.=) $1 AND rule OPERATOR(pg_catalog.=) $2",
					   2))
		ereport(NOTICE,
				errmsg("table \"%s\" has no level of its own for rule \"%s\", skipping",
					   get_rel_name(relid), sg_rules[rule].name));
	PG_RETURN_VOID();
}

/* ---------------- columns ---------------- */

static void
init_column_setting(Setting *setting, Oid relid, const char *column,
					SgColumnRole role)
{
	memset(setting, 0, sizeof(*setting));
	setting->relid = relid;
	setting->allowed = "column role \"scope\"";
	setting->owner_may_set = role == SG_COLUMN_SCOPE;
	setting->parameter = sg_rule_parameter(role == SG_COLUMN_SCOPE ? "scope" :
										   sg_rules[SG_RULE_COMPOSITE_KEY].name);
	setting->find = "SELECT set_by FROM safeguard.column_roles "
		"WHERE relation OPERATOR(pg_catalog.=) $1 "
		"AND column_name OPERATOR(pg_catalog.=) $2 AND role OPERATOR(pg_catalog.=) $3";
	setting->nkeys = 3;
	add_param(setting, 0, REGCLASSOID, ObjectIdGetDatum(relid), false);
	add_param(setting, 1, NAMEOID,
			  DirectFunctionCall1(namein, CStringGetDatum(column)), false);
	add_param(setting, 2, TEXTOID,
			  CStringGetTextDatum(sg_column_role_name(role)), false);
}

/*
 * safeguard.set_column(relation, column_name, role, reason)
 */
Datum
sg_set_column(PG_FUNCTION_ARGS)
{
	Oid			relid = sg_relation_argument(fcinfo);
	char	   *column = sg_column_argument(fcinfo, 1, relid);
	SgColumnRole role = sg_role_argument(fcinfo, 2);
	Setting		setting;

	PreventCommandDuringRecovery("safeguard.set_column()");
	init_column_setting(&setting, relid, column, role);
	setting.what = psprintf("declare column \"%s\" as \"%s\"",
							column, sg_column_role_name(role));
	add_reason(&setting, fcinfo);
	add_param(&setting, 4, NAMEOID, caller_name(), false);
	write_setting(&setting, "column_roles",
				  "INSERT INTO safeguard.column_roles AS r "
				  "(relation, column_name, role, reason, set_by, set_at) "
				  "VALUES ($1, $2, $3, $4, $5, pg_catalog.now()) "
				  "ON CONFLICT (relation, column_name, role) DO UPDATE SET "
				  "reason = excluded.reason, "
				  "set_by = excluded.set_by, set_at = excluded.set_at",
				  5);
	PG_RETURN_VOID();
}

/*
 * safeguard.clear_column(relation, column_name, role)
 */
Datum
sg_clear_column(PG_FUNCTION_ARGS)
{
	Oid			relid = sg_relation_argument(fcinfo);
	char	   *column = sg_column_argument(fcinfo, 1, relid);
	SgColumnRole role = sg_role_argument(fcinfo, 2);
	Setting		setting;

	PreventCommandDuringRecovery("safeguard.clear_column()");
	init_column_setting(&setting, relid, column, role);
	setting.what = psprintf("clear role \"%s\" of column \"%s\"",
							sg_column_role_name(role), column);
	if (!write_setting(&setting, "column_roles",
					   "DELETE FROM safeguard.column_roles "
					   "WHERE relation OPERATOR(pg_catalog.=) $1 "
					   "AND column_name OPERATOR(pg_catalog.=) $2 AND role OPERATOR(pg_catalog.=) $3",
					   3))
		ereport(NOTICE,
				errmsg("column \"%s\" of table \"%s\" has no role \"%s\", skipping",
					   column, get_rel_name(relid), sg_column_role_name(role)));
	PG_RETURN_VOID();
}
