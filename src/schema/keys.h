/*-------------------------------------------------------------------------
 *
 * keys.h
 *		Questions about the rows of a table: which columns are unique in them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_KEYS_H
#define SG_KEYS_H

#include "access/attnum.h"
#include "fmgr.h"
#include "tcop/dest.h"
#include "utils/relcache.h"

/* A column as values of it are compared. */
typedef struct SgKeyColumn
{
	AttrNumber	attnum;
	Oid			type;
	Oid			collation;
	int16		typlen;
	bool		typbyval;
	bool		notnull;
	FmgrInfo   *equal;			/* NULL: the type has no order, so that no
								 * unique index can be made of it */
} SgKeyColumn;

/* rows of a sample of duplicated keys */
#define SG_KEY_SAMPLE	5

/* A key that occurs more than once. */
typedef struct SgKeyGroup
{
	int64		rows;
	Datum	   *values;			/* one for each column */
} SgKeyGroup;

/* What the rows of a table say of a key. */
typedef struct SgKeyCount
{
	int64		rows;
	int64		null_rows;		/* with a NULL in any column */
	int64		distinct_keys;	/* the rows below have none */
	int64		duplicate_keys; /* of these, keys of more than one row */
	int64		surplus_rows;	/* rows but the first of each */
	int			nsample;
	SgKeyGroup	sample[SG_KEY_SAMPLE];	/* most rows first */
} SgKeyCount;

/* A table of numbers that stand for the values of some rows. */
typedef struct SgSample
{
	int			ncols;
	int			nrows;
	int			max_rows;
	uint64	   *values;			/* row by row; 0: NULL */
	double	   *distinct;		/* by column: different values */
	double	   *nulls;			/* by column: share of NULLs */
	bool	   *too_wide;		/* by column: has values that fit no index */
	bool		complete;		/* these are all rows */
} SgSample;

/* ---------------- source.c ---------------- */

extern Relation sg_open_rows(FunctionCallInfo fcinfo);
extern void sg_require_all_rows(Relation rel, int ncols,
								const AttrNumber *attnums);
extern void sg_key_column(SgKeyColumn *column, Relation rel,
						  AttrNumber attnum);
extern char *sg_rows_of(Relation rel);
extern char *sg_select_columns(Relation rel, int ncols,
							   const SgKeyColumn *columns, bool grouped);
extern bool sg_is_server_type(Oid type);
extern Datum sg_value_as_text(Oid type, Datum value);
extern void sg_run_select(const char *sql, DestReceiver *dest);

/* ---------------- orphans.c ---------------- */

extern void sg_put_orphans(FunctionCallInfo fcinfo);

/* ---------------- count.c ---------------- */

extern void sg_count_key(Relation rel, int ncols, const SgKeyColumn *columns,
						 bool first_only, SgKeyCount *count);
extern int64 sg_count_nulls(Relation rel, int ncols,
							const AttrNumber *attnums);

/* ---------------- sample.c ---------------- */

extern SgSample *sg_sample(Relation rel, int ncols,
						   const SgKeyColumn *columns, double rows);
extern bool sg_sample_is_unique(const SgSample *sample, int nset,
								const int *set);

#endif							/* SG_KEYS_H */
