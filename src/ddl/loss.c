/*-------------------------------------------------------------------------
 *
 * loss.c
 *		Data that a command destroys: tables and columns dropped, tables
 *		truncated, databases dropped.
 *
 * Tables are noted one by one while the command works, cascades included, and
 * reported when it is done: an error puts all of them back.  Leaves of one
 * partitioned table make one note, and of many tables only the first are
 * named.  What has to be asked of a table (level, name, who may read it) is
 * asked while it is still there.
 *
 * A database cannot be put back, so it is reported before anything happens to
 * it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "ddl/ddl.h"

/* up to here a table that is truncated twice is found out */
#define MAX_COMPARED	1000

/* A table that is being truncated. */
typedef struct SgTruncated
{
	Oid			relid;
	uint64		bytes;			/* when it was looked up */
	char	   *path;			/* of its file then, which stays until commit */
} SgTruncated;

/* ---------------- taking notes ---------------- */

/*
 * Would the rule act on this table for the current user, and may he see more
 * than the command says?  Leaves nothing behind: a cascade may come with
 * thousands of tables.
 */
static bool
decide(Oid relid, SgDecision *result)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard decision",
											   ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	List	   *decisions;
	bool		acts;

	decisions = sg_decide(list_make1(sg_ddl_finding(SG_RULE_DESTRUCTIVE_DDL,
													relid)));
	acts = decisions != NIL;
	if (acts)
		*result = *(SgDecision *) linitial(decisions);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return acts;
}

static SgLoss *
find_loss(SgDdl *ddl, SgLossKind kind, Oid root, SgLevel level, Oid row)
{
	ListCell   *lc;

	foreach(lc, ddl->losses)
	{
		SgLoss	   *loss = lfirst(lc);

		if (loss->kind == kind && loss->root == root &&
			loss->level == level && loss->row == row)
			return loss;
	}
	return NULL;
}

static SgLoss *
make_loss(SgLossKind kind, Oid relid, Oid root, Oid row,
		  const SgDecision *decision)
{
	SgLoss	   *loss = palloc0(sizeof(SgLoss));

	loss->kind = kind;
	loss->relid = relid;
	loss->root = root;
	loss->row = row;
	loss->row_name = OidIsValid(row) ? sg_qualified_name(row) : NULL;
	loss->level = decision->level;
	loss->readable = decision->readable;
	loss->schema = get_namespace_name(get_rel_namespace(relid));
	loss->table = get_rel_name(relid);
	loss->root_schema = get_namespace_name(get_rel_namespace(root));
	loss->root_table = get_rel_name(root);
	return loss;
}

static void
note_rest(SgDdl *ddl, SgLossKind kind, Oid relid, uint64 bytes,
		  const SgDecision *decision)
{
	SgLossRest *rest = &ddl->rest[decision->level];

	if (kind == SG_LOSS_COLUMN)
	{
		if (list_member_oid(ddl->summed, relid))
			return;
		ddl->summed = lappend_oid(ddl->summed, relid);
	}
	rest->tables++;
	rest->bytes += bytes;
	rest->closed = rest->closed || !decision->readable;
}

/*
 * A column goes.  Its table has been counted if another one went before, and
 * its name been noted if it went from another leaf.
 */
static bool
note_column(SgLoss *loss, Oid relid, const char *column)
{
	ListCell   *lc;
	bool		known = false;

	foreach(lc, loss->columns)
		known = known || strcmp(lfirst(lc), column) == 0;
	if (!known)
		loss->columns = lappend(loss->columns, pstrdup(column));
	if (list_member_oid(loss->relids, relid))
		return false;
	loss->relids = lappend_oid(loss->relids, relid);
	return true;
}

/*
 * Note that a table loses data.
 */
static void
note_loss(SgDdl *ddl, SgLossKind kind, Oid relid, uint64 bytes,
		  const char *column)
{
	Oid			root = sg_partition_root(relid);
	Oid			row;
	SgDecision	decision;
	SgLoss	   *loss;

	if (!decide(relid, &decision))
		return;
	if (!OidIsValid(root))
		root = relid;
	row = sg_level_row(SG_RULE_DESTRUCTIVE_DDL, relid);
	loss = find_loss(ddl, kind, root, decision.level, row);
	if (loss == NULL && relid != ddl->target &&
		list_length(ddl->losses) >= SG_DDL_MAX_NAMED)
	{
		note_rest(ddl, kind, relid, bytes, &decision);
		return;
	}
	if (loss == NULL)
	{
		loss = make_loss(kind, relid, root, row, &decision);
		/* its children come before a parent, but it is what was typed */
		ddl->losses = relid == ddl->target ? lcons(loss, ddl->losses) :
			lappend(ddl->losses, loss);
	}
	if (column != NULL && !note_column(loss, relid, column))
		return;
	loss->readable = loss->readable && decision.readable;
	loss->bytes += bytes;
	loss->parts++;
}

/*
 * A partitioned table goes as a whole: it is what the notes on its leaves are
 * about.
 */
static void
note_root(SgDdl *ddl, SgLossKind kind, Oid relid)
{
	ListCell   *lc;

	foreach(lc, ddl->losses)
	{
		SgLoss	   *loss = lfirst(lc);

		if (loss->kind == kind && loss->root == relid)
			loss->whole = true;
	}
}

/*
 * A table is dropped whose column has been noted: the table is what counts.
 */
