/*-------------------------------------------------------------------------
 *
 * plpgsql.c
 *		The SQL statements of a PL/pgSQL function.
 *
 * PL/pgSQL compiles the function, as its validator does, and hands over the
 * tree of its statements.  Those that are whole SQL statements are kept; an
 * expression cannot change anything by itself.  What EXECUTE runs is text
 * that is known only then.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/proclang.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "plpgsql.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/review.h"

typedef PLpgSQL_function *(*compile_function) (FunctionCallInfo fcinfo,
											   bool forValidator);

/* A function of PL/pgSQL, whose library is loaded if it is not. */
void *
sg_plpgsql_symbol(const char *name)
{
	return load_external_function("$libdir/plpgsql", name, true, NULL);
}

/* ---------------- statements ---------------- */

/*
 * Does the text of a statement stand here in the body?  PL/pgSQL has put
 * blanks in the place of what is not SQL, such as INTO and its variables, and
 * SELECT in the place of PERFORM.
 */
static bool
stands_at(const char *source, const char *text)
{
	static const char perform[] = "PERFORM";
	int			len = strlen(text);
	int			i = 0;

	if (pg_strncasecmp(source, perform, strlen(perform)) == 0 &&
		len > strlen(perform))
		i = strlen(perform);
	for (; i < len; i++)
	{
		if (source[i] == '\0' || (source[i] != text[i] && text[i] != ' '))
			return false;
	}
	return true;
}

