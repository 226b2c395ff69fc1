/*-------------------------------------------------------------------------
 *
 * functions.c
 *		Takes the SQL statements out of stored functions and analyses them.
 *
 * Functions of language sql, with a string body or BEGIN ATOMIC, and of
 * PL/pgSQL (plpgsql.c).  Any other language has no statements here.
 *
 * Analysis is the server's, less its hook for other extensions, which would
 * count or rewrite a statement that nobody has sent.
 *
 * Everything here raises what the catalogs, the parser and the rewriter
 * raise, and takes the locks that they take: callers run it in a
 * subtransaction that they roll back.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "executor/functions.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "review/review.h"

/* Number of the line of "text" that has the byte at "offset", from 1. */
static int
line_of(const char *text, int offset)
{
	int			line = 1;

	for (int i = 0; i < offset && text[i] != '\0'; i++)
	{
		if (text[i] == '\n')
			line++;
	}
	return line;
}

/* Byte at which a statement begins, behind the blanks before it. */
static int
skip_blanks(const char *text, int offset)
{
	while (text[offset] != '\0' && strchr(" \t\r\n\f", text[offset]) != NULL)
		offset++;
	return offset;
}

/* Reads a body of language sql that is a string. */
static void
open_sql_text(SgBody *body, HeapTuple tuple)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	ListCell   *lc;

	/* its types are those of a call; the validator leaves it, too */
	for (int i = 0; i < proc->pronargs; i++)
	{
		if (IsPolymorphicType(proc->proargtypes.values[i]))
			return;
	}
	body->parse_info = prepare_sql_fn_parse_info(tuple, NULL, InvalidOid);
	foreach(lc, pg_parse_query(body->source))
	{
		SgBodyStatement *stmt = palloc0(sizeof(SgBodyStatement));

		stmt->raw = lfirst_node(RawStmt, lc);
		stmt->text = body->source;
		stmt->location = Max(stmt->raw->stmt_location, 0);
		stmt->len = stmt->raw->stmt_len;
		stmt->line = line_of(body->source,
							 skip_blanks(body->source, stmt->location));
		body->statements = lappend(body->statements, stmt);
	}
}

/* Reads a body of language sql that was parsed when it was created. */
static void
open_sql_tree(SgBody *body, const char *tree)
{
	Node	   *node = stringToNode(tree);
	List	   *queries = IsA(node, List) ?
		linitial_node(List, (List *) node) : list_make1(node);
	ListCell   *lc;

	foreach(lc, queries)
	{
		SgBodyStatement *stmt = palloc0(sizeof(SgBodyStatement));

		stmt->stored = lfirst_node(Query, lc);
		stmt->offset = -1;
		body->statements = lappend(body->statements, stmt);
	}
}

static void
open_body(SgBody *body, HeapTuple tuple)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	Datum		datum;
	bool		isnull;

	datum = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (isnull)
		return;
	body->source = TextDatumGetCString(datum);
	if (proc->prolang == SQLlanguageId)
	{
		datum = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody,
								&isnull);
		if (isnull)
			open_sql_text(body, tuple);
		else
			open_sql_tree(body, TextDatumGetCString(datum));
	}
	else if (proc->prolang == get_language_oid("plpgsql", true))
		sg_plpgsql_open(body, proc->prorettype);
}

/*
 * Make these settings, as the server does when the function is called: one
 * that is SECURITY DEFINER with the rights of its owner, which does not let
 * it change the role.  Any other one may, and the role stays as the setting
 * has made it.  The rollback puts the user back, after a failure too.
 */
static void
put_settings(ArrayType *settings, Form_pg_proc proc)
{
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	if (proc->prosecdef)
		SetUserIdAndSecContext(proc->proowner,
							   context | SECURITY_LOCAL_USERID_CHANGE);
	ProcessGUCArray(settings, superuser() ? PGC_SUSET : PGC_USERSET,
					PGC_S_SESSION, GUC_ACTION_SAVE);
	if (proc->prosecdef)
		SetUserIdAndSecContext(user, context);
}

/*
 * Put the SET clauses of a function into force until the subtransaction around
 * it is rolled back.
 */
void
sg_body_settings(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Datum		datum;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	datum = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
	{
		(void) NewGUCNestLevel();
		put_settings(DatumGetArrayTypePCopy(datum),
					 (Form_pg_proc) GETSTRUCT(tuple));
	}
	ReleaseSysCache(tuple);
}

/*
 * Open a function to read its statements, or return NULL if there is no such
 * function.  For a trigger function, relation says whose rows NEW and OLD are.
 * The body lives in the current memory context and needs no closing.
 */
SgBody *
sg_body_open(Oid function, Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	SgBody	   *body;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	body = palloc0(sizeof(SgBody));
	body->function = function;
	body->relation = relation;
	open_body(body, tuple);
	ReleaseSysCache(tuple);
	return body;
}

static ParseState *
make_scope(SgBody *body, SgBodyStatement *stmt)
{
	ParseState *pstate = make_parsestate(NULL);

	pstate->p_sourcetext = stmt->text;
	if (stmt->expr != NULL)
	{
		SgPlpgsqlScope *scope = palloc(sizeof(SgPlpgsqlScope));

		scope->body = body;
		scope->stmt = stmt;
		sg_plpgsql_parser_setup(pstate, scope);
	}
	else
		sql_fn_parser_setup(pstate, body->parse_info);
	return pstate;
}

/*
 * The rewritten Queries of a statement of the body: none if it is a utility
 * command.  Sets needs_row.  Needs a snapshot.
 */
List *
sg_body_analyze(SgBody *body, SgBodyStatement *stmt)
{
	Query	   *query;

	if (stmt->stored != NULL)
	{
		query = copyObject(stmt->stored);
		AcquireRewriteLocks(query, true, false);
	}
	else
	{
		ParseState *pstate = make_scope(body, stmt);
		RawStmt    *raw = stmt->raw != NULL ? copyObject(stmt->raw) :
			linitial_node(RawStmt, raw_parser(stmt->text, RAW_PARSE_DEFAULT));

		query = transformTopLevelStmt(pstate, raw);
		free_parsestate(pstate);
	}
	if (query->commandType == CMD_UTILITY)
		return NIL;
	return QueryRewrite(query);
}

/*
 * The statement as the parser has made it: of a Query in a stored tree only
 * if it is a utility command, else NULL.
 */
Node *
sg_body_statement_node(const SgBodyStatement *stmt)
{
	if (stmt->dynamic)
		return NULL;
	if (stmt->stored != NULL)
		return copyObject(stmt->stored->utilityStmt);
	if (stmt->raw != NULL)
		return copyObject(stmt->raw->stmt);
	return linitial_node(RawStmt, raw_parser(stmt->text,
											 RAW_PARSE_DEFAULT))->stmt;
}
