/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Differences between the PostgreSQL versions that safeguard runs on.
 *
 * With compat_write.h the only file that may mention PG_VERSION_NUM.  Everything here has the
 * shape that the newest server gives it, so that the oldest branch can be
 * dropped without touching a caller.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_COMPAT_H
#define SG_COMPAT_H

#include "access/stratnum.h"
#include "access/tupdesc.h"
#include "common/relpath.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_relation.h"
#include "portability/instr_time.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

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

/* Make a Query no MERGE. */
static inline void
sg_forget_merge(Query *query)
{
	query->mergeActionList = NIL;
#if PG_VERSION_NUM >= 170000
	query->mergeJoinCondition = NULL;
#else
	query->mergeUseOuterJoin = false;
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

/* Does it act on rows that only the target has?  New in 17. */
static inline bool
sg_merge_by_source(MergeAction *action)
{
#if PG_VERSION_NUM >= 170000
	return action->matchKind == MERGE_WHEN_NOT_MATCHED_BY_SOURCE;
#else
	return false;
#endif
}

/*
 * The ON of a MERGE that has not been planned, wherever it is.
 */
static inline Node *
sg_merge_on(Query *query)
{
#if PG_VERSION_NUM >= 170000
	return query->mergeJoinCondition;
#else
	return query->jointree->quals;
#endif
}

/*
 * The actions of a running MERGE for the first of its result relations.  18
 * leaves out relations that need not be touched.
 */
static inline List *
sg_merge_actions(ModifyTableState *mtstate)
{
#if PG_VERSION_NUM >= 180000
	List	   *lists = mtstate->mt_mergeActionLists;
#else
	List	   *lists = ((ModifyTable *) mtstate->ps.plan)->mergeActionLists;
#endif
	return lists == NIL ? NIL : (List *) linitial(lists);
}

/*
 * Does a CHECK hold for new rows?  18 has CHECKs that are not enforced.
 */
static inline bool
sg_check_is_enforced(const ConstrCheck *check)
{
#if PG_VERSION_NUM >= 180000
	return check->ccenforced;
#else
	return true;
#endif
}

/*
 * Is it an operator that asks for less or greater, by some order?  18 put more
 * kinds of indexes beside btree.
 */
static inline bool
sg_operator_orders(Oid opno)
{
	ListCell   *lc;

#if PG_VERSION_NUM >= 180000
	foreach(lc, get_op_index_interpretation(opno))
	{
		CompareType type = ((OpIndexInterpretation *) lfirst(lc))->cmptype;

		if (type == COMPARE_LT || type == COMPARE_LE ||
			type == COMPARE_GE || type == COMPARE_GT)
			return true;
	}
#else
	foreach(lc, get_op_btree_interpretation(opno))
	{
		int			strategy = ((OpBtreeInterpretation *) lfirst(lc))->strategy;

		/* there is one more, for "not equal" */
		if (strategy >= BTLessStrategyNumber &&
			strategy <= BTGreaterStrategyNumber &&
			strategy != BTEqualStrategyNumber)
			return true;
	}
#endif
	return false;
}

/*
 * What an error in the middle of I/O leaves half begun: 15 remembers one buffer,
 * 16 made a resource of it, 18 has asynchronous I/O.
 */
#if PG_VERSION_NUM < 160000
#include "storage/bufmgr.h"
#define sg_io_error_cleanup() AbortBufferIO()
#elif PG_VERSION_NUM < 180000
#define sg_io_error_cleanup() ((void) 0)
#else
#include "storage/aio_subsys.h"
#define sg_io_error_cleanup() pgaio_error_cleanup()
#endif

/*
 * May the current user execute a statement with these relations?  16 put what
 * has to be checked into a list of its own (commit a61b1f74823c).
 */
#if PG_VERSION_NUM < 160000
#define sg_check_permissions(query) ExecCheckRTPerms((query)->rtable, false)
#else
#define sg_check_permissions(query) \
	ExecCheckPermissions((query)->rtable, (query)->rteperminfos, false)
#endif

/* What the statement must be allowed to do with a relation of it. */
static inline AclMode
sg_required_permissions(Query *query, RangeTblEntry *rte)
{
#if PG_VERSION_NUM < 160000
	return rte->requiredPerms;
#else
	return rte->perminfoindex == 0 ? 0 :
		getRTEPermissionInfo(query->rteperminfos, rte)->requiredPerms;
#endif
}

/*
 * 18 keeps the count of users of a compiled function in a part that all
 * languages share.
 */
#if PG_VERSION_NUM < 180000
#define sg_plpgsql_use_count(compiled) ((compiled)->use_count)
#else
#define sg_plpgsql_use_count(compiled) ((compiled)->cfunc.use_count)
#endif

/*
 * 16 replaced the functions per kind of object here, too.
 */
#if PG_VERSION_NUM < 160000
#define sg_owns_schema(nspid, roleid) pg_namespace_ownercheck(nspid, roleid)
#define sg_may_use_schema(nspid, roleid) \
	(pg_namespace_aclcheck(nspid, roleid, ACL_USAGE) == ACLCHECK_OK)
#define sg_may_execute(funcid, roleid) \
	(pg_proc_aclcheck(funcid, roleid, ACL_EXECUTE) == ACLCHECK_OK)
#else
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#define sg_may_execute(funcid, roleid) \
	(object_aclcheck(ProcedureRelationId, funcid, roleid, ACL_EXECUTE) == ACLCHECK_OK)
#define sg_owns_schema(nspid, roleid) \
	object_ownercheck(NamespaceRelationId, nspid, roleid)
#define sg_may_use_schema(nspid, roleid) \
	(object_aclcheck(NamespaceRelationId, nspid, roleid, ACL_USAGE) == ACLCHECK_OK)
#endif

/*
 * 17 added the privilege MAINTAIN, and gave LockHeldByMe an argument.
 */
#if PG_VERSION_NUM < 170000
#define SG_ACL_MAINTAIN ((AclMode) 0)
#define sg_lock_is_held(tag, mode) LockHeldByMe(tag, mode)
#define SG_MY_LXID (MyProc->lxid)
#else
#define SG_ACL_MAINTAIN ACL_MAINTAIN
#define sg_lock_is_held(tag, mode) LockHeldByMe(tag, mode, false)
#define SG_MY_LXID (MyProc->vxid.lxid)
#endif

/*
 * Take a lock for the session without waiting.  18 can log that it fails.
 */
#if PG_VERSION_NUM < 180000
#define sg_take_session_lock(tag, mode, local) \
	LockAcquireExtended(tag, mode, true, true, true, local)
#else
#define sg_take_session_lock(tag, mode, local) \
	LockAcquireExtended(tag, mode, true, true, true, local, false)
#endif

/*
 * The path of a relation's main fork, palloc'd.  18 returns it by value.
 */
#if PG_VERSION_NUM < 180000
#define sg_relation_path(dbid, spcid, number) \
	GetRelationPath(dbid, spcid, number, -1, MAIN_FORKNUM)
#else
#define sg_relation_path(dbid, spcid, number) \
	pstrdup(GetRelationPath(dbid, spcid, number, -1, MAIN_FORKNUM).str)
#endif

/*
 * 18 has constraints that are declared, but not enforced, and keys over periods.
 */
#if PG_VERSION_NUM < 180000
#define sg_constraint_is_enforced(form) true
#define sg_constraint_is_temporal(form) false
#else
#define sg_constraint_is_enforced(form) ((form)->conenforced)
#define sg_constraint_is_temporal(form) ((form)->conperiod)
#endif

/*
 * Which column of one relation has the name of which of the other.  16 added
 * an argument.
 */
#if PG_VERSION_NUM < 160000
#define sg_attribute_map(from, to) \
	build_attrmap_by_name(RelationGetDescr(from), RelationGetDescr(to))
#else
#define sg_attribute_map(from, to) \
	build_attrmap_by_name(RelationGetDescr(from), RelationGetDescr(to), false)
#endif

/*
 * 17 can change the expression of a generated column; 18 has such columns that
 * are not stored, and constraints that are declared, but not enforced, and
 * changes these by a node of its own.
 */
#if PG_VERSION_NUM < 170000
#define sg_sets_expression(cmd) false
#else
#define sg_sets_expression(cmd) ((cmd)->subtype == AT_SetExpression)
#endif
#if PG_VERSION_NUM < 180000
#define sg_is_virtual(constraint) false
#define sg_is_virtual_column(att) false
#define sg_is_unenforced(constraint) false
#define sg_stops_enforcing(cmd) ((const char *) NULL)
#else
#define sg_is_virtual(constraint) \
	((constraint)->generated_kind == ATTRIBUTE_GENERATED_VIRTUAL)
#define sg_is_virtual_column(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#define sg_is_unenforced(constraint) \
	(((constraint)->contype == CONSTR_CHECK || \
	  (constraint)->contype == CONSTR_FOREIGN) && !(constraint)->is_enforced)
static inline const char *
sg_stops_enforcing(const AlterTableCmd *cmd)
{
	const ATAlterConstraint *alter = (const ATAlterConstraint *) cmd->def;

	return cmd->subtype == AT_AlterConstraint && alter->alterEnforceability &&
		!alter->is_enforced ? alter->conname : NULL;
}
#endif

/*
 * 18 runs portals and plans once, without being asked.
 */
#if PG_VERSION_NUM < 180000
#define sg_executor_run_all(desc) \
	ExecutorRun(desc, ForwardScanDirection, 0, true)
#define sg_portal_run_all(portal, dest, qc) \
	PortalRun(portal, FETCH_ALL, false, true, dest, dest, qc)
#else
#define sg_executor_run_all(desc) ExecutorRun(desc, ForwardScanDirection, 0)
#define sg_portal_run_all(portal, dest, qc) \
	PortalRun(portal, FETCH_ALL, false, dest, dest, qc)
#endif

/*
 * The i-th entry of the copy of the status array, from 1, or NULL.  16 looks
 * them up by another name.
 */
#include "utils/backend_status.h"
static inline const PgBackendStatus *
sg_backend_status(int i)
{
#if PG_VERSION_NUM < 160000
	LocalPgBackendStatus *entry = pgstat_fetch_stat_local_beentry(i);
#else
	LocalPgBackendStatus *entry = pgstat_get_local_beentry_by_index(i);
#endif
	return entry == NULL ? NULL : &entry->backendStatus;
}

/*
 * Slots that not everybody may have; 16 added those of pg_use_reserved_connections.
 */
#include "postmaster/postmaster.h"
#if PG_VERSION_NUM < 160000
#define sg_reserved_slots() ReservedBackends
#else
#define sg_reserved_slots() (SuperuserReservedConnections + ReservedConnections)
#endif

/*
 * When the client of this process has connected: 18 tells when it was accepted,
 * before that the server notes when it started the process.
 */
#if PG_VERSION_NUM < 180000
#define sg_session_began() MyStartTimestamp
#else
#include "tcop/backend_startup.h"
#define sg_session_began() \
	(conn_timing.socket_create != 0 ? conn_timing.socket_create : MyStartTimestamp)
#endif

/* 18 took the classes of wait events out of wait_event.h. */
#if PG_VERSION_NUM < 180000
#include "utils/wait_event.h"
#else
#include "utils/wait_classes.h"
#endif

/*
 * ExecutorRun lost an argument in 18 (commit 3eea7a0c97e9).
 */
#if PG_VERSION_NUM < 180000
#define SG_RUN_ONCE_PARAM , bool execute_once
#define SG_RUN_ONCE_ARG , execute_once
#else
#define SG_RUN_ONCE_PARAM
#define SG_RUN_ONCE_ARG
#endif

/*
 * 16 made a plain number of nanoseconds of instr_time (commit 03023a2664f8).
 */
#if PG_VERSION_NUM < 160000
#ifndef WIN32
#define INSTR_TIME_GET_NANOSEC(t) \
	((uint64) (t).tv_sec * UINT64CONST(1000000000) + (uint64) (t).tv_nsec)
#else
#define INSTR_TIME_GET_NANOSEC(t) (INSTR_TIME_GET_MICROSEC(t) * 1000)
#endif
#endif

/*
 * 16 moved the making of query identifiers to another folder.
 */
#if PG_VERSION_NUM < 160000
#include "utils/queryjumble.h"
#else
#include "nodes/queryjumble.h"
#endif

/*
 * 16 renamed the fields of a table's pending statistics.
 */
#if PG_VERSION_NUM < 160000
#define sg_stat_table_id(table) ((table)->t_id)
#else
#define sg_stat_table_id(table) ((table)->id)
#endif

#endif							/* SG_COMPAT_H */
