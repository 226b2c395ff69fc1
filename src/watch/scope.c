/*-------------------------------------------------------------------------
 *
 * scope.c
 *		The scope of a row of a watched table, as the text of a JSON object.
 *
 * The text is what tells scopes apart, in all sessions and later versions, so
 * it must not depend on how a session wants to see its values.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "watch/watch.h"

/*
 * Would JSON take it as a number?  Not "NaN", "Infinity".
 */
static bool
is_number(const char *str)
{
	if (*str == '-')
		str++;
	return *str >= '0' && *str <= '9' && strlen(str) < SG_WATCHED_VALUE;
}

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The text of a value whose type's output may look at settings: as pg_dump
 * sets them.  An error puts them back, as the end of its transaction does.
 */
static char *
settled_text(Oid output, Datum value)
{
	int			level = NewGUCNestLevel();
	char	   *text;

	set_local("datestyle", "ISO, YMD");
	set_local("timezone", "UTC");
	set_local("intervalstyle", "postgres");
	set_local("extra_float_digits", "1");
	set_local("bytea_output", "hex");
	text = OidOutputFunctionCall(output, value);
	AtEOXact_GUC(true, level);
	return text;
}

static char *
value_text(Datum value, Oid typid)
{
	static const int utc = 0;
	Oid			output;
	bool		varlena;

	if (typid == DATEOID || typid == TIMESTAMPOID || typid == TIMESTAMPTZOID)
		return JsonEncodeDateTime(palloc(MAXDATELEN + 1), value, typid, &utc);
	getTypeOutputInfo(typid, &output, &varlena);
	switch (typid)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case UUIDOID:
			return OidOutputFunctionCall(output, value);
		default:
			return settled_text(output, value);
	}
}

static void
append_value(StringInfo buf, Datum value, Oid typid)
{
	char	   *text;

	typid = getBaseType(typid);
	if (typid == BOOLOID)
	{
		appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
		return;
	}
	text = value_text(value, typid);
	switch (typid)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			if (is_number(text))
			{
				appendStringInfoString(buf, text);
				return;
			}
	}
	/* what begins alike is counted together when it is too long */
	text[pg_mbcliplen(text, strlen(text), SG_WATCHED_VALUE)] = '\0';
	escape_json(buf, text);
}

/*
 * The values of the columns that the trigger names, palloc'd; NULL if they
 * are too long to be told.  A column that is there no more is left out.
 */
char *
sg_watch_scope(const Trigger *trigger, HeapTuple tuple, TupleDesc desc)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < trigger->tgnargs; i++)
	{
		int			attnum = SPI_fnumber(desc, trigger->tgargs[i]);
		bool		isnull;
		Datum		value;

		if (attnum <= 0)
			continue;
		value = heap_getattr(tuple, attnum, desc, &isnull);
		if (buf.len > 1)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, trigger->tgargs[i]);
		appendStringInfoString(&buf, ": ");
		if (isnull)
			appendStringInfoString(&buf, "null");
		else
			append_value(&buf, value, TupleDescAttr(desc, attnum - 1)->atttypid);
	}
	appendStringInfoChar(&buf, '}');
	return buf.len < SG_WATCHED_SCOPE ? buf.data : NULL;
}
