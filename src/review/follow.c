/*-------------------------------------------------------------------------
 *
 * follow.c
 *		What the earlier statements of a script mean for the later ones.
 *
 * Settings that the verdicts depend on are made as the script makes them, for
 * as long as the review runs.  Of a table that the script drops or renames
 * nothing more is said under its old name, and one that its transaction has
 * locked is not waited for again.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "review/review.h"
#include "review/trial.h"

/* A setting that the script makes and that outlives its transaction. */
typedef struct ScriptSetting
{
	char	   *name;			/* NULL: all are reset */
	char	   *value;			/* NULL: the default */
} ScriptSetting;

/* what verdicts depend on, besides our own parameters */
static const char *const followed[] = {
	"check_function_bodies", "lock_timeout", "row_security", "search_path",
	"session_replication_role"
};

/* ---------------- settings ---------------- */

static bool
is_followed(const char *name)
{
	if (pg_strncasecmp(name, "safeguard.", strlen("safeguard.")) == 0)
		return true;
	for (int i = 0; i < lengthof(followed); i++)
	{
		if (pg_strcasecmp(name, followed[i]) == 0)
			return true;
	}
	return false;
}

/* A wrong value, or one that the user may not set, changes nothing. */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, DEBUG5,
							 false);
}

static void
apply(const ScriptSetting *setting)
{
	if (setting->name != NULL)
	{
		set(setting->name, setting->value);
		return;
	}
	for (int i = 0; i < lengthof(followed); i++)
		set(followed[i], NULL);
	for (int rule = 0; rule < SG_NUM_RULES; rule++)
		set(sg_rule_parameter(sg_rules[rule].name), NULL);
	set("safeguard.enabled", NULL);
	set("safeguard.max_level", NULL);
	set("safeguard.large_table", NULL);
}

static void
follow_setting(SgScript *script, const char *name, const char *value,
			   bool local)
{
	MemoryContext caller;
	ScriptSetting *setting;

	if (name != NULL && !is_followed(name))
		return;
	caller = MemoryContextSwitchTo(script->context);
	setting = palloc(sizeof(ScriptSetting));
	setting->name = name == NULL ? NULL : pstrdup(name);
	setting->value = value == NULL ? NULL : pstrdup(value);
	if (!local)
		script->settings = lappend(script->settings, setting);
	apply(setting);
	MemoryContextSwitchTo(caller);
}

static void
follow_set(SgScript *script, VariableSetStmt *stmt)
{
	switch (stmt->kind)
	{
		case VAR_SET_VALUE:
			if (is_followed(stmt->name))
				follow_setting(script, stmt->name,
							   ExtractSetVariableArgs(stmt), stmt->is_local);
			break;
		case VAR_SET_DEFAULT:
		case VAR_RESET:
			follow_setting(script, stmt->name, NULL, stmt->is_local);
			break;
		case VAR_RESET_ALL:
			follow_setting(script, NULL, NULL, false);
			break;
		default:
			break;
	}
}

/*
 * The text of a constant that stands in a statement, or NULL.
 */
static const char *
constant_text(Node *node)
{
	A_Const    *constant = (A_Const *) node;

	if (!IsA(node, A_Const) || constant->isnull)
		return NULL;
	if (IsA(&constant->val, String))
		return strVal(&constant->val);
	if (IsA(&constant->val, Boolean))
		return boolVal(&constant->val) ? "true" : "false";
	return NULL;
}

/*
 * The arguments of SELECT set_config(...), if they are constants, or NIL.
 */
static List *
set_config_arguments(Node *stmt)
{
	SelectStmt *select = (SelectStmt *) stmt;
	FuncCall   *call;
	ListCell   *lc;

	if (!IsA(stmt, SelectStmt) || list_length(select->targetList) != 1 ||
		select->withClause != NULL)
		return NIL;
	call = (FuncCall *) linitial_node(ResTarget, select->targetList)->val;
	if (call == NULL || !IsA(call, FuncCall) || list_length(call->args) != 3 ||
		strcmp(strVal(llast(call->funcname)), "set_config") != 0)
		return NIL;
	foreach(lc, call->args)
	{
		if (constant_text(lfirst(lc)) == NULL)
			return NIL;
	}
	return call->args;
}

static void
follow_select(SgScript *script, Node *stmt)
{
	List	   *args = set_config_arguments(stmt);

	if (args != NIL)
		follow_setting(script, constant_text(linitial(args)),
					   constant_text(lsecond(args)),
					   constant_text(lthird(args))[0] == 't');
}

/* ---------------- transactions ---------------- */

