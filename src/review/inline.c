/*-------------------------------------------------------------------------
 *
 * inline.c
 *		Reviews the bodies that stand in a script: those of DO and of CREATE
 *		FUNCTION.
 *
 * PL/pgSQL reads the body of a DO as it is.  That of a function it reads only
 * when the function is there, so of CREATE FUNCTION only language sql is
 * reviewed here.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/functions.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "review/review.h"
#include "safeguard.h"

static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

static const char *
language_of(List *options, const char *without)
{
	DefElem    *option = find_option(options, "language");

	return option == NULL ? without : strVal(option->arg);
}

/* A body in dollar quotes stands in the statement as it is. */
static void
find_source(SgBodyReview *br)
{
	const char *found = strstr(br->outer, br->source);

	br->base = found == NULL ? -1 : br->outer_chars +
		pg_mbstrlen_with_len(br->outer, found - br->outer);
}

/* ---------------- DO ---------------- */

static void
open_do(SgBodyReview *br)
{
	br->body = palloc0(sizeof(SgBody));
	br->body->source = unconstify(char *, br->source);
	sg_plpgsql_open_inline(br->body);
}

static void
no_settings(SgBodyReview *br)
{
}

static void
review_do(SgBodyReview *br, DoStmt *stmt)
{
	DefElem    *as = find_option(stmt->args, "as");

	if (as == NULL || strcmp(language_of(stmt->args, "plpgsql"), "plpgsql") != 0)
		return;
	br->source = strVal(as->arg);
	br->open = open_do;
	br->settings = no_settings;
	find_source(br);
	sg_review_body(br, false);
}

/* ---------------- CREATE FUNCTION ---------------- */

/*
 * The types and names of the arguments, or NULL if the types depend on the
 * call.
 */
static SQLFunctionParseInfo *
read_arguments(CreateFunctionStmt *stmt)
{
	SQLFunctionParseInfo *info = palloc0(sizeof(SQLFunctionParseInfo));
	int			n = list_length(stmt->parameters);
	ListCell   *lc;

	info->fname = strVal(llast(stmt->funcname));
	info->argtypes = palloc0((n + 1) * sizeof(Oid));
	info->argnames = palloc0((n + 1) * sizeof(char *));
	foreach(lc, stmt->parameters)
	{
		FunctionParameter *parameter = lfirst_node(FunctionParameter, lc);
		Oid			type;

		if (parameter->mode == FUNC_PARAM_OUT ||
			parameter->mode == FUNC_PARAM_TABLE)
			continue;
		type = typenameTypeId(NULL, parameter->argType);
		if (IsPolymorphicType(type))
			return NULL;
		info->argtypes[info->nargs] = type;
		info->argnames[info->nargs++] = parameter->name;
	}
	return info;
}

static void
add_statement(SgBody *body, RawStmt *raw)
{
	SgBodyStatement *stmt = palloc0(sizeof(SgBodyStatement));

	stmt->raw = raw;
	stmt->text = body->source;
	stmt->location = Max(raw->stmt_location, 0);
	stmt->len = raw->stmt_len;
	body->statements = lappend(body->statements, stmt);
}

/* A body BEGIN ATOMIC or RETURN, whose positions are those of the command. */
static void
add_tree(SgBody *body, Node *tree)
{
	List	   *stmts = IsA(tree, List) ? linitial_node(List, (List *) tree) :
		list_make1(tree);
	ListCell   *lc;

	foreach(lc, stmts)
	{
		RawStmt    *raw = makeNode(RawStmt);

		raw->stmt = lfirst(lc);
		add_statement(body, raw);
	}
}

static void
open_created(SgBodyReview *br)
{
	CreateFunctionStmt *stmt = (CreateFunctionStmt *) br->created;
	SgBody	   *body = palloc0(sizeof(SgBody));
	ListCell   *lc;

	body->parse_info = read_arguments(stmt);
	if (body->parse_info == NULL)
		return;
	body->source = unconstify(char *, br->source);
	if (stmt->sql_body != NULL)
		add_tree(body, copyObject(stmt->sql_body));
	else
	{
		foreach(lc, pg_parse_query(body->source))
			add_statement(body, lfirst_node(RawStmt, lc));
	}
	br->body = body;
}

/* The SET clauses of the function, until the subtransaction ends. */
static void
put_created_settings(SgBodyReview *br)
{
	ListCell   *lc;

	foreach(lc, ((CreateFunctionStmt *) br->created)->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		VariableSetStmt *set = (VariableSetStmt *) option->arg;

		if (strcmp(option->defname, "set") != 0 ||
			set->kind != VAR_SET_VALUE)
			continue;
		(void) set_config_option(set->name, ExtractSetVariableArgs(set),
								 superuser() ? PGC_SUSET : PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
								 false);
	}
}

/* PL/pgSQL compiles no function that is not there. */
static void
put_not_judged(SgBodyReview *br, CreateFunctionStmt *stmt)
{
	SgReviewRow row = {.rule = "dynamic", .level = sg_level_name(SG_LEVEL_RECORD)};

	row.message = psprintf("body of %s %s() in language plpgsql is not judged",
						   stmt->is_procedure ? "procedure" : "function",
						   strVal(llast(stmt->funcname)));
	row.detail = pstrdup("It can be read only when it is there.");
	row.hint = pstrdup("Look at it with safeguard.check_function when it has been created.");
	sg_review_put(br->review, &row);
}

static void
review_created(SgBodyReview *br, CreateFunctionStmt *stmt)
{
	DefElem    *as = find_option(stmt->options, "as");
	const char *language = language_of(stmt->options,
									   stmt->sql_body ? "sql" : "");

	if (strcmp(language, "plpgsql") == 0)
		put_not_judged(br, stmt);
	if (strcmp(language, "sql") != 0)
		return;
	if (stmt->sql_body != NULL)
	{
		br->source = br->outer;
		br->base = br->outer_chars;
	}
	else if (as == NULL)
		return;
	else
	{
		br->source = strVal(linitial((List *) as->arg));
		find_source(br);

		/* the server does not look at it either */
		br->lenient = !check_function_bodies;
	}
	br->created = (Node *) stmt;
	br->open = open_created;
	br->settings = put_created_settings;
	sg_review_body(br, false);
}

/*
 * Review the body that a statement of a script contains, if it does; the
 * review's text is the whole statement.
 */
void
sg_review_inline(SgReview *review, Node *stmt)
{
	SgBodyReview br = {.review = review, .base = -1,
		.outer = review->text, .outer_chars = review->chars, .ntables = 1};

	if (IsA(stmt, DoStmt))
		review_do(&br, (DoStmt *) stmt);
	else if (IsA(stmt, CreateFunctionStmt))
		review_created(&br, (CreateFunctionStmt *) stmt);
}
