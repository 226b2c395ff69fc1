/*-------------------------------------------------------------------------
 *
 * restored.c
 *		A definition as the server prints it once pg_dump has carried it over.
 *
 * What the server prints of an expression is not always what it prints of
 * that text when it is read again.  Two forms change, and both are common:
 *
 *		CHECK (a BETWEEN 1 AND 9 AND b > 0)
 *			((a AND b) AND c)  is read as  (a AND b AND c)
 *		CHECK (status IN ('new', 'done')) of a varchar column
 *			(ARRAY[a, b])::text[]  is read as  ARRAY[(a)::text, (b)::text]
 *
 * Both are brought to the second form here, in the text, since only text is
 * there for all kinds of objects.  What is quoted stays as it is.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_restored_text);

/* no expression is as deep; other text may be */
#define MAX_DEPTH	1000

/* the words of a level of parentheses */
#define HAS_AND		0x01
#define HAS_OR		0x02
#define HAS_OTHER	0x04		/* AND and OR are not what joins it */

/* What was found between two parentheses. */
typedef struct Level
{
	int			depth;
	int			words;
	int			first_end;		/* end of what is in parentheses at the very
								 * beginning; 0 if nothing is */
	int			first_words;
	int			array_end;		/* end of an ARRAY[...] at the very beginning;
								 * 0 if there is none */
} Level;

