/*-------------------------------------------------------------------------
 *
 * restore_kept.c
 *		The tables of kept rows that a restore reads.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/varlena.h"

#include "compat.h"
#include "migrate/migrate.h"
#include "rows/restore.h"

/* what a restore appends to the label that it restores */
#define RESTORED	"@restored-"

static char *
column(int row, int n)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, n);
}

/* "{1,2,5}" */
static void
read_attnums(SgKeptTable *table, const char *text)
{
	table->attnums = palloc0((strlen(text) + 1) * sizeof(AttrNumber));
	for (const char *c = text; *c != '\0'; c++)
	{
		if ((*c == '{' || *c == ',') && c[1] != '}')
			table->attnums[table->nattnums++] = atoi(c + 1);
	}
}

/*
 * The tables of a label, in the order in which they were made; of SgKeptTable.
 */
List *
sg_kept_tables(const char *label)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID};
	Datum		params[1];
	List	   *result = NIL;
	MemoryContext spi;

	params[0] = CStringGetTextDatum(label);
	SPI_connect();
	sg_owner_execute("SELECT relation::pg_catalog.oid, relation_name, kept_table, "
					 "restored_at IS NOT NULL, origin, attnums, kept_by "
					 "FROM safeguard.kept WHERE label OPERATOR(pg_catalog.=) $1 "
					 "ORDER BY id", 1, types, params, NULL);
	spi = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		SgKeptTable *table = palloc0(sizeof(SgKeptTable));

		table->relation = atooid(column(i, 1));
		table->relation_name = pstrdup(column(i, 2));
		table->name = pstrdup(column(i, 3));
		table->kept_by = pstrdup(column(i, 7));
		table->restored = strcmp(column(i, 4), "t") == 0;
		if (strcmp(column(i, 5), sg_kept_origin(table->relation)) == 0)
			read_attnums(table, column(i, 6));
		table->relid = get_relname_relid(table->name,
										 get_namespace_oid(SG_KEPT_SCHEMA, false));
		result = lappend(result, table);
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return result;
}

/*
 * The relation whose rows a table has kept.  One that was dropped may have been
 * made again, or come back from a dump.
 */
Oid
sg_kept_resolve(const SgKeptTable *table)
{
	Oid			relid = table->relation;

	if (get_rel_relkind(relid) == '\0')
		relid = RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(table->relation_name))),
								 NoLock, true);
	if (!OidIsValid(relid))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("table %s, whose rows were kept, does not exist any more",
					   table->relation_name),
				errhint("Make it again under this name, or read the rows from %s.",
						quote_qualified_identifier(SG_KEPT_SCHEMA, table->name)));
	return relid;
}

/* ---------------- runs ---------------- */

/*
 * A relation whose columns change has a table for each set of them.  What was
 * done last must be undone first: each table's changes as far as no other comes
 * between them, from the last to the first.
 */
List *
sg_kept_runs(List *tables)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *runs = NIL;
	StringInfoData sql;
	MemoryContext spi;
	ListCell   *lc;
	int			rc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT t, pg_catalog.min(s), pg_catalog.max(s) FROM (SELECT t, s, "
						   "pg_catalog.row_number() OVER (ORDER BY s) OPERATOR(pg_catalog.-) "
						   "pg_catalog.row_number() OVER (PARTITION BY t ORDER BY s) AS g FROM (");
	foreach(lc, tables)
	{
		const SgKeptTable *table = lfirst(lc);

		appendStringInfo(&sql, "%sSELECT DISTINCT %u::pg_catalog.oid AS t, sg_statement AS s FROM ONLY %s",
						 lc == list_head(tables) ? "" : " UNION ALL ",
						 table->relid,
						 quote_qualified_identifier(SG_KEPT_SCHEMA, table->name));
	}
	appendStringInfoString(&sql, ") x) x GROUP BY t, g ORDER BY 2 DESC");
	rc = SPI_execute(sql.data, false, 0);
	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
	spi = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		SgKeptRun  *run = palloc(sizeof(SgKeptRun));

		/* whose owner may write what he likes */
		if (column(i, 2) == NULL)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" is not one of kept rows any more",
						   get_rel_name(atooid(column(i, 1)))),
					errdetail("Column \"%s\" has null values.", "sg_statement"));
		run->kept = atooid(column(i, 1));
		run->first = strtoll(column(i, 2), NULL, 10);
		run->last = strtoll(column(i, 3), NULL, 10);
		runs = lappend(runs, run);
	}
	MemoryContextSwitchTo(spi);
	return runs;
}

/* ---------------- labels ---------------- */

/* Where a label ends that a restore has given, without what it has appended. */
static int
length_of_base(const char *label)
{
	const char *at = NULL;

	for (const char *next = strstr(label, RESTORED); next != NULL;
		 next = strstr(next + 1, RESTORED))
		at = next;
	if (at == NULL || at == label)
		return strlen(label);
	for (const char *c = at + strlen(RESTORED); *c != '\0'; c++)
		if (*c < '0' || *c > '9')
			return strlen(label);
	return at - label;
}

/*
 * A label for what a restore of this one changes: the next number.
 */
char *
sg_restore_label(const char *label)
{
	char	   *base = pnstrdup(label, length_of_base(label));

	for (int n = 1;; n++)
	{
		char	   *name = psprintf("%s" RESTORED "%d", base, n);

		if (sg_kept_tables(name) != NIL)
			continue;
		sg_keep_lock(name);
		if (!sg_label_is_used(name))
			return name;
	}
}
