/*-------------------------------------------------------------------------
 *
 * body.c
 *		Reviews the statements of a body: of a stored function, of one that a
 *		script makes, of a DO.
 *
 * The body is opened and each of its statements analysed in subtransactions
 * that are rolled back.  Nothing of it is executed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "review/review.h"
#include "safeguard.h"

/* ---------------- temporary tables ---------------- */

static bool
creates(Node *node, const char *name)
{
	RangeVar   *made = NULL;

	if (node == NULL)
		return false;
	if (IsA(node, CreateStmt))
		made = ((CreateStmt *) node)->relation;
	else if (IsA(node, CreateTableAsStmt))
		made = ((CreateTableAsStmt *) node)->into->rel;
	return made != NULL && strcmp(made->relname, name) == 0;
}

/* Does a statement of the body make a table of this name? */
static bool
body_creates(SgBody *body, const char *name)
{
	ListCell   *lc;

	foreach(lc, body->statements)
	{
		SgBodyStatement *stmt = lfirst(lc);

		if (stmt->dynamic || (stmt->stored != NULL &&
							  stmt->stored->commandType != CMD_UTILITY))
			continue;
		if (creates(sg_body_statement_node(stmt), name))
			return true;
	}
	return false;
}

/* The name that stands in double quotes in a message, or NULL. */
static char *
quoted_name(const char *message)
{
	const char *start = strchr(message, '"');
	const char *end = start == NULL ? NULL : strrchr(message, '"');

	return start == NULL || end == start ? NULL :
		pnstrdup(start + 1, end - start - 1);
}

/*
 * Is it a table that is missing only because the function, or one that calls
 * it, has not made it yet?
 */
static bool
is_table_to_come(SgBody *body, const ErrorData *edata)
{
	char	   *name;

	if (edata->sqlerrcode != ERRCODE_UNDEFINED_TABLE)
		return false;
	name = quoted_name(edata->message);
	if (name == NULL)
		return false;
	if (strncmp(name, "pg_temp.", strlen("pg_temp.")) == 0)
		return true;
	return body_creates(body, strrchr(name, '.') ? strrchr(name, '.') + 1 :
						name);
}

/* ---------------- statements ---------------- */

