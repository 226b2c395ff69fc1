/*-------------------------------------------------------------------------
 *
 * history.c
 *		The function behind safeguard.migration_history.
 *
 * It reads tables that it has found by their names, in schemas of anybody, as
 * the role that asks.  So a table is not selected from: its rows are copied
 * by a scan, which evaluates nothing, and what they mean is computed from the
 * copy.  Only where row security hides some of them from this role, the table
 * itself is selected from, if that is known to run no code of its owner.
 *
 * Each table is read in a subtransaction of its own that is rolled back: its
 * lock goes with it, and a table that cannot be read does not spoil the rest.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "migrate/history.h"
#include "migrate/tools.h"
#include "review/review.h"
#include "safeguard.h"

/* the copy of a table's rows, in the query about them */
#define COPIED_ROWS "sg_history_rows"

/* characters of a text that are shown: anybody may write a gigabyte */
#define TEXT_SHOWN	8192

/* what the query returns: columns of the function, and what finds the rest */
enum
{
	QUERY_TOOL,
	QUERY_TABLE,
	QUERY_VERSION,
	QUERY_DESCRIPTION,
	QUERY_APPLIED_AT,
	QUERY_DURATION,
	QUERY_SUCCESS,
	HISTORY_COLUMNS,
	QUERY_XMIN = HISTORY_COLUMNS,
	QUERY_PROJECT,
	QUERY_COLUMNS
};

/* One table on its way into the view. */
typedef struct HistoryRead
{
	Oid			relid;
	bool		without_times;	/* there is a time that is none */
	Tuplestorestate *result;	/* rows of the query */
} HistoryRead;

PG_FUNCTION_INFO_V1(sg_migration_history);

/* Has an entry before this one the same name of a table? */
static bool
named_before(int tool)
{
	for (int i = 0; i < tool; i++)
		if (strcmp(sg_tools[i].relation, sg_tools[tool].relation) == 0)
			return true;
	return false;
}

/*
 * The relations that have the name of a history table, in any schema.
 */
static List *
candidates(void)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	List	   *relids = NIL;

	for (int i = 0; i < sg_ntools; i++)
	{
		NameData	name;
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		if (named_before(i))
			continue;
		namestrcpy(&name, sg_tools[i].relation);
		ScanKeyInit(&key, Anum_pg_class_relname, BTEqualStrategyNumber,
					F_NAMEEQ, NameGetDatum(&name));
		scan = systable_beginscan(pg_class, ClassNameNspIndexId, true, NULL,
								  1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

			if (form->relkind == RELKIND_RELATION &&
				form->relpersistence == RELPERSISTENCE_PERMANENT)
				relids = lappend_oid(relids, form->oid);
		}
		systable_endscan(scan);
	}
	table_close(pg_class, AccessShareLock);
	return relids;
}

/* Could the current user select from the table?  false if it is gone. */
static bool
may_read(Oid relid)
{
	bool		gone = false;

	return pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT,
								 &gone) == ACLCHECK_OK &&
		sg_may_use_schema(get_rel_namespace(relid), GetUserId());
}

/* The table with its schema, as it is written in SQL; NULL if it is gone. */
static char *
table_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	if (name == NULL || schema == NULL)
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/* The columns that the tool is recognised by, and xmin. */
static TupleDesc
copied_columns(const SgTool *tool, Relation rel, AttrNumber *attnums)
{
	TupleDesc	desc;
	int			ncols = 0;

	while (tool->columns[ncols].name != NULL)
		ncols++;
	desc = CreateTemplateTupleDesc(ncols + 1);
	for (int i = 0; i < ncols; i++)
	{
		attnums[i] = get_attnum(RelationGetRelid(rel), tool->columns[i].name);
		TupleDescCopyEntry(desc, i + 1, RelationGetDescr(rel), attnums[i]);
	}
	attnums[ncols] = MinTransactionIdAttributeNumber;
	TupleDescInitEntry(desc, ncols + 1, "xmin", XIDOID, -1, 0);
	return desc;
}