/* Byte at which the text of a statement begins, from "start" on, or -1. */
static int
search_text(const char *source, int start, const char *text)
{
	for (const char *p = source + start; *p != '\0'; p++)
	{
		if (((p - source) & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		if (stands_at(p, text))
			return p - source;
	}
	return -1;
}

/* Byte at which a line begins, counted from a byte of another line before. */
static int
start_of_line(const char *source, int from, int lines)
{
	const char *start = source + from;

	while (lines-- > 0)
	{
		const char *end = strchr(start, '\n');

		if (end == NULL)
			break;
		start = end + 1;
	}
	return start - source;
}

/*
 * Byte of the body at which the text of a statement begins, or -1.  Statements
 * come in the order of the text, so it is looked for behind the one before;
 * only what does not stand there is looked for from its line.
 */
static int
find_text(SgBody *body, int line, const char *text)
{
	int			found = -1;
	int			start = 0;

	CHECK_FOR_INTERRUPTS();
	if (body->found_line > 0 && line >= body->found_line)
	{
		start = start_of_line(body->source, body->found_end,
							  line - body->found_line);
		found = search_text(body->source, start, text);
	}
	if (found < 0)
	{
		start = start_of_line(body->source, 0, line - 1);
		found = search_text(body->source, start, text);
	}
	if (found >= 0)
	{
		/* it may begin on a later line than its PL/pgSQL statement */
		body->found_line = line;
		for (int i = start; i < found; i++)
		{
			if (body->source[i] == '\n')
				body->found_line++;
		}
		body->found_end = found + 1;
	}
	return found;
}

static void
add_statement(SgBody *body, PLpgSQL_expr *expr, int line)
{
	SgBodyStatement *stmt;

	if (expr == NULL || expr->parseMode != RAW_PARSE_DEFAULT)
		return;
	stmt = palloc0(sizeof(SgBodyStatement));
	stmt->text = expr->query;
	stmt->expr = expr;
	stmt->line = line;
	stmt->offset = find_text(body, line, expr->query);
	body->statements = lappend(body->statements, stmt);
}

/* A statement whose text is the value of an expression. */
static void
add_dynamic(SgBody *body, PLpgSQL_expr *expr, int line)
{
	SgBodyStatement *stmt;

	if (expr == NULL)
		return;
	stmt = palloc0(sizeof(SgBodyStatement));
	stmt->dynamic = true;
	stmt->text = expr->query;
	stmt->line = line;
	stmt->offset = find_text(body, line, expr->query);
	body->statements = lappend(body->statements, stmt);
}

static void add_statements(SgBody *body, List *stmts);

static void
add_exceptions(SgBody *body, PLpgSQL_exception_block *block)
{
	ListCell   *lc;

	if (block == NULL)
		return;
	foreach(lc, block->exc_list)
		add_statements(body, ((PLpgSQL_exception *) lfirst(lc))->action);
}

static void
add_if(SgBody *body, PLpgSQL_stmt_if *stmt)
{
	ListCell   *lc;

	add_statements(body, stmt->then_body);
	foreach(lc, stmt->elsif_list)
		add_statements(body, ((PLpgSQL_if_elsif *) lfirst(lc))->stmts);
	add_statements(body, stmt->else_body);
}

static void
add_case(SgBody *body, PLpgSQL_stmt_case *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->case_when_list)
		add_statements(body, ((PLpgSQL_case_when *) lfirst(lc))->stmts);
	add_statements(body, stmt->else_stmts);
}

/* The SQL statement that a PL/pgSQL statement runs, or NULL. */
static PLpgSQL_expr *
statement_sql(PLpgSQL_stmt *stmt)
{
	switch (stmt->cmd_type)
	{
		case PLPGSQL_STMT_EXECSQL:
			return ((PLpgSQL_stmt_execsql *) stmt)->sqlstmt;
		case PLPGSQL_STMT_PERFORM:
			return ((PLpgSQL_stmt_perform *) stmt)->expr;
		case PLPGSQL_STMT_CALL:
			return ((PLpgSQL_stmt_call *) stmt)->expr;
		case PLPGSQL_STMT_RETURN_QUERY:
			return ((PLpgSQL_stmt_return_query *) stmt)->query;
		case PLPGSQL_STMT_OPEN:
			return ((PLpgSQL_stmt_open *) stmt)->query;
		case PLPGSQL_STMT_FORS:
			return ((PLpgSQL_stmt_fors *) stmt)->query;
		default:
			return NULL;
	}
}

/* The expression whose value a PL/pgSQL statement runs, or NULL. */
static PLpgSQL_expr *
dynamic_sql(PLpgSQL_stmt *stmt)
{
	switch (stmt->cmd_type)
	{
		case PLPGSQL_STMT_DYNEXECUTE:
			return ((PLpgSQL_stmt_dynexecute *) stmt)->query;
		case PLPGSQL_STMT_RETURN_QUERY:
			return ((PLpgSQL_stmt_return_query *) stmt)->dynquery;
		case PLPGSQL_STMT_OPEN:
			return ((PLpgSQL_stmt_open *) stmt)->dynquery;
		case PLPGSQL_STMT_DYNFORS:
			return ((PLpgSQL_stmt_dynfors *) stmt)->query;
		default:
			return NULL;
	}
}

/* The statements inside a PL/pgSQL statement. */
static void
add_inner(SgBody *body, PLpgSQL_stmt *stmt)
{
	switch (stmt->cmd_type)
	{
		case PLPGSQL_STMT_BLOCK:
			add_statements(body, ((PLpgSQL_stmt_block *) stmt)->body);
			add_exceptions(body, ((PLpgSQL_stmt_block *) stmt)->exceptions);
			break;
		case PLPGSQL_STMT_IF:
			add_if(body, (PLpgSQL_stmt_if *) stmt);
			break;
		case PLPGSQL_STMT_CASE:
			add_case(body, (PLpgSQL_stmt_case *) stmt);
			break;
		case PLPGSQL_STMT_LOOP:
			add_statements(body, ((PLpgSQL_stmt_loop *) stmt)->body);
			break;
		case PLPGSQL_STMT_WHILE:
			add_statements(body, ((PLpgSQL_stmt_while *) stmt)->body);
			break;
		case PLPGSQL_STMT_FORI:
			add_statements(body, ((PLpgSQL_stmt_fori *) stmt)->body);
			break;
		case PLPGSQL_STMT_FORS:
		case PLPGSQL_STMT_FORC:
		case PLPGSQL_STMT_DYNFORS:
			add_statements(body, ((PLpgSQL_stmt_forq *) stmt)->body);
			break;
		case PLPGSQL_STMT_FOREACH_A:
			add_statements(body, ((PLpgSQL_stmt_foreach_a *) stmt)->body);
			break;
		default:
			break;
	}
}

static void
add_statements(SgBody *body, List *stmts)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, stmts)
	{
		PLpgSQL_stmt *stmt = lfirst(lc);

		add_statement(body, statement_sql(stmt), stmt->lineno);
		add_dynamic(body, dynamic_sql(stmt), stmt->lineno);
		add_inner(body, stmt);
	}
}

static void
add_cursors(SgBody *body, PLpgSQL_function *compiled)
{
	for (int i = 0; i < compiled->ndatums; i++)
	{
		PLpgSQL_var *var = (PLpgSQL_var *) compiled->datums[i];

		if (var->dtype == PLPGSQL_DTYPE_VAR)
			add_statement(body, var->cursor_explicit_expr, var->lineno);
	}
}

/* ---------------- compiling ---------------- */

