/*-------------------------------------------------------------------------
 *
 * statement.h
 *		Plain questions about a data-modifying Query, and the frame of a
 *		finding about it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_STATEMENT_H
#define SG_STATEMENT_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "catalog/catalog.h"
#include "safeguard.h"

/* ---------------- statement.c ---------------- */

extern const char *sg_command_name(const Query *query);
extern const char *sg_command_on(const Query *query);
extern RangeTblEntry *sg_target_entry(const Query *query);
extern Index sg_target_index(const Query *query);
extern bool sg_is_product(const Query *query);
extern Node *sg_written_condition(Query *query);
extern RangeTblEntry *sg_written_view(const Query *query);
extern bool sg_mentions(Node *node, Index varno);
extern SgFinding *sg_new_finding(SgRuleId rule, const SgStatement *stmt);
extern void sg_finding_reads(SgFinding *finding, Oid relid, AttrNumber attnum);

/* ---------------- rows.c ---------------- */

extern bool sg_has_one_row(Query *query, Node *item, List *parents);

/* ---------------- ties.c ---------------- */

/* Looks for a tie between the target of a statement and its sources. */
typedef struct SgSearch
{
	Query	   *query;
	Index		target_rti;		/* what the conditions call the target */
	Bitmapset  *sources;		/* range table indexes, those of one row apart */
	SgRelation *target;
	int			arms;			/* looked at */
} SgSearch;

extern bool sg_is_linked(SgSearch *search, List *conditions);

#endif							/* SG_STATEMENT_H */
