/*-------------------------------------------------------------------------
 *
 * exec.h
 *		Watching plan nodes while they run.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_EXEC_H
#define SG_EXEC_H

#include "safeguard.h"

/* ---------------- exec/tap.c ---------------- */

/* Called before or after each call of a plan node, as long as it runs. */
typedef struct SgTap
{
	void		(*before) (struct SgTap *tap);	/* or NULL */
	void		(*after) (struct SgTap *tap, TupleTableSlot *slot); /* or NULL */
	void	   *arg;			/* the owner's */
	struct SgTap *next;			/* on the same node; tap.c's */
} SgTap;

extern void sg_tap_attach(PlanState *node, SgTap *tap);
extern SgTap *sg_tap_find(PlanState *node, void (*before) (SgTap *tap));

/* ---------------- exec/rowcount.c ---------------- */

/* What a ModifyTable node does to rows, counted while it runs. */
typedef struct SgRowCount
{
	ModifyTableState *node;
	void		(*watch) (struct SgRowCount *count);
	int64		affected;		/* the command tag's number */
	int64		changed;		/* of these, rows that were there before */
	bool		upsert;			/* has ON CONFLICT DO UPDATE */
	bool		done;			/* it returns no more rows */

	/* the rest is rowcount.c's */
	struct SgRowCount *next;	/* another one of the same node */
	bool		each_row;		/* is watched */
	bool		counts_changed; /* counts "changed", for others too */
	bool		untagged;		/* has no part in the command tag */
	uint64		seen;			/* tag's number when last looked at */
	uint64		quiet;			/* see sg_rowcount_quiet() */
	int64		added;			/* to it, since the node was called */
	double		own_figure;		/* MERGE's or ON CONFLICT's, the same */
	List	   *foreign;		/* of ForeignScanState that change rows */
	int64		foreign_seen;	/* by them, when last looked at */
	SgTap		source_tap;
	SgTap		node_tap;
} SgRowCount;

extern void sg_rowcount_attach(SgRowCount *count, bool each_row);
extern void sg_rowcount_quiet(SgRowCount *count, uint64 rows);

#endif							/* SG_EXEC_H */
