/*-------------------------------------------------------------------------
 *
 * alter.c
 *		What ALTER TABLE would do, subcommand by subcommand.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/trial.h"

/* ---------------- DROP COLUMN, DROP CONSTRAINT ---------------- */

static ObjectAddress *
make_target(Oid classId, Oid objectId, int subId)
{
	ObjectAddress *target = palloc(sizeof(ObjectAddress));

	ObjectAddressSubSet(*target, classId, objectId, subId);
	return target;
}

/*
 * The server never drops, or changes, a column that rows are distributed by.
 */
static bool
partitions_by(Relation rel, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
	bool		used;

	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		has_partition_attrs(rel,
							bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber),
							&used);
}

static bool
is_partition_key(Oid relid, const char *name)
{
	Relation	rel;
	bool		result;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return true;
	result = partitions_by(rel, name);
	relation_close(rel, NoLock);
	return result;
}

/*
 * A column with those that children have by inheritance alone, which go before
 * it.
 */
static bool
find_columns(Oid relid, const char *name, bool recurse, bool inherited,
			 List **targets)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	Form_pg_attribute att;
	AttrNumber	attnum;
	bool		goes;
	ListCell   *lc;

	check_stack_depth();
	if (!HeapTupleIsValid(tuple))
		return false;
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	attnum = att->attnum;
	goes = inherited ? att->attinhcount == 1 && !att->attislocal :
		att->attinhcount == 0;
	ReleaseSysCache(tuple);
	if (attnum <= 0)
		return false;
	if (!goes)
		return inherited;
	if (is_partition_key(relid, name))
		return false;
	foreach(lc, recurse ? find_inheritance_children(relid, NoLock) : NIL)
	{
		if (!find_columns(lfirst_oid(lc), name, true, true, targets))
			return false;
	}
	*targets = lappend(*targets, make_target(RelationRelationId, relid,
											 attnum));
	return true;
}

static bool
try_drop_column(SgUtility *utility, Relation rel, AlterTableCmd *cmd,
				bool recurse)
{
	List	   *targets = NIL;

	if (get_attnum(RelationGetRelid(rel), cmd->name) == InvalidAttrNumber)
		return cmd->missing_ok;
	return find_columns(RelationGetRelid(rel), cmd->name, recurse, false,
						&targets) &&
		sg_trial_drop_objects(utility, targets, cmd->behavior, 0);
}

static bool
try_drop_constraint(SgUtility *utility, Relation rel, AlterTableCmd *cmd)
{
	Oid			constraint = get_relation_constraint_oid(RelationGetRelid(rel),
														 cmd->name, true);

	if (!OidIsValid(constraint))
		return cmd->missing_ok;
	return sg_trial_drop_objects(utility,
								 list_make1(make_target(ConstraintRelationId,
														constraint, 0)),
								 cmd->behavior, 0);
}

/* ---------------- the others ---------------- */

/*
 * The number of a column that this command does not drop, or
 * InvalidAttrNumber.
 */
AttrNumber
sg_trial_column(SgUtility *utility, Oid relid, const char *name)
{
	const SgDrops *drops = utility->trial->drops;
	AttrNumber	attnum = get_attnum(relid, name);

	if (drops != NULL && attnum > 0 &&
		sg_drops_have(drops, RelationRelationId, relid, attnum))
		return InvalidAttrNumber;
	return attnum;
}

/*
 * Is the column one that only its parent can change?
 */
static bool
is_inherited(Oid relid, const char *name)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	bool		inherited;

	if (!HeapTupleIsValid(tuple))
		return false;
	inherited = ((Form_pg_attribute) GETSTRUCT(tuple))->attinhcount > 0;
	ReleaseSysCache(tuple);
	return inherited;
}

/*
 * Constraints with an index that come with a new column.
 */
static bool
try_add_column(SgUtility *utility, Relation rel, AlterTableCmd *cmd)
{
	ColumnDef  *def = (ColumnDef *) cmd->def;
	ListCell   *lc;

	if (sg_trial_column(utility, RelationGetRelid(rel),
						def->colname) != InvalidAttrNumber)
		return cmd->missing_ok;
	foreach(lc, def->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if ((constraint->contype == CONSTR_PRIMARY ||
			 constraint->contype == CONSTR_UNIQUE) &&
			!sg_trial_key(utility, rel, constraint, def->colname))
			return false;
	}
	return true;
}