static void
follow_transaction(SgScript *script, const TransactionStmt *stmt)
{
	ListCell   *lc;

	switch (stmt->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			script->in_block = true;
			script->old_settings = list_length(script->settings);
			script->old_gone = list_length(script->gone);
			return;
		case TRANS_STMT_ROLLBACK:
			script->settings = list_truncate(script->settings,
											 script->old_settings);
			script->gone = list_truncate(script->gone, script->old_gone);
			break;
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			break;
		default:
			return;
	}

	/* what was LOCAL is over */
	AtEOXact_GUC(true, script->guc_level);
	script->guc_level = NewGUCNestLevel();
	foreach(lc, script->settings)
		apply(lfirst(lc));
	script->in_block = false;
	script->locked = NIL;
	script->old_settings = list_length(script->settings);
	script->old_gone = list_length(script->gone);
}

/* ---------------- tables ---------------- */

static void
note(SgScript *script, List **list, Oid relid)
{
	MemoryContext caller = MemoryContextSwitchTo(script->context);

	*list = list_append_unique_oid(*list, relid);
	MemoryContextSwitchTo(caller);
}

static void
follow_lock(SgScript *script, const LockStmt *stmt)
{
	ListCell   *lc;

	if (!script->in_block || stmt->mode != AccessExclusiveLock)
		return;
	foreach(lc, stmt->relations)
	{
		Oid			relid = sg_find_relation(lfirst_node(RangeVar, lc));

		if (OidIsValid(relid))
			note(script, &script->locked, relid);
	}
}

static void
follow_rename(SgScript *script, const RenameStmt *stmt)
{
	Oid			relid = stmt->renameType != OBJECT_TABLE ? InvalidOid :
		sg_find_relation(stmt->relation);

	if (OidIsValid(relid))
		note(script, &script->gone, relid);
}

static bool
is_known(const SgScript *script, const SgFinding *finding)
{
	if (!OidIsValid(finding->relid))
		return false;
	return list_member_oid(script->gone, finding->relid) ||
		(finding->rule == SG_RULE_LOCK_TIMEOUT &&
		 list_member_oid(script->locked, finding->relid));
}

/* ---------------- entry points ---------------- */

/*
 * A script begins.  What it allocates lives in the current memory context, and
 * the settings until sg_script_end() or the end of the transaction.
 */
void
sg_script_begin(SgScript *script)
{
	memset(script, 0, sizeof(*script));
	script->context = CurrentMemoryContext;
	script->guc_level = NewGUCNestLevel();
}

void
sg_script_end(SgScript *script)
{
	AtEOXact_GUC(true, script->guc_level);
}

/*
 * What the rules say of a utility statement of the script, after what has
 * come before it.  Sets "error" to what has kept them from saying more.
 */
List *
sg_script_utility(SgScript *script, Node *stmt, const char *sql, int len,
				  ErrorData **error)
{
	SgUtilityReview review = {.stmt = stmt,.sql = sql,.len = len};
	List	   *findings = NIL;
	MemoryContext caller;
	ListCell   *lc;

	*error = sg_contained_review(sg_try_utility, &review);
	if (*error != NULL && IsA(stmt, DropStmt) &&
		sg_script_may_make(script, (DropStmt *) stmt, *error))
		*error = NULL;
	foreach(lc, review.findings)
	{
		const SgFinding *finding = lfirst(lc);

		if (is_known(script, finding))
			continue;
		findings = lappend(findings, lfirst(lc));
		if (script->in_block && finding->rule == SG_RULE_LOCK_TIMEOUT &&
			OidIsValid(finding->relid))
			note(script, &script->locked, finding->relid);
	}
	caller = MemoryContextSwitchTo(script->context);
	script->gone = list_concat(script->gone, review.dropped);
	MemoryContextSwitchTo(caller);
	return findings;
}

/*
 * Does it matter what comes behind the statement that it was there?
 */
bool
sg_script_follows(Node *stmt)
{
	return sg_is_utility(stmt) || sg_makes_table(stmt) ||
		set_config_arguments(stmt) != NIL;
}

/*
 * Go on to what comes behind a statement.  To be called outside of whatever
 * rolls the review of the statement back.
 */
void
sg_script_follow(SgScript *script, Node *stmt)
{
	if (IsA(stmt, VariableSetStmt))
		follow_set(script, (VariableSetStmt *) stmt);
	else if (IsA(stmt, SelectStmt))
		follow_select(script, stmt);
	else if (IsA(stmt, TransactionStmt))
		follow_transaction(script, (TransactionStmt *) stmt);
	else if (IsA(stmt, LockStmt))
		follow_lock(script, (LockStmt *) stmt);
	else if (IsA(stmt, RenameStmt))
		follow_rename(script, (RenameStmt *) stmt);
	if (sg_is_utility(stmt) || sg_makes_table(stmt))
		sg_script_made(script, stmt);
}
