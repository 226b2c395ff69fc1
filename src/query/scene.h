/*-------------------------------------------------------------------------
 *
 * scene.h
 *		One reading of a data-modifying statement: which relations there are,
 *		which of their columns are equal, which are limited.
 *
 * A statement is flattened: subqueries, CTEs, views and sublinks become
 * scopes, the relations in them items, and each equality joins two columns.
 * Wherever the statement says "or" (OR arms, arms of a set operation, the
 * arguments of COALESCE), a scene takes one side; sg_for_each_scene() calls
 * back once for each combination.  A negated subquery (NOT IN, NOT EXISTS)
 * gets scenes of its own, because what holds inside it limits nothing
 * outside.
 *
 * Nothing here knows about keys or verdicts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_SCENE_H
#define SG_SCENE_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "safeguard.h"

/* How a source came to be compared with the target. */
typedef enum SgForm
{
	SG_FORM_JOIN,				/* FROM, USING */
	SG_FORM_MERGE,				/* MERGE ... USING */
	SG_FORM_IN,					/* IN, = ANY, = ANY(ARRAY()) */
	SG_FORM_NOT_IN,				/* NOT IN, <> ALL */
	SG_FORM_SCALAR,				/* = (SELECT ...) */
	SG_FORM_EXISTS,				/* EXISTS, other correlated subquery */
	SG_FORM_NOT_EXISTS
} SgForm;

/* What a condition does with a column. */
#define SG_USE_COMPARED		0x01	/* compared with something */
#define SG_USE_JOINED		0x02	/* equated with another relation */
#define SG_USE_GROUPED		0x04	/* GROUP BY, PARTITION BY, DISTINCT ON */
#define SG_USE_RESTRICTED	0x08	/* limited; not: IS NOT NULL, <> constant */
#define SG_USE_LISTED		0x10	/* is one of given values, or IS NULL */
#define SG_USE_ABOVE		0x20	/* is above a given value */
#define SG_USE_BELOW		0x40	/* is below one */

struct SgScope;
struct SgNode;

/* One occurrence of a relation, VALUES list or function in the statement. */
typedef struct SgItem
{
	int			number;			/* 0 is the target */
	Oid			relid;			/* InvalidOid: no relation */
	RangeTblEntry *rte;
	Index		rti;
	struct SgScope *scope;		/* where it stands */
	bool		judged;			/* is it a source in this scene? */
	struct SgItem *row;			/* union-find: joined by equality */
	struct SgNode **columns;	/* nodes by column number, NULL where there is
								 * none; see sg_node() */
	int			ncolumns;
} SgItem;

/* A column of an item, or with att 0 its whole row, or a system column. */
typedef struct SgNode
{
	SgItem	   *item;
	AttrNumber	att;
	int			uses;			/* SG_USE_* */
	struct SgNode *equal;		/* union-find: known to be equal */
	struct SgNode *next;		/* ring of all that are equal */
	List	   *pins;			/* of Node: single values it is equal to */
	List	   *excluded;		/* of Node: single values it is not equal to */
	bool		given;			/* of VALUES: no row has more than a value */
} SgNode;

/* What a Var of a scope refers to. */
typedef struct SgEntry
{
	SgItem	   *item;
	struct SgScope *sub;
} SgEntry;

/* A Query in the statement. */
typedef struct SgScope
{
	struct SgScope *parent;		/* around it, for varlevelsup */
	Query	   *query;
	SgEntry    *entries;		/* by range table index */
	struct SgScope *arm;		/* of a set operation: the arm taken */
	SgForm		form;
	Node	   *link;			/* sublink it was entered by, or NULL */
	struct SgScope *next_link;	/* see SgScene */
	RangeTblEntry *rte;			/* or entry of a FROM list, or NULL */
	bool		correlated;		/* refers to something around it */
	struct SgNode **outputs;	/* by number: columns they are known to be */
	int			noutputs;
	List	   *grouped;		/* of SgNode: GROUP BY columns */
	bool		filtered;		/* groups are chosen by an aggregate */
	bool		judged;			/* see SgItem */
} SgScope;