static bool
try_attach(SgUtility *utility, Relation rel, AlterTableCmd *cmd)
{
	const RangeVar *name = ((PartitionCmd *) cmd->def)->name;
	Oid			partition = sg_find_relation(name);

	if (!OidIsValid(partition) ||
		!sg_owns_relation(partition, GetUserId()) ||
		get_rel_relispartition(partition))
		return false;
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		sg_trial_attach(utility, rel, partition);
}

static bool
try_subcommand(SgUtility *utility, Relation rel, AlterTableCmd *cmd,
			   AlterTableStmt *stmt)
{
	switch (cmd->subtype)
	{
		case AT_AddColumn:
			return try_add_column(utility, rel, cmd);
		case AT_AttachPartition:
			return try_attach(utility, rel, cmd);
		default:
			return sg_trial_constraint(utility, rel, cmd, stmt->cmds);
	}
}

static bool
recurses(const AlterTableCmd *cmd)
{
	return cmd->subtype == AT_AddColumn ||
		cmd->subtype == AT_AlterColumnType || sg_sets_expression(cmd);
}

/*
 * What all subcommands together mean for the files of one table.
 */
static bool
try_member(SgUtility *utility, AlterTableStmt *stmt, Oid relid, bool is_named)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	SgRewrite	rewrite = {0};
	bool		possible = rel != NULL;
	ListCell   *lc;

	foreach(lc, rel == NULL ? NIL : stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AlterColumnType &&
			((is_named && is_inherited(relid, cmd->name)) ||
			 partitions_by(rel, cmd->name)))
			possible = false;
		if (possible && rel->rd_rel->relkind == RELKIND_RELATION &&
			(is_named || recurses(cmd)))
			possible = sg_trial_rewrite(utility, rel, cmd, &rewrite);
	}
	if (rel != NULL)
		relation_close(rel, NoLock);
	if (!possible)
		return false;
	if (rewrite.table)
		sg_bulk_rewrites(utility, relid);
	foreach(lc, rewrite.table ? NIL : rewrite.indexes)
	{
		Oid			index = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(index));
		SgBuild		build = {.table = relid};

		if (!HeapTupleIsValid(tuple))
			continue;
		build.primary = ((Form_pg_index) GETSTRUCT(tuple))->indisprimary;
		build.unique = ((Form_pg_index) GETSTRUCT(tuple))->indisunique;
		build.exclusion =
			((Form_pg_index) GETSTRUCT(tuple))->indisexclusion;
		ReleaseSysCache(tuple);
		strlcpy(build.name, get_rel_name(index), NAMEDATALEN);
		sg_bulk_builds(utility, &build);
	}
	return true;
}

static bool
try_files(SgUtility *utility, AlterTableStmt *stmt, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	bool		descends = false;
	List	   *relids;
	ListCell   *lc;

	foreach(lc, stmt->cmds)
		descends = descends || recurses(lfirst_node(AlterTableCmd, lc));
	/* children must not be left as they are */
	if (descends && !stmt->relation->inh &&
		find_inheritance_children(relid, NoLock) != NIL)
		return false;
	relids = descends && stmt->relation->inh ?
		find_all_inheritors(relid, NoLock, NULL) : list_make1_oid(relid);
	foreach(lc, relids)
	{
		if (!try_member(utility, stmt, lfirst_oid(lc), lfirst_oid(lc) == relid))
			return false;
	}
	return true;
}

/*
 * In the order of the server: what is dropped, what is added, and the files
 * at the end.
 */
static bool
try_alter(SgUtility *utility, Relation rel, AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DropColumn &&
			!try_drop_column(utility, rel, cmd, stmt->relation->inh))
			return false;
		if (cmd->subtype == AT_DropConstraint &&
			!try_drop_constraint(utility, rel, cmd))
			return false;
	}
	foreach(lc, stmt->cmds)
	{
		if (!try_subcommand(utility, rel, lfirst_node(AlterTableCmd, lc), stmt))
			return false;
	}
	return sg_trial_triggers(utility, rel, stmt->cmds) &&
		try_files(utility, stmt, rel);
}

bool
sg_trial_alter_table(SgUtility *utility, AlterTableStmt *stmt)
{
	Oid			relid = sg_ddl(utility)->target;
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';
	Relation	rel;
	bool		possible;

	if (relkind == '\0')
		return false;
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_FOREIGN_TABLE)
		return true;
	if (!sg_owns_relation(relid, GetUserId()))
		return false;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	possible = try_alter(utility, rel, stmt);
	relation_close(rel, NoLock);
	return possible;
}
