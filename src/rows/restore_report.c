/*-------------------------------------------------------------------------
 *
 * restore_report.c
 *		Rows that are not as the migration has left them, in words.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "rows/restore.h"

/* more refused rows than this are not listed */
#define MAX_LISTED		10

static const char *
reason(SgRestore *restore, char act)
{
	switch (act)
	{
		case SG_ACT_CHANGED:
		case SG_ACT_MOVED:
			restore->changed++;
			return "has changed since";
		case SG_ACT_TAKEN:
			restore->taken++;
			return "is that of another row now";
		default:
			restore->gone++;
			return "is not there any more";
	}
}

/*
 * Note a row that is not as the migration has left it.
 */
void
sg_restore_refuse(SgRestore *restore, SgRestoreTarget *target, char act,
				  HeapTuple row, TupleDesc desc)
{
	const char *why = reason(restore, act);
	const char *relname = RelationGetRelationName(target->rel);
	MemoryContext caller;
	char	   *key;

	if (restore->refused++ >= MAX_LISTED)
		return;
	key = SPI_getvalue(row, desc, SG_QUERY_KEY);
	caller = MemoryContextSwitchTo(restore->context);
	if (restore->list.data == NULL)
		initStringInfo(&restore->list);
	if (restore->list.len > 0)
		appendStringInfoChar(&restore->list, '\n');
	if (target->query->key_columns != NULL)
		appendStringInfo(&restore->list, "Table \"%s\": key (%s)=(%s) %s.",
						 relname, target->query->key_columns,
						 key ? key : "null", why);
	else
		appendStringInfo(&restore->list, "Table \"%s\": row %s %s.",
						 relname, key ? key : "null", why);
	MemoryContextSwitchTo(caller);
}

/* "1 changed, 2 deleted, 3 whose key ..." */
static char *
describe_refused(const SgRestore *restore)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (restore->changed > 0)
		appendStringInfo(&buf, ", " INT64_FORMAT " changed since",
						 restore->changed);
	if (restore->gone > 0)
		appendStringInfo(&buf, ", " INT64_FORMAT " not there any more",
						 restore->gone);
	if (restore->taken > 0)
		appendStringInfo(&buf, ", " INT64_FORMAT " whose key another row has now",
						 restore->taken);
	return buf.data + 2;
}

static int
list_refused(const SgRestore *restore)
{
	if (restore->refused > MAX_LISTED)
		return errdetail("%s\nand " INT64_FORMAT " more.", restore->list.data,
						 restore->refused - MAX_LISTED);
	return errdetail("%s", restore->list.data);
}

/*
 * Without force an error, if any row was refused.
 */
void
sg_restore_report(const SgRestore *restore)
{
	if (restore->refused == 0)
		return;
	if (!restore->force)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("could not restore the rows of \"%s\": " INT64_FORMAT " of them %s not as left (%s)",
					   restore->label, restore->refused,
					   restore->refused == 1 ? "is" : "are",
					   describe_refused(restore)),
				list_refused(restore),
				errhint("Nothing has been restored. To overwrite what others have written since: SELECT safeguard.restore_rows(%s, force => true).",
						quote_literal_cstr(restore->label)));
	ereport(WARNING,
			errmsg("restored over " INT64_FORMAT " row%s of \"%s\" that %s not as left (%s)",
				   restore->refused, restore->refused == 1 ? "" : "s",
				   restore->label, restore->refused == 1 ? "was" : "were",
				   describe_refused(restore)),
			list_refused(restore));
}
