/*-------------------------------------------------------------------------
 *
 * ddl.c
 *		Judges utility statements that are not executed.
 *
 * The rules look at a command before it runs, and from the object access hook
 * while it runs.  The first look needs no execution.  For the second, the
 * files beside this one work out from the catalogs what the command would do
 * to which object, and tell the rules so by the same way.
 *
 * Nothing is executed, written or counted.  No lock is taken but ACCESS SHARE
 * on tables that ALTER TABLE or CREATE INDEX names and the user owns.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/dbcommands.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/review.h"
#include "review/trial.h"

/* ---------------- TRUNCATE ---------------- */

/*
 * The tables that TRUNCATE names, with their children.
 */
static bool
truncated_by_name(TruncateStmt *stmt, List **relids)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
	{
		RangeVar   *name = lfirst_node(RangeVar, lc);
		Oid			relid = sg_find_relation(name);

		if (!OidIsValid(relid) ||
			pg_class_aclcheck(relid, GetUserId(), ACL_TRUNCATE) != ACLCHECK_OK)
			return false;
		if (list_member_oid(*relids, relid))
			continue;
		*relids = lappend_oid(*relids, relid);
		if (name->inh)
			*relids = list_concat_unique_oid(*relids,
											 find_all_inheritors(relid, NoLock,
																 NULL));
		else if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			return false;
	}
	return true;
}

static bool
try_truncate(SgUtility *utility, TruncateStmt *stmt)
{
	List	   *relids = NIL;
	List	   *more;
	ListCell   *lc;

	if (!truncated_by_name(stmt, &relids))
		return false;

	/* those that refer to them must be named too, or come by CASCADE */
	while ((more = heap_truncate_find_FKs(relids)) != NIL)
	{
		if (stmt->behavior != DROP_CASCADE)
			return false;
		foreach(lc, more)
		{
			if (pg_class_aclcheck(lfirst_oid(lc), GetUserId(),
								  ACL_TRUNCATE) != ACLCHECK_OK)
				return false;
		}
		relids = list_concat_unique_oid(relids, more);
	}
	foreach(lc, relids)
		sg_utility_event(utility, OAT_TRUNCATE, RelationRelationId,
						 lfirst_oid(lc), 0, NULL);
	return true;
}

/* ---------------- VACUUM FULL, CLUSTER ---------------- */

static bool
may_maintain(Oid relid)
{
	return sg_owns_relation(relid, GetUserId()) ||
		(SG_ACL_MAINTAIN != 0 &&
		 pg_class_aclcheck(relid, GetUserId(), SG_ACL_MAINTAIN) == ACLCHECK_OK);
}

/*
 * A table, or the leaves of a partitioned one, is written again.
 */
static void
rewrites_leaves(SgUtility *utility, Oid relid)
{
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
	{
		sg_bulk_rewrites(utility, relid);
		return;
	}
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			sg_bulk_rewrites(utility, lfirst_oid(lc));
	}
}

/*
 * All tables and materialized views that the user may maintain; with
 * "clustered" those that have been clustered before.
 */