/* The target compared with a column of an item. */
typedef enum SgTieKind
{
	SG_TIE_EQUAL,				/* equal values */
	SG_TIE_EXPRESSION,			/* equated with an expression over the item */
	SG_TIE_COMPARED				/* <, >, <>, ... */
} SgTieKind;

typedef struct SgTie
{
	SgTieKind	kind;
	AttrNumber	att;			/* of the target */
	SgNode	   *node;			/* of the item */
	SgForm		form;
	Node	   *origin;			/* condition it comes from, for the caret */
	SgScope    *scope;			/* scope that selects the item */
	bool		outside;		/* the condition stands outside that scope */
} SgTie;

/* What was found out of a node of the statement, for all scenes. */
typedef struct SgKnown
{
	Node	   *node;			/* MUST BE FIRST */
	Node	   *canonical;		/* see sg_canonical() */
	List	   *leaves;			/* of a set operation */
	bool		apart_known;
	bool		apart;			/* see sg_is_apart() */
} SgKnown;

typedef struct SgScene
{
	SgStatement *stmt;
	MergeAction *action;		/* of MERGE, or NULL */
	SgItem	   *target;
	List	   *items;			/* of SgItem, target first */
	List	   *ties;			/* of SgTie */
	SgScope    *links;			/* entered sublinks, the last one first */
	Node	   *written;		/* WHERE as it was written; varno of target = rti */
	bool		groups;			/* is there a GROUP BY anywhere? */
	struct HTAB **known;		/* see sg_known(), for all scenes */
	MemoryContext keep;			/* where they live */
	bool		whole_row;		/* one row by CURRENT OF or ctid = constant */
	int			nscopes;		/* Queries entered */
	bool		cut;			/* there were too many */

	/* which alternatives this scene takes */
	int		   *choices;
	int		   *options;
	int			nchoices;		/* met so far */
	int			nforced;		/* given by the caller */
	int			focus;			/* negated subquery looked into, or -1 */
	int			negations;		/* met so far */

	/* memory for what it is made of, see sg_scene_alloc() */
	char	   *room;
	Size		left;
} SgScene;

/* A value that an expression stands for. */
typedef enum SgValueKind
{
	SG_VALUE_NOTHING,			/* unknown, volatile */
	SG_VALUE_COLUMN,			/* the value of node */
	SG_VALUE_SINGLE,			/* one value for the whole statement */
	SG_VALUE_EXPRESSION			/* computed from columns */
} SgValueKind;

typedef struct SgValue
{
	SgValueKind kind;
	SgNode	   *node;			/* COLUMN */
	Node	   *single;			/* SINGLE; also a COLUMN of an uncorrelated
								 * scalar subquery */
	List	   *columns;		/* of SgNode: EXPRESSION */
} SgValue;

/* ---------------- scene.c ---------------- */

extern bool sg_for_each_scene(SgStatement *stmt,
							  void (*judge) (SgScene *scene, void *arg),
							  void *arg);
extern int	sg_choose(SgScene *scene, int noptions);
extern SgKnown *sg_known(SgScene *scene, Node *node);
extern void sg_scene_more_room(SgScene *scene, Size size);
extern SgItem *sg_add_item(SgScene *scene, SgScope *scope, Index rti);
extern bool sg_lineage_ends(SgItem *item);
extern SgNode *sg_node(SgScene *scene, SgItem *item, AttrNumber att);
extern SgNode *sg_node_known(SgScene *scene, SgItem *item, AttrNumber att);
extern SgNode *sg_equal_root(SgNode *node);
extern void sg_make_equal(SgNode *a, SgNode *b);
extern void sg_pin(SgNode *node, Node *single);
extern SgItem *sg_row(SgItem *item);
extern void sg_join_rows(SgItem *a, SgItem *b);
extern bool sg_pins_agree(SgNode *a, SgNode *b);
extern bool sg_singles_agree(Node *a, Node *b);

/*
 * Zeroed memory that lives at least as long as the scene, which is made of many small
 * pieces: some 70 instructions less for each than palloc0.
 */
static inline void *
sg_scene_alloc(SgScene *scene, Size size)
{
	char	   *result;

	size = MAXALIGN(size);
	if (unlikely(size > scene->left))
		sg_scene_more_room(scene, size);
	result = scene->room;
	scene->room += size;
	scene->left -= size;
	return memset(result, 0, size);
}

