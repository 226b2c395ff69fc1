/*-------------------------------------------------------------------------
 *
 * suggest_keys.c
 *		safeguard.suggest_keys(): the smallest sets of columns that are unique
 *		in the rows of a table.
 *
 * Level by level, first single columns, then pairs and so on, without any set
 * that contains a unique one.  A sample and the statistics sort out nearly all
 * of them; what is left is counted in all rows before it is shown.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "safeguard.h"
#include "schema/keys.h"

#define SUGGEST_KEYS_COLUMNS	4

/* sets that are counted in all rows, and sets that are held against the sample */
#define MAX_COUNTED		50
#define MAX_SETS		100000

/* an estimate must be wrong by this factor to hide a key */
#define ESTIMATE_MARGIN	10

PG_FUNCTION_INFO_V1(sg_suggest_keys);

/* A set of columns that is unique. */
typedef struct Suggestion
{
	int			ncols;
	AttrNumber	cols[INDEX_MAX_KEYS];
	Bitmapset  *set;			/* the same */
	bool		declared;
	bool		primary;
	bool		nullable;		/* is not every column NOT NULL? */
	int64		null_rows;
} Suggestion;

typedef struct Search
{
	Relation	rel;
	double		rows;			/* estimate; less than 0: none */
	int			ncols;
	SgKeyColumn *columns;		/* that can be part of a key */
	double	   *estimates;		/* by column: different values; 0: unknown */
	SgSample   *sample;
	List	   *found;			/* of Suggestion */
	List	   *deferrable;		/* the same: declared, to be counted */
	int			counted;
	int			looked_at;
} Search;

/* Is there a column that need not be NOT NULL? */
static bool
has_nullable(Relation rel, const Suggestion *key)
{
	for (int i = 0; i < key->ncols; i++)
		if (!TupleDescAttr(RelationGetDescr(rel), key->cols[i] - 1)->attnotnull)
			return true;
	return false;
}

/* ---------------- declared keys ---------------- */

/* A unique index as a suggestion, or NULL if it is none. */
static Suggestion *
declared_key(Form_pg_index form, bool partial)
{
	Suggestion *key;

	if (!form->indisunique || form->indisexclusion || !form->indisvalid ||
		partial)
		return NULL;
	key = palloc0(sizeof(Suggestion));
	key->declared = true;
	key->primary = form->indisprimary;
	key->ncols = form->indnkeyatts;
	for (int i = 0; i < key->ncols; i++)
	{
		key->cols[i] = form->indkey.values[i];
		if (key->cols[i] <= 0)
			return NULL;		/* an expression */
		key->set = bms_add_member(key->set, key->cols[i]);
	}
	return key;
}

static bool
is_found(List *found, Bitmapset *set)
{
	ListCell   *lc;

	foreach(lc, found)
		if (bms_equal(((Suggestion *) lfirst(lc))->set, set))
			return true;
	return false;
}

static void
add_declared_keys(Search *search)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(search->rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Suggestion *key;
		bool		immediate;

		if (!HeapTupleIsValid(tuple))
			continue;
		immediate = ((Form_pg_index) GETSTRUCT(tuple))->indimmediate;
		key = declared_key((Form_pg_index) GETSTRUCT(tuple),
						   !heap_attisnull(tuple, Anum_pg_index_indpred, NULL));
		ReleaseSysCache(tuple);
		if (key == NULL || is_found(search->found, key->set))
			continue;
		if (!immediate)
		{
			/* rows of this transaction may violate it: it is counted */
			search->deferrable = lappend(search->deferrable, key);
			continue;
		}
		key->nullable = has_nullable(search->rel, key);
		if (key->nullable)
			key->null_rows = sg_count_nulls(search->rel, key->ncols, key->cols);
		search->found = lappend(search->found, key);
	}
}

/* ---------------- columns ---------------- */

