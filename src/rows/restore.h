/*-------------------------------------------------------------------------
 *
 * restore.h
 *		What the files that put kept rows back share.
 *
 * doc/architecture.md, "How kept rows are put back".
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_RESTORE_H
#define SG_RESTORE_H

#include "access/attmap.h"
#include "catalog/pg_attribute.h"
#include "executor/execPartition.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"
#include "utils/tuplestore.h"

#include "rows/rows.h"

/* A table of kept rows, as safeguard.kept lists it. */
typedef struct SgKeptTable
{
	Oid			relation;		/* that its rows are of; may be gone */
	char	   *relation_name;	/* when they were kept, qualified */
	char	   *name;			/* in safeguard_rows */
	char	   *kept_by;		/* role that has kept them; may be gone */
	Oid			relid;			/* of the table itself */
	bool		restored;		/* its rows have been put back before */
	AttrNumber *attnums;		/* of its columns in the relation, without
								 * those of SG_KEPT_COLUMNS; NULL: unknown */
	int			nattnums;
} SgKeptTable;

/* Changes of one kept table, one after the other. */
typedef struct SgKeptRun
{
	Oid			kept;
	int64		first;			/* sg_statement */
	int64		last;
} SgKeptRun;

/*
 * What is to be done with a row, as the query of restore_query.c says.
 */
#define SG_ACT_UPDATE	'u'		/* as it was left: give it its old values */
#define SG_ACT_DELETE	'd'		/* as it was left: its row has another key */
#define SG_ACT_REMOVE	'r'		/* as it was left, and was not there before */
#define SG_ACT_INSERT	'i'		/* its place is free */

/* refused, or with force done all the same */
#define SG_ACT_CHANGED	'c'		/* update one that has changed since */
#define SG_ACT_TAKEN	't'		/* update the one that has its key now */
#define SG_ACT_GONE		'x'		/* insert it, though it was deleted since */
#define SG_ACT_MOVED	'm'		/* delete one that has changed since */
#define SG_ACT_LOST		'g'		/* it was deleted since; nothing to delete */

/* columns of the query */
#define SG_QUERY_ACT		1
#define SG_QUERY_TABLE		2	/* where the current row is, or NULL */
#define SG_QUERY_TID		3
#define SG_QUERY_TWIN_TABLE	4	/* where the row is that it has become, if that */
#define SG_QUERY_TWIN_TID	5	/* has another key, or NULL */
#define SG_QUERY_MOVED		6	/* inserted here and deleted there, or the
								 * other way round: one change */
#define SG_QUERY_KEY		7	/* text, only of refused rows */
#define SG_QUERY_VALUES		8	/* first of the old values */

/* The query that compares one kept table with its relation. */
typedef struct SgRestoreQuery
{
	char	   *sql;			/* $1 and $2: first and last sg_statement */
	int			nvalues;
	AttrNumber *attnums;		/* of the relation, of each value */
	Expr	  **coercions;		/* of each value, from a CaseTestExpr; NULL:
								 * its type is still the same */
	Oid			key;			/* index that identifies rows, or 0 */
	char	   *key_columns;	/* for messages; NULL: there is no key */
} SgRestoreQuery;

/* A column of the key that identifies rows. */
typedef struct SgKeyPart
{
	AttrNumber	attnum;			/* of the relation */
	Oid			operator;		/* that the index compares by */
	Oid			collation;		/* the same, or 0 */
} SgKeyPart;

/* What is compared, while the query is made. */
typedef struct SgComparison
{
	Relation	rel;
	Relation	kept;
	const SgKeptTable *table;	/* NULL: it has just been made */
	AttrNumber *kept_of;		/* by attnum - 1: column of kept, or 0 */
	SgKeyPart	key[INDEX_MAX_KEYS];
	int			nkey;			/* 0: there is none */
	SgRestoreQuery *query;
	StringInfoData buf;
} SgComparison;

/* A relation that holds rows of the target: itself, or a partition. */
typedef struct SgRestoreLeaf
{
	ResultRelInfo *rri;
	TupleTableSlot *old;
	TupleTableSlot *new;
	TupleConversionMap *to_root;	/* NULL: same columns */
	TupleConversionMap *from_root;
	bool		late;			/* entries of indexes wait for all rows */
} SgRestoreLeaf;