/* ---------------- flatten.c ---------------- */

extern SgScope *sg_enter_target(SgScene *scene);
extern SgScope *sg_enter_query(SgScene *scene, Query *query, SgScope *parent,
							   SgForm form, Node *link);
extern SgScope *sg_enter_leaf(SgScene *scene, SgScope *scope, Node *leaf);
extern SgScope *sg_make_scope(SgScene *scene, Query *query, SgScope *parent,
							  SgForm form, Node *link);
extern SgScope *sg_enter_sublink(SgScene *scene, SubLink *link,
								 SgScope *scope, SgForm form);
extern SgEntry *sg_entry(SgScene *scene, SgScope *scope, Index rti);
extern Node *sg_scope_output(SgScope **scope, int resno);
extern void sg_keep_output(SgScene *scene, SgScope *scope, int resno,
						   SgNode *node);

/* ---------------- jointree.c ---------------- */

/* the most conditions that a FROM list has above it: those of MERGE */
#define SG_MAX_ABOVE 3

extern void sg_from_quals(SgScene *scene, SgScope *scope, FromExpr *from,
						  Node **above, int nabove);
extern Node *sg_canonical(SgScene *scene, Node *qual);

/* ---------------- quals.c ---------------- */

/* How far a condition is believed. */
typedef enum SgTrust
{
	SG_TRUST_WRITTEN,			/* the writer's, holds for every row */
	SG_TRUST_OUTER,				/* ON of an outer join: joins, but limits
								 * nothing */
	SG_TRUST_ADDED				/* by a view or a policy: can pin, is no
								 * source */
} SgTrust;

extern void sg_condition(SgScene *scene, SgScope *scope, Node *qual,
						 SgTrust trust);

/* ---------------- operator.c ---------------- */

typedef enum SgOpKind
{
	SG_OP_EQUAL,
	SG_OP_UNEQUAL,
	SG_OP_ORDER,				/* <, <=, >, >= */
	SG_OP_OTHER
} SgOpKind;

extern SgOpKind sg_op_kind(Oid opno, Node *left, bool negated);
extern Node *sg_neutral_operand(OpExpr *op);

/* ---------------- uses.c ---------------- */

/* A condition on its way through quals.c: where it stands, what it is worth. */
typedef struct SgCondition
{
	SgScene    *scene;
	SgScope    *scope;
	SgTrust		trust;
} SgCondition;

extern void sg_mark_uses(SgScene *scene, SgScope *scope, Node *expr, int uses);
extern void sg_mark_compared(SgScope *scope, List *as, List *bs, int uses);
extern void sg_mark_outside(SgCondition *c, Node *node);
extern void sg_mark_given(SgCondition *c, Node *column, Node *given, int uses);
extern void sg_mark_bounds(SgCondition *c, OpExpr *op, bool negated);
extern bool sg_sublink_matters(SubLink *link);
extern bool sg_is_apart(SgScene *scene, SgScope *scope, Node *node);
extern void sg_local_columns(SgCondition *c, Node *node, bool negated,
							 List **compared, List **limited);

/* ---------------- equate.c ---------------- */

extern void sg_equate(SgScene *scene, SgScope *scope, SgScope *link,
					  Node *left, Node *right, Node *origin, SgTrust trust);
extern void sg_equate_any(SgScene *scene, SgScope *scope, Node *scalar,
						  Node *array, Node *origin);
extern bool sg_equate_set_operation(SgScene *scene, SgScope *scope,
									SubLink *link, bool negated);
extern void sg_compare(SgScene *scene, SgScope *scope, SgScope *link,
					   Node *left, Node *right, Node *origin, bool unequal);

/* ---------------- value.c ---------------- */

extern SgValue sg_value(SgScene *scene, SgScope *scope, SgScope *link,
						Node *expr);
extern List *sg_columns(SgScene *scene, SgScope *scope, Node *expr);
extern Node *sg_strip(Node *expr);
extern bool sg_is_value_list(Node *array);
extern bool sg_is_plain_operation(OpExpr *op);

/* ---------------- writer.c ---------------- */

extern Node *sg_written_quals(Query *query, List **added);
extern Oid sg_ruled_view(const Query *query);

#endif							/* SG_SCENE_H */
