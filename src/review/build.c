/*-------------------------------------------------------------------------
 *
 * build.c
 *		Indexes that a command would build.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_target.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "review/trial.h"

/* ---------------- names ---------------- */

static bool
is_listed(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/*
 * What the server calls the columns of an index, joined: a number is put
 * behind a name that is there already.
 */
static char *
join_columns(List *columns)
{
	List	   *names = NIL;
	char		joined[NAMEDATALEN * 2] = "";
	ListCell   *lc;

	foreach(lc, columns)
	{
		const char *column = lfirst(lc);
		char	   *name = pstrdup(column);

		for (int n = 1; is_listed(names, name); n++)
		{
			char		number[12];

			snprintf(number, sizeof(number), "%d", n);
			name = psprintf("%.*s%s",
							pg_mbcliplen(column, strlen(column),
										 NAMEDATALEN - 1 - strlen(number)),
							column, number);
		}
		names = lappend(names, name);
		if (strlen(joined) >= NAMEDATALEN)
			continue;
		if (joined[0] != '\0')
			strlcat(joined, "_", sizeof(joined));
		strlcat(joined, name, sizeof(joined));
	}
	return pstrdup(joined);
}

/*
 * The name of an index that is given none, as the server would choose it.
 */
static void
choose_name(SgBuild *build, const char *given, List *columns, bool constraint)
{
	const char *label = build->primary ? "pkey" :
		build->exclusion ? "excl" : constraint ? "key" : "idx";

	if (given == NULL)
		given = ChooseRelationName(get_rel_name(build->table),
								   build->primary ? NULL :
								   join_columns(columns), label,
								   get_rel_namespace(build->table),
								   constraint);
	strlcpy(build->name, given, NAMEDATALEN);
}

/* ---------------- builds ---------------- */

/*
 * An index is built on a table, or on each leaf of a partitioned one.
 */
void
sg_trial_builds(SgUtility *utility, Relation rel, const SgBuild *build,
				bool recurse)
{
	ListCell   *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		sg_bulk_builds(utility, build);
		return;
	}
	if (!recurse)
		return;
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
	{
		SgBuild		leaf = *build;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		leaf.table = lfirst_oid(lc);
		sg_bulk_builds(utility, &leaf);
	}
}

static const char *
element_name(const IndexElem *element)
{
	const char *name = element->indexcolname;

	if (name == NULL)
		name = element->name != NULL ? element->name :
			FigureIndexColname(element->expr);
	return name != NULL ? name : "expr";
}

/*
 * The columns of an index.  Returns false if one of them is not there.
 */
static bool
element_names(Relation rel, List *elements, List **names, bool *plain)
{
	ListCell   *lc;

	foreach(lc, elements)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);

		if (element->name == NULL)
			*plain = false;
		else if (get_attnum(RelationGetRelid(rel), element->name) <= 0)
			return false;
		*names = lappend(*names, unconstify(char *, element_name(element)));
	}
	return true;
}

/*
 * What a command adds for upserts.
 */
static void
add_key(SgUtility *utility, Oid table, List *columns, const char *constraint)
{
	SgNewKey   *key = palloc0(sizeof(SgNewKey));
	ListCell   *lc;

	key->table = table;
	key->constraint = constraint;
	foreach(lc, columns)
	{
		/* 0: a new one, which no statement that has been seen is about */
		AttrNumber	attnum = sg_trial_column(utility, table, lfirst(lc));

		key->columns = bms_add_member(key->columns, Max(attnum, 0));
	}
	utility->trial->keys = lappend(utility->trial->keys, key);
}

/*
 * CREATE INDEX.
 */
bool
sg_trial_index(SgUtility *utility, IndexStmt *stmt)
{
	Oid			relid = sg_ddl(utility)->target;
	SgBuild		build = {.table = relid,.unique = stmt->unique};
	List	   *columns = NIL;
	bool		plain = true;
	Relation	rel;
	bool		possible;

	if (!OidIsValid(relid) || !sg_owns_relation(relid, GetUserId()))
		return false;
	if (stmt->concurrent)
		return true;
	if (stmt->idxname != NULL &&
		OidIsValid(get_relname_relid(stmt->idxname, get_rel_namespace(relid))))
		return false;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	possible = element_names(rel, stmt->indexParams, &columns, &plain) &&
		element_names(rel, stmt->indexIncludingParams, &columns, &plain);
	if (possible)
	{
		choose_name(&build, stmt->idxname, columns, false);
		sg_trial_builds(utility, rel, &build, stmt->relation->inh);
	}
	relation_close(rel, NoLock);
	return possible;
}

static bool
is_added(List *cmds, const char *column)
{
	ListCell   *lc;

	foreach(lc, cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddColumn &&
			strcmp(((ColumnDef *) cmd->def)->colname, column) == 0)
			return true;
	}
	return false;
}

/*
 * The columns of a constraint: those of "EXCLUDE", those listed, or the one
 * that it stands behind.  Returns false if one of them is not there.
 */
static bool
constraint_columns(SgUtility *utility, Relation rel, Constraint *constraint,
				   const char *column, List **columns)
{
	List	   *cmds =
		((AlterTableStmt *) utility->pstmt->utilityStmt)->cmds;
	bool		plain = true;
	ListCell   *lc;

	if (constraint->contype == CONSTR_EXCLUSION)
	{
		List	   *elements = NIL;

		foreach(lc, constraint->exclusions)
			elements = lappend(elements, linitial((List *) lfirst(lc)));
		return element_names(rel, elements, columns, &plain);
	}
	if (constraint->keys == NIL)
		*columns = list_make1(unconstify(char *, column));
	foreach(lc, constraint->keys)
	{
		char	   *name = strVal(lfirst(lc));

		if (get_attnum(RelationGetRelid(rel), name) <= 0 &&
			!is_added(cmds, name))
			return false;
		*columns = lappend(*columns, name);
	}
	return true;
}

