/*-------------------------------------------------------------------------
 *
 * constraint_bypass.c
 *		Finds commands that take away a unique key that upserts need, or a
 *		column that has been declared.
 *
 * While a command runs, the object access hook tells which unique indexes and
 * columns it drops or renames; when it is done, the catalogs tell whether
 * another index does the same service, and the figures of upserts whether
 * anybody needs it.  So neither a rebuilt index nor one of two equal ones is a
 * loss, and a table that is gone altogether needs none.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ddl/ddl.h"
#include "upsert/upsert.h"

/* What a command has dropped or renamed. */
typedef struct SgKeyLoss
{
	bool		renamed;
	Oid			relid;
	AttrNumber	attnum;			/* a column, or 0: a unique index */
	bool		declared[SG_NUM_COLUMN_ROLES];	/* of the column */
	bool		watched;		/* is it of the scope of a watched table? */
	char		name[NAMEDATALEN];	/* of column or index, before */
	SgTarget	target;			/* that the index serves */
	char	   *columns;		/* the same in words, before */
	Oid			constraint;		/* of the index */
} SgKeyLoss;

/* ---------------- seeing ---------------- */

static SgKeyLoss *
column_loss(Oid relid, AttrNumber attnum, bool renamed)
{
	char	   *name = get_attname(relid, attnum, true);
	SgKeyLoss  *loss;

	/* what holds for its partitions is said of the table */
	if (name == NULL || get_rel_relispartition(relid))
		return NULL;
	loss = palloc0(sizeof(SgKeyLoss));
	loss->relid = relid;
	loss->attnum = attnum;
	loss->renamed = renamed;
	strlcpy(loss->name, name, NAMEDATALEN);
	for (int role = 0; role < SG_NUM_COLUMN_ROLES; role++)
		loss->declared[role] = sg_column_has_role(relid, attnum, role);
	loss->watched = sg_watch_has_column(relid, name);
	return loss;
}

static char *
columns_text(const SgTarget *target)
{
	const char *expr = target->exprs;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < target->nkeys; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", " : "");
		if (target->keys[i] == 0)
		{
			appendStringInfoString(&buf, expr);
			expr += strlen(expr) + 1;
		}
		else
			appendStringInfoString(&buf,
								   quote_identifier(get_attname(target->key.relid,
																target->keys[i],
																false)));
	}
	return buf.data;
}

static SgKeyLoss *
index_loss(Oid index, bool renamed)
{
	SgKeyLoss  *loss = palloc0(sizeof(SgKeyLoss));

	if (sg_upsert_table == NULL || !sg_target_of_index(&loss->target, index))
		return NULL;
	loss->relid = loss->target.key.relid;
	loss->renamed = renamed;
	loss->constraint = get_index_constraint(index);
	loss->columns = columns_text(&loss->target);
	strlcpy(loss->name, get_rel_name(index), NAMEDATALEN);
	return loss;
}

static bool
is_index(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	return relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX;
}

static bool
drops_tables(const Node *stmt)
{
	return IsA(stmt, DropStmt) &&
		((const DropStmt *) stmt)->removeType == OBJECT_TABLE;
}

static void check_loss(const SgAfter *after, const SgKeyLoss *loss,
					   List **told);

/*
 * The command that is running is about to drop, or has just renamed and not
 * made visible yet, an object.
 */
void
sg_constraint_bypass_see(SgUtility *utility, ObjectAccessType access,
						 Oid classId, Oid objectId, int subId, void *arg)
{
	const Node *stmt = utility->pstmt->utilityStmt;
	bool		renamed = access == OAT_POST_ALTER && IsA(stmt, RenameStmt);
	MemoryContext caller;
	SgKeyLoss  *loss = NULL;

	if (classId != RelationRelationId || (access != OAT_DROP && !renamed) ||
		drops_tables(stmt))
		return;

	/* what the server takes away by itself it has replaced, or puts back */
	if (access == OAT_DROP &&
		(((ObjectAccessDrop *) arg)->dropflags &
		 PERFORM_DELETION_INTERNAL) != 0)
		return;

	caller = MemoryContextSwitchTo(utility->context);
	if (subId > 0)
		loss = column_loss(objectId, subId, renamed);
	else if (is_index(objectId))
		loss = index_loss(objectId, renamed);

	/* a concurrent drop commits before it is done: now or never */
	if (loss != NULL && access == OAT_DROP && subId == 0 &&
		(((ObjectAccessDrop *) arg)->dropflags &
		 PERFORM_DELETION_CONCURRENTLY) != 0)
	{
		SgAfter		after = {utility, objectId};
		List	   *told = NIL;

		check_loss(&after, loss, &told);
	}
	else if (loss != NULL)
		utility->losses = lappend(utility->losses, loss);
	MemoryContextSwitchTo(caller);
}

