/*-------------------------------------------------------------------------
 *
 * restore_open.c
 *		Which relations get rows back, and whether the caller may do that.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "compat.h"
#include "rows/restore.h"
#include "safeguard.h"

static void
report_nothing(const SgRestore *restore, List *tables, Oid relid)
{
	if (tables == NIL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("no rows have been kept under the label \"%s\"",
					   restore->label),
				errhint("The view safeguard.kept_rows lists the labels."));
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("no rows of table \"%s\" have been kept under the label \"%s\"",
				   get_rel_name(relid), restore->label),
			OidIsValid(sg_partition_root(relid)) ?
			errhint("Rows of partitions are kept with those of the whole table \"%s\".",
					get_rel_name(sg_partition_root(relid))) :
			errhint("The view safeguard.kept_rows lists the tables."));
}

/*
 * Its owner may have done anything to it.  What reading it would call, or leave
 * out, is not for others.
 */
static bool
is_intact(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		plain;

	if (rel == NULL)
		return false;
	plain = rel->rd_rel->relkind == RELKIND_RELATION &&
		!rel->rd_rel->relrowsecurity;
	relation_close(rel, NoLock);
	return plain &&
		get_atttype(relid, get_attnum(relid, "sg_change")) == INT8OID &&
		get_atttype(relid, get_attnum(relid, "sg_statement")) == INT8OID &&
		get_atttype(relid, get_attnum(relid, "sg_image")) == CHAROID;
}

static void
check_kept_table(const SgKeptTable *table)
{
	if (!OidIsValid(table->relid))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("the kept rows of table %s are gone",
					   table->relation_name),
				errdetail("Table %s does not exist any more.",
						  quote_qualified_identifier(SG_KEPT_SCHEMA, table->name)));
	if (!sg_owns_relation(table->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, table->name);
	if (!is_intact(table->relid))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("table \"%s\" is not one of kept rows any more",
					   table->name),
				errdetail("It has row security, or lacks columns that tell how its rows were changed."));
}

/*
 * What an UPDATE, INSERT and DELETE would need.
 */
static void
check_privileges(Oid relid)
{
	AclMode		needed[] = {ACL_SELECT, ACL_INSERT, ACL_UPDATE, ACL_DELETE};

	for (int i = 0; i < lengthof(needed); i++)
	{
		AclResult	result = pg_class_aclcheck(relid, GetUserId(), needed[i]);

		if (result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
	}
}

static void
check_rights(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	check_privileges(relid);
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot put rows back into table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("Row security applies to the current user, who would not see all of its rows."),
				errhint("Run it as the owner of the table, or as a role with BYPASSRLS."),
				errtable(rel));
}

/* Would anything of the users' act on what a statement does to a table? */
static bool
has_triggers(Relation rel)
{
	for (int i = rel->trigdesc == NULL ? 0 : rel->trigdesc->numtriggers; i > 0; i--)
		if (!rel->trigdesc->triggers[i - 1].tgisinternal)
			return true;
	return rel->rd_rules != NULL;
}

/*
 * To go past the triggers and rules of a table is for its owner.
 */
static void
check_triggers(Relation rel, Oid relid)
{
	Relation	part = table_open(relid, NoLock);

	if (has_triggers(part) && !sg_owns_relation(relid, GetUserId()))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to put rows back into table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("Triggers and rules of table \"%s\" would not fire, which is for its owner to decide.",
						  RelationGetRelationName(part)),
				errtable(rel));
	table_close(part, NoLock);
}

/* How often we let go of all locks before we wait for one with the others. */
#define LOCK_TRIES		20

static bool
try_lock(Oid relid, List **locked)
{
	if (list_member_oid(*locked, relid))
		return true;
	if (!ConditionalLockRelationOid(relid, ExclusiveLock))
		return false;
	*locked = lappend_oid(*locked, relid);
	return true;
}

/*
 * Lock relations and their partitions without waiting: returns the one that is
 * busy, or InvalidOid.  Partitions may come until their parent is locked.
 */
