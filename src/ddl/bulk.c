/*-------------------------------------------------------------------------
 *
 * bulk.c
 *		Commands that work through a large table while others wait: rewrites
 *		and blocking builds of indexes.
 *
 * A rewrite shows by the table that it makes to copy the rows into, whose
 * pg_class.relrewrite names the old one; an index by its own creation.  Both
 * come before the work, so a rejection saves it.  The size of a partitioned
 * table is the sum of its leaves'.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/ddl.h"

/* ---------------- what it is about ---------------- */

/*
 * The partitioned table that the command names and that "relid" is a leaf of;
 * otherwise relid itself.
 */
static Oid
subject_of(SgDdl *ddl, Oid relid)
{
	if (OidIsValid(ddl->target) && ddl->target != relid &&
		get_rel_relkind(ddl->target) == RELKIND_PARTITIONED_TABLE &&
		get_rel_relispartition(relid))
	{
		Oid			root = sg_partition_root(relid);
		Oid			target_root = sg_partition_root(ddl->target);

		if (root == ddl->target || root == target_root)
			return ddl->target;
	}
	return relid;
}

/*
 * Is the table larger than the limit?
 */
static bool
is_large(Oid subject, uint64 *bytes)
{
	int			leaves;

	if (get_rel_persistence(subject) == RELPERSISTENCE_TEMP)
		return false;
	if (get_rel_relkind(subject) == RELKIND_PARTITIONED_TABLE)
		*bytes = sg_leaves_bytes(subject, &leaves);
	else
		*bytes = sg_relation_bytes(subject);
	return *bytes > (uint64) sg_large_table * 1024;
}

/*
 * Report it, once a command: "reported" has the tables for which that has been
 * done.  A restore is not to be stopped, whatever it takes.
 */
static void
report(SgUtility *utility, List **reported, SgFinding *finding,
	   bool never_reject)
{
	MemoryContext caller = MemoryContextSwitchTo(utility->context);

	*reported = lappend_oid(*reported, finding->relid);
	MemoryContextSwitchTo(caller);
	finding->location = sg_ddl(utility)->location;
	if (never_reject || sg_session_is_restore())
		finding->highest = SG_LEVEL_RECORD;
	sg_ddl_report(finding, utility);
}

/* ---------------- rewrites ---------------- */

static void
report_rewrite(SgUtility *utility, Oid relid, const char *verb)
{
	SgDdl	   *ddl = sg_ddl(utility);
	Oid			subject = subject_of(ddl, relid);
	SgFinding  *finding;
	char	   *size;
	uint64		bytes;

	if (list_member_oid(ddl->rewritten, subject) || !is_large(subject, &bytes))
		return;
	finding = sg_ddl_finding(SG_RULE_DESTRUCTIVE_DDL, subject);
	size = sg_size_text(bytes);
	finding->message = psprintf("%s %s table \"%s\", which is larger than safeguard.large_table",
								ddl->command, verb, finding->table_name);
	finding->detail = psprintf("There are %s to be copied; nobody can read or write the table until that is done.",
							   size);
	finding->hint = sg_allow_table(utility, SG_RULE_DESTRUCTIVE_DDL, subject);
	if (IsA(utility->pstmt->utilityStmt, AlterTableStmt) &&
		strcmp(verb, "rewrites") == 0)
		finding->hint = psprintf("Add a column that needs no rewrite, fill it in batches, and let it take the place of the old one.  %s",
								 finding->hint);
	finding->closed_message = psprintf("%s %s a large table", ddl->command,
									   verb);
	report(utility, &ddl->rewritten, finding, false);
}

/*
 * SET TABLESPACE copies the files as they are, without a new table.
 */
static bool
moves_table(const AlterTableStmt *stmt, Oid relid)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			to;
		Oid			from;

		if (cmd->subtype != AT_SetTableSpace || cmd->name == NULL)
			continue;
		to = get_tablespace_oid(cmd->name, true);
		from = get_rel_tablespace(relid);
		if (!OidIsValid(from))
			from = MyDatabaseTableSpace;
		return OidIsValid(to) && to != from;
	}
	return false;
}

/* ---------------- indexes ---------------- */

