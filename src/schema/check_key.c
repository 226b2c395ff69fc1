/*-------------------------------------------------------------------------
 *
 * check_key.c
 *		safeguard.check_key(): are columns unique in the rows of a table?
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "safeguard.h"
#include "schema/keys.h"

#define CHECK_KEY_COLUMNS	7

PG_FUNCTION_INFO_V1(sg_check_key);

/* The names in the second argument, of which there must be some. */
static Datum *
column_names(FunctionCallInfo fcinfo, int *ncols)
{
	ArrayType  *array;
	Datum	   *names;
	bool	   *nulls;

	sg_require_argument(fcinfo, 1, "columns");
	array = PG_GETARG_ARRAYTYPE_P(1);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("argument \"columns\" must be a one-dimensional array"));
	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &names, &nulls, ncols);
	if (*ncols == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"columns\" must name at least one column"));
	if (*ncols > INDEX_MAX_KEYS)
		ereport(ERROR,
				errcode(ERRCODE_TOO_MANY_COLUMNS),
				errmsg("cannot use more than %d columns in a key",
					   INDEX_MAX_KEYS));
	for (int i = 0; i < *ncols; i++)
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument \"columns\" must not contain null"));
	return names;
}

/* The numbers of the columns, each of which may occur once. */
static AttrNumber *
column_numbers(Relation rel, int ncols, const Datum *names)
{
	AttrNumber *attnums = palloc(ncols * sizeof(AttrNumber));

	for (int i = 0; i < ncols; i++)
	{
		const char *name = NameStr(*DatumGetName(names[i]));

		attnums[i] = sg_column_number(RelationGetRelid(rel), name);
		for (int j = 0; j < i; j++)
			if (attnums[j] == attnums[i])
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_COLUMN),
						errmsg("column \"%s\" is named more than once", name));
	}
	return attnums;
}

static SgKeyColumn *
comparable_columns(Relation rel, int ncols, const AttrNumber *attnums)
{
	SgKeyColumn *columns = palloc(ncols * sizeof(SgKeyColumn));

	for (int i = 0; i < ncols; i++)
	{
		sg_key_column(&columns[i], rel, attnums[i]);
		if (columns[i].equal == NULL)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_FUNCTION),
					errmsg("column \"%s\" of type %s cannot be part of a key",
						   get_attname(RelationGetRelid(rel), attnums[i], false),
						   format_type_be(columns[i].type)),
					errdetail("The type has no ordering operators, so that no unique index can be made of it."));
	}
	return columns;
}

/*
 * The rows as jsonb: [{"key": {"update_id": 3}, "rows": 5860}, ...]
 *
 * Values of types that users have made are shown by their output functions:
 * to make JSON of them, the server would call a cast that belongs to whoever
 * has made the type.
 */
static Datum
sample_as_jsonb(Relation rel, int ncols, const SgKeyColumn *columns,
				const SgKeyCount *count)
{
	TupleDesc	desc = CreateTemplateTupleDesc(ncols);
	bool		nulls[INDEX_MAX_KEYS] = {0};
	StringInfoData buf;

	for (int i = 0; i < ncols; i++)
	{
		TupleDescInitEntry(desc, i + 1,
						   get_attname(RelationGetRelid(rel),
									   columns[i].attnum, false),
						   sg_is_server_type(columns[i].type) ?
						   columns[i].type : TEXTOID, -1, 0);
	}
	desc = BlessTupleDesc(desc);

	initStringInfo(&buf);
	for (int i = 0; i < count->nsample; i++)
	{
		Datum	   *values = count->sample[i].values;
		Datum		json;

		for (int j = 0; j < ncols; j++)
		{
			if (!sg_is_server_type(columns[j].type))
				values[j] = sg_value_as_text(columns[j].type, values[j]);
		}
		json = DirectFunctionCall1(row_to_json,
								   HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));

		appendStringInfo(&buf, "%s{\"key\": %s, \"rows\": " INT64_FORMAT "}",
						 i > 0 ? ", " : "[", TextDatumGetCString(json),
						 count->sample[i].rows);
	}
	appendStringInfoChar(&buf, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/*
 * Counts the keys that these columns make in all rows.
 */
Datum
sg_check_key(PG_FUNCTION_ARGS)
{
	Relation	rel = sg_open_rows(fcinfo);
	int			ncols;
	Datum	   *names = column_names(fcinfo, &ncols);
	AttrNumber *attnums = column_numbers(rel, ncols, names);
	SgKeyColumn *columns;
	SgKeyCount	count;
	TupleDesc	desc;
	Datum		values[CHECK_KEY_COLUMNS];
	bool		nulls[CHECK_KEY_COLUMNS] = {0};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	sg_require_all_rows(rel, ncols, attnums);
	columns = comparable_columns(rel, ncols, attnums);
	sg_count_key(rel, ncols, columns, false, &count);

	values[n++] = Int64GetDatum(count.rows);
	values[n++] = Int64GetDatum(count.distinct_keys);
	values[n++] = Int64GetDatum(count.duplicate_keys);
	values[n++] = Int64GetDatum(count.surplus_rows);
	values[n++] = Int64GetDatum(count.null_rows);
	values[n++] = BoolGetDatum(count.duplicate_keys == 0);
	if (count.nsample == 0)
		nulls[n++] = true;
	else
		values[n++] = sample_as_jsonb(rel, ncols, columns, &count);
	Assert(n == CHECK_KEY_COLUMNS);

	relation_close(rel, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
