/*-------------------------------------------------------------------------
 *
 * image.c
 *		safeguard.row_image(): a row as bytes that only the same row has.
 *
 * Two values may be equal and yet not the same: 1.0 and 1.00, 0 and -0, names
 * under a collation that ignores case.  And there are types that cannot be
 * compared at all.  So rows are compared by what is stored, as the operator *=
 * does; but that one can neither be hashed nor sorted by.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "rows/rows.h"

PG_FUNCTION_INFO_V1(sg_row_image);

/*
 * The bytes of one value, without what says how it is stored.
 */
static void
append_value(StringInfo buf, Form_pg_attribute att, Datum value)
{
	if (att->attbyval)
		appendBinaryStringInfo(buf, (char *) &value, sizeof(Datum));
	else if (att->attlen > 0)
		appendBinaryStringInfo(buf, DatumGetPointer(value), att->attlen);
	else if (att->attlen == -1)
	{
		struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);
		uint32		len = VARSIZE_ANY_EXHDR(plain);

		appendBinaryStringInfo(buf, (char *) &len, sizeof(len));
		appendBinaryStringInfo(buf, VARDATA_ANY(plain), len);
		if ((Pointer) plain != DatumGetPointer(value))
			pfree(plain);
	}
	else
	{
		char	   *string = DatumGetCString(value);

		appendBinaryStringInfo(buf, string, strlen(string) + 1);
	}
}

/* Bytes that would be long are represented by their SHA-256. */
static bytea *
digest(StringInfo buf)
{
	pg_cryptohash_ctx *context;
	bytea	   *result;

	if (buf->len < PG_SHA256_DIGEST_LENGTH)
	{
		result = palloc(VARHDRSZ + buf->len);
		SET_VARSIZE(result, VARHDRSZ + buf->len);
		memcpy(VARDATA(result), buf->data, buf->len);
		return result;
	}
	result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	context = pg_cryptohash_create(PG_SHA256);
	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (uint8 *) buf->data, buf->len) < 0 ||
		pg_cryptohash_final(context, (uint8 *) VARDATA(result),
							PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256 hash");
	pg_cryptohash_free(context);
	return result;
}

/*
 * row_image(record) → bytea
 */
Datum
sg_row_image(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(0);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {0};
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	StringInfoData buf;
	bytea	   *result;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		appendStringInfoChar(&buf, nulls[i] ? 'n' : 'v');
		if (!nulls[i])
			append_value(&buf, att, values[i]);
	}
	ReleaseTupleDesc(desc);
	result = digest(&buf);
	pfree(buf.data);
	PG_FREE_IF_COPY(header, 0);
	PG_RETURN_BYTEA_P(result);
}
