/*-------------------------------------------------------------------------
 *
 * able.c
 *		Which tables' rows can be kept.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "rows/rows.h"

/*
 * The schemas of the extension: what it notes there itself is never kept.
 */
bool
sg_is_ours(Oid relnamespace)
{
	return relnamespace == get_namespace_oid("safeguard", true) ||
		relnamespace == get_namespace_oid(SG_KEPT_SCHEMA, true);
}

bool
sg_is_temporary(Relation rel)
{
	return rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
}

static void
refuse(Relation rel, const char *detail, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot keep rows of table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail_internal("%s", detail),
			hint ? errhint("%s", hint) : 0,
			errtable(rel));
}

/* What is wrong with a relation of this kind and persistence, or NULL. */
static const char *
trouble(char relkind, char relpersistence)
{
	if (relkind == RELKIND_FOREIGN_TABLE)
		return "It is a foreign table.";
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		return "It is not a table.";
	if (relpersistence == RELPERSISTENCE_TEMP)
		return "It is a temporary table.";
	if (relpersistence == RELPERSISTENCE_UNLOGGED)
		return "It is an unlogged table, which a crash empties.";
	return NULL;
}

static void
check_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *name = NameStr(att->attname);

		if (att->attisdropped)
			continue;
		n++;
		if (strcmp(name, "sg_change") == 0 ||
			strcmp(name, "sg_statement") == 0 || strcmp(name, "sg_image") == 0)
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_COLUMN),
					errmsg("cannot keep rows of table \"%s\"",
						   RelationGetRelationName(rel)),
					errdetail("Its column \"%s\" has the name of one that a table of kept rows has itself.",
							  name),
					errtable(rel));
	}
	if (n > MaxHeapAttributeNumber - SG_KEPT_COLUMNS)
		ereport(ERROR,
				errcode(ERRCODE_TOO_MANY_COLUMNS),
				errmsg("cannot keep rows of table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("It has %d columns, and at most %d are possible.", n,
						  MaxHeapAttributeNumber - SG_KEPT_COLUMNS),
				errtable(rel));
}

/*
 * A partition is checked as part of its root, with which it may not even be
 * open.
 */
static void
check_partitions(Relation rel)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(lc);
		const char *why;

		if (relid == RelationGetRelid(rel))
			continue;
		why = trouble(get_rel_relkind(relid), get_rel_persistence(relid));
		if (why != NULL)
			refuse(rel,
				   psprintf("Its partition \"%s\" does not allow it: %s",
							get_rel_name(relid), why), NULL);
	}
}

/*
 * Whoever does not see all rows must not keep them, nor put them back.
 */
void
sg_check_row_security(Relation rel)
{
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		refuse(rel,
			   "Row security applies to the current user, who would neither see nor restore all of its rows.",
			   "Run it as the owner of the table, or as a role with BYPASSRLS.");
}

void
sg_check_keepable(Relation rel)
{
	Oid			nspid = RelationGetNamespace(rel);
	const char *why = trouble(rel->rd_rel->relkind,
							  rel->rd_rel->relpersistence);

	if (why != NULL)
		refuse(rel, why, NULL);
	if (RelationGetRelid(rel) < FirstNormalObjectId)
		refuse(rel, "It is a system catalog.", NULL);
	if (sg_is_ours(nspid))
		refuse(rel, "It is a table of safeguard.", NULL);
	sg_check_row_security(rel);
	check_columns(rel);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		check_partitions(rel);
}

/* ---------------- what a statement does to it ---------------- */

/*
 * A row of a child is gathered in the row type of its parent, without what the
 * child alone has.
 */
void
sg_refuse_children(ModifyTableState *node)
{
	Relation	root = node->rootResultRelInfo->ri_RelationDesc;

	if (root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return;
	for (int i = 0; i < node->mt_nrels; i++)
	{
		Relation	rel = node->resultRelInfo[i].ri_RelationDesc;

		if (RelationGetRelid(rel) == RelationGetRelid(root))
			continue;
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot keep rows of table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("The statement reaches it through its parent \"%s\".",
						  RelationGetRelationName(root)),
				errhint("Write ONLY before the name of the parent, and change the rows of each child by a statement of its own."),
				errtable(rel));
	}
}

/* Do columns of a partitioned table choose the partition in one of its own? */
static bool
chooses_partition(Relation root, Oid partitioned, Bitmapset *columns)
{
	Relation	rel = table_open(partitioned, AccessShareLock);
	Bitmapset  *attnums = NULL;
	int			i = -1;
	bool		result;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;
		char	   *name = attnum > 0 ?
			get_attname(RelationGetRelid(root), attnum, true) : NULL;

		if (name != NULL)
			attnums = bms_add_member(attnums, get_attnum(partitioned, name) -
									 FirstLowInvalidHeapAttributeNumber);
	}
	result = has_partition_attrs(rel, attnums, NULL);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Of a row that MERGE moves to another partition the server gathers the old
 * image alone, as if it were deleted.
 */
void
sg_refuse_moves(ModifyTableState *node)
{
	Relation	root = node->rootResultRelInfo->ri_RelationDesc;
	Bitmapset  *columns;
	ListCell   *lc;

	if (node->operation != CMD_MERGE ||
		(node->mt_merge_subcommands & MERGE_UPDATE) == 0 ||
		root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	columns = ExecGetUpdatedCols(node->rootResultRelInfo, node->ps.state);
	foreach(lc, find_all_inheritors(RelationGetRelid(root), AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE &&
			chooses_partition(root, lfirst_oid(lc), columns))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot keep rows of table \"%s\"",
						   RelationGetRelationName(root)),
					errdetail("The MERGE may move rows from one partition to another, and of those only the old values can be gathered."),
					errhint("Move rows by UPDATE."),
					errtable(root));
	}
}