static bool
has_subcommand(SgUtility *utility, AlterTableType subtype)
{
	const Node *stmt = utility->pstmt->utilityStmt;
	ListCell   *lc;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	foreach(lc, ((const AlterTableStmt *) stmt)->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == subtype)
			return true;
	}
	return false;
}

/*
 * Can the command rewrite the table after it has made an index for it?  Then
 * the index is filled by the rewrite.
 */
static bool
may_rewrite(SgUtility *utility)
{
	return has_subcommand(utility, AT_AddColumn) ||
		has_subcommand(utility, AT_AlterColumnType) ||
		has_subcommand(utility, AT_SetLogged) ||
		has_subcommand(utility, AT_SetUnLogged) ||
		has_subcommand(utility, AT_SetAccessMethod);
}

/*
 * An index that stands for a constraint of the parent must stand for one of
 * the partition, too.
 */
static const char *
attach_advice(const SgBuild *build)
{
	if (build->primary)
		return "Give the table its primary key before it is attached: CREATE UNIQUE INDEX CONCURRENTLY, then ALTER TABLE ... ADD PRIMARY KEY USING INDEX.  ";
	if (build->unique)
		return "Give the table such an index before it is attached: CREATE UNIQUE INDEX CONCURRENTLY, and if the parent has a constraint, then ALTER TABLE ... ADD UNIQUE USING INDEX.  ";
	return "Give the table such an index with CREATE INDEX CONCURRENTLY before it is attached.  ";
}

/*
 * What to do instead.  An exclusion constraint has no other way.
 */
static const char *
build_advice(SgUtility *utility, const SgBuild *build, bool partitioned)
{
	const Node *stmt = utility->pstmt->utilityStmt;

	if (partitioned)
		return "Create the index ON ONLY the partitioned table, then CONCURRENTLY on each partition, and attach these.  ";
	if (IsA(stmt, ReindexStmt))
		return "Use REINDEX with CONCURRENTLY.  ";
	if (IsA(stmt, IndexStmt))
		return build->unique ? "Use CREATE UNIQUE INDEX CONCURRENTLY.  " :
			"Use CREATE INDEX CONCURRENTLY.  ";
	if (build->exclusion)
		return "";
	if (has_subcommand(utility, AT_AttachPartition))
		return attach_advice(build);
	if (build->primary)
		return "Use CREATE UNIQUE INDEX CONCURRENTLY, then ALTER TABLE ... ADD PRIMARY KEY USING INDEX.  ";
	if (build->unique)
		return "Use CREATE UNIQUE INDEX CONCURRENTLY, then ALTER TABLE ... ADD UNIQUE USING INDEX.  ";
	return "";
}

static void
report_build(SgUtility *utility, const SgBuild *build)
{
	SgDdl	   *ddl = sg_ddl(utility);
	Oid			subject = subject_of(ddl, build->table);
	SgFinding  *finding;
	char	   *size;
	uint64		bytes;

	/* a partition that is being attached is a table of its own */
	if (has_subcommand(utility, AT_AttachPartition))
		subject = build->table;
	if (list_member_oid(ddl->indexed, subject) ||
		list_member_oid(ddl->rewritten, subject) ||
		!is_large(subject, &bytes))
		return;
	finding = sg_ddl_finding(SG_RULE_DESTRUCTIVE_DDL, subject);
	size = sg_size_text(bytes);
	finding->message = psprintf("%s blocks table \"%s\", which is larger than safeguard.large_table, to build an index",
								ddl->command, finding->table_name);
	if (build->name[0] != '\0' && subject == build->table)
		finding->detail = psprintf("There are %s to be read; nobody can write to the table until index \"%s\" is built.",
								   size, build->name);
	else
		finding->detail = psprintf("There are %s to be read; nobody can write to the table until that is done.",
								   size);
	finding->hint = psprintf("%s%s",
							 build_advice(utility, build,
										  subject != build->table),
							 sg_allow_table(utility, SG_RULE_DESTRUCTIVE_DDL,
											subject));
	finding->closed_message = psprintf("%s blocks a large table to build an index",
									   ddl->command);

	/* on a partitioned table the server itself refuses CONCURRENTLY */
	report(utility, &ddl->indexed, finding, subject != build->table);
}

