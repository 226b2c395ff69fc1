/*-------------------------------------------------------------------------
 *
 * match.h
 *		One key of the target against one source row, and its verdict.
 *
 * The words are those of doc/rules/composite_key.md: K is the key, M its
 * columns equated with the source, P its columns pinned to one value that
 * count, D what is left: the dropped columns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_MATCH_H
#define SG_MATCH_H

#include "catalog/catalog.h"
#include "query/scene.h"

typedef enum SgVerdict
{
	SG_VERDICT_NONE,			/* nothing to judge */
	SG_VERDICT_WHOLE,			/* accept, and whatever else the arm holds */
	SG_VERDICT_ACCEPT,
	SG_VERDICT_DOUBT,
	SG_VERDICT_REJECT
} SgVerdict;

/* Why it was rejected or doubted; chooses the words of the message. */
typedef enum SgReason
{
	SG_REASON_USED_INSIDE,		/* step 5: D limited inside only */
	SG_REASON_LIMITED_OUTSIDE,	/* step 5: D limited outside only */
	SG_REASON_OTHER_VALUE,		/* step 5: to different values */
	SG_REASON_HALF_FOREIGN_KEY, /* step 6 */
	SG_REASON_HALF_KEY,			/* steps 6, 7, 8, 10 */
	SG_REASON_CROSSED,			/* step 4 */
	SG_REASON_OTHER_PARENT,		/* step 4 */
	SG_REASON_SPLIT_ROWS,		/* step 4 */
	SG_REASON_CTID				/* step 4 */
} SgReason;

/* Where the sibling of a column of the target is, and how it was found. */
typedef struct SgSibling
{
	SgItem	   *item;			/* NULL: there is none */
	AttrNumber	att;
	bool		by_name;		/* by nothing but its name */
} SgSibling;

/*
 * What was asked of all keys last.  The keys of one relation mostly ask the same
 * of the same columns: a hundred of them would look at each other every time.
 */
typedef struct SgAsked
{
	Bitmapset  *known;			/* sg_whole_key() */
	bool		whole;
	Oid			relid;			/* is "cols" unique there? */
	Bitmapset  *cols;
	bool		unique;
	Bitmapset  *matched;		/* sg_matched_is_generated() */
	bool		generated;
	SgItem	   *source;			/* what sg_count_pins() finds without the key */
	Bitmapset  *pinned;
	Bitmapset  *source_cols;
} SgAsked;

typedef struct SgMatch
{
	SgScene    *scene;
	SgCatalog  *catalog;
	SgRelation *target;
	SgKey	   *key;			/* K */
	SgItem	   *row;			/* source row: what sg_row() says */
	SgItem	   *source;			/* S */
	Bitmapset  *matched;		/* M */
	Bitmapset  *all_matched;	/* as M, of all columns of the target */
	Bitmapset  *pinned;			/* P */
	Bitmapset  *dropped;		/* D */
	Bitmapset  *source_cols;	/* columns of S that are matched */
	SgAsked    *asked;			/* of the scene */
	bool		shape_only;		/* the row is identified otherwise: look for
								 * errors of shape alone */
	bool		settled;		/* another key is rejected: look for errors of
								 * shape, and whether the row is identified */

	SgVerdict	verdict;
	SgReason	reason;
	int			step;			/* of the procedure, for the curious */
	AttrNumber	about;			/* the column that decided */
	SgSibling	sibling;		/* its sibling */
	Node	   *origin;			/* offending condition if no tie tells */
} SgMatch;

/* ---------------- match.c ---------------- */

extern SgNode *sg_target_node(SgScene *scene, AttrNumber att);
extern AttrNumber sg_source_column(SgMatch *match, AttrNumber att);
extern SgSibling sg_sibling(SgMatch *match, SgItem *source, AttrNumber att);
extern Bitmapset *sg_matched_columns(SgScene *scene, SgItem *row);
extern List *sg_target_pins(SgCatalog *catalog, SgScene *scene,
							AttrNumber att);
extern bool sg_has_value(List *pins);
extern void sg_count_pins(SgMatch *match);
extern bool sg_source_is_target(SgMatch *match);
extern bool sg_source_key_matched(SgMatch *match);
extern bool sg_all_foreign(SgMatch *match, Bitmapset *cols);
extern bool sg_any_foreign(SgMatch *match, Bitmapset *cols);
extern bool sg_local(SgMatch *match, Bitmapset *cols);
extern bool sg_time_keys(SgMatch *match, Bitmapset *cols);
extern bool sg_sibling_other_value(SgMatch *match, AttrNumber att,
								   SgSibling sibling);

/* ---------------- judge.c ---------------- */

extern void sg_judge_match(SgMatch *match);

/* ---------------- identify.c ---------------- */

extern bool sg_same_columns(SgMatch *match);
extern bool sg_whole_key(SgMatch *match);
extern bool sg_matched_is_unique(SgMatch *match);
extern bool sg_matched_is_generated(SgMatch *match);
extern bool sg_probably_unique(SgMatch *match);

/* ---------------- shape.c ---------------- */

extern bool sg_crossed(SgMatch *match);
extern bool sg_other_parent(SgMatch *match);
extern bool sg_split_rows(SgMatch *match);
extern bool sg_ctid_only(SgScene *scene, SgCatalog *catalog, SgItem **source);
extern bool sg_ctid_covers(SgScene *scene, SgCatalog *catalog);

/* ---------------- message.c ---------------- */

extern SgFinding *sg_match_finding(SgMatch *match);
extern bool sg_by_output(SgTie *tie);
extern char *sg_column_name(SgItem *item, AttrNumber att);
extern SgScope *sg_source_subquery(SgItem *item, SgTie *tie, Index *rti);
extern char *sg_source_alias(SgMatch *match, SgItem *item, SgTie *tie);
extern char *sg_key_columns(SgMatch *match);
extern char *sg_quoted_columns(SgMatch *match, Bitmapset *cols);

/* ---------------- hint.c ---------------- */

extern char *sg_make_hint(SgMatch *match, SgTie *tie);

#endif							/* SG_MATCH_H */
