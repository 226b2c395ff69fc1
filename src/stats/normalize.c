/*-------------------------------------------------------------------------
 *
 * normalize.c
 *		Statement texts without constants, comments and layout.
 *
 * Statements that differ only in their values become one finding, and no
 * value, which may be somebody's secret, gets into shared memory.  The
 * server's own scanner does the reading, so what is a constant here is one
 * there.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/memutils.h"

#include "safeguard.h"

/*
 * Numbers of the scanner's tokens.  They are no header of the server's, but
 * PL/pgSQL's grammar depends on them as well, so they stay.
 */
enum
{
	TOKEN_FCONST = 260,
	TOKEN_SCONST = 261,
	TOKEN_USCONST = 262,
	TOKEN_BCONST = 263,
	TOKEN_XCONST = 264,
	TOKEN_ICONST = 266,
	TOKEN_PARAM = 267
};

/* bytes; to read a longer statement would take too long */
#define MAX_SOURCE	(1024 * 1024)

/* A scanner with the text it works on. */
typedef struct TokenScan
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;		/* of the last token */
} TokenScan;

static void
scan_begin(TokenScan *scan, const char *text)
{
	scan->scanner = scanner_init(text, &scan->extra, &ScanKeywords,
								 ScanKeywordTokens);
	/* the parser has warned of it already */
	scan->extra.escape_string_warning = false;
}

static int
scan_next(TokenScan *scan)
{
	return core_yylex(&scan->value, &scan->location, scan->scanner);
}

static bool
is_constant(int token)
{
	return token == TOKEN_ICONST || token == TOKEN_FCONST ||
		token == TOKEN_SCONST || token == TOKEN_USCONST ||
		token == TOKEN_BCONST || token == TOKEN_XCONST;
}

/*
 * The highest parameter number that the text uses itself.
 */
static int
highest_parameter(const char *text)
{
	TokenScan	scan;
	int			highest = 0;
	int			token;

	scan_begin(&scan, text);
	while ((token = scan_next(&scan)) != 0)
	{
		if (token == TOKEN_PARAM)
			highest = Max(highest, scan.value.ival);
	}
	scanner_finish(scan.scanner);
	return highest;
}

/*
 * Write the tokens of the text, one space wherever there was a gap.  May
 * raise, when the settings of the scanner have changed since the text was
 * parsed.
 */
static char *
rewrite(const char *text)
{
	int			parameter = highest_parameter(text);
	int			end = 0;		/* of the token before */
	StringInfoData buf;
	TokenScan	scan;
	int			token;

	initStringInfo(&buf);
	scan_begin(&scan, text);
	while ((token = scan_next(&scan)) != 0)
	{
		/* the scanner has put a zero byte after the token */
		const char *str = scan.extra.scanbuf + scan.location;
		int			len = (int) strlen(str);

		if (buf.len > 0 && scan.location > end)
			appendStringInfoChar(&buf, ' ');
		if (is_constant(token))
			appendStringInfo(&buf, "$%d", ++parameter);
		else
			appendBinaryStringInfo(&buf, str, len);
		end = scan.location + len;
	}
	scanner_finish(scan.scanner);
	return buf.data;
}

/* ---------------- what was read lately ---------------- */

/*
 * A finding that is recorded at each execution of a prepared statement would
 * have its text read each time, which takes longer than all the rest.
 */
typedef struct Remembered
{
	uint64		hash;			/* of the statement as it was sent */
	int			len;			/* the same; 0: nothing remembered */
	char	   *normalized;
} Remembered;

#define NUM_REMEMBERED	16

static Remembered remembered[NUM_REMEMBERED];

static uint64
hash_statement(const char *statement, int len)
{
	/* the scanner reads strings as this setting tells it */
	return hash_bytes_extended((const unsigned char *) statement, len,
							   standard_conforming_strings ? 1 : 0);
}

static char *
recall(const char *statement, int len)
{
	uint64		hash = hash_statement(statement, len);
	const Remembered *slot = &remembered[hash % NUM_REMEMBERED];

	return slot->len == len && slot->hash == hash ? slot->normalized : NULL;
}

/*
 * No more is kept than is shown, and nothing if there is no memory.
 */
static void
remember(const char *statement, int len, const char *normalized)
{
	uint64		hash = hash_statement(statement, len);
	Remembered *slot = &remembered[hash % NUM_REMEMBERED];
	Size		size = strlen(normalized) + 1;
	char	   *copy;

	if (size > SG_FINDING_QUERY)
		return;
	copy = MemoryContextAllocExtended(TopMemoryContext, size,
									  MCXT_ALLOC_NO_OOM);
	if (copy == NULL)
		return;
	memcpy(copy, normalized, size);
	if (slot->normalized != NULL)
		pfree(slot->normalized);
	slot->hash = hash;
	slot->len = len;
	slot->normalized = copy;
}

/*
 * Is it an error of the text that is read, and not of who reads it?  With
 * standard_conforming_strings off, Unicode escapes are one of a feature.
 */
bool
sg_is_text_error(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		category == ERRCODE_DATA_EXCEPTION ||
		sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/*
 * A statement without constants, comments and layout, or NULL if it cannot be
 * read.
 */
static char *
rewrite_contained(const char *statement)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *volatile result = NULL;

	/*
	 * Nothing but memory is held while scanning, so an error needs no more
	 * than to be forgotten.
	 */
	PG_TRY();
	{
		result = rewrite(statement);
	}
	PG_CATCH();
	{
		if (!sg_is_text_error(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();

	return result;
}

/*
 * The statement that stands at "location" in "text" and is "len" bytes long
 * (-1 and 0: the whole of it), without constants, comments and layout.
 * Palloc'd, never NULL, and empty if the text cannot be read or is too long.
 */
char *
sg_normalize(const char *text, int location, int len)
{
	char	   *result;

	if (text == NULL)
		return pstrdup("");
	if (location < 0 || location > strlen(text))
		location = 0;
	if (len <= 0 || len > strlen(text + location))
		len = (int) strlen(text + location);
	if (len > MAX_SOURCE)
		return pstrdup("");

	result = recall(text + location, len);
	if (result != NULL)
		return pstrdup(result);
	result = rewrite_contained(pnstrdup(text + location, len));
	if (result == NULL)
		return pstrdup("");
	remember(text + location, len, result);
	return result;
}

/* ---------------- where statements begin ---------------- */

/*
 * The statement that begins at or after "from": where, and how long it is.
 * Returns false if there is none.  May raise, as the scanner does.
 */
bool
sg_next_statement(const char *text, int from, int *location, int *len)
{
	TokenScan	scan;
	int			depth = 0;
	int			token;

	*location = -1;
	if (from < 0 || from > strlen(text) || strlen(text + from) > MAX_SOURCE)
		return false;
	scan_begin(&scan, text + from);
	while ((token = scan_next(&scan)) != 0)
	{
		if (token == '(')
			depth++;
		else if (token == ')')
			depth--;
		if (token == ';' && depth <= 0 && *location >= 0)
			break;
		if (token != ';' && *location < 0)
			*location = from + scan.location;
	}
	*len = token == 0 || *location < 0 ? 0 :
		from + scan.location - *location;
	scanner_finish(scan.scanner);
	return *location >= 0;
}
