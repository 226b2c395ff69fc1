/*-------------------------------------------------------------------------
 *
 * catalog.h
 *		Questions that rules ask about relations: keys, foreign keys,
 *		generators, kinship of columns.
 *
 * All answers come from the relation cache of relations that the statement
 * has locked already, and from plain catalog scans for any other relation
 * (the parent of a foreign key), because a lock that the statement would not
 * take by itself could make it wait for somebody.  Answers live in the
 * memory context that is current when the SgCatalog is made.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_CATALOG_H
#define SG_CATALOG_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "pg_config_manual.h"
#include "access/attnum.h"

/* A unique index, or the referencing columns of a foreign key. */
typedef struct SgKey
{
	Oid			oid;			/* index, or constraint of a foreign key */
	int			ncols;
	AttrNumber	cols[INDEX_MAX_KEYS];	/* in key order */
	Bitmapset  *set;			/* the same as a set of attribute numbers */
	bool		primary;
	List	   *predicate;		/* of a partial index, varno 1; else NIL */

	/* foreign keys only */
	bool		foreign;
	Oid			parent;			/* relation referenced */
	AttrNumber	refs[INDEX_MAX_KEYS];	/* columns referenced, same order */
} SgKey;

/* What is known of one relation. */
typedef struct SgRelation
{
	Oid			relid;
	char		relkind;
	char		persistence;
	bool		loaded;			/* are the next fields set? */
	bool		has_children;	/* partitions or inheritance children */
	bool		bounded;		/* a partition, or has CHECKs */
	bool		generates;		/* has stored generated columns */
	Oid			root;			/* topmost partition or inheritance parent */
	bool		root_known;
	bool		fkeys_known;
	List	   *keys;			/* of SgKey: immediate, valid, plain columns,
								 * total (step 2 alone uses partial ones) */
	List	   *partial_keys;	/* of SgKey, with predicate */
	List	   *fkeys;			/* of SgKey, once fkeys_known */
} SgRelation;

/* The relations looked at in one statement. */
typedef struct SgCatalog
{
	List	   *relations;		/* of SgRelation */
} SgCatalog;

/* ---------------- relation.c ---------------- */

extern SgRelation *sg_relation(SgCatalog *catalog, Oid relid);
extern List *sg_foreign_keys(SgCatalog *catalog, Oid relid);
extern Oid	sg_relation_root(SgCatalog *catalog, Oid member);
extern List *sg_consulted(SgCatalog *catalog);
extern bool sg_same_tree(SgCatalog *catalog, Oid a, Oid b);
extern bool sg_is_unique_set(SgRelation *rel, Bitmapset *cols);

/* ---------------- cache.c ---------------- */

extern Oid	sg_cached_parent(Oid relid);
extern List *sg_cached_foreign_keys(Oid relid);

/* ---------------- column.c ---------------- */

extern bool sg_column_declared(SgCatalog *catalog, Oid relid, AttrNumber att);
extern bool sg_column_generated(SgCatalog *catalog, Oid relid, AttrNumber att);
extern bool sg_column_is_uuid(Oid relid, AttrNumber att);
extern Bitmapset *sg_stored_inputs(SgCatalog *catalog, Oid relid,
								   AttrNumber att);
extern Node *sg_column_bound(SgCatalog *catalog, Oid relid, AttrNumber att);
extern bool sg_is_time_partition_key(SgCatalog *catalog, Oid relid,
									 AttrNumber att);

/* ---------------- kinship.c ---------------- */

extern bool sg_same_column(SgCatalog *catalog, Oid rela, AttrNumber atta,
						   Oid relb, AttrNumber attb);
extern bool sg_has_foreign_key(SgCatalog *catalog, Oid relid, AttrNumber att,
							   Bitmapset *within);
extern bool sg_references(SgCatalog *catalog, Oid relid, AttrNumber att,
						  Oid parent, AttrNumber ref);
extern bool sg_same_parent(SgCatalog *catalog, Oid rela, AttrNumber atta,
						   Oid relb, AttrNumber attb);
extern bool sg_comparable(Oid rela, AttrNumber atta, Oid relb,
						  AttrNumber attb);
extern AttrNumber sg_mapped_column(SgCatalog *catalog, Oid relid,
								   AttrNumber att, Oid other);
extern AttrNumber sg_parent_sibling(SgCatalog *catalog, Oid relid,
									AttrNumber att, Oid other);

#endif							/* SG_CATALOG_H */
