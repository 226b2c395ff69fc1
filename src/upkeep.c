/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *		Upkeep of the exception tables: the trigger that makes changes known,
 *		and the rows that are about nothing any more.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_exceptions_changed);

/* ---------------- dead rows ---------------- */

/*
 * What is gone that a row is about, as a text, or NULL if nothing is.
 */
static char *
describe_if_dead(const char *table, HeapTuple tuple, TupleDesc desc,
				 bool has_column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, SG_CONFIG_RELATION, desc, &isnull);
	Oid			relid = DatumGetObjectId(value);
	char	   *relname = get_rel_name(relid);
	const char *column;

	if (relname == NULL)
		return psprintf("%s: relation %u", table, relid);
	if (!has_column)
		return NULL;
	value = heap_getattr(tuple, SG_ROLES_COLUMN, desc, &isnull);
	column = NameStr(*DatumGetName(value));
	if (get_attnum(relid, column) != InvalidAttrNumber)
		return NULL;
	return psprintf("%s: %s.%s", table, relname, column);
}

static List *
dead_rows_of(const char *table, bool has_column)
{
	Oid			config;
	Relation	rel = sg_open_config_table(table, &config);
	List	   *dead = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL)
		return NIL;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char	   *description = describe_if_dead(table, tuple,
												   RelationGetDescr(rel),
												   has_column);

		if (description != NULL)
			dead = lappend(dead, description);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return dead;
}

/*
 * The rows of our tables whose relation or column is gone: list of texts that
 * name them.
 */
List *
sg_dead_rows(void)
{
	List	   *dead = list_concat(dead_rows_of("table_levels", false),
								   dead_rows_of("column_roles", true));

	return list_concat(dead, sg_watch_dead());
}

/* ---------------- the trigger ---------------- */

/*
 * Invalidate the relation that a row is about, and the partitions that follow
 * it: cached plans of theirs depend on what is declared for their root.
 */
static void
invalidate_row(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, SG_CONFIG_RELATION, desc, &isnull);
	List	   *relids;
	ListCell   *lc;

	if (isnull)
		return;
	if (get_rel_relkind(DatumGetObjectId(value)) == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(DatumGetObjectId(value), NoLock, NULL);
	else
		relids = list_make1_oid(DatumGetObjectId(value));

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		HeapTuple	classtup = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

		if (!HeapTupleIsValid(classtup))
			continue;			/* a dead row */
		CacheInvalidateRelcacheByTuple(classtup);
		ReleaseSysCache(classtup);
	}
}

/*
 * AFTER ROW and AFTER TRUNCATE trigger of both tables: makes a change known
 * to every session when it commits, and to this one at once.
 */
Datum
sg_exceptions_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" was not called by the trigger manager",
					   "safeguard.exceptions_changed"));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		CacheInvalidateRelcacheAll();
		return PointerGetDatum(NULL);
	}

	desc = RelationGetDescr(trigger->tg_relation);
	if (TupleDescAttr(desc, SG_CONFIG_RELATION - 1)->atttypid != REGCLASSOID ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" serves only tables of safeguard",
					   "safeguard.exceptions_changed"));

	invalidate_row(trigger->tg_trigtuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		invalidate_row(trigger->tg_newtuple, desc);
	return PointerGetDatum(trigger->tg_trigtuple);
}