/*
 * Is there a relation of the name, which this command does not drop?
 */
static bool
is_taken(SgUtility *utility, Relation rel, const char *name)
{
	Oid			relid = name == NULL ? InvalidOid :
		get_relname_relid(name, RelationGetNamespace(rel));

	return OidIsValid(relid) &&
		(utility->trial->drops == NULL ||
		 !sg_drops_have(utility->trial->drops, RelationRelationId, relid, 0));
}

static bool
has_primary_key(SgUtility *utility, Relation rel)
{
	/* sets rd_pkindex */
	list_free(RelationGetIndexList(rel));
	return OidIsValid(rel->rd_pkindex) &&
		(utility->trial->drops == NULL ||
		 !sg_drops_have(utility->trial->drops, RelationRelationId,
						rel->rd_pkindex, 0));
}

/*
 * ALTER TABLE adds a constraint that has an index.
 */
bool
sg_trial_key(SgUtility *utility, Relation rel, Constraint *constraint,
			 const char *column)
{
	SgBuild		build = {0};
	List	   *columns = NIL;

	build.table = RelationGetRelid(rel);
	build.primary = constraint->contype == CONSTR_PRIMARY;
	build.unique = build.primary || constraint->contype == CONSTR_UNIQUE;
	build.exclusion = constraint->contype == CONSTR_EXCLUSION;
	if (constraint->indexname != NULL)
		return OidIsValid(get_relname_relid(constraint->indexname,
											RelationGetNamespace(rel)));
	if (is_taken(utility, rel, constraint->conname) ||
		(build.primary && has_primary_key(utility, rel)) ||
		!constraint_columns(utility, rel, constraint, column, &columns))
		return false;
	choose_name(&build, constraint->conname, columns, true);
	if (build.unique)
		add_key(utility, build.table, columns, pstrdup(build.name));
	sg_trial_builds(utility, rel, &build, true);
	return true;
}

/* ---------------- ATTACH PARTITION ---------------- */

/*
 * Does the partition have an index that can be attached to the parent's?  Each
 * only once: "used" has those of other indexes of the parent.
 */
static bool
has_match(Relation partition, Relation parent, Relation parent_index,
		  List **used)
{
	AttrMap    *map = sg_attribute_map(partition, parent);
	IndexInfo  *wanted = BuildIndexInfo(parent_index);
	bool		constraint =
		OidIsValid(get_relation_idx_constraint_oid(RelationGetRelid(parent),
												   RelationGetRelid(parent_index)));
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(partition))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (!found && !list_member_oid(*used, lfirst_oid(lc)) &&
			!index->rd_rel->relispartition && index->rd_index->indisvalid &&
			CompareIndexInfo(BuildIndexInfo(index), wanted,
							 index->rd_indcollation,
							 parent_index->rd_indcollation,
							 index->rd_opfamily, parent_index->rd_opfamily,
							 map) &&
			(!constraint ||
			 OidIsValid(get_relation_idx_constraint_oid(RelationGetRelid(partition),
														lfirst_oid(lc)))))
		{
			*used = lappend_oid(*used, lfirst_oid(lc));
			found = true;
		}
		index_close(index, NoLock);
	}
	return found;
}

/*
 * The names of an index's columns.
 */
static List *
index_columns(Relation index)
{
	List	   *names = NIL;

	for (int i = 0; i < RelationGetNumberOfAttributes(index); i++)
		names = lappend(names,
						pstrdup(NameStr(TupleDescAttr(RelationGetDescr(index),
													  i)->attname)));
	return names;
}

/*
 * Has the table all columns of its parent-to-be?
 */
static bool
has_columns(Relation partition, Relation parent)
{
	TupleDesc	desc = RelationGetDescr(parent);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute wanted = TupleDescAttr(desc, i);
		AttrNumber	attnum;

		if (wanted->attisdropped)
			continue;
		attnum = get_attnum(RelationGetRelid(partition),
							NameStr(wanted->attname));
		if (attnum <= 0 ||
			TupleDescAttr(RelationGetDescr(partition),
						  attnum - 1)->atttypid != wanted->atttypid)
			return false;
	}
	return true;
}

/*
 * A table becomes a partition, and gets each index that it lacks.  One that
 * is partitioned itself is not looked at.
 */
bool
sg_trial_attach(SgUtility *utility, Relation rel, Oid partition)
{
	Relation	child = try_relation_open(partition, AccessShareLock);
	List	   *used = NIL;
	ListCell   *lc;

	if (child == NULL || !has_columns(child, rel))
		return false;
	foreach(lc, child->rd_rel->relkind == RELKIND_RELATION ?
			RelationGetIndexList(rel) : NIL)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		SgBuild		build = {.table = partition};

		if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX &&
			!has_match(child, rel, index, &used))
		{
			build.primary = index->rd_index->indisprimary;
			build.unique = index->rd_index->indisunique;
			choose_name(&build, NULL, index_columns(index),
						OidIsValid(get_relation_idx_constraint_oid(RelationGetRelid(rel),
																   lfirst_oid(lc))));
			sg_bulk_builds(utility, &build);
		}
		index_close(index, NoLock);
	}
	relation_close(child, NoLock);
	return true;
}