/* ---------------- texts ---------------- */

/*
 * May the current user see the statement of an entry?
 */
static bool
may_see_statement(const SgUpsertEntry *entry)
{
	return entry->statement[0] != '\0' &&
		entry->encoding == GetDatabaseEncoding() &&
		(has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		 has_privs_of_role(GetUserId(), entry->roleid));
}

static char *
detail_text(const SgUpsertEntry *entry)
{
	char	   *when = pstrdup(timestamptz_to_str(entry->last_seen));

	if (may_see_statement(entry))
		return psprintf("Upserts seen: %lld, the last one at %s: %s",
						(long long) entry->statements, when,
						entry->statement);
	return psprintf("Upserts seen: %lld, the last one at %s.",
					(long long) entry->statements, when);
}

static bool
columns_are_left(const SgAfter *after, const SgTarget *target)
{
	for (int i = 0; i < target->nkeys; i++)
	{
		if (target->keys[i] > 0 &&
			sg_after_is_gone(after, target->key.relid, target->keys[i]))
			return false;
	}
	return true;
}

static SgFinding *
new_finding(const SgKeyLoss *loss)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));

	finding->rule = SG_RULE_CONSTRAINT_BYPASS;
	finding->relid = loss->relid;
	finding->location = -1;
	finding->table_name = get_rel_name(loss->relid);
	finding->schema_name =
		get_namespace_name(get_rel_namespace(loss->relid));
	if (loss->attnum > 0)
		finding->column_name = pstrdup(loss->name);
	else if (OidIsValid(loss->constraint))
		finding->constraint_name = pstrdup(loss->name);
	return finding;
}

static char *
allowance(const SgFinding *finding)
{
	return psprintf("To allow it, run SELECT safeguard.set_level(%s, 'constraint_bypass', 'record').",
					quote_literal_cstr(quote_qualified_identifier(finding->schema_name,
																  finding->table_name)));
}

/*
 * An upsert that has been seen can no longer do what it did.
 */
static SgFinding *
upsert_finding(const SgAfter *after, const SgKeyLoss *loss,
			   const SgUpsertEntry *entry)
{
	SgFinding  *finding = new_finding(loss);
	const char *command =
		CreateCommandName(after->utility->pstmt->utilityStmt);
	const char *hint;

	if (loss->attnum > 0)
	{
		finding->message =
			psprintf("%s renames column \"%s\" of table \"%s\", which upserts name as their key",
					 command, loss->name, finding->table_name);
		hint = "Change the statements together with the column, or they fail.";
	}
	else if (loss->renamed)
	{
		finding->message =
			psprintf("%s renames constraint \"%s\" of table \"%s\", which upserts name",
					 command, loss->name, finding->table_name);
		hint = "Change the statements together with the constraint, or they fail.";
	}
	else if (entry->constraint == loss->constraint &&
			 OidIsValid(loss->constraint) &&
			 sg_after_is_served(after, &loss->target))
	{
		/* there is another key, but they go by the name of this one */
		finding->message =
			psprintf("%s drops constraint \"%s\" of table \"%s\", which upserts name",
					 command, loss->name, finding->table_name);
		hint = psprintf("Change the statements to ON CONFLICT (%s), or they fail.",
						loss->columns);
	}
	else
	{
		finding->message =
			psprintf("%s drops unique key \"%s\" of table \"%s\", which upserts need",
					 command, loss->name, finding->table_name);
		if (columns_are_left(after, &loss->target))
			hint = psprintf("Make another unique index on (%s) first, or change the statements, or they fail.",
							loss->columns);
		else
			hint = "Change the statements first, or they fail.";
	}
	finding->closed_message = finding->message;
	finding->detail = detail_text(entry);
	finding->hint = psprintf("%s  %s", hint, allowance(finding));
	return finding;
}

static SgFinding *
declared_finding(const SgUtility *utility, const SgKeyLoss *loss,
				 SgColumnRole role)
{
	SgFinding  *finding = new_finding(loss);

	finding->message =
		psprintf("%s %s column \"%s\" of table \"%s\", which has been declared \"%s\"",
				 CreateCommandName(utility->pstmt->utilityStmt),
				 loss->renamed ? "renames" : "drops", loss->name,
				 finding->table_name, sg_column_role_name(role));
	finding->closed_message = finding->message;
	finding->detail = pstrdup("The declaration is lost with its name.");
	finding->hint =
		psprintf("Run SELECT safeguard.clear_column(%s, %s, '%s') first%s.",
				 quote_literal_cstr(quote_qualified_identifier(finding->schema_name,
															   finding->table_name)),
				 quote_literal_cstr(loss->name), sg_column_role_name(role),
				 loss->renamed ?
				 ", and safeguard.set_column for the new name afterwards" : "");
	return finding;
}

