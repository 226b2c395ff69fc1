/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Differences between the PostgreSQL versions that safeguard runs on.
 *
 * The only file that may mention PG_VERSION_NUM.  Everything here has the
 * shape that the newest server gives it, so that the oldest branch can be
 * dropped without touching a caller.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_COMPAT_H
#define SG_COMPAT_H

#include "nodes/parsenodes.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 150000
#error "safeguard needs PostgreSQL 15 or later"
#endif

/*
 * 16 replaced the ownership functions per kind of object by one.
 */
#if PG_VERSION_NUM < 160000
#define sg_owns_relation(relid, roleid) pg_class_ownercheck(relid, roleid)
#else
#include "catalog/pg_class.h"
#define sg_owns_relation(relid, roleid) \
	object_ownercheck(RelationRelationId, relid, roleid)
#endif

/*
 * The expression that a Var of a join alias stands for, or of the range table
 * entry that 18 makes for GROUP BY (commit 247dea89f761); NULL otherwise.
 */
static inline Node *
sg_alias_expr(RangeTblEntry *rte, AttrNumber attno)
{
	if (rte->rtekind == RTE_JOIN && attno > 0 &&
		attno <= list_length(rte->joinaliasvars))
		return (Node *) list_nth(rte->joinaliasvars, attno - 1);
#if PG_VERSION_NUM >= 180000
	if (rte->rtekind == RTE_GROUP && attno > 0 &&
		attno <= list_length(rte->groupexprs))
		return (Node *) list_nth(rte->groupexprs, attno - 1);
#endif
	return NULL;
}

/*
 * The ON of a MERGE: 17 keeps it apart from the WHERE that views add (commit
 * 0294df2f1f84), before that it is the WHERE.
 */
static inline Node *
sg_merge_condition(Query *query)
{
#if PG_VERSION_NUM >= 170000
	return query->mergeJoinCondition;
#else
	return NULL;
#endif
}

/* Does an action of MERGE act on rows that the ON has matched? */
static inline bool
sg_merge_matched(MergeAction *action)
{
#if PG_VERSION_NUM >= 170000
	return action->matchKind == MERGE_WHEN_MATCHED;
#else
	return action->matched;
#endif
}

/*
 * 18 has asynchronous I/O, which an error may leave half begun.
 */
#if PG_VERSION_NUM < 180000
#define sg_io_error_cleanup() ((void) 0)
#else
#include "storage/aio_subsys.h"
#define sg_io_error_cleanup() pgaio_error_cleanup()
#endif

#endif							/* SG_COMPAT_H */
