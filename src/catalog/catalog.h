/*-------------------------------------------------------------------------
 *
 * catalog.h
 *		Questions that rules ask about relations: keys, foreign keys,
 *		generators, kinship of columns.
 *
 * All answers come from the relation cache of relations that the statement
 * has locked already, and from plain catalog scans for any other relation
 * (the parent of a foreign key), because a lock that the statement would not
 * take by itself could make it wait for somebody.  Answers live as long as
 * the memory context that is current at the first question.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_CATALOG_H
#define SG_CATALOG_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "pg_config_manual.h"
#include "access/attnum.h"
#include "utils/relcache.h"

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
	List	   *composite;		/* of SgKey: those of keys, then of fkeys, that
								 * have several columns; if it is loaded */
	Bitmapset  *composite_set;	/* all their columns */
} SgRelation;

/*
 * The relations looked at in one statement.  The keys of an SgRelation belong
 * to the cache and are not to be changed.
 */
typedef struct SgCatalog
{
	List	   *relations;		/* of SgRelation */
	bool		pinned;			/* see sg_cache_pin() */
} SgCatalog;

/* An index as the arbiter of an ON CONFLICT. */
typedef struct SgArbiter
{
	Oid			indexid;
	Oid			relid;
	bool		immediate;
	bool		exclusion;
	bool		steady;			/* changes only with an invalidation */
	Bitmapset  *columns;		/* of the table, that it looks at */
	Bitmapset  *nullable;		/* columns whose NULL keeps a row from ever
								 * conflicting */
	Bitmapset  *exact;			/* columns whose equal values are the same */
	List	   *predicate;		/* of a partial index, varno 1; else NIL */
} SgArbiter;

/* What is remembered of an arbiter, or of the keys of a table. */
typedef struct SgKnownKey
{
	Oid			oid;			/* of index or table */
	char		status;			/* for the hash table */
	bool		sound;			/* of an arbiter: immediate, and lets no NULL
								 * slip through; of a table: has an immediate
								 * key and no deferrable one */
	bool		partial;
	int			nexact;
	AttrNumber	exact[INDEX_MAX_KEYS];	/* see SgArbiter; if it is sound */
	void	   *note;			/* see sg_remember_note() */
} SgKnownKey;

/* The keys that an ON CONFLICT without a target is about. */
typedef struct SgTableKeys
{
	bool		any;			/* is there one, or may there be? */
	bool		immediate;		/* is there one that can be an arbiter? */
	Oid			deferrable;		/* first index that is no arbiter */
} SgTableKeys;

/* ---------------- relation.c ---------------- */

extern SgRelation *sg_relation(SgCatalog *catalog, Oid relid);
extern List *sg_foreign_keys(SgCatalog *catalog, Oid relid);
extern Oid	sg_relation_root(SgCatalog *catalog, Oid member);
extern List *sg_consulted(SgCatalog *catalog);
extern bool sg_same_tree(SgCatalog *catalog, Oid a, Oid b);
extern bool sg_is_unique_set(SgRelation *rel, Bitmapset *cols);

/* ---------------- cache.c ---------------- */

extern void sg_cache_pin(SgCatalog *catalog);
extern bool sg_cached_relation(Oid relid, SgRelation *info);
extern void sg_cache_relation(SgRelation *info, List *indexes, uint64 before);
extern uint64 sg_cache_generation(void);
extern Oid	sg_cached_parent(Oid relid);
extern List *sg_cached_foreign_keys(Oid relid);

/* ---------------- remember.c ---------------- */

extern uint64 sg_remember_generation(void);
extern bool sg_remembered(Oid relid, AttrNumber att, Oid about, Oid *answer);
extern void sg_remember(Oid relid, AttrNumber att, Oid about, Oid answer,
						List *members, uint64 before);

/* ---------------- arbiter.c ---------------- */

extern const SgKnownKey *sg_known_key(Oid oid);
extern uint64 sg_key_generation(void);
extern void sg_remember_note(Oid oid, Oid relid,
							 void *(*copy) (const void *note),
							 const void *note);
extern SgArbiter *sg_arbiter(Relation rel, Oid indexid);
extern void sg_arbiter_restrict(SgArbiter *arbiter, Relation rel,
								List *conditions);
extern SgTableKeys sg_table_keys(Relation rel, List **consulted);

/* ---------------- nullable.c ---------------- */

extern bool sg_column_nullable(Relation rel, AttrNumber att);
extern Bitmapset *sg_expression_nullable(Relation rel, Node *expr);
extern bool sg_conditions_forbid_null(Relation rel, AttrNumber att,
									  List *conditions);

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
