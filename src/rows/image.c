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
 * The values come one by one, since together they may be larger than a record
 * can be.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "rows/rows.h"

PG_FUNCTION_INFO_V1(sg_row_image);

/* more bytes than this are not gathered, but go into the hash at once */
#define IMAGE_BYTES		(64 * 1024)

/* How values of a type are stored. */
typedef struct ValueType
{
	int16		typlen;
	bool		typbyval;
} ValueType;

typedef struct Image
{
	StringInfoData buf;
	pg_cryptohash_ctx *hash;	/* NULL: it is all in buf */
} Image;

static void
check_hash(int result)
{
	if (result < 0)
		elog(ERROR, "could not compute SHA-256 hash");
}

/* What has been gathered goes into the hash. */
static void
hash_gathered(Image *image)
{
	if (image->hash == NULL)
	{
		image->hash = pg_cryptohash_create(PG_SHA256);
		if (image->hash == NULL)
			elog(ERROR, "could not compute SHA-256 hash");
		check_hash(pg_cryptohash_init(image->hash));
	}
	check_hash(pg_cryptohash_update(image->hash, (uint8 *) image->buf.data,
									image->buf.len));
	resetStringInfo(&image->buf);
}

static void
put(Image *image, const void *data, Size len)
{
	if (image->buf.len + len <= IMAGE_BYTES)
	{
		appendBinaryStringInfo(&image->buf, data, len);
		return;
	}
	CHECK_FOR_INTERRUPTS();
	hash_gathered(image);
	check_hash(pg_cryptohash_update(image->hash, data, len));
}

/*
 * The bytes of one value, without what says how it is stored.
 */
static void
put_value(Image *image, const ValueType *type, Datum value)
{
	if (type->typbyval)
		put(image, &value, sizeof(Datum));
	else if (type->typlen > 0)
		put(image, DatumGetPointer(value), type->typlen);
	else if (type->typlen == -1)
	{
		struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);
		uint32		len = VARSIZE_ANY_EXHDR(plain);

		put(image, &len, sizeof(len));
		put(image, VARDATA_ANY(plain), len);
		if ((Pointer) plain != DatumGetPointer(value))
			pfree(plain);
	}
	else
		put(image, DatumGetCString(value), strlen(DatumGetCString(value)) + 1);
}

/* Bytes that would be long are represented by their SHA-256. */
static bytea *
digest(Image *image)
{
	int			len = image->buf.len;
	bytea	   *result;

	if (image->hash == NULL && len < PG_SHA256_DIGEST_LENGTH)
	{
		result = palloc(VARHDRSZ + len);
		SET_VARSIZE(result, VARHDRSZ + len);
		memcpy(VARDATA(result), image->buf.data, len);
		return result;
	}
	hash_gathered(image);
	result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	check_hash(pg_cryptohash_final(image->hash, (uint8 *) VARDATA(result),
								   PG_SHA256_DIGEST_LENGTH));
	pg_cryptohash_free(image->hash);
	return result;
}

/* The types of the arguments, looked up once. */
static const ValueType *
types_of(FunctionCallInfo fcinfo)
{
	ValueType  *types = fcinfo->flinfo->fn_extra;

	if (types != NULL)
		return types;
	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s() takes values, and no array of them", "row_image"));
	types = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt,
							   PG_NARGS() * sizeof(ValueType));
	for (int i = 0; i < PG_NARGS(); i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, i);

		if (!OidIsValid(type))
			elog(ERROR, "could not determine the type of argument %d", i + 1);
		get_typlenbyval(type, &types[i].typlen, &types[i].typbyval);
	}
	fcinfo->flinfo->fn_extra = types;
	return types;
}

/*
 * row_image(VARIADIC "any") → bytea
 */
Datum
sg_row_image(PG_FUNCTION_ARGS)
{
	const ValueType *types = types_of(fcinfo);
	Image		image = {0};
	bytea	   *result;

	initStringInfo(&image.buf);
	for (int i = 0; i < PG_NARGS(); i++)
	{
		put(&image, PG_ARGISNULL(i) ? "n" : "v", 1);
		if (!PG_ARGISNULL(i))
			put_value(&image, &types[i], PG_GETARG_DATUM(i));
	}
	result = digest(&image);
	pfree(image.buf.data);
	PG_RETURN_BYTEA_P(result);
}