static bool
is_word(char c)
{
	return isalnum((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_quote(char c)
{
	return c == '\'' || c == '"' || c == '$';
}

/*
 * The end of a quoted item, NULL if it has none.  A doubled quote ends one and
 * begins the next, and the server doubles backslashes.
 */
static const char *
quoted_end(const char *p)
{
	const char *end;

	if (*p == '$')
	{
		char	   *tag;

		end = p + 1;
		while (is_word(*end))
			end++;
		if (*end != '$')
			return p + 1;		/* a parameter */
		tag = pnstrdup(p, end + 1 - p);
		end = strstr(end + 1, tag);
		end = end != NULL ? end + strlen(tag) : NULL;
		pfree(tag);
		return end;
	}
	end = strchr(p + 1, *p);
	return end != NULL ? end + 1 : NULL;
}

/*
 * The end of "::type[]", with the type without [] in "type"; NULL if no array
 * type is there.
 */
static const char *
array_type(const char *p, char **type)
{
	const char *start = p + 2;

	if (strncmp(p, "::", 2) != 0)
		return NULL;
	p = start;
	while (*p != '[')
	{
		if (*p == '"')
		{
			p = quoted_end(p);
			if (p == NULL)
				return NULL;
		}
		else if ((is_word(*p) && !isupper((unsigned char) *p)) ||
				 *p == '.' || *p == ' ')
			p++;				/* the server writes key words in capitals */
		else if (*p == '(' && p[strspn(p + 1, "0123456789,-") + 1] == ')')
			p += strspn(p + 1, "0123456789,-") + 2;
		else
			return NULL;
	}
	if (p[1] != ']')
		return NULL;
	*type = pnstrdup(start, p - start);
	return p + 2;
}

/*
 * The end of an item: what is quoted or in brackets is one, or a character.
 * Only for text that copy_level() has made, so that all of these have an end;
 * it has to take the same for quoted.
 */
static const char *
item_end(const char *p)
{
	int			depth = 0;

	do
	{
		if (is_quote(*p))
			p = quoted_end(p);
		else
		{
			if (*p == '(' || *p == '[')
				depth++;
			else if (*p == ')' || *p == ']')
				depth--;
			p++;
		}
	} while (depth > 0);
	return p;
}

/*
 * ARRAY[a, b] as ARRAY[(a)::type, (b)::type]; an array in it likewise.
 */
static void
cast_elements(StringInfo out, const char *array, const char *type)
{
	const char *p = array + strlen("ARRAY[");

	CHECK_FOR_INTERRUPTS();
	appendStringInfoString(out, "ARRAY[");
	while (*p != ']')
	{
		const char *start = p;
		char	   *element;

		while (*p != ',' && *p != ']')
			p = item_end(p);
		element = pnstrdup(start, p - start);
		if (strncmp(element, "ARRAY[", 6) == 0 &&
			*item_end(element + 5) == '\0')
			cast_elements(out, element, type);
		else
			appendStringInfo(out, "(%s)::%s", element, type);
		pfree(element);
		if (*p == ',')
		{
			p += strspn(p, ", ");
			appendStringInfoString(out, ", ");
		}
	}
	appendStringInfoChar(out, ']');
}

/* A word, which is looked at, as it comes. */
static void
copy_word(const char **p, StringInfo out, Level *level)
{
	const char *start = *p;
	int			len;

	while (is_word(**p))
		(*p)++;
	len = *p - start;
	appendBinaryStringInfo(out, start, len);
	if (len == 3 && strncmp(start, "AND", 3) == 0)
		level->words |= HAS_AND;
	else if (len == 2 && strncmp(start, "OR", 2) == 0)
		level->words |= HAS_OR;
	else if ((len == 7 && strncmp(start, "BETWEEN", 7) == 0) ||
			 (len == 6 && strncmp(start, "SELECT", 6) == 0))
		level->words |= HAS_OTHER;
}

/* Take the parentheses off ((a AND b) AND c): what is left begins at "start". */
static void
flatten(StringInfo out, int start, const Level *level)
{
	if (level->first_end == 0 || level->words != level->first_words ||
		(level->words != HAS_AND && level->words != HAS_OR) ||
		out->data[level->first_end] != ' ')
		return;
	/* x AND y, and not a call's arguments */
	memmove(out->data + level->first_end - 1, out->data + level->first_end,
			out->len - level->first_end + 1);
	out->len--;
	memmove(out->data + start, out->data + start + 1, out->len - start);
	out->len--;
}

static bool copy_level(const char **p, char closing, StringInfo out,
					   Level *level);

/*
 * Copy what is between parentheses or brackets, and the closing one.  "level"
 * is what they are in, and began at "level_start".
 */
static bool
copy_inner(const char **p, StringInfo out, Level *level, int level_start)
{
	int			start = out->len;
	bool		round = **p == '(';
	Level		inner = {.depth = level->depth + 1};
	char	   *type;
	const char *end = NULL;

	appendStringInfoChar(out, *(*p)++);
	if (inner.depth > MAX_DEPTH ||
		!copy_level(p, round ? ')' : ']', out, &inner))
		return false;
	if (round)
		flatten(out, start + 1, &inner);
	if (round && inner.array_end == out->len)
		end = array_type(*p + 1, &type);
	if (end != NULL)
	{
		char	   *array = pstrdup(out->data + start + 1);

		out->len = start;
		cast_elements(out, array, type);
		*p = end;
		pfree(array);
		pfree(type);
	}
	else
		appendStringInfoChar(out, *(*p)++);

	if (start == level_start && end != NULL)
		level->array_end = out->len;
	else if (start == level_start && round)
	{
		level->first_end = out->len;
		level->first_words = inner.words;
	}
	else if (!round && start == level_start + 5 &&
			 strncmp(out->data + level_start, "ARRAY", 5) == 0)
		level->array_end = out->len;
	return true;
}

/*
 * Copy up to a closing parenthesis or bracket, or the end of the text.  False
 * if it does not come, or another one does.
 */
static bool
copy_level(const char **p, char closing, StringInfo out, Level *level)
{
	int			level_start = out->len;

	while (**p != closing)
	{
		if (**p == '\0' || **p == ')' || **p == ']')
			return false;
		if (is_quote(**p))
		{
			const char *end = quoted_end(*p);

			if (end == NULL)
				return false;
			appendBinaryStringInfo(out, *p, end - *p);
			*p = end;
		}
		else if (**p == '(' || **p == '[')
		{
			if (!copy_inner(p, out, level, level_start))
				return false;
		}
		else if (is_word(**p))
			copy_word(p, out, level);
		else
			appendStringInfoChar(out, *(*p)++);
	}
	return true;
}

/*
 * The definition as it is printed after a dump and restore.  A text that the
 * server cannot have printed is left alone.
 */
Datum
sg_restored_text(PG_FUNCTION_ARGS)
{
	const char *definition = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *p = definition;
	StringInfoData out;
	Level		level = {0};

	initStringInfo(&out);
	if (!copy_level(&p, '\0', &out, &level))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
