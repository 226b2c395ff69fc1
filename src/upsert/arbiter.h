/*-------------------------------------------------------------------------
 *
 * arbiter.h
 *		Why no unique key of a table serves an ON CONFLICT.
 *
 * The planner has said that none does; what is here only explains it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_ARBITER_H
#define SG_ARBITER_H

#include "nodes/bitmapset.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* Why a key does not serve; the order is that of nearness. */
typedef enum SgMisfit
{
	SG_MISFIT_NONE,				/* it serves */
	SG_MISFIT_PARAMETER,		/* partial, and a parameter hides the value that
								 * might imply its predicate */
	SG_MISFIT_NOT_REPEATED,		/* partial, ON CONFLICT without WHERE */
	SG_MISFIT_NOT_IMPLIED,		/* partial, by the WHERE of ON CONFLICT */
	SG_MISFIT_COLLATION,
	SG_MISFIT_OPCLASS,
	SG_MISFIT_INVALID,			/* what fits is not valid */
	SG_MISFIT_NOT_UNIQUE,
	SG_MISFIT_EXCLUSION,
	SG_MISFIT_EXPRESSION,		/* a column in place of an expression over it,
								 * or the other way round */
	SG_MISFIT_COLUMNS,			/* has other columns, but one in common */
	SG_MISFIT_DISJOINT			/* has no column in common */
} SgMisfit;

/* An index that is, or might be taken for, a unique key. */
typedef struct SgCandidate
{
	Oid			index;
	const char *name;
	const char *columns;		/* "(a, lower(b))" */
	const char *condition;		/* of a partial index, or NULL */
	bool		unique;
	bool		valid;
	bool		deferrable;
	bool		exclusion;
	bool		partitioned;	/* index of a partitioned table */
	SgMisfit	misfit;
	List	   *lacking;		/* of char *: in ON CONFLICT, not in the key */
	List	   *surplus;		/* of char *: in the key, not in ON CONFLICT */
	const char *wanted;			/* COLLATION, OPCLASS: name of what is wanted */
	const char *element;		/* COLLATION, OPCLASS: where it is wanted */
} SgCandidate;

/* An INSERT ... ON CONFLICT (...) that no key serves. */
typedef struct SgArbitration
{
	Relation	rel;			/* only while it is worked out */
	Oid			relid;
	const char *relation;		/* its name */
	const char *qualified;		/* the same with schema, quoted */
	const char *view;			/* that the statement names instead, or NULL */
	bool		do_nothing;
	List	   *elems;			/* of InferenceElem, over varno 1 */
	List	   *where;			/* implicitly ANDed, over varno 1 */
	Bitmapset  *attnums;		/* columns among the elements */
	bool		plain;			/* all elements are columns, no more */
	bool		where_varies;	/* values of parameters may be in it */
	const char *columns;		/* "(a, lower(b))", as it can be written */
	List	   *keys;			/* of SgCandidate: what is unique, readable */
	int			nhidden;		/* others that the user may not read */
	SgCandidate *closest;		/* or NULL */
} SgArbitration;

/* ---------------- diagnose.c ---------------- */

extern SgArbitration *sg_arbitrate(Query *query, ParamListInfo params);
extern char *sg_arbiter_element(SgArbitration *arb, Node *expr);
extern List *sg_arbiter_reads(SgArbitration *arb);

/* ---------------- candidate.c ---------------- */

extern SgCandidate *sg_candidate(SgArbitration *arb, Oid indexid,
								 bool *hidden);
extern bool sg_has_parameter(Node *node, void *context);

/* ---------------- family.c ---------------- */

extern char *sg_child_with_key(SgArbitration *arb);
extern char *sg_parent_with_key(SgArbitration *arb);
extern Bitmapset *sg_partition_columns(SgArbitration *arb, bool *expression);

/* ---------------- reason.c ---------------- */

extern char *sg_arbiter_detail(SgArbitration *arb);

/* ---------------- ddl.c ---------------- */

extern char *sg_arbiter_hint(SgArbitration *arb);

/* ---------------- obstacle.c ---------------- */

extern char *sg_arbiter_obstacle(SgArbitration *arb, List **add);

#endif							/* SG_ARBITER_H */
