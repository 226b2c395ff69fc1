/*-------------------------------------------------------------------------
 *
 * rehearse.h
 *		What hooks ask and tell while a script is rehearsed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_REHEARSE_H
#define SG_REHEARSE_H

#include "executor/execdesc.h"
#include "nodes/primnodes.h"
#include "tcop/cmdtag.h"

#include "own.h"

/* the rehearsal that is running, or NULL */
extern SG_OWN struct SgRehearsal *sg_rehearsal;

/* what is above this in the stack of error contexts is top level */
extern ErrorContextCallback *sg_top_context;

/* ---------------- preview.c ---------------- */

extern int	sg_lock_timeout_meant(void);

/* ---------------- preview_count.c ---------------- */

extern void sg_rehearse_executor(QueryDesc *queryDesc, int eflags);
extern void sg_rehearse_copied(const RangeVar *name, uint64 rows);

/* ---------------- preview_refuse.c ---------------- */

extern void sg_rehearse_utility(const Node *stmt);
extern void sg_rehearsed_utility(const Node *stmt, const QueryCompletion *qc);

/* ---------------- preview_outside.c ---------------- */

extern void sg_rehearse_function(Oid function);
extern void sg_rehearse_reads(const PlannedStmt *plan);

#endif							/* SG_REHEARSE_H */