static void
examine(void *arg)
{
	SgBodyReview *br = (SgBodyReview *) arg;
	SgBodyStatement *stmt = br->stmt;
	Node	   *node = stmt->stored != NULL &&
		stmt->stored->commandType != CMD_UTILITY ? NULL :
		sg_body_statement_node(stmt);
	List	   *findings;

	br->settings(br);

	/* what is not there may be made, or its lack be caught, when it runs */
	if (node != NULL && IsA(node, DropStmt))
		((DropStmt *) node)->missing_ok = true;
	if (node != NULL && sg_is_utility(node))
		findings = sg_review_utility(node, stmt->text, stmt->location,
									 stmt->len);
	else
		findings = sg_review_find(sg_body_analyze(br->body, stmt), stmt->text,
								  &br->review->bypassed);
	br->rows = sg_review_rows(findings, SG_LEVEL_ERROR);
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/*
 * Where in the body a location in the statement is, and for none where the
 * statement begins; -1 if that is not known.
 */
static int
location_in_body(SgBodyReview *br, int location)
{
	const char *source = br->body->source;

	if (br->stmt->offset < 0)
		return -1;
	if (location >= 0)
		return location + br->stmt->offset;
	location = br->stmt->offset + br->stmt->location;
	while (source[location] != '\0' && isspace((unsigned char) source[location]))
		location++;
	return location;
}

/*
 * Return a row whose location is one in the body's source; that of a DO points
 * at the whole DO if nothing else is known.
 */
static void
put_at(SgBodyReview *br, SgReviewRow *row, const char *source)
{
	br->review->text = source;
	br->review->chars = br->base;
	if (br->outer != NULL && (row->location < 0 || br->base < 0))
	{
		row->location = 0;
		br->review->text = br->outer;
		br->review->chars = br->outer_chars;
	}
	sg_review_put(br->review, row);
}

/*
 * Return a row, unless another table of the trigger function has brought the
 * same.
 */
static void
put(SgBodyReview *br, SgReviewRow *row)
{
	ListCell   *lc;

	row->location = location_in_body(br, row->location);
	foreach(lc, br->seen)
	{
		SgReviewRow *seen = lfirst(lc);

		if (seen->location == row->location &&
			is_same_text(seen->rule, row->rule) &&
			is_same_text(seen->message, row->message) &&
			is_same_text(seen->detail, row->detail))
			return;
	}
	br->seen = lappend(br->seen, row);
	put_at(br, row, br->body->source);
}

static void
put_dynamic(SgBodyReview *br)
{
	SgReviewRow *row = palloc0(sizeof(SgReviewRow));

	row->rule = "dynamic";
	row->level = sg_level_name(SG_LEVEL_RECORD);
	row->message = psprintf("EXECUTE on line %d is not judged", br->stmt->line);
	row->detail = pstrdup("The text that it runs is known only when the function runs.");
	row->hint = pstrdup("The rules judge it then; safeguard.preview can call the function and rolls it back.");
	put(br, row);
}

/*
 * A function of several tables asks for which one it runs, and has statements
 * for some of them.  Has this one failed for every table now?
 */
static bool
fails_for_all(SgBodyReview *br)
{
	int			n = 0;
	ListCell   *lc;

	br->failed = lappend_int(br->failed, br->review->statement);
	foreach(lc, br->failed)
		n += lfirst_int(lc) == br->review->statement;
	return n == br->ntables;
}

/* Does a function that a script makes call itself?  It exists by then. */
static bool
is_own_call(SgBodyReview *br, const ErrorData *edata)
{
	const CreateFunctionStmt *created = (CreateFunctionStmt *) br->created;

	return created != NULL &&
		edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION &&
		strstr(edata->message, strVal(llast(created->funcname))) != NULL;
}

/* Somebody else has a lock, which says nothing about the function. */
static bool
is_lock_failure(const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * What is known of the other functions is not lost for that.  A script ends
 * there, as it does for one of its own statements.
 */
static void
put_locked(SgBodyReview *br, ErrorData *edata)
{
	SgReviewRow *row;

	if (br->outer != NULL)
		ReThrowError(edata);
	row = sg_review_error_row("analyze", edata, NULL, NULL);
	row->level = sg_level_name(SG_LEVEL_RECORD);
	row->message = psprintf("%s was not judged: %s", br->stmt ? "statement" :
							"function", row->message);
	put_at(br, row, NULL);
}

static void
put_failure(SgBodyReview *br, ErrorData *edata)
{
	SgBodyStatement *stmt = br->stmt;
	SgReviewRow *row;

	if (is_lock_failure(edata))
	{
		put_locked(br, edata);
		return;
	}
	/* of whose rows NEW and OLD are nothing is known */
	if (stmt->needs_row && !OidIsValid(br->relation))
		return;
	if (stmt->needs_row && !fails_for_all(br))
		return;
	if (is_table_to_come(br->body, edata) || is_own_call(br, edata))
		return;
	if (br->lenient)
		return;
	row = sg_review_error_row("analyze", edata, stmt->text, br->review->hint);
	if (sg_is_veto(edata))
	{
		row->level = sg_level_name(SG_LEVEL_RECORD);
		row->message = psprintf("statement was not judged: %s", row->message);
		row->hint = NULL;
	}
	put(br, row);
}

static void
review_statement(SgBodyReview *br)
{
	ErrorData  *edata;
	ListCell   *lc;

	CHECK_FOR_INTERRUPTS();
	if (br->stmt->dynamic)
	{
		put_dynamic(br);
		return;
	}
	br->rows = NIL;
	edata = sg_contained_review(examine, br);
	if (edata == NULL || sg_is_veto(edata))
	{
		foreach(lc, br->rows)
			put(br, lfirst(lc));
	}
	if (edata != NULL)
		put_failure(br, edata);
}

/* ---------------- bodies ---------------- */

static void
open_body(void *arg)
{
	SgBodyReview *br = (SgBodyReview *) arg;

	br->settings(br);
	br->open(br);
}

/* Nothing can be said of a body that PL/pgSQL or the parser cannot read. */
static void
put_unreadable(SgBodyReview *br, ErrorData *edata)
{
	SgReviewRow *row;

	if (is_lock_failure(edata))
	{
		put_locked(br, edata);
		return;
	}
	if (br->lenient)
		return;
	/* PL/pgSQL calls the source a query of its own */
	if (br->source != NULL && edata->internalquery != NULL)
		edata->cursorpos = strcmp(br->source, edata->internalquery) == 0 ?
			edata->internalpos : 0;
	row = sg_review_error_row(edata->sqlerrcode == ERRCODE_SYNTAX_ERROR ?
							  "syntax" : "analyze", edata, br->source,
							  br->review->hint);
	put_at(br, row, br->source);
}

/*
 * Review a body; its statements have numbers of their own, or that of the
 * statement that the body is part of.
 */
void
sg_review_body(SgBodyReview *br, bool numbered)
{
	ErrorData  *edata;
	ListCell   *lc;

	br->stmt = NULL;
	edata = sg_contained_review(open_body, br);

	if (edata != NULL)
	{
		put_unreadable(br, edata);
		return;
	}
	foreach(lc, br->body == NULL ? NIL : br->body->statements)
	{
		br->stmt = lfirst(lc);
		if (numbered)
			br->review->statement = foreach_current_index(lc) + 1;
		review_statement(br);
	}
}
