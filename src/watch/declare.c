/*-------------------------------------------------------------------------
 *
 * declare.c
 *		safeguard.watch() and safeguard.unwatch().
 *
 * The declaration is a trigger on the table, whose arguments are the columns
 * of the scope: it is in force in all sessions at commit, goes with the
 * table, is carried by pg_dump and shows in \d.  The trigger belongs to the table's
 * owner; it is made with his rights.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "watch/watch.h"

PG_FUNCTION_INFO_V1(sg_watch);
PG_FUNCTION_INFO_V1(sg_unwatch);

#define ROW_TRIGGER			"safeguard_watch"
#define TRUNCATE_TRIGGER	"safeguard_watch_truncate"

/* ---------------- the trigger ---------------- */

/*
 * Is it the function of our triggers?
 */
bool
sg_is_watch_function(Oid funcid)
{
	char	   *name = get_func_name(funcid);
	char	   *schema;

	if (name == NULL || strcmp(name, "watch_rows") != 0)
		return false;
	schema = get_namespace_name(get_func_namespace(funcid));
	return schema != NULL && strcmp(schema, "safeguard") == 0;
}

/*
 * The row trigger that makes a relation a watched one, or NULL.
 */
Trigger *
sg_watch_trigger(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		Trigger    *trigger = &desc->triggers[i];

		if (SG_IS_ROW_TRIGGER(trigger->tgtype) &&
			sg_is_watch_function(trigger->tgfoid))
			return trigger;
	}
	return NULL;
}

/*
 * Is a relation, which is locked, watched by this column?
 */
bool
sg_watch_has_column(Oid relid, const char *name)
{
	Relation	rel = RelationIdGetRelation(relid);
	Trigger    *trigger;
	bool		result = false;

	if (rel == NULL)
		return false;
	trigger = sg_watch_trigger(rel);
	for (int i = 0; trigger != NULL && i < trigger->tgnargs; i++)
	{
		if (strcmp(trigger->tgargs[i], name) == 0)
			result = true;
	}
	RelationClose(rel);
	return result;
}

/*
 * Raise an error if a trigger of ours cannot be made, because somebody else's
 * has its name: CREATE OR REPLACE would replace that.
 */
static void
check_names(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		Trigger    *trigger = &desc->triggers[i];

		if ((strcmp(trigger->tgname, ROW_TRIGGER) == 0 ||
			 strcmp(trigger->tgname, TRUNCATE_TRIGGER) == 0) &&
			!sg_is_watch_function(trigger->tgfoid))
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_OBJECT),
					errmsg("trigger \"%s\" for relation \"%s\" already exists",
						   trigger->tgname, RelationGetRelationName(rel)),
					errdetail("It is not one of safeguard."),
					errhint("Give it another name with ALTER TRIGGER ... RENAME TO."));
	}
}

/* ---------------- arguments ---------------- */

/*
 * What can be done about a relation that cannot be watched.
 */
static const char *
kind_hint(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "Watch the table that the view writes to.";
		case RELKIND_MATVIEW:
			return "Watch the tables that it selects from.";
		case RELKIND_FOREIGN_TABLE:
			return "Watch the table on the foreign server.";
		default:
			return "Name a table or a partitioned table.";
	}
}

/*
 * Raise an error unless rows of the relation pass through triggers here, and
 * stay.
 */
static void
check_kind(Relation rel)
{
	char		relkind = rel->rd_rel->relkind;
	const char *name = RelationGetRelationName(rel);

	if (relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("foreign table \"%s\" cannot be watched", name),
				errdetail("What changes on the foreign server is not seen here."),
				errhint("%s", kind_hint(relkind)));
	if (!allowSystemTableMods && RelationGetRelid(rel) < FirstUnpinnedObjectId)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("system table \"%s\" cannot be watched", name),
				errdetail("System tables have no triggers."));
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" cannot be watched: it is not a table", name),
				errhint("%s", kind_hint(relkind)));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("temporary table \"%s\" cannot be watched", name),
				errdetail("It goes with its session, which alone can change it."),
				errhint("Watch a table that stays."));
}

/*
 * The table, which must be the caller's.  The caller closes it and keeps its
 * lock.
 */
static Relation
open_table(FunctionCallInfo fcinfo)
{
	Relation	rel = sg_open_argument(fcinfo);
	Trigger    *trigger;

	check_kind(rel);
	if (!sg_owns_relation(RelationGetRelid(rel), GetUserId()))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be owner of table %s",
					   RelationGetRelationName(rel)),
				errhint("The owner of a table and superusers may watch it."));
	trigger = sg_watch_trigger(rel);
	if (trigger != NULL && trigger->tgisclone)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("partition \"%s\" is watched with its partitioned table",
					   RelationGetRelationName(rel)),
				errhint("Name the partitioned table."));
	return rel;
}

