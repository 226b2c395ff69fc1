/*-------------------------------------------------------------------------
 *
 * script.c
 *		Takes a script apart into statements.
 *
 * The server's own scanner finds the semicolons that end a statement: those
 * outside of CREATE RULE's parentheses and of the body of a function that is
 * written BEGIN ATOMIC.  The grammar knows no others, so a script that is
 * right is taken apart as the server does it; in one that is not, a mistake
 * costs the statement that it is in, and the others are still seen.
 *
 * Each statement is parsed by itself, when its reader asks, so that memory is
 * needed for one at a time.  Nothing here reads a catalog.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/keywords.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/memutils.h"

#include "review/review.h"
#include "safeguard.h"

/* what the scanner has allocated is freed after so many tokens */
#define TOKENS_PER_RESET	10000

/*
 * So often scanning begins again behind a mistake.  Each time the rest of the
 * script may be read to its end, so there must be a limit; what comes then is
 * one statement that is wrong.
 */
#define MAX_RECOVERIES	100

/* words of a statement that are looked at to know what it is */
#define NUM_WORDS	4

/* The script while it is taken apart. */
typedef struct Splitter
{
	const char *sql;
	int			len;
	int			from;			/* where the scanner has begun */
	core_yyscan_t scanner;		/* NULL: none */
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;		/* of the last token, from "from" */
	MemoryContext lasting;		/* of the scanner */
	MemoryContext tokens;
	int			ntokens;		/* since the last reset */
	int			recoveries;
	int			nchars;			/* characters before ... */
	int			nbytes;			/* ... this byte */
	List	   *statements;
	MemoryContext result;		/* of the list */
} Splitter;

/* The statement that is being read. */
typedef struct Reading
{
	int			start;			/* byte of its first token, -1: none yet */
	int			first_end;		/* of its first semicolon, -1: none yet */
	int			words[NUM_WORDS];	/* its first tokens */
	int			nwords;
	int			before;			/* the token before, or 0 */
	int			parens;			/* that are open */
	bool		rule;			/* parentheses protect semicolons */
	bool		function;		/* so does BEGIN ATOMIC ... END */
	bool		atomic;			/* inside of it */
} Reading;

/* ---------------- tokens ---------------- */

static int
keyword(const char *word)
{
	int			n = ScanKeywordLookup(word, &ScanKeywords);

	return n < 0 ? -1 : ScanKeywordTokens[n];
}

static void
scan_from(Splitter *splitter, int from)
{
	MemoryContext caller = MemoryContextSwitchTo(splitter->lasting);

	MemoryContextReset(splitter->lasting);
	MemoryContextReset(splitter->tokens);
	splitter->from = from;
	splitter->location = 0;
	splitter->scanner = scanner_init(splitter->sql + from, &splitter->extra,
									 &ScanKeywords, ScanKeywordTokens);
	/* the parser will warn of it */
	splitter->extra.escape_string_warning = false;
	MemoryContextSwitchTo(caller);
}

/* The next token, 0 at the end, -1 if there is none that is right. */
static int
next_token(Splitter *splitter)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int token = -1;

	CHECK_FOR_INTERRUPTS();
	if (++splitter->ntokens % TOKENS_PER_RESET == 0)
		MemoryContextReset(splitter->tokens);

	/* Nothing but memory is held, so an error need only be forgotten. */
	MemoryContextSwitchTo(splitter->tokens);
	PG_TRY();
	{
		token = core_yylex(&splitter->value, &splitter->location,
						   splitter->scanner);
	}
	PG_CATCH();
	{
		if (sg_must_rethrow(geterrcode()))
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return token;
}

/* ---------------- statements ---------------- */

static void
begin_statement(Reading *reading)
{
	memset(reading, 0, sizeof(*reading));
	reading->start = reading->first_end = -1;
}

/* Add what stands between two bytes to the list. */
static void
add_statement(Splitter *splitter, int start, int end)
{
	MemoryContext caller = MemoryContextSwitchTo(splitter->result);
	SgScriptStatement *stmt = palloc0(sizeof(SgScriptStatement));

	while (end > start && strchr(" \t\r\n\f\v", splitter->sql[end - 1]) != NULL)
		end--;
	splitter->nchars += pg_mbstrlen_with_len(splitter->sql + splitter->nbytes,
											 start - splitter->nbytes);
	splitter->nbytes = start;
	stmt->number = list_length(splitter->statements) + 1;
	stmt->location = start;
	stmt->len = end - start;
	stmt->chars = splitter->nchars;
	splitter->statements = lappend(splitter->statements, stmt);
	MemoryContextSwitchTo(caller);
}

/* Learn from the first words what kind of statement it is. */
static void
see_word(Reading *reading, int token)
{
	int			n;

	if (reading->nwords == NUM_WORDS)
		return;
	reading->words[reading->nwords++] = token;
	if (reading->words[0] != keyword("create"))
		return;
	n = reading->nwords >= 3 && reading->words[1] == keyword("or") &&
		reading->words[2] == keyword("replace") ? 3 : 1;
	if (reading->nwords != n + 1)
		return;
	reading->rule = token == keyword("rule");
	reading->function = token == keyword("function") ||
		token == keyword("procedure");
}

