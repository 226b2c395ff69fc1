/*-------------------------------------------------------------------------
 *
 * outside.h
 *		Which columns a subquery takes from outside, and the words of rule
 *		outer_reference about it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_OUTSIDE_H
#define SG_OUTSIDE_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "safeguard.h"

/* On the way through a statement. */
typedef struct SgWalk
{
	SgStatement *stmt;
	List	   *queries;		/* Queries around, innermost first */
	int			from;			/* FROM lists entered; may be that of a view */
	SgFinding  *finding;
} SgWalk;

/* The columns that an expression of a subquery is made of. */
typedef struct SgColumns
{
	Query	   *sub;
	int			base;			/* levels from the subquery to what is outside */
	int			depth;			/* Queries entered below it */
	bool		inner;			/* its own, or of a Query in it */
	Var		   *outer;			/* the first from outside, levels as from just
								 * outside, or NULL */
} SgColumns;

/* A subquery being judged. */
typedef struct SgSubject
{
	SgWalk	   *walk;
	Node	   *link;
	Query	   *sub;
	int			base;
	List	   *conjuncts;		/* of its WHERE, ON and HAVING */
} SgSubject;

/* ---------------- outside.c ---------------- */

extern SgColumns sg_columns_of(SgSubject *s, Node *node);
extern bool sg_is_table_like(RangeTblEntry *rte);
extern bool sg_reads_on_its_own(SgSubject *s);
extern void sg_collect_conjuncts(Node *node, List **conjuncts);
extern bool sg_is_correlated(SgSubject *s);
extern Var *sg_outer_output(SgSubject *s);
extern Var *sg_outer_condition(SgSubject *s);
extern Query *sg_passed_on(Query *sub);

/* ---------------- outside_message.c ---------------- */

extern void sg_say_outer(SgSubject *s, Var *outer, const char *form);
extern void sg_say_itself(SgSubject *s, RangeTblEntry *rte, Var *var);

#endif							/* SG_OUTSIDE_H */
