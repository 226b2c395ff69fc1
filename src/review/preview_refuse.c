/*-------------------------------------------------------------------------
 *
 * preview_refuse.c
 *		What cannot be rehearsed, because no rollback takes it back or because
 *		it does not run inside a transaction.
 *
 * The statements of the script are looked at before any of them runs.  What
 * functions, triggers and DO blocks do is looked at when they do it: there it
 * is the failure of the statement that called them.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/prepare.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "tcop/utility.h"
#include "utils/portal.h"

#include "ddl/ddl.h"
#include "review/preview.h"

/* ---------------- statements ---------------- */

static bool
refuse_in_query(Node *node, SgRefusal *refusal)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && sg_refuse_call(refusal, (FuncCall *) node))
		return true;
	if (IsA(node, RangeVar))
		return sg_refuse_read(refusal, (RangeVar *) node);
	if (IsA(node, InsertStmt) &&
		sg_refuse_target(refusal, ((InsertStmt *) node)->relation))
		return true;
	if (IsA(node, UpdateStmt) &&
		sg_refuse_target(refusal, ((UpdateStmt *) node)->relation))
		return true;
	if (IsA(node, DeleteStmt) &&
		sg_refuse_target(refusal, ((DeleteStmt *) node)->relation))
		return true;
	if (IsA(node, MergeStmt) &&
		sg_refuse_target(refusal, ((MergeStmt *) node)->relation))
		return true;
	return raw_expression_tree_walker(node, refuse_in_query, refusal);
}

static bool
refuse_copy(SgRefusal *refusal, const CopyStmt *stmt)
{
	if (stmt->is_program)
		return sg_refuse(refusal, "COPY with a program", SG_NO_ROLLBACK, NULL);
	if (stmt->filename == NULL)
		return sg_refuse(refusal, stmt->is_from ? "COPY FROM STDIN" : "COPY TO STDOUT",
						 "The client's data does not come through the script.",
						 stmt->is_from ?
						 "Put the rows into a temporary table before, or write them as INSERT." : NULL);
	if (!stmt->is_from)
		return sg_refuse(refusal, "COPY TO a file", SG_NO_ROLLBACK, NULL);
	return sg_refuse_target(refusal, stmt->relation);
}

static bool
refuse_truncate(SgRefusal *refusal, const TruncateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
	{
		if (sg_refuse_target(refusal, lfirst_node(RangeVar, lc)))
			return true;
	}
	return false;
}

/* An option that is there and says false, or "none". */
static bool
is_switched_off(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return strcmp(name, "slot_name") == 0 ?
				strcmp(defGetString(option), "none") == 0 :
				!defGetBoolean(option);
	}
	return false;
}

static bool
refuse_subscription(SgRefusal *refusal, const Node *stmt)
{
	if (IsA(stmt, CreateSubscriptionStmt))
	{
		List	   *options = ((const CreateSubscriptionStmt *) stmt)->options;

		if (is_switched_off(options, "connect") ||
			is_switched_off(options, "create_slot") ||
			is_switched_off(options, "slot_name"))
			return false;
		return sg_refuse(refusal, "CREATE SUBSCRIPTION with a replication slot",
						 SG_NO_BLOCK, "Rehearse it WITH (connect = false).");
	}
	if (IsA(stmt, DropSubscriptionStmt))
		return sg_refuse(refusal, "DROP SUBSCRIPTION",
						 "It drops a replication slot of another server.", NULL);
	switch (((const AlterSubscriptionStmt *) stmt)->kind)
	{
		case ALTER_SUBSCRIPTION_SET_PUBLICATION:
		case ALTER_SUBSCRIPTION_ADD_PUBLICATION:
		case ALTER_SUBSCRIPTION_DROP_PUBLICATION:
			if (is_switched_off(((const AlterSubscriptionStmt *) stmt)->options,
								"refresh"))
				return false;
			return sg_refuse(refusal, "ALTER SUBSCRIPTION with refresh", SG_NO_BLOCK,
							 NULL);
		case ALTER_SUBSCRIPTION_REFRESH:
			return sg_refuse(refusal, "ALTER SUBSCRIPTION ... REFRESH", SG_NO_BLOCK,
							 NULL);
		default:
			return false;
	}
}

/*
 * A cursor or prepared statement of the session: what is done to it stays so,
 * unless the script has made it.
 */