/* Does this semicolon, or END before it, belong to the statement's inside? */
static void
see_nesting(Reading *reading, int token)
{
	if (!reading->rule && !reading->function)
		return;
	if (token == '(')
		reading->parens++;
	else if (token == ')')
		reading->parens--;
	else if (reading->function && reading->parens == 0)
	{
		if (!reading->atomic)
			reading->atomic = token == keyword("atomic") &&
				reading->before == keyword("begin");
		else if (token == keyword("end") &&
				 (reading->before == ';' ||
				  reading->before == keyword("atomic")))
		{
			/* only the body's own END can stand there */
			reading->atomic = reading->function = false;
		}
	}
}

static bool
is_inside(const Reading *reading)
{
	return reading->atomic || (reading->rule && reading->parens > 0);
}

/*
 * Where to go on behind a mistake of the scanner: after the next semicolon at
 * the end of a line.
 */
static int
end_of_mistake(const char *sql, int from)
{
	for (const char *p = strchr(sql + from, ';'); p != NULL;
		 p = strchr(p + 1, ';'))
	{
		const char *rest = p + 1;

		while (*rest == ' ' || *rest == '\t' || *rest == '\r')
			rest++;
		if (*rest == '\n' || *rest == '\0')
			return p - sql;
	}
	return strlen(sql);
}

/*
 * Where a statement ends that came to a mistake, or the end of the script, at
 * "end": a parenthesis or body that nothing has closed must not hide the rest.
 */
static int
end_of_statement(const Reading *reading, int end)
{
	return is_inside(reading) && reading->first_end >= 0 ?
		reading->first_end : end;
}

/* Begin again behind the byte, if there is more; false if not. */
static bool
recover(Splitter *splitter, int end)
{
	if (end >= splitter->len)
		return false;
	if (++splitter->recoveries > MAX_RECOVERIES)
	{
		add_statement(splitter, end + 1, splitter->len);
		return false;
	}
	scan_from(splitter, end + 1);
	return true;
}

/* A token that is none.  Returns false at the end of the script. */
static bool
see_mistake(Splitter *splitter, Reading *reading)
{
	int			at = Min(splitter->from + Max(splitter->location, 0),
						 splitter->len);
	int			end = end_of_statement(reading,
									   end_of_mistake(splitter->sql, at));

	add_statement(splitter, reading->start < 0 ? at : reading->start, end);
	begin_statement(reading);
	return recover(splitter, end);
}

/* The end of the script.  Returns whether there is more behind a mistake. */
static bool
see_end(Splitter *splitter, Reading *reading)
{
	int			end = end_of_statement(reading, splitter->len);

	if (reading->start < 0)
		return false;
	add_statement(splitter, reading->start, end);
	begin_statement(reading);
	return recover(splitter, end);
}

static void
split(Splitter *splitter)
{
	Reading		reading;

	begin_statement(&reading);
	for (;;)
	{
		int			token = next_token(splitter);
		int			at = splitter->from + splitter->location;

		if (token <= 0)
		{
			if (!(token == 0 ? see_end(splitter, &reading) :
				  see_mistake(splitter, &reading)))
				return;
			continue;
		}
		if (token == ';' && !is_inside(&reading))
		{
			if (reading.start >= 0)
				add_statement(splitter, reading.start, at);
			begin_statement(&reading);
			continue;
		}
		if (reading.start < 0)
			reading.start = at;
		if (token == ';' && reading.first_end < 0)
			reading.first_end = at;
		see_word(&reading, token);
		see_nesting(&reading, token);
		reading.before = token;
	}
}

/*
 * Take a script apart: a list of SgScriptStatement, none for what is empty or
 * a comment.  Raises nothing because of what the script says.
 */
List *
sg_script_split(const char *sql)
{
	Splitter	splitter = {0};

	splitter.sql = sql;
	splitter.len = strlen(sql);
	splitter.result = CurrentMemoryContext;
	splitter.lasting = AllocSetContextCreate(CurrentMemoryContext,
											 "safeguard scanner",
											 ALLOCSET_DEFAULT_SIZES);
	splitter.tokens = AllocSetContextCreate(CurrentMemoryContext,
											"safeguard tokens",
											ALLOCSET_DEFAULT_SIZES);
	/* editors of other systems put a byte order mark in front */
	scan_from(&splitter, GetDatabaseEncoding() == PG_UTF8 &&
			  strncmp(sql, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
	split(&splitter);
	MemoryContextDelete(splitter.tokens);
	MemoryContextDelete(splitter.lasting);
	return splitter.statements;
}

/* ---------------- parsing ---------------- */

static RawStmt *
parse(const char *text)
{
	List	   *raws = raw_parser(text, RAW_PARSE_DEFAULT);

	if (list_length(raws) != 1)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("syntax error: one statement was expected"));
	return linitial_node(RawStmt, raws);
}

/*
 * Parse a statement of a script: fills its text and either raw or error, in
 * the current memory context.  Returns whether it is right.
 */
bool
sg_script_parse(const char *sql, SgScriptStatement *stmt)
{
	MemoryContext caller = CurrentMemoryContext;

	stmt->text = pnstrdup(sql + stmt->location, stmt->len);
	stmt->raw = NULL;
	stmt->error = NULL;

	/* as above, nothing but memory is held */
	PG_TRY();
	{
		stmt->raw = parse(stmt->text);
	}
	PG_CATCH();
	{
		if (sg_must_rethrow(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		stmt->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	return stmt->raw != NULL;
}
