/*-------------------------------------------------------------------------
 *
 * list.c
 *		The tables of this database that are watched.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "watch/watch.h"

PG_FUNCTION_INFO_V1(sg_watches);

/*
 * The function of our triggers, or InvalidOid without the extension.
 */
static Oid
watch_function(void)
{
	Oid			schema = get_namespace_oid("safeguard", true);
	oidvector  *none;

	if (!OidIsValid(schema))
		return InvalidOid;
	none = buildoidvector(NULL, 0);
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("watch_rows"),
						   PointerGetDatum(none), ObjectIdGetDatum(schema));
}

/*
 * One trigger's row of pg_trigger, copied, or NULL.
 */
static HeapTuple
trigger_tuple(Relation rel, Oid tgoid)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(tgoid));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

/*
 * The arguments of a trigger: strings one behind the other.
 */
static List *
arguments(HeapTuple tuple, TupleDesc desc)
{
	List	   *result = NIL;
	bool		isnull;
	Datum		value = heap_getattr(tuple, Anum_pg_trigger_tgargs, desc,
									 &isnull);
	const char *p;

	if (isnull)
		return NIL;
	p = VARDATA_ANY(DatumGetByteaPP(value));
	for (int i = 0; i < ((Form_pg_trigger) GETSTRUCT(tuple))->tgnargs; i++)
	{
		result = lappend(result, pstrdup(p));
		p += strlen(p) + 1;
	}
	return result;
}

/*
 * What a trigger declares, or NULL: it is a clone, the one for TRUNCATE, or
 * none of ours.
 */
static SgWatch *
watch_of(HeapTuple tuple, TupleDesc desc)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	SgWatch    *watch;

	if (!SG_IS_ROW_TRIGGER(form->tgtype) || OidIsValid(form->tgparentid))
		return NULL;
	watch = palloc(sizeof(*watch));
	watch->relid = form->tgrelid;
	watch->scope = arguments(tuple, desc);
	return watch;
}

/*
 * List of SgWatch.  pg_depend knows by an index what uses our function.
 */
List *
sg_watch_all(void)
{
	Oid			funcid = watch_function();
	List	   *result = NIL;
	Relation	depend;
	Relation	triggers;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(funcid))
		return NIL;
	depend = table_open(DependRelationId, AccessShareLock);
	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(funcid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		HeapTuple	trigger;
		SgWatch    *watch = NULL;

		if (form->classid != TriggerRelationId)
			continue;
		trigger = trigger_tuple(triggers, form->objid);
		if (trigger != NULL)
			watch = watch_of(trigger, RelationGetDescr(triggers));
		if (watch != NULL)
			result = lappend(result, watch);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	table_close(depend, AccessShareLock);
	return result;
}

/*
 * The columns of scopes that are there no more, by a drop or a new name: list
 * of texts.
 */
List *
sg_watch_dead(void)
{
	List	   *dead = NIL;
	ListCell   *lc;

	foreach(lc, sg_watch_all())
	{
		SgWatch    *watch = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, watch->scope)
		{
			if (get_attnum(watch->relid, lfirst(lc2)) == InvalidAttrNumber)
				dead = lappend(dead,
							   psprintf("watch: %s.%s",
										get_rel_name(watch->relid),
										(char *) lfirst(lc2)));
		}
	}
	return dead;
}

/*
 * safeguard.watches(): the declarations, a row per table.
 */
Datum
sg_watches(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, sg_watch_all())
	{
		SgWatch    *watch = lfirst(lc);
		Datum	   *names = palloc((list_length(watch->scope) + 1) * sizeof(Datum));
		Datum		values[2];
		bool		nulls[2] = {0};
		ListCell   *lc2;

		foreach(lc2, watch->scope)
			names[foreach_current_index(lc2)] =
				DirectFunctionCall1(namein, CStringGetDatum(lfirst(lc2)));
		values[0] = ObjectIdGetDatum(watch->relid);
		values[1] = PointerGetDatum(construct_array(names,
													list_length(watch->scope),
													NAMEOID, NAMEDATALEN,
													false, TYPALIGN_CHAR));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * A trigger is about to be dropped, by itself or with its table.  If it is
 * what makes a table a watched one, its figures go when that is committed.
 */
void
sg_watch_dropped(Oid tgoid)
{
	Relation	rel;
	HeapTuple	tuple;

	if (!sg_has_shmem())
		return;
	rel = table_open(TriggerRelationId, AccessShareLock);
	tuple = trigger_tuple(rel, tgoid);
	if (tuple != NULL)
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (SG_IS_ROW_TRIGGER(form->tgtype) && !OidIsValid(form->tgparentid) &&
			sg_is_watch_function(form->tgfoid))
			sg_watch_note_end(form->tgrelid);
		heap_freetuple(tuple);
	}
	table_close(rel, AccessShareLock);
}