static SgFinding *
watched_finding(const SgUtility *utility, const SgKeyLoss *loss)
{
	SgFinding  *finding = new_finding(loss);

	finding->message =
		psprintf("%s %s column \"%s\" of table \"%s\", which is watched by it",
				 CreateCommandName(utility->pstmt->utilityStmt),
				 loss->renamed ? "renames" : "drops", loss->name,
				 finding->table_name);
	finding->closed_message = finding->message;
	finding->detail = pstrdup("From now on its changes are counted without this column.");
	finding->hint =
		psprintf("Run SELECT safeguard.watch(%s, ...) with the columns that the scope shall have.",
				 quote_literal_cstr(quote_qualified_identifier(finding->schema_name,
															   finding->table_name)));
	return finding;
}

/* ---------------- judging ---------------- */

/*
 * Has a constraint been dropped only to be made again, as when the type of a
 * column changes?
 */
static bool
is_made_again(const SgAfter *after, const SgKeyLoss *loss)
{
	Oid			constraint = get_relation_constraint_oid(loss->relid,
														 loss->name, true);
	ListCell   *lc;

	if (after->utility->trial != NULL)
	{
		foreach(lc, after->utility->trial->keys)
		{
			const SgNewKey *key = lfirst(lc);

			if (key->table == loss->relid && key->constraint != NULL &&
				strcmp(key->constraint, loss->name) == 0)
				return true;
		}
		return false;
	}
	return OidIsValid(constraint) && constraint != loss->constraint;
}

/*
 * Does a loss break the statements that an entry has been made of?
 */
static bool
breaks(const SgAfter *after, const SgKeyLoss *loss,
	   const SgUpsertEntry *entry)
{
	if (loss->attnum > 0)
	{
		for (int i = 0; i < entry->nkeys; i++)
		{
			if (entry->keys[i] == loss->attnum)
				return loss->renamed && entry->by_columns;
		}
		return false;
	}
	if (entry->key.target != loss->target.id)
		return false;
	if (OidIsValid(loss->constraint) && entry->constraint == loss->constraint &&
		(loss->renamed || !is_made_again(after, loss)))
		return true;
	return !loss->renamed && entry->by_columns &&
		!sg_after_is_served(after, &loss->target);
}

static bool
was_told(List *told, const SgUpsertEntry *entry)
{
	ListCell   *lc;

	foreach(lc, told)
	{
		const SgUpsertKey *key = lfirst(lc);

		if (memcmp(key, &entry->key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

/*
 * Report what a loss breaks, each entry once.
 */
static void
check_loss(const SgAfter *after, const SgKeyLoss *loss, List **told)
{
	SgUtility  *utility = after->utility;
	Oid			root = loss->attnum > 0 ? loss->relid : loss->target.root;
	ListCell   *lc;

	if (sg_after_is_gone(after, loss->relid, 0) ||
		sg_level_for(SG_RULE_CONSTRAINT_BYPASS, loss->relid) == SG_LEVEL_OFF)
		return;
	for (int role = 0; role < SG_NUM_COLUMN_ROLES; role++)
	{
		if (loss->declared[role])
			sg_ddl_report(declared_finding(utility, loss, role), utility);
	}
	if (loss->watched)
		sg_ddl_report(watched_finding(utility, loss), utility);
	foreach(lc, sg_upserts_of(root))
	{
		SgUpsertEntry *entry = lfirst(lc);

		if (was_told(*told, entry) || !breaks(after, loss, entry))
			continue;
		*told = lappend(*told, &entry->key);
		sg_ddl_report(upsert_finding(after, loss, entry), utility);
	}
}

/*
 * The command is done.  Raises the ERROR if the level says so, which undoes
 * the command.
 */
void
sg_constraint_bypass_check(SgUtility *utility)
{
	MemoryContext work = NULL;
	MemoryContext caller = CurrentMemoryContext;
	SgAfter		after = {utility, InvalidOid};
	List	   *told = NIL;
	ListCell   *lc;

	if (utility->losses == NIL)
		return;
	/* what a review finds is kept */
	if (utility->trial == NULL)
	{
		work = AllocSetContextCreate(CurrentMemoryContext,
									 "safeguard constraint_bypass",
									 ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(work);
	}
	/* what a table loses is told before what its partitions lose with it */
	for (int pass = 0; pass < 2; pass++)
	{
		foreach(lc, utility->losses)
		{
			const SgKeyLoss *loss = lfirst(lc);

			if (get_rel_relispartition(loss->relid) == (pass == 1))
				check_loss(&after, loss, &told);
		}
	}
	MemoryContextSwitchTo(caller);
	if (work != NULL)
		MemoryContextDelete(work);
}
