/*-------------------------------------------------------------------------
 *
 * made.c
 *		What a script makes: a DROP of it is right, although it is not there.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

#include "review/review.h"

/* SELECT ... INTO */
bool
sg_makes_table(Node *stmt)
{
	return IsA(stmt, SelectStmt) && ((SelectStmt *) stmt)->intoClause != NULL;
}

/*
 * The name, without schema, of what a command makes or renames; NULL if it
 * makes nothing that has one, or more than that.
 */
static const char *
made_name(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			return ((CreateStmt *) stmt)->relation->relname;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->into->rel->relname;
		case T_ViewStmt:
			return ((ViewStmt *) stmt)->view->relname;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->idxname;
		case T_CreateSeqStmt:
			return ((CreateSeqStmt *) stmt)->sequence->relname;
		case T_CreateSchemaStmt:
			return ((CreateSchemaStmt *) stmt)->schemaname;
		case T_CreateFunctionStmt:
			return strVal(llast(((CreateFunctionStmt *) stmt)->funcname));
		case T_CompositeTypeStmt:
			return ((CompositeTypeStmt *) stmt)->typevar->relname;
		case T_CreateEnumStmt:
			return strVal(llast(((CreateEnumStmt *) stmt)->typeName));
		case T_CreateRangeStmt:
			return strVal(llast(((CreateRangeStmt *) stmt)->typeName));
		case T_CreateDomainStmt:
			return strVal(llast(((CreateDomainStmt *) stmt)->domainname));
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) stmt)->trigname;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) stmt)->policy_name;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->newname;
		case T_SelectStmt:
			return ((SelectStmt *) stmt)->intoClause->rel->relname;
		case T_RuleStmt:
			return ((RuleStmt *) stmt)->rulename;
		default:
			return NULL;
	}
}

/* Does a command leave what has been there as it is, or only take away? */
static bool
makes_nothing(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_TransactionStmt:
		case T_DropStmt:
		case T_LockStmt:
		case T_TruncateStmt:
		case T_CommentStmt:
		case T_GrantStmt:
		case T_VacuumStmt:
		case T_CopyStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Does a command make indexes, sequences or statistics under names of the
 * server's choice?
 */
static bool
makes_parts(Node *stmt)
{
	ListCell   *lc;

	if (!IsA(stmt, AlterTableStmt))
		return IsA(stmt, CreateStmt) || IsA(stmt, CreateForeignTableStmt);
	foreach(lc, ((AlterTableStmt *) stmt)->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, lc)->subtype;

		if (type == AT_AddColumn || type == AT_AttachPartition)
			return true;
	}
	return false;
}

/*
 * Go on to what comes behind a command.
 */
void
sg_script_made(SgScript *script, Node *stmt)
{
	const char *name = made_name(stmt);
	MemoryContext caller = MemoryContextSwitchTo(script->context);
	char		key[NAMEDATALEN] = {0};

	if (name != NULL)
	{
		if (script->made == NULL)
		{
			HASHCTL		ctl = {.keysize = NAMEDATALEN,.entrysize = NAMEDATALEN,
			.hcxt = script->context};

			script->made = hash_create("safeguard made", 64, &ctl,
									   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
		}
		strlcpy(key, name, sizeof(key));
		(void) hash_search(script->made, key, HASH_ENTER, NULL);
	}
	else if (!makes_nothing(stmt))
		script->made_more = true;
	if (IsA(stmt, CreateSchemaStmt) &&
		((CreateSchemaStmt *) stmt)->schemaElts != NIL)
		script->made_more = true;
	if (makes_parts(stmt))
		script->made_parts = true;
	MemoryContextSwitchTo(caller);
}

/* Is an error that something is not there? */
static bool
is_missing(const ErrorData *edata)
{
	return ERRCODE_TO_CATEGORY(edata->sqlerrcode) ==
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		edata->sqlerrcode == ERRCODE_UNDEFINED_SCHEMA;
}

/*
 * Is what a DROP names missing only because an earlier statement of the script
 * makes it, or may make it?
 */
bool
sg_script_may_make(const SgScript *script, const DropStmt *stmt,
				   const ErrorData *edata)
{
	ListCell   *lc;
	ListCell   *part;

	if (!is_missing(edata))
		return false;
	if (script->made_more)
		return true;
	if (script->made_parts && (stmt->removeType == OBJECT_INDEX ||
							   stmt->removeType == OBJECT_SEQUENCE ||
							   stmt->removeType == OBJECT_STATISTIC_EXT))
		return true;
	foreach(lc, script->made == NULL ? NIL : stmt->objects)
	{
		Node	   *object = lfirst(lc);
		List	   *name = IsA(object, List) ? (List *) object :
			IsA(object, TypeName) ? ((TypeName *) object)->names :
			IsA(object, ObjectWithArgs) ? ((ObjectWithArgs *) object)->objname :
			list_make1(object);

		/* its schema or table may be what has been made */
		foreach(part, name)
		{
			if (IsA(lfirst(part), String) &&
				hash_search(script->made, strVal(lfirst(part)), HASH_FIND,
							NULL) != NULL)
				return true;
		}
	}
	return false;
}

static bool
can_make(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId &&
		func_volatile(funcid) == PROVOLATILE_VOLATILE;
}

static bool
calls_maker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, calls_maker, context, 0);
	return check_functions_in_node(node, can_make, NULL) ||
		expression_tree_walker(node, calls_maker, context);
}

/*
 * A query that has been analysed: a function that it calls may make anything.
 */
void
sg_script_query(SgScript *script, Query *query)
{
	if (!script->made_more && calls_maker((Node *) query, NULL))
		script->made_more = true;
}

/*
 * A statement that is wrong by itself may be right, and make anything, when
 * there is the function that it calls.
 */
void
sg_script_failed(SgScript *script, const ErrorData *edata)
{
	if (edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION ||
		edata->sqlerrcode == ERRCODE_UNDEFINED_SCHEMA)
		script->made_more = true;
}