/*
 * The columns of the scope: list of char *.
 */
static List *
scope_argument(FunctionCallInfo fcinfo, Relation rel)
{
	List	   *scope = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			n;
	ListCell   *lc;

	sg_require_argument(fcinfo, 1, "scope");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *name;
		AttrNumber	attnum;

		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("column names must not be null"));
		name = NameStr(*DatumGetName(names[i]));
		attnum = sg_column_number(RelationGetRelid(rel), name);
		/* a virtual column is not in the row that a trigger gets */
		if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == 'v')
			ereport(ERROR,
					errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					errmsg("column \"%s\" is a virtual generated column", name),
					errhint("Name a column that is stored."));
		foreach(lc, scope)
		{
			if (strcmp(lfirst(lc), name) == 0)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_COLUMN),
						errmsg("column \"%s\" appears twice in the scope",
							   name));
		}
		scope = lappend(scope, name);
	}
	return scope;
}

static bool
has_scope(const Trigger *trigger, List *scope)
{
	ListCell   *lc;

	if (trigger->tgnargs != list_length(scope))
		return false;
	foreach(lc, scope)
	{
		if (strcmp(trigger->tgargs[foreach_current_index(lc)],
				   lfirst(lc)) != 0)
			return false;
	}
	return true;
}

/* ---------------- writing ---------------- */

static void
execute(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
}

static char *
scope_literals(List *scope)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, scope)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 quote_literal_cstr(lfirst(lc)));
	return buf.data;
}

/*
 * The triggers are enabled ALWAYS, so that they see what replication applies.
 * DROP EXTENSION takes them along without CASCADE.
 */
static void
create_triggers(const char *table, const char *arguments)
{
	SPI_connect();
	execute(psprintf("CREATE OR REPLACE TRIGGER " ROW_TRIGGER
					 " AFTER INSERT OR UPDATE OR DELETE ON %s "
					 "FOR EACH ROW EXECUTE FUNCTION safeguard.watch_rows(%s)",
					 table, arguments));
	execute(psprintf("CREATE OR REPLACE TRIGGER " TRUNCATE_TRIGGER
					 " BEFORE TRUNCATE ON %s "
					 "FOR EACH STATEMENT EXECUTE FUNCTION safeguard.watch_rows(%s)",
					 table, arguments));
	execute(psprintf("ALTER TRIGGER " ROW_TRIGGER
					 " ON %s DEPENDS ON EXTENSION safeguard", table));
	execute(psprintf("ALTER TRIGGER " TRUNCATE_TRIGGER
					 " ON %s DEPENDS ON EXTENSION safeguard", table));
	execute(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER " ROW_TRIGGER
					 ", ENABLE ALWAYS TRIGGER " TRUNCATE_TRIGGER, table));
	SPI_finish();
}

static char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/*
 * safeguard.watch(relation, VARIADIC scope)
 */
Datum
sg_watch(PG_FUNCTION_ARGS)
{
	Relation	rel = open_table(fcinfo);
	List	   *scope = scope_argument(fcinfo, rel);
	Trigger    *trigger = sg_watch_trigger(rel);
	Oid			relid = RelationGetRelid(rel);
	char	   *table = qualified_name(rel);
	bool		same = trigger != NULL && has_scope(trigger, scope);

	check_names(rel);
	table_close(rel, NoLock);
	create_triggers(table, scope_literals(scope));
	if (!same)
		sg_watch_note_end(relid);
	if (!sg_has_shmem())
		ereport(WARNING,
				errmsg("changes of table \"%s\" are not counted yet",
					   get_rel_name(relid)),
				errdetail("They are counted in shared memory, which is only there when the server has started with safeguard."),
				errhint("Add safeguard to \"shared_preload_libraries\" and restart the server."));
	PG_RETURN_VOID();
}

/*
 * safeguard.unwatch(relation)
 */
Datum
sg_unwatch(PG_FUNCTION_ARGS)
{
	Relation	rel = open_table(fcinfo);
	char	   *table = qualified_name(rel);
	bool		is_watched = sg_watch_trigger(rel) != NULL;
	char	   *name = pstrdup(RelationGetRelationName(rel));

	if (is_watched)
		check_names(rel);
	table_close(rel, NoLock);
	if (!is_watched)
	{
		ereport(NOTICE,
				errmsg("table \"%s\" is not watched, skipping", name));
		PG_RETURN_VOID();
	}
	SPI_connect();
	execute(psprintf("DROP TRIGGER " ROW_TRIGGER " ON %s", table));
	execute(psprintf("DROP TRIGGER IF EXISTS " TRUNCATE_TRIGGER " ON %s", table));
	SPI_finish();
	/* the figures go as they do with any other way to drop the trigger */
	PG_RETURN_VOID();
}