static void
add_columns(Search *search)
{
	TupleDesc	desc = RelationGetDescr(search->rel);

	search->columns = palloc((desc->natts + 1) * sizeof(SgKeyColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		SgKeyColumn *column = &search->columns[search->ncols];

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		sg_key_column(column, search->rel, i + 1);
		if (column->equal != NULL)
			search->ncols++;
	}
}

static double
estimated_rows(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = -1;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

/* About how many rows there are; less than 0 if nothing tells. */
static double
guess_rows(Relation rel)
{
	double		rows = estimated_rows(RelationGetRelid(rel));
	ListCell   *lc;

	if (rows < 0 && rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		rows = 0;
		foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
			rows += Max(estimated_rows(lfirst_oid(lc)), 0);
	}
	/* never analyzed: some hundred bytes a row */
	if (rows < 0 && (rel->rd_rel->relkind == RELKIND_RELATION ||
					 rel->rd_rel->relkind == RELKIND_MATVIEW))
		rows = (double) RelationGetNumberOfBlocks(rel) * (BLCKSZ / 128);
	return rows;
}

/*
 * How many different values the statistics give a column; 0 if they have
 * none, or fewer than the sample has shown, or the sample has all rows.
 */
static double
estimated_values(Search *search, int n)
{
	bool		inherited =
		search->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH,
										ObjectIdGetDatum(RelationGetRelid(search->rel)),
										Int16GetDatum(search->columns[n].attnum),
										BoolGetDatum(inherited));
	double		values;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (search->sample->complete)
	{
		ReleaseSysCache(tuple);
		return 0;
	}
	values = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
	ReleaseSysCache(tuple);
	if (values < 0)
		values = search->rows > 0 ? -values * search->rows : 0;
	return values < search->sample->distinct[n] ? 0 : values;
}

/*
 * Can a column be part of a key of several columns?  NULL is no part of a
 * key, so a column that is NULL in most rows makes almost anything unique: it
 * is tried alone.  One that is NULL in all rows, as far as sample and
 * statistics tell, is not tried at all.
 */
static bool
is_candidate(Search *search, int n, bool alone)
{
	const SgSample *sample = search->sample;

	if (sample->too_wide[n])
		return false;
	if (sample->nulls[n] == 1.0)
		return alone && search->estimates[n] > 0;
	return alone || sample->nulls[n] <= 0.5;
}

/* ---------------- sets ---------------- */

/* Could the set be unique, by what the statistics say of its columns? */
static bool
has_enough_values(Search *search, int nset, const int *set)
{
	double		values = ESTIMATE_MARGIN;

	for (int i = 0; i < nset; i++)
	{
		double		estimate = search->estimates[set[i]];

		if (estimate == 0 || search->sample->nulls[set[i]] > 0)
			return true;
		values *= estimate;
	}
	return values >= search->rows;
}

static bool
contains_found(Search *search, Bitmapset *set)
{
	ListCell   *lc;

	foreach(lc, search->found)
		if (bms_is_subset(((Suggestion *) lfirst(lc))->set, set))
			return true;
	return false;
}

/* Count a set in all rows, and keep it if it is unique. */
static void
count_set(Search *search, int nset, const int *set, Bitmapset *attnums)
{
	SgKeyColumn columns[INDEX_MAX_KEYS];
	SgKeyCount	count;
	Suggestion *key;

	for (int i = 0; i < nset; i++)
		columns[i] = search->columns[set[i]];
	search->counted++;
	sg_count_key(search->rel, nset, columns, true, &count);
	if (count.duplicate_keys > 0 || count.distinct_keys == 0)
		return;
	key = palloc0(sizeof(Suggestion));
	key->ncols = nset;
	for (int i = 0; i < nset; i++)
		key->cols[i] = columns[i].attnum;
	key->set = bms_copy(attnums);
	key->declared = is_found(search->deferrable, attnums);
	key->nullable = has_nullable(search->rel, key);
	key->null_rows = count.null_rows;
	search->found = lappend(search->found, key);
}

static void
look_at_set(Search *search, int nset, const int *set)
{
	Bitmapset  *attnums = NULL;

	CHECK_FOR_INTERRUPTS();
	search->looked_at++;
	for (int i = 0; i < nset; i++)
		attnums = bms_add_member(attnums, search->columns[set[i]].attnum);
	if (!contains_found(search, attnums) &&
		has_enough_values(search, nset, set) &&
		sg_sample_is_unique(search->sample, nset, set))
		count_set(search, nset, set, attnums);
	bms_free(attnums);
}

/* Look at all sets of so many columns. */
static void
look_at_level(Search *search, int nset)
{
	int		   *candidates = palloc(search->ncols * sizeof(int));
	int			ncandidates = 0;
	int			at[INDEX_MAX_KEYS];
	int			set[INDEX_MAX_KEYS];
	int			i;

	for (i = 0; i < search->ncols; i++)
		if (is_candidate(search, i, nset == 1))
			candidates[ncandidates++] = i;
	if (ncandidates < nset)
		return;
	for (i = 0; i < nset; i++)
		at[i] = i;
	while (search->counted < MAX_COUNTED && search->looked_at < MAX_SETS)
	{
		for (i = 0; i < nset; i++)
			set[i] = candidates[at[i]];
		look_at_set(search, nset, set);

		/* the next combination */
		for (i = nset - 1; i >= 0 && at[i] == ncandidates - nset + i; i--)
			;
		if (i < 0)
			break;
		at[i]++;
		for (i++; i < nset; i++)
			at[i] = at[i - 1] + 1;
	}
}

/* ---------------- the answer ---------------- */

/* How far a key is from having no NULLs. */
static int
null_rank(const Suggestion *key)
{
	return key->null_rows > 0 ? 2 : key->nullable ? 1 : 0;
}

/*
 * Declared keys first, the primary key first of all; then those of few
 * columns, then those without NULLs, then as the columns stand in the table.
 */
static int
compare_suggestions(const ListCell *a, const ListCell *b)
{
	const Suggestion *left = lfirst(a);
	const Suggestion *right = lfirst(b);

	if (left->declared != right->declared)
		return left->declared ? -1 : 1;
	if (left->primary != right->primary)
		return left->primary ? -1 : 1;
	if (left->ncols != right->ncols)
		return left->ncols - right->ncols;
	if (null_rank(left) != null_rank(right))
		return null_rank(left) - null_rank(right);
	for (int i = 0; i < left->ncols; i++)
		if (left->cols[i] != right->cols[i])
			return left->cols[i] - right->cols[i];
	return 0;
}

static Datum
column_array(Relation rel, const Suggestion *key)
{
	Datum		names[INDEX_MAX_KEYS];

	for (int i = 0; i < key->ncols; i++)
		names[i] = DirectFunctionCall1(namein,
									   CStringGetDatum(get_attname(RelationGetRelid(rel),
																   key->cols[i], false)));
	return PointerGetDatum(construct_array(names, key->ncols, NAMEOID,
										   NAMEDATALEN, false, TYPALIGN_CHAR));
}

static void
put_suggestions(Search *search, ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	list_sort(search->found, compare_suggestions);
	foreach(lc, search->found)
	{
		Suggestion *key = lfirst(lc);
		Datum		values[SUGGEST_KEYS_COLUMNS];
		bool		nulls[SUGGEST_KEYS_COLUMNS] = {0};

		values[0] = column_array(search->rel, key);
		values[1] = BoolGetDatum(true);
		values[2] = BoolGetDatum(key->declared);
		values[3] = Int64GetDatum(key->null_rows);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

static void
require_all_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	AttrNumber *attnums = palloc((desc->natts + 1) * sizeof(AttrNumber));
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			attnums[n++] = i + 1;
	sg_require_all_rows(rel, n, attnums);
}

/*
 * The smallest unique sets of at most so many columns, and the keys that the
 * table has already.
 */
Datum
sg_suggest_keys(PG_FUNCTION_ARGS)
{
	Search		search = {0};
	int			max_columns;

	InitMaterializedSRF(fcinfo, 0);
	search.rel = sg_open_rows(fcinfo);
	sg_require_argument(fcinfo, 1, "max_columns");
	max_columns = PG_GETARG_INT32(1);
	if (max_columns < 1 || max_columns > INDEX_MAX_KEYS)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"max_columns\" must be between 1 and %d",
					   INDEX_MAX_KEYS));
	require_all_columns(search.rel);

	add_declared_keys(&search);
	add_columns(&search);
	if (search.ncols > 0)
	{
		search.rows = guess_rows(search.rel);
		search.sample = sg_sample(search.rel, search.ncols, search.columns,
								  search.rows);
		search.estimates = palloc(search.ncols * sizeof(double));
		for (int i = 0; i < search.ncols; i++)
			search.estimates[i] = estimated_values(&search, i);
		/* in a table without rows anything is unique */
		for (int n = 1; n <= max_columns && search.sample->nrows > 0; n++)
			look_at_level(&search, n);
	}
	put_suggestions(&search, (ReturnSetInfo *) fcinfo->resultinfo);
	relation_close(search.rel, NoLock);
	return (Datum) 0;
}