/* A relation whose rows are put back. */
typedef struct SgRestoreTarget
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *root;
	List	   *leaves;			/* of SgRestoreLeaf */
	ModifyTableState *mtstate;	/* of a partitioned table, else NULL */
	PartitionTupleRouting *proute;
	TupleTableSlot *old;		/* in the row type of rel */
	TupleTableSlot *new;
	TupleTableSlot *twin;
	const SgRestoreQuery *query;	/* of this pass */
	List	   *kept;			/* of SgKeptTable */
	bool		again;			/* its rows have been put back before */
	bool		extra;			/* there are columns without values in it */
	ExprState **coercions;
	ExprState **defaults;		/* by attnum - 1, of columns without value */
	Tuplestorestate *late;		/* rows without entries in indexes */
	TupleTableSlot *late_row;
	List	   *writers;		/* of SgKeepWriter */
} SgRestoreTarget;

/* A call of restore_rows(). */
typedef struct SgRestore
{
	char	   *label;
	bool		force;
	MemoryContext context;
	List	   *targets;		/* of SgRestoreTarget */
	int64		restored;
	int64		refused;
	int64		changed;		/* of those: are there, but not as left */
	int64		taken;			/* another row has the key */
	int64		gone;			/* are not there */
	StringInfoData list;		/* of the first of them */
} SgRestore;

/* ---------------- restore_report.c ---------------- */

extern void sg_restore_refuse(SgRestore *restore, SgRestoreTarget *target,
							  char act, HeapTuple row, TupleDesc desc);
extern void sg_restore_report(const SgRestore *restore);

/* ---------------- restore_kept.c ---------------- */

extern List *sg_kept_tables(const char *label);
extern Oid	sg_kept_resolve(const SgKeptTable *table);
extern List *sg_kept_runs(List *tables);
extern char *sg_restore_label(const char *label);

/* ---------------- restore_open.c ---------------- */

extern void sg_restore_check_label(const SgRestore *restore);
extern List *sg_restore_relations(SgRestore *restore, Oid only, List **kept);

/* ---------------- restore_columns.c ---------------- */

extern Form_pg_attribute sg_restore_column(Relation rel, AttrNumber attnum);
extern const char *sg_restore_column_name(Relation rel, AttrNumber attnum);
extern void sg_compare_columns(SgComparison *cmp);

/* ---------------- restore_query.c ---------------- */

extern SgRestoreQuery *sg_restore_query(Relation rel, Relation kept,
										const SgKeptTable *table);

/* ---------------- restore_write.c ---------------- */

extern EState *sg_restore_begin(List *rels, List **targets);
extern void sg_restore_pass_begin(SgRestoreTarget *target,
								  const SgRestoreQuery *query);
extern void sg_restore_row(SgRestoreTarget *target, char act,
						   HeapTuple row, TupleDesc desc);
extern void sg_restore_pass_end(SgRestoreTarget *target);
extern void sg_restore_end(EState *estate, List *targets);

/* ---------------- restore_leaf.c ---------------- */

extern SgRestoreLeaf *sg_restore_leaf(SgRestoreTarget *target, Oid relid);
extern TupleTableSlot *sg_leaf_fetch(SgRestoreLeaf *leaf, ItemPointer tid,
									 TupleTableSlot *root);
extern bool sg_leaf_takes(SgRestoreTarget *target, SgRestoreLeaf *leaf,
						  TupleTableSlot *row);
extern TupleTableSlot *sg_leaf_insert(SgRestoreTarget *target,
									  SgRestoreLeaf *leaf,
									  TupleTableSlot *row);
extern TupleTableSlot *sg_leaf_update(SgRestoreTarget *target,
									  SgRestoreLeaf *leaf, ItemPointer tid,
									  TupleTableSlot *row);
extern void sg_leaf_delete(SgRestoreTarget *target, SgRestoreLeaf *leaf,
						   ItemPointer tid);
extern void sg_restore_late(SgRestoreTarget *target);

#endif							/* SG_RESTORE_H */
