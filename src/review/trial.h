/*-------------------------------------------------------------------------
 *
 * trial.h
 *		What a utility command would do, told without doing it.
 *
 * Each function feeds the rules with the events that the command would bring
 * about, in its order, and returns false if the server would refuse the
 * command or if that cannot be told: then nothing is said of what it does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_TRIAL_H
#define SG_TRIAL_H

#include "nodes/parsenodes.h"
#include "utils/relcache.h"

#include "ddl/ddl.h"

/* ---------------- drop.c ---------------- */

extern bool sg_trial_drop_objects(SgUtility *utility, List *targets,
								  DropBehavior behavior, int flags);
extern bool sg_trial_drop(SgUtility *utility, DropStmt *stmt);

/* ---------------- owned.c ---------------- */

extern bool sg_trial_owns(Oid classId, Oid objectId);
extern bool sg_trial_drop_owned(SgUtility *utility, DropOwnedStmt *stmt);
extern bool sg_trial_reassign_owned(SgUtility *utility,
									ReassignOwnedStmt *stmt);

/* ---------------- alter.c ---------------- */

extern AttrNumber sg_trial_column(SgUtility *utility, Oid relid,
								  const char *name);
extern bool sg_trial_alter_table(SgUtility *utility, AlterTableStmt *stmt);
extern bool sg_trial_alter_domain(SgUtility *utility, AlterDomainStmt *stmt);

/* ---------------- rewrite.c ---------------- */

/* What ALTER TABLE means for the files of a table. */
typedef struct SgRewrite
{
	bool		table;			/* all rows are written again */
	List	   *indexes;		/* OIDs of indexes that are built again */
	int			nconstraints;	/* so many of them are of constraints */
} SgRewrite;

extern bool sg_trial_rewrite(SgUtility *utility, Relation rel,
							 AlterTableCmd *cmd, SgRewrite *rewrite);

/* ---------------- constraint.c ---------------- */

extern bool sg_trial_constraint(SgUtility *utility, Relation rel,
								AlterTableCmd *cmd, List *cmds);
extern bool sg_trial_triggers(SgUtility *utility, Relation rel, List *cmds);

/* ---------------- build.c ---------------- */

extern bool sg_trial_index(SgUtility *utility, IndexStmt *stmt);
extern bool sg_trial_key(SgUtility *utility, Relation rel,
						 Constraint *constraint, const char *column);
extern void sg_trial_builds(SgUtility *utility, Relation rel,
							const SgBuild *build, bool recurse);
extern bool sg_trial_attach(SgUtility *utility, Relation rel, Oid partition);

#endif							/* SG_TRIAL_H */
