/*-------------------------------------------------------------------------
 *
 * check_functions.c
 *		safeguard.check_functions(): which functions are reviewed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

#include "compat.h"
#include "review/review.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_check_functions);

/* A function to be reviewed, and what it is sorted by. */
typedef struct Chosen
{
	Oid			function;
	char	   *name;
} Chosen;

/*
 * May the current user see what a function does?  Its text can be read in the
 * catalog; who cannot call it is not told about the tables that it uses.
 */
bool
sg_may_see_function(Oid function)
{
	Oid			schema = get_func_namespace(function);

	return sg_may_use_schema(schema, GetUserId()) &&
		sg_may_execute(function, GetUserId());
}

/* Is it a function that somebody here has written? */
static bool
is_wanted(Form_pg_proc proc, Oid schema, Oid plpgsql)
{
	if (proc->oid < FirstNormalObjectId ||
		proc->pronamespace == PG_CATALOG_NAMESPACE ||
		proc->prokind == PROKIND_AGGREGATE)
		return false;
	if (proc->prolang != SQLlanguageId && proc->prolang != plpgsql)
		return false;
	if (OidIsValid(schema) ? proc->pronamespace != schema :
		isOtherTempNamespace(proc->pronamespace))
		return false;
	return sg_may_see_function(proc->oid) &&
		!OidIsValid(getExtensionOfObject(ProcedureRelationId, proc->oid));
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((Chosen *) lfirst(a))->name, ((Chosen *) lfirst(b))->name);
}

static List *
choose(Oid schema)
{
	Oid			plpgsql = get_language_oid("plpgsql", true);
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *chosen = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
		Chosen	   *one;

		if (!is_wanted(proc, schema, plpgsql))
			continue;
		one = palloc(sizeof(Chosen));
		one->function = proc->oid;
		one->name = format_procedure_qualified(proc->oid);
		chosen = lappend(chosen, one);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(chosen, compare_names);
	return chosen;
}

/*
 * The rows of check_function() for all functions of a schema, or of all
 * schemas, that are neither the server's nor an extension's and that the
 * caller may execute.
 */
Datum
sg_check_functions(PG_FUNCTION_ARGS)
{
	SgReview	review = {0};
	Oid			schema = InvalidOid;
	MemoryContext work;
	MemoryContext caller;
	ListCell   *lc;

	if (!PG_ARGISNULL(0))
		schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);
	InitMaterializedSRF(fcinfo, 0);
	review.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	work = AllocSetContextCreate(CurrentMemoryContext, "safeguard review",
								 ALLOCSET_DEFAULT_SIZES);
	foreach(lc, choose(schema))
	{
		caller = MemoryContextSwitchTo(work);
		sg_review_function(&review, ((Chosen *) lfirst(lc))->function,
						   InvalidOid);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
	return (Datum) 0;
}