/*
 * Copy the rows of a table.
 */
static Tuplestorestate *
copy_rows(Relation rel, TupleDesc desc, const AttrNumber *attnums)
{
	Tuplestorestate *rows = tuplestore_begin_heap(true, false, work_mem);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < desc->natts; i++)
			values[i] = attnums[i] > 0 ?
				slot_getattr(slot, attnums[i], &nulls[i]) :
				slot_getsysattr(slot, attnums[i], &nulls[i]);
		tuplestore_putvalues(rows, desc, values, nulls);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return rows;
}

/* Let the query see a copy under its name. */
static void
register_rows(Tuplestorestate *rows, TupleDesc desc)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

	enr->md.name = COPIED_ROWS;
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = tuplestore_tuple_count(rows);
	enr->reldata = rows;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a history table");
}

/* Append an expression as the next column. */
static void
append_column(StringInfo sql, const char *expr, const char *type)
{
	appendStringInfo(sql, ", (%s)::%s", expr != NULL ? expr : "NULL", type);
}

static void
append_text(StringInfo sql, const char *expr)
{
	appendStringInfo(sql, ", left((%s)::text, %d)",
					 expr != NULL ? expr : "NULL", TEXT_SHOWN);
}

/*
 * What the rows of a table mean, in SQL.
 */
static char *
history_query(const SgTool *tool, Relation rel, const char *rows,
			  bool without_times)
{
	StringInfoData sql;
	char	   *key = psprintf("h.%s::text", quote_identifier(tool->key));

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::text, %s::text",
					 quote_literal_cstr(tool->name),
					 quote_literal_cstr(table_name(RelationGetRelid(rel))));
	append_text(&sql, tool->version != NULL ? tool->version : key);
	append_text(&sql, tool->description);
	append_column(&sql, without_times ? NULL : tool->applied_at, "timestamptz");
	append_column(&sql, tool->duration_ms, "float8");
	append_column(&sql, tool->success != NULL ? tool->success : "true", "bool");
	append_column(&sql, "h.xmin", "xid");
	append_text(&sql, tool->project);
	appendStringInfo(&sql, " FROM %s h", rows);
	if (tool->condition != NULL)
	{
		const char *again = strstr(tool->condition, "%s");

		appendStringInfoString(&sql, " WHERE ");
		if (again == NULL)
			appendStringInfoString(&sql, tool->condition);
		else
		{
			appendBinaryStringInfo(&sql, tool->condition, again - tool->condition);
			appendStringInfo(&sql, "%s%s", rows, again + 2);
		}
	}
	return sql.data;
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
run_query(const char *sql, Tuplestorestate *result)
{
	DestReceiver *dest = CreateTuplestoreDestReceiver();
	SPIExecuteOptions options = {0};
	int			rc;

	SetTuplestoreDestReceiverParams(dest, result, CurrentMemoryContext, true,
									NULL, NULL);
	/* expressions mean the server's functions and operators */
	set_for_now("search_path", "pg_catalog, pg_temp");
	/* a constraint is nothing for the planner to reason with */
	set_for_now("constraint_exclusion", "off");
	options.read_only = true;
	options.dest = dest;
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_extended failed: %s",
			 SPI_result_code_string(rc));
}

/*
 * Read one table.  Runs in a subtransaction that takes everything back but
 * the result.
 */
static void
read_table(void *arg)
{
	HistoryRead *read = (HistoryRead *) arg;
	Relation	rel = try_relation_open(read->relid, AccessShareLock);
	const SgTool *tool;
	const char *rows = COPIED_ROWS;

	/* it may have been dropped, altered or closed to us since it was found */
	if (rel == NULL || !may_read(read->relid))
		return;
	tool = sg_history_tool(rel);
	if (tool == NULL)
		return;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (check_enable_rls(read->relid, InvalidOid, true) == RLS_ENABLED)
	{
		if (!sg_table_is_plain(rel))
			return;
		rows = psprintf("ONLY %s", table_name(read->relid));
	}
	else
	{
		AttrNumber	attnums[SG_TOOL_COLUMNS + 1];
		TupleDesc	desc = copied_columns(tool, rel, attnums);

		register_rows(copy_rows(rel, desc, attnums), desc);
	}
	run_query(history_query(tool, rel, rows, read->without_times), read->result);
}