/*
 * The row of pg_index for an index that has just been made and is not visible
 * yet.  Returns false for one that is not built now: a concurrent one, or one
 * that takes over the files of the index before it.
 */
static bool
read_build(Oid index, SgBuild *build)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		ready = false;

	ScanKeyInit(&key, Anum_pg_index_indexrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(index));
	scan = systable_beginscan(rel, IndexRelidIndexId, true, SnapshotSelf, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		build->table = form->indrelid;
		build->primary = form->indisprimary;
		build->unique = form->indisunique;
		build->exclusion = form->indisexclusion;
		ready = form->indisready;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return ready;
}

/*
 * An index is built while the writers of its table wait.
 */
void
sg_bulk_builds(SgUtility *utility, const SgBuild *build)
{
	SgDdl	   *ddl = sg_ddl(utility);
	MemoryContext caller;
	SgBuild    *later;

	if (sg_relation_is_new(build->table))
		return;
	if (!may_rewrite(utility))
	{
		report_build(utility, build);
		return;
	}

	/* a rewrite is what is to be told, if one comes: wait for it */
	caller = MemoryContextSwitchTo(utility->context);
	later = palloc(sizeof(SgBuild));
	*later = *build;
	ddl->builds = lappend(ddl->builds, later);
	MemoryContextSwitchTo(caller);
}

/* ---------------- entry points ---------------- */

/*
 * Nothing has happened yet.  REINDEX gives no sign while it works, nor does
 * SET TABLESPACE before it has worked.
 */
void
sg_bulk_before(SgUtility *utility)
{
	const Node *stmt = utility->pstmt->utilityStmt;
	SgDdl	   *ddl = sg_ddl(utility);

	if (!OidIsValid(ddl->target) ||
		!sg_owns_relation(ddl->target, GetUserId()))
		return;
	if (IsA(stmt, ReindexStmt))
	{
		const ReindexStmt *reindex = (const ReindexStmt *) stmt;
		SgBuild		build = {0};

		build.table = ddl->target;
		if (reindex->kind == REINDEX_OBJECT_INDEX)
		{
			build.table = sg_table_of_index(ddl->target);
			strlcpy(build.name, reindex->relation->relname, NAMEDATALEN);
		}
		if (OidIsValid(build.table) && !sg_relation_is_new(build.table))
			report_build(utility, &build);
	}
	else if (IsA(stmt, AlterTableStmt) &&
			 get_rel_relkind(ddl->target) == RELKIND_RELATION &&
			 moves_table((const AlterTableStmt *) stmt, ddl->target) &&
			 !sg_relation_is_new(ddl->target))
		report_rewrite(utility, ddl->target, "moves");
}

/*
 * A table is copied, row by row, while nobody can use it.
 */
void
sg_bulk_rewrites(SgUtility *utility, Oid relid)
{
	if (!sg_relation_is_new(relid))
		report_rewrite(utility, relid, "rewrites");
}

/*
 * A relation has been made, and is still open.
 */
void
sg_bulk_created(SgUtility *utility, Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	SgBuild		build = {0};
	char		relkind;
	Oid			rewritten;
	bool		reused;

	if (rel == NULL)
		return;
	relkind = rel->rd_rel->relkind;
	rewritten = rel->rd_rel->relrewrite;
	/* a new relation's file has its number, unless it is that of another */
	reused = rel->rd_rel->relfilenode != relid;
	strlcpy(build.name, RelationGetRelationName(rel), NAMEDATALEN);
	RelationClose(rel);

	if (relkind == RELKIND_RELATION && OidIsValid(rewritten))
		sg_bulk_rewrites(utility, rewritten);
	else if (relkind == RELKIND_INDEX && !reused && read_build(relid, &build))
		sg_bulk_builds(utility, &build);
}

/*
 * The command is done, and no rewrite has come.
 */
void
sg_bulk_deliver(SgUtility *utility)
{
	ListCell   *lc;

	if (utility->ddl == NULL)
		return;
	foreach(lc, utility->ddl->builds)
		report_build(utility, lfirst(lc));
}