static void
forget_columns(SgDdl *ddl, Oid relid)
{
	ListCell   *lc;

	foreach(lc, ddl->losses)
	{
		SgLoss	   *loss = lfirst(lc);

		if (loss->kind == SG_LOSS_COLUMN && loss->relid == relid)
			ddl->losses = foreach_delete_current(ddl->losses, lc);
	}
}

/*
 * Does the column hold data of its own?  A virtual one (18) is computed when
 * it is read.
 */
static bool
column_is_stored(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum));
	bool		stored;

	if (!HeapTupleIsValid(tuple))
		return false;
	stored = ((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated != 'v';
	ReleaseSysCache(tuple);
	return stored;
}

static void
note_dropped(SgDdl *ddl, Oid relid, int column)
{
	SgLossKind	kind = column > 0 ? SG_LOSS_COLUMN : SG_LOSS_TABLE;
	char		relkind = get_rel_relkind(relid);
	uint64		bytes;

	if (relkind == RELKIND_PARTITIONED_TABLE)
		note_root(ddl, kind, relid);
	if (relkind != RELKIND_RELATION ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		return;
	if (kind == SG_LOSS_TABLE)
		forget_columns(ddl, relid);
	else if (!column_is_stored(relid, column))
		return;
	bytes = sg_relation_bytes(relid);
	if (bytes == 0 || sg_relation_is_new(relid))
		return;
	note_loss(ddl, kind, relid, bytes,
			  column > 0 ? get_attname(relid, column, true) : NULL);
}

/* ---------------- entry points ---------------- */

/*
 * A table or, with column > 0, a column of it is about to be dropped.  Without
 * a command (another library drops by itself) it is reported at once.
 */
void
sg_loss_dropped(SgUtility *utility, Oid relid, int column)
{
	MemoryContext caller = CurrentMemoryContext;
	SgDdl		alone = {0};

	if (utility == NULL)
	{
		note_dropped(&alone, relid, column);
		sg_loss_report(&alone, NULL);
		return;
	}
	MemoryContextSwitchTo(utility->context);
	note_dropped(sg_ddl(utility), relid, column);
	MemoryContextSwitchTo(caller);
}

static SgTruncated *
find_truncated(SgDdl *ddl, Oid relid)
{
	ListCell   *lc;

	if (list_length(ddl->truncated) > MAX_COMPARED)
		return NULL;
	foreach(lc, ddl->truncated)
	{
		if (((SgTruncated *) lfirst(lc))->relid == relid)
			return lfirst(lc);
	}
	return NULL;
}

/*
 * A table is about to be truncated.  It need not be locked yet, and the user
 * need not be allowed to: take its size, and wait for what comes of it.  A
 * name is looked up again when something moved while the lock was waited for.
 */
void
sg_loss_truncated(SgUtility *utility, Oid relid)
{
	MemoryContext caller = MemoryContextSwitchTo(utility->context);
	SgDdl	   *ddl = sg_ddl(utility);
	SgTruncated *truncated = find_truncated(ddl, relid);

	if (truncated == NULL)
	{
		truncated = palloc0(sizeof(SgTruncated));
		truncated->relid = relid;
		ddl->truncated = lappend(ddl->truncated, truncated);
	}
	truncated->bytes = Max(truncated->bytes, sg_relation_bytes(relid));
	truncated->path = sg_relation_file(relid);
	MemoryContextSwitchTo(caller);
}

/*
 * Truncated tables are judged when that has succeeded.  What others wrote
 * while it waited is in the old file.
 */
static void
note_truncated(SgDdl *ddl)
{
	ListCell   *lc;

	foreach(lc, ddl->truncated)
	{
		SgTruncated *truncated = lfirst(lc);
		uint64		bytes = truncated->bytes;

		if (get_rel_relkind(truncated->relid) != RELKIND_RELATION ||
			get_rel_persistence(truncated->relid) == RELPERSISTENCE_TEMP)
			continue;
		if (truncated->path != NULL)
			bytes = Max(bytes, sg_file_bytes(truncated->path));
		if (bytes > 0 && !sg_relation_is_new(truncated->relid))
			note_loss(ddl, SG_LOSS_ROWS, truncated->relid, bytes, NULL);
	}
	foreach(lc, ddl->truncated)
		note_root(ddl, SG_LOSS_ROWS, ((SgTruncated *) lfirst(lc))->relid);
}

/*
 * A database is about to be dropped: judge now, nothing brings it back.
 */
void
sg_loss_database(SgUtility *utility, Oid database)
{
	SgFinding  *finding;
	uint64		bytes;

	if (sg_level_for(SG_RULE_DESTRUCTIVE_DDL, InvalidOid) == SG_LEVEL_OFF ||
		!sg_database_bytes(database, &bytes))
		return;
	finding = sg_ddl_finding(SG_RULE_DESTRUCTIVE_DDL, InvalidOid);
	finding->message = psprintf("DROP DATABASE destroys database \"%s\", which holds data",
								get_database_name(database));
	finding->detail = psprintf("There are %s in the tables and indexes that were made in it.",
							   sg_size_text(bytes));
	finding->hint = sg_allow_text(utility, SG_RULE_DESTRUCTIVE_DDL, NULL,
								  false);
	finding->closed_message = finding->message;
	sg_ddl_report(finding, utility);
}

/*
 * The command is done.
 */
void
sg_loss_deliver(SgUtility *utility)
{
	SgDdl	   *ddl = utility->ddl;

	if (ddl == NULL)
		return;
	note_truncated(ddl);
	sg_loss_report(ddl, utility);
}