static bool
refuse_of_session(SgRefusal *refusal, const char *what, const char *name,
				  bool made_before)
{
	return made_before &&
		sg_refuse(refusal, psprintf("%s %s", what, name ? name : "ALL"),
				  "It belongs to the session, not to the script.", NULL);
}

static bool
cursor_is_older(const char *name)
{
	Portal		portal = name ? GetPortalByName(name) : NULL;

	if (name == NULL)
		return true;
	return PortalIsValid(portal) &&
		(sg_rehearsal == NULL || portal->createSubid < sg_rehearsal->subid);
}

static bool
prepared_is_older(const char *name)
{
	ListCell   *lc;

	if (name == NULL)
		return true;
	foreach(lc, sg_rehearsal ? sg_rehearsal->prepared : NIL)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return false;
	}
	return FetchPreparedStatement(name, false) != NULL;
}

static bool
moves_database(const AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

/* ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY */
static bool
detaches_concurrently(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition &&
			castNode(PartitionCmd, cmd->def)->concurrent)
			return true;
	}
	return false;
}

/* What refuses to run in a transaction, or leaves something behind. */
static bool
refuse_utility(SgRefusal *refusal, Node *stmt)
{
	const char *tag = GetCommandTagName(CreateCommandTag(stmt));

	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
			return sg_refuse(refusal, tag,
							 "A rehearsal is one subtransaction, which is rolled back at its end.",
							 "Leave it out of the script.");
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd &&
				sg_refuse(refusal, tag, SG_NO_BLOCK, NULL);
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
			return sg_refuse(refusal, tag, SG_NO_BLOCK, NULL);
		case T_AlterDatabaseStmt:
			return moves_database((AlterDatabaseStmt *) stmt) &&
				sg_refuse(refusal, "ALTER DATABASE ... SET TABLESPACE", SG_NO_BLOCK,
						  NULL);
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL &&
				sg_refuse(refusal, "CLUSTER without a table", SG_NO_BLOCK,
						  "Name the tables one by one.");
		case T_ReindexStmt:
			if (((ReindexStmt *) stmt)->kind != REINDEX_OBJECT_INDEX &&
				((ReindexStmt *) stmt)->kind != REINDEX_OBJECT_TABLE)
				return sg_refuse(refusal, "REINDEX of a schema or database",
								 SG_NO_BLOCK, "Name the tables one by one.");
			break;
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
			return refuse_subscription(refusal, stmt);
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) stmt) &&
				sg_refuse(refusal, "DETACH PARTITION CONCURRENTLY", SG_NO_BLOCK,
						  "Rehearse it without CONCURRENTLY.");
		case T_DiscardStmt:
			return (((DiscardStmt *) stmt)->target == DISCARD_ALL ||
					((DiscardStmt *) stmt)->target == DISCARD_SEQUENCES) &&
				sg_refuse(refusal, tag, SG_NO_ROLLBACK, NULL);
		case T_NotifyStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
			return sg_refuse(refusal, tag,
							 "Its effect begins when a transaction commits.",
							 NULL);
		case T_LoadStmt:
		case T_CheckPointStmt:
			return sg_refuse(refusal, tag, SG_NO_ROLLBACK, NULL);
		case T_CopyStmt:
			return refuse_copy(refusal, (CopyStmt *) stmt);
		case T_TruncateStmt:
			return refuse_truncate(refusal, (TruncateStmt *) stmt);
		case T_DeallocateStmt:
			return refuse_of_session(refusal, "DEALLOCATE",
									 ((DeallocateStmt *) stmt)->name,
									 prepared_is_older(((DeallocateStmt *) stmt)->name));
		case T_ClosePortalStmt:
			return refuse_of_session(refusal, "CLOSE",
									 ((ClosePortalStmt *) stmt)->portalname,
									 cursor_is_older(((ClosePortalStmt *) stmt)->portalname));
		case T_FetchStmt:
			return refuse_of_session(refusal, tag,
									 ((FetchStmt *) stmt)->portalname,
									 cursor_is_older(((FetchStmt *) stmt)->portalname));
		default:
			break;
	}
	return sg_is_concurrent(stmt) && !IsA(stmt, RefreshMatViewStmt) &&
		sg_refuse(refusal, psprintf("%s CONCURRENTLY", tag), SG_NO_BLOCK,
				  "Rehearse it without CONCURRENTLY, and mind that its locks are stronger then.");
}