static Oid
try_lock_all(List *relids, List **locked)
{
	ListCell   *lc;
	ListCell   *lp;

	foreach(lc, relids)
	{
		int			before;

		if (!try_lock(lfirst_oid(lc), locked))
			return lfirst_oid(lc);
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
			continue;
		do
		{
			before = list_length(*locked);
			foreach(lp, find_all_inheritors(lfirst_oid(lc), NoLock, NULL))
			{
				if (!try_lock(lfirst_oid(lp), locked))
					return lfirst_oid(lp);
			}
		} while (list_length(*locked) > before);
	}
	return InvalidOid;
}

/*
 * Lock relations, and their partitions, against all who write, and who lock rows:
 * who has locked a row and then writes would wait for us, and we for the row.
 * With this lock we wait before there is a row that we have touched, and who
 * holds a weaker one goes ahead of us.
 *
 * We hold none while we wait for another, or who has written to a table and goes
 * on to one that it refers to would wait for us, too.  Where there is never a
 * moment in which all are free, at last we do.
 */
static void
lock_relations(List *relids)
{
	List	   *locked = NIL;
	int			tries = 0;
	Oid			busy;

	while (OidIsValid(busy = try_lock_all(relids, &locked)))
	{
		ListCell   *lc;

		if (++tries <= LOCK_TRIES)
		{
			foreach(lc, locked)
				UnlockRelationOid(lfirst_oid(lc), ExclusiveLock);
			locked = NIL;
		}
		LockRelationOid(busy, ExclusiveLock);
		locked = lappend_oid(locked, busy);
	}
}

/* A relation that is locked, if it can get rows back. */
static Relation
open_relation(Oid relid)
{
	Relation	rel = try_relation_open(relid, NoLock);

	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relid));
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot put rows back into \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("It is not a table."));
	check_rights(rel);
	check_triggers(rel, relid);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		ListCell   *lc;

		foreach(lc, find_all_inheritors(relid, NoLock, NULL))
			check_triggers(rel, lfirst_oid(lc));
	}
	return rel;
}

/*
 * Nobody is to hold the lock of a label who has nothing to do with it.
 */
void
sg_restore_check_label(const SgRestore *restore)
{
	List	   *tables = sg_kept_tables(restore->label);
	ListCell   *lc;

	foreach(lc, tables)
	{
		const SgKeptTable *table = lfirst(lc);

		if (!OidIsValid(table->relid) ||
			sg_owns_relation(table->relid, GetUserId()))
			return;
	}
	if (tables == NIL)
		report_nothing(restore, NIL, InvalidOid);
	aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
				   ((SgKeptTable *) linitial(tables))->name);
}

/*
 * The relations to restore, locked; *kept gets for each the list of its kept
 * tables.
 */
List *
sg_restore_relations(SgRestore *restore, Oid only, List **kept)
{
	List	   *tables = sg_kept_tables(restore->label);
	List	   *relids = NIL;
	List	   *rels = NIL;
	ListCell   *lc;

	*kept = NIL;
	if (OidIsValid(only) && get_rel_relkind(only) == '\0')
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", only));
	foreach(lc, tables)
	{
		SgKeptTable *table = lfirst(lc);
		Oid			relid;
		int			i;

		if (OidIsValid(only) && only != sg_keep_root(table->relation) &&
			get_rel_relkind(table->relation) != '\0')
			continue;

		/* it may have become a partition: what came later is in the whole */
		relid = sg_keep_root(sg_kept_resolve(table));
		if (OidIsValid(only) && only != relid)
			continue;
		check_kept_table(table);
		for (i = 0; i < list_length(relids); i++)
			if (list_nth_oid(relids, i) == relid)
				break;
		if (i == list_length(relids))
		{
			relids = lappend_oid(relids, relid);
			*kept = lappend(*kept, NIL);
		}
		lfirst(list_nth_cell(*kept, i)) = lappend(list_nth(*kept, i), table);
	}
	if (relids == NIL)
		report_nothing(restore, tables, only);

	/* nobody is to wait for one who may not do it */
	foreach(lc, relids)
		check_privileges(lfirst_oid(lc));
	lock_relations(relids);
	foreach(lc, relids)
		rels = lappend(rels, open_relation(lfirst_oid(lc)));
	return rels;
}
