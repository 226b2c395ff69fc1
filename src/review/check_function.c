/*-------------------------------------------------------------------------
 *
 * check_function.c
 *		safeguard.check_function(): reviews the SQL inside a stored function.
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
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/review.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_check_function);

static void
put_settings(SgBodyReview *br)
{
	sg_body_settings(br->function);
}

static void
open_function(SgBodyReview *br)
{
	br->body = sg_body_open(br->function, br->relation);
}

/* The tables whose triggers call a function. */
static List *
trigger_relations(Oid function)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *relations = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (trigger->tgfoid == function)
			relations = list_append_unique_oid(relations, trigger->tgrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(relations, list_oid_cmp);
	return relations;
}

/*
 * Review a function; a trigger function for the relation, or else for each
 * table that has a trigger with it.
 */
void
sg_review_function(SgReview *review, Oid function, Oid relation)
{
	SgBodyReview br = {.review = review, .function = function,
		.open = open_function, .settings = put_settings};
	List	   *relations = list_make1_oid(relation);
	ListCell   *lc;

	/* it may have been dropped since it was listed */
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		return;
	review->function = function;
	review->statement = 0;
	review->bypassed = false;
	if (!OidIsValid(relation) && get_func_rettype(function) == TRIGGEROID)
	{
		relations = trigger_relations(function);
		if (relations == NIL)
			relations = list_make1_oid(InvalidOid);
	}
	br.ntables = list_length(relations);
	foreach(lc, relations)
	{
		br.relation = lfirst_oid(lc);
		sg_review_body(&br, true);
	}
}

static bool
can_have_triggers(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_VIEW ||
		relkind == RELKIND_PARTITIONED_TABLE ||
		relkind == RELKIND_FOREIGN_TABLE;
}

static void
check_arguments(Oid function, Oid relation)
{
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function with OID %u does not exist", function));
	if (!sg_may_see_function(function))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION,
					   get_func_name(function));
	if (!OidIsValid(relation))
		return;
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relation));
	if (!can_have_triggers(get_rel_relkind(relation)))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("relation \"%s\" cannot have triggers",
					   get_rel_name(relation)),
				errdetail_relkind_not_supported(get_rel_relkind(relation)));
	if (get_func_rettype(function) != TRIGGEROID)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("function %s is not a trigger function",
					   format_procedure(function)),
				errhint("Call check_function without a relation."));
}

/*
 * One row per finding about the statements inside a function.
 */
Datum
sg_check_function(PG_FUNCTION_ARGS)
{
	SgReview	review = {0};
	Oid			function;
	Oid			relation;

	sg_require_argument(fcinfo, 0, "function");
	function = PG_GETARG_OID(0);
	relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	check_arguments(function, relation);
	InitMaterializedSRF(fcinfo, 0);
	review.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	sg_review_function(&review, function, relation);
	return (Datum) 0;
}