/* The query that a utility statement runs or keeps, or NULL. */
static Node *
query_within(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_ExplainStmt:
			return ((ExplainStmt *) stmt)->query;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->query;
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->query;
		case T_DeclareCursorStmt:
			return ((DeclareCursorStmt *) stmt)->query;
		case T_PrepareStmt:
			return ((PrepareStmt *) stmt)->query;
		default:
			return NULL;
	}
}

static bool
is_query(const Node *stmt)
{
	return IsA(stmt, SelectStmt) || IsA(stmt, InsertStmt) ||
		IsA(stmt, UpdateStmt) || IsA(stmt, DeleteStmt) || IsA(stmt, MergeStmt);
}

static bool
find_refusal(SgRefusal *refusal, Node *stmt)
{
	if (stmt == NULL)
		return false;
	if (is_query(stmt))
		return refuse_in_query(stmt, refusal);
	return refuse_utility(refusal, stmt) ||
		find_refusal(refusal, query_within(stmt));
}

/*
 * A statement of the script, before any of them runs.
 */
void
sg_preview_refuse_statement(const SgScriptStatement *stmt)
{
	SgRefusal	refusal = {NULL, NULL, NULL, -1};

	if (!find_refusal(&refusal, stmt->raw->stmt))
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("safeguard.preview() cannot rehearse %s", refusal.what),
			errdetail("Statement %d: %s  Nothing has been run.", stmt->number,
					  refusal.why),
			refusal.hint ? errhint("%s", refusal.hint) : 0,
			internalerrquery(stmt->text),
			internalerrposition(refusal.location < 0 ? 1 :
								pg_mbstrlen_with_len(stmt->text, refusal.location) + 1));
}

/* ---------------- while statements run ---------------- */

/*
 * NOTIFY and LISTEN do go with the subtransaction.  As statements of a script
 * they are refused all the same, since nobody would see what they are for;
 * but many a trigger notifies.
 */
static bool
is_notification(const Node *stmt)
{
	return IsA(stmt, NotifyStmt) || IsA(stmt, ListenStmt) ||
		IsA(stmt, UnlistenStmt);
}

/*
 * A utility command is about to run while a statement is rehearsed, whoever
 * has sent it.
 */
void
sg_rehearse_utility(const Node *stmt)
{
	SgRefusal	refusal = {NULL, NULL, NULL, -1};

	if (sg_rehearsal->current == NULL)
		return;
	if (!is_notification(stmt) &&
		refuse_utility(&refusal, unconstify(Node *, stmt)))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("safeguard.preview() cannot rehearse %s", refusal.what),
				errdetail("%s", refusal.why),
				refusal.hint ? errhint("%s", refusal.hint) : 0);
	if (IsA(stmt, VariableSetStmt))
	{
		const char *name = ((const VariableSetStmt *) stmt)->name;

		if (name == NULL || pg_strcasecmp(name, "lock_timeout") == 0)
			sg_rehearsal->script_sets_lock_timeout = true;
	}
}

/*
 * It has run without an error.
 */
void
sg_rehearsed_utility(const Node *stmt, const QueryCompletion *qc)
{
	MemoryContext caller;

	if (sg_rehearsal->current == NULL)
		return;
	caller = MemoryContextSwitchTo(sg_rehearsal->context);
	if (IsA(stmt, PrepareStmt))
		sg_rehearsal->prepared =
			lappend(sg_rehearsal->prepared,
					pstrdup(((const PrepareStmt *) stmt)->name));
	else if (IsA(stmt, DeallocateStmt))
	{
		ListCell   *lc;

		foreach(lc, sg_rehearsal->prepared)
		{
			if (strcmp(lfirst(lc), ((const DeallocateStmt *) stmt)->name) == 0)
				sg_rehearsal->prepared =
					foreach_delete_current(sg_rehearsal->prepared, lc);
		}
	}
	MemoryContextSwitchTo(caller);
	if (IsA(stmt, CopyStmt) && ((const CopyStmt *) stmt)->is_from &&
		qc != NULL)
		sg_rehearse_copied(((const CopyStmt *) stmt)->relation, qc->nprocessed);
}