/* Is this what a wrong value in the table leads to? */
static bool
is_data_error(const ErrorData *edata)
{
	return ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_DATA_EXCEPTION;
}

/* Must the user be told, since the table could have been read? */
static bool
must_report(const ErrorData *edata)
{
	return ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

static TupleDesc
query_columns(void)
{
	static const Oid types[QUERY_COLUMNS] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, FLOAT8OID, BOOLOID,
		XIDOID, TEXTOID
	};
	TupleDesc	desc = CreateTemplateTupleDesc(QUERY_COLUMNS);

	for (int i = 0; i < QUERY_COLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, NULL, types[i], -1, 0);
	return desc;
}

static char *
text_of(TupleTableSlot *slot, int column)
{
	return slot->tts_isnull[column] ? NULL :
		TextDatumGetCString(slot->tts_values[column]);
}

/*
 * A row of the function: that of the query, with what the server has measured.
 */
static void
put_row(ReturnSetInfo *rsinfo, TupleTableSlot *slot, Oid relid, List *figures)
{
	Datum		values[HISTORY_COLUMNS + SG_FIGURE_COLUMNS];
	bool		nulls[HISTORY_COLUMNS + SG_FIGURE_COLUMNS];
	char	   *project;

	slot_getallattrs(slot);
	project = text_of(slot, QUERY_PROJECT);
	memcpy(values, slot->tts_values, HISTORY_COLUMNS * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, HISTORY_COLUMNS * sizeof(bool));
	sg_figures_put(figures, relid,
				   DatumGetTransactionId(slot->tts_values[QUERY_XMIN]),
				   project, project ? text_of(slot, QUERY_VERSION) : NULL,
				   slot->tts_isnull[QUERY_DURATION] ? -1 :
				   DatumGetFloat8(slot->tts_values[QUERY_DURATION]),
				   &values[HISTORY_COLUMNS], &nulls[HISTORY_COLUMNS]);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Append what one table records to the function's result.
 */
static void
append_history(ReturnSetInfo *rsinfo, Oid relid, List *figures)
{
	HistoryRead read = {.relid = relid};
	TupleTableSlot *slot;
	ErrorData  *edata;

	read.result = tuplestore_begin_heap(false, false, work_mem);
	edata = sg_contained(read_table, &read);
	if (edata != NULL && is_data_error(edata))
	{
		tuplestore_clear(read.result);
		read.without_times = true;
		edata = sg_contained(read_table, &read);
	}
	if (edata != NULL)
	{
		if (must_report(edata))
			ReThrowError(edata);
		tuplestore_end(read.result);
		if (table_name(relid) != NULL)
			ereport(WARNING,
					errcode(edata->sqlerrcode),
					errmsg("could not read the migration history in table %s",
						   table_name(relid)),
					errdetail_internal("%s", edata->message));
		return;
	}

	slot = MakeSingleTupleTableSlot(query_columns(), &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(read.result, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		put_row(rsinfo, slot, relid, figures);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(read.result);
}

/*
 * What migration tools have recorded in this database, as far as the current
 * user may read it.
 */
Datum
sg_migration_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard migration history",
											   ALLOCSET_DEFAULT_SIZES);
	List	   *relids;
	List	   *figures;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	figures = sg_figures_load();
	relids = candidates();
	foreach(lc, relids)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);

		CHECK_FOR_INTERRUPTS();
		if (may_read(lfirst_oid(lc)))
			append_history(rsinfo, lfirst_oid(lc), figures);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
	return (Datum) 0;
}