/* Compile it as the validator of PL/pgSQL does. */
static PLpgSQL_function *
compile(Oid function, Oid result_type)
{
	LOCAL_FCINFO(fcinfo, 0);
	compile_function compiler = (compile_function) sg_plpgsql_symbol("plpgsql_compile");
	PLpgSQL_function *compiled;
	FmgrInfo	flinfo = {0};
	TriggerData trigger = {.type = T_TriggerData};
	EventTriggerData event_trigger = {.type = T_EventTriggerData};

	MemSet(fcinfo, 0, SizeForFunctionCallInfo(0));
	fcinfo->flinfo = &flinfo;
	flinfo.fn_oid = function;
	if (result_type == TRIGGEROID)
		fcinfo->context = (Node *) &trigger;
	else if (result_type == EVENT_TRIGGEROID)
		fcinfo->context = (Node *) &event_trigger;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	flinfo.fn_mcxt = CurrentMemoryContext;
	compiled = (*compiler) (fcinfo, true);
	SPI_finish();
	return compiled;
}

static void
add_function(SgBody *body, PLpgSQL_function *compiled)
{
	body->compiled = compiled;
	add_cursors(body, compiled);
	if (compiled->action != NULL)
	{
		add_statements(body, compiled->action->body);
		add_exceptions(body, compiled->action->exceptions);
	}
}

static void
release_compiled(void *arg)
{
	sg_plpgsql_use_count((PLpgSQL_function *) arg)--;
}

/*
 * Fill a body with the statements of a PL/pgSQL function.
 *
 * The statements are PL/pgSQL's own and go with its copy of the function,
 * which is kept in use for as long as the current memory context lives.
 */
void
sg_plpgsql_open(SgBody *body, Oid result_type)
{
	PLpgSQL_function *compiled = compile(body->function, result_type);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = release_compiled;
	callback->arg = compiled;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	sg_plpgsql_use_count(compiled)++;

	add_function(body, compiled);
}

/* ---------------- DO ---------------- */

/* What the body of a DO has been compiled to, and where it is kept. */
static PLpgSQL_function *caught = NULL;
static MemoryContext keeper = NULL;

/*
 * Called by PL/pgSQL before it executes anything of what it has compiled.  Take
 * that away from it, and keep it from executing it.
 */
static void
catch_function(PLpgSQL_execstate *estate, PLpgSQL_function *compiled)
{
	MemoryContextSetParent(compiled->fn_cxt, keeper);
	caught = MemoryContextAlloc(keeper, sizeof(PLpgSQL_function));
	*caught = *compiled;

	/* or its clean-up would free it */
	compiled->fn_cxt = NULL;
	ereport(ERROR,
			errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			errmsg("the body of DO is reviewed, not executed"));
}

static void
run_inline_handler(void *arg)
{
	InlineCodeBlock *codeblock = makeNode(InlineCodeBlock);
	Oid			language = get_language_oid("plpgsql", false);
	HeapTuple	tuple = SearchSysCache1(LANGOID, ObjectIdGetDatum(language));
	Oid			handler;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for language %u", language);
	handler = ((Form_pg_language) GETSTRUCT(tuple))->laninline;
	ReleaseSysCache(tuple);

	codeblock->source_text = (char *) arg;
	codeblock->langOid = language;
	codeblock->langIsTrusted = true;
	codeblock->atomic = true;
	OidFunctionCall1(handler, PointerGetDatum(codeblock));
}

/*
 * Compile a DO's body in the current memory context.  From 16 on the library
 * does not show its compiler of such bodies, so it is asked to run this one,
 * with a plugin, as debuggers have, that stops it at the first step.
 */
static PLpgSQL_function *
compile_inline(char *source)
{
	static PLpgSQL_plugin plugin;
	PLpgSQL_plugin **var = (PLpgSQL_plugin **)
		find_rendezvous_variable("PLpgSQL_plugin");
	PLpgSQL_plugin *other = *var;
	ErrorData  *volatile edata = NULL;

	memset(&plugin, 0, sizeof(plugin));
	plugin.func_setup = catch_function;
	caught = NULL;
	keeper = CurrentMemoryContext;
	*var = &plugin;
	PG_TRY();
	{
		edata = sg_contained_review(run_inline_handler, source);
	}
	PG_FINALLY();
	{
		*var = other;
	}
	PG_END_TRY();

	if (caught == NULL && edata != NULL)
		ReThrowError(edata);
	return caught;
}

/*
 * Fill a body, whose source is that of a DO, with its statements.
 */
void
sg_plpgsql_open_inline(SgBody *body)
{
	PLpgSQL_function *compiled = compile_inline(body->source);

	if (compiled != NULL)
		add_function(body, compiled);
}