static List *
all_tables(bool clustered)
{
	Oid			catalog = clustered ? IndexRelationId : RelationRelationId;
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	List	   *relids = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid;

		CHECK_FOR_INTERRUPTS();
		if (clustered)
		{
			Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

			if (!form->indisclustered)
				continue;
			relid = form->indrelid;
		}
		else
		{
			Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

			if (form->relkind != RELKIND_RELATION &&
				form->relkind != RELKIND_MATVIEW)
				continue;
			relid = form->oid;
		}
		relids = lappend_oid(relids, relid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relids;
}

static void
rewrites_all(SgUtility *utility, bool clustered)
{
	ListCell   *lc;

	foreach(lc, all_tables(clustered))
	{
		if (may_maintain(lfirst_oid(lc)))
			rewrites_leaves(utility, lfirst_oid(lc));
	}
}

static bool
try_vacuum(SgUtility *utility, VacuumStmt *stmt)
{
	ListCell   *lc;

	if (!stmt->is_vacuumcmd || !sg_has_option(stmt->options, "full"))
		return true;
	if (stmt->rels == NIL)
		rewrites_all(utility, false);
	foreach(lc, stmt->rels)
	{
		VacuumRelation *target = lfirst_node(VacuumRelation, lc);
		Oid			relid = target->relation == NULL ? target->oid :
			sg_find_relation(target->relation);
		char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

		if ((relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
			 relkind == RELKIND_PARTITIONED_TABLE) && may_maintain(relid))
			rewrites_leaves(utility, relid);
	}
	return true;
}

/*
 * Is there an index to cluster a table by?
 */
static bool
has_clustering_index(Oid relid, const char *name)
{
	Relation	rel;
	List	   *indexes;
	ListCell   *lc;
	bool		result = false;

	if (name != NULL)
	{
		Oid			index = get_relname_relid(name, get_rel_namespace(relid));

		return sg_table_of_index(index) == relid;
	}
	rel = RelationIdGetRelation(relid);
	if (rel == NULL)
		return false;
	indexes = RelationGetIndexList(rel);
	RelationClose(rel);
	foreach(lc, indexes)
		result = result || get_index_isclustered(lfirst_oid(lc));
	return result;
}

static bool
try_cluster(SgUtility *utility, ClusterStmt *stmt)
{
	Oid			relid;

	if (stmt->relation == NULL)
	{
		rewrites_all(utility, true);
		return true;
	}
	relid = sg_ddl(utility)->target;
	if (!OidIsValid(relid) || !may_maintain(relid) ||
		!has_clustering_index(relid, stmt->indexname))
		return false;
	rewrites_leaves(utility, relid);
	return true;
}

/* ---------------- others ---------------- */

static bool
try_drop_database(SgUtility *utility, DropdbStmt *stmt)
{
	Oid			database = get_database_oid(stmt->dbname, true);

	if (!OidIsValid(database) || database == MyDatabaseId ||
		!sg_trial_owns(DatabaseRelationId, database))
		return false;
	sg_utility_event(utility, OAT_DROP, DatabaseRelationId, database, 0, NULL);
	return true;
}

/*
 * A column is renamed in the children first.
 */
static bool
try_rename_column(SgUtility *utility, RenameStmt *stmt, Oid relid)
{
	List	   *relids = stmt->relation->inh ?
		find_all_inheritors(relid, NoLock, NULL) : list_make1_oid(relid);

	for (int i = list_length(relids) - 1; i >= 0; i--)
	{
		Oid			member = list_nth_oid(relids, i);
		AttrNumber	attnum = get_attnum(member, stmt->subname);

		if (attnum <= 0 ||
			get_attnum(member, stmt->newname) != InvalidAttrNumber)
			return false;
		sg_utility_event(utility, OAT_POST_ALTER, RelationRelationId, member,
						 attnum, NULL);
	}
	return true;
}

static bool
try_rename(SgUtility *utility, RenameStmt *stmt)
{
	Oid			relid = sg_ddl(utility)->target;
	Oid			table;
	Oid			constraint;

	if (stmt->relation == NULL)
		return true;
	table = OidIsValid(sg_table_of_index(relid)) ? sg_table_of_index(relid) :
		relid;
	if (!OidIsValid(relid) || !sg_owns_relation(table, GetUserId()))
		return false;
	if (stmt->renameType == OBJECT_COLUMN)
		return try_rename_column(utility, stmt, relid);
	if (stmt->renameType == OBJECT_TABCONSTRAINT)
	{
		constraint = get_relation_constraint_oid(relid, stmt->subname, true);
		relid = OidIsValid(constraint) ? get_constraint_index(constraint) :
			InvalidOid;
	}
	else if (stmt->renameType != OBJECT_INDEX &&
			 stmt->renameType != OBJECT_TABLE)
		return true;
	if (OidIsValid(relid))
		sg_utility_event(utility, OAT_POST_ALTER, RelationRelationId, relid, 0,
						 NULL);
	return true;
}

/*
 * Tell the rules what the command would do.
 */
static bool
try_command(SgUtility *utility, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return sg_trial_alter_table(utility, (AlterTableStmt *) stmt);
		case T_AlterDomainStmt:
			return sg_trial_alter_domain(utility, (AlterDomainStmt *) stmt);
		case T_ClusterStmt:
			return try_cluster(utility, (ClusterStmt *) stmt);
		case T_DropStmt:
			return sg_trial_drop(utility, (DropStmt *) stmt);
		case T_DropOwnedStmt:
			return sg_trial_drop_owned(utility, (DropOwnedStmt *) stmt);
		case T_DropdbStmt:
			return try_drop_database(utility, (DropdbStmt *) stmt);
		case T_IndexStmt:
			return sg_trial_index(utility, (IndexStmt *) stmt);
		case T_ReassignOwnedStmt:
			return sg_trial_reassign_owned(utility, (ReassignOwnedStmt *) stmt);
		case T_RenameStmt:
			return try_rename(utility, (RenameStmt *) stmt);
		case T_TruncateStmt:
			return try_truncate(utility, (TruncateStmt *) stmt);
		case T_VacuumStmt:
			return try_vacuum(utility, (VacuumStmt *) stmt);
		default:
			return true;
	}
}

/*
 * Look at a utility statement as the parser has made it (SgUtilityReview).
 * The level of each finding has been decided.
 */
void
sg_try_utility(void *arg)
{
	SgUtilityReview *review = (SgUtilityReview *) arg;
	SgUtility	utility = {0};
	SgTrial		trial = {0};
	PlannedStmt *pstmt;

	if (!sg_enabled || sg_process_is_exempt() ||
		!sg_utility_wants(review->stmt))
		return;

	pstmt = makeNode(PlannedStmt);
	pstmt->commandType = CMD_UTILITY;
	pstmt->utilityStmt = review->stmt;
	pstmt->stmt_location = review->location;
	pstmt->stmt_len = review->len;
	utility.pstmt = pstmt;
	utility.query_string = review->sql;
	utility.context = CurrentMemoryContext;
	utility.trial = &trial;

	sg_utility_before(&utility);
	review->findings = list_copy(trial.findings);
	if (!try_command(&utility, review->stmt))
		return;
	sg_utility_judge(&utility);
	review->findings = trial.findings;
	if (trial.drops != NULL)
		review->dropped = sg_drops_relations(trial.drops);
}

/*
 * What the rules say of a utility statement by itself.
 */
List *
sg_review_utility(Node *stmt, const char *sql, int location, int len)
{
	SgUtilityReview review = {stmt, sql, location, len};

	sg_try_utility(&review);
	return review.findings;
}
