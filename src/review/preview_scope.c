/*-------------------------------------------------------------------------
 *
 * preview_scope.c
 *		Which key values a statement hits.
 *
 * Of each column of the target's key, and of each column declared scope, the
 * number of different values; and the first few keys as they are.  Values are
 * kept as hashes, so that a statement that hits a whole table needs no more
 * memory than one that hits a part of it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "catalog/catalog.h"
#include "review/preview.h"
#include "schema/keys.h"

/*
 * The columns of the primary key, else of the first key there is; returns their
 * number.  What is asked of the catalogs is in a context that goes at once: as
 * long as it stays, nothing that the cache forgets is freed.
 */
static int
key_columns(Relation rel, AttrNumber *columns)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard preview key",
											   ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	SgCatalog	catalog = {NIL};
	const SgKey *key = NULL;
	int			ncolumns = 0;
	ListCell   *lc;

	foreach(lc, sg_relation(&catalog, RelationGetRelid(rel))->keys)
	{
		const SgKey *candidate = lfirst(lc);

		if (key == NULL || candidate->primary)
			key = candidate;
	}
	if (key != NULL)
	{
		ncolumns = key->ncols;
		memcpy(columns, key->cols, ncolumns * sizeof(AttrNumber));
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return ncolumns;
}

static void
add_column(SgHit *hit, Relation rel, AttrNumber attnum, bool in_key)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	SgHitColumn *column;

	for (int i = 0; i < hit->ncolumns; i++)
	{
		if (hit->columns[i].attnum == attnum)
			return;
	}
	column = &hit->columns[hit->ncolumns++];
	column->attnum = attnum;
	namestrcpy(&column->name, NameStr(att->attname));
	column->in_key = in_key;
	column->typid = att->atttypid;
	column->collation = att->attcollation;
	column->type = lookup_type_cache(att->atttypid,
									 TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	if (!OidIsValid(column->type->hash_extended_proc_finfo.fn_oid))
		column->type = NULL;
	column->values.context = CurrentMemoryContext;
}

/*
 * May the caller of the rehearsal read these columns in all rows?
 */
static bool
is_readable(const SgHit *hit, Oid caller)
{
	if (check_enable_rls(hit->relid, caller, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(hit->relid, caller, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < hit->ncolumns; i++)
	{
		if (pg_attribute_aclcheck(hit->relid, hit->columns[i].attnum, caller,
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return hit->ncolumns > 0;
}

/* What a key looks like as a row, for JSON. */
static TupleDesc
key_descriptor(const SgHit *hit)
{
	TupleDesc	desc;
	int			n = 0;

	for (int i = 0; i < hit->ncolumns; i++)
		n += hit->columns[i].in_key;
	desc = CreateTemplateTupleDesc(n);
	n = 0;
	for (int i = 0; i < hit->ncolumns; i++)
	{
		const SgHitColumn *column = &hit->columns[i];

		if (!column->in_key)
			continue;
		TupleDescInitEntry(desc, ++n, NameStr(column->name),
						   sg_is_server_type(column->typid) ?
						   column->typid : TEXTOID, -1, 0);
	}
	return BlessTupleDesc(desc);
}

/*
 * Find the columns of a hit whose values are counted.  The current memory
 * context lives as long as the hit.
 */
void
sg_hit_columns(SgHit *hit, Relation rel)
{
	AttrNumber	key[INDEX_MAX_KEYS];
	int			nkey = key_columns(rel, key);
	Bitmapset  *declared = sg_columns_with_role(hit->relid, SG_COLUMN_SCOPE);
	int			attnum = -1;

	hit->columns = palloc0((INDEX_MAX_KEYS + bms_num_members(declared)) *
						   sizeof(SgHitColumn));
	for (int i = 0; i < nkey; i++)
		add_column(hit, rel, key[i], true);
	while ((attnum = bms_next_member(declared, attnum)) > 0)
		add_column(hit, rel, attnum, false);

	hit->readable = is_readable(hit, sg_rehearsal->caller);
	hit->countable = hit->kind == SG_HIT_OWN || hit->kind == SG_HIT_CTE ||
		hit->readable;
	if (!hit->readable)
		hit->ncolumns = 0;
	if (nkey > 0 && hit->ncolumns > 0)
		hit->key = key_descriptor(hit);
}

static uint64
hash_value(const SgHitColumn *column, Datum value)
{
	Oid			output;
	bool		varlena;
	char	   *text;

	if (column->type != NULL)
		return DatumGetUInt64(FunctionCall2Coll(&column->type->hash_extended_proc_finfo,
												column->collation, value,
												Int64GetDatum(0)));
	getTypeOutputInfo(column->typid, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	return hash_bytes_extended((const unsigned char *) text, strlen(text), 0);
}

/* Keep a key if it is among the first ones. */
static void
add_sample(SgHit *hit, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(hit->key, values, nulls);
	char	   *json = TextDatumGetCString(DirectFunctionCall1(row_to_json,
															   HeapTupleGetDatum(tuple)));

	for (int i = 0; i < hit->nsample; i++)
	{
		if (strcmp(hit->sample[i], json) == 0)
			return;
	}
	hit->sample[hit->nsample++] =
		MemoryContextStrdup(sg_rehearsal->work, json);
}

/*
 * A row is hit.  Its columns are found in the slot at "attnums", in the order
 * of the hit's columns.  What is allocated is not needed afterwards.
 */
void
sg_hit_row(SgHit *hit, TupleTableSlot *slot, const AttrNumber *attnums)
{
	Datum		key[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	int			nkey = 0;

	for (int i = 0; i < hit->ncolumns; i++)
	{
		SgHitColumn *column = &hit->columns[i];
		bool		isnull = true;
		Datum		value = (Datum) 0;

		if (attnums[i] > 0 &&
			attnums[i] <= slot->tts_tupleDescriptor->natts)
			value = slot_getattr(slot, attnums[i], &isnull);
		if (!isnull)
			sg_distinct_add(&column->values, hash_value(column, value));
		if (column->in_key)
		{
			/* no code of whoever has made the type, see source.c */
			key[nkey] = isnull || sg_is_server_type(column->typid) ? value :
				sg_value_as_text(column->typid, value);
			nulls[nkey++] = isnull;
		}
	}
	if (hit->key != NULL && hit->nsample < SG_PREVIEW_SAMPLE)
		add_sample(hit, key, nulls);
}

/*
 * The numbers as JSON: {"system_id": 6, "id": 6}; NULL if there is no key or
 * it may not be read.
 */
char *
sg_hit_scope(const SgHit *hit)
{
	StringInfoData buf;

	if (hit->ncolumns == 0)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < hit->ncolumns; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", " : "{");
		escape_json(&buf, NameStr(hit->columns[i].name));
		/* rows may be turned down on their way, and many are estimated */
		appendStringInfo(&buf, ": " INT64_FORMAT,
						 Min(sg_distinct_count(&hit->columns[i].values),
							 hit->rows));
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* The first keys as JSON: [{"system_id": 1, "id": 1}, ...] */
char *
sg_hit_sample(const SgHit *hit)
{
	StringInfoData buf;

	if (hit->nsample == 0 || hit->rows == 0)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < hit->nsample; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "[", hit->sample[i]);
	appendStringInfoChar(&buf, ']');
	return buf.data;
}
