/*-------------------------------------------------------------------------
 *
 * report.c
 *		The rows that check() and check_function() return.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/regproc.h"

#include "compat.h"
#include "review/review.h"
#include "safeguard.h"

/* columns of a row of check(), and the one that check_function() has before */
#define CHECK_COLUMNS	9

static Datum
names_array(List *names)
{
	Datum	   *elems = palloc(list_length(names) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		elems[n++] = DirectFunctionCall1(namein, CStringGetDatum(lfirst(lc)));
	return PointerGetDatum(construct_array(elems, n, NAMEOID, NAMEDATALEN,
										   false, TYPALIGN_CHAR));
}

/* Where a row points to, in characters from 1, or 0. */
static int
row_position(const SgReview *review, const SgReviewRow *row)
{
	if (review->chars < 0 || row->location < 0 || review->text == NULL ||
		row->location > strlen(review->text))
		return 0;
	return review->chars +
		pg_mbstrlen_with_len(review->text, row->location) + 1;
}

/*
 * Return a row about the statement that is being reviewed.
 */
void
sg_review_put(SgReview *review, const SgReviewRow *row)
{
	Datum		values[CHECK_COLUMNS + 1];
	bool		nulls[CHECK_COLUMNS + 1] = {0};
	int			position = row_position(review, row);
	int			n = 0;

	if (OidIsValid(review->function))
		values[n++] = ObjectIdGetDatum(review->function);
	nulls[n] = review->statement == 0;
	values[n++] = Int32GetDatum(review->statement);
	values[n++] = CStringGetTextDatum(row->rule);
	values[n++] = CStringGetTextDatum(row->level);
	nulls[n] = !OidIsValid(row->relid);
	values[n++] = ObjectIdGetDatum(row->relid);
	nulls[n] = row->columns == NIL;
	values[n] = nulls[n] ? (Datum) 0 : names_array(row->columns);
	n++;

#define PUT_TEXT(str) \
	do { \
		nulls[n] = (str) == NULL; \
		values[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(str); \
		n++; \
	} while (0)

	PUT_TEXT(row->message);
	PUT_TEXT(row->detail);
	PUT_TEXT(row->hint);
#undef PUT_TEXT

	nulls[n] = position == 0;
	values[n++] = Int32GetDatum(position);
	tuplestore_putvalues(review->rsinfo->setResult, review->rsinfo->setDesc,
						 values, nulls);
}

/*
 * A row about an error that keeps a statement from being judged.  "text" is
 * what its position refers to.
 */
SgReviewRow *
sg_review_error_row(const char *rule, const ErrorData *edata, const char *text,
					const char *hint)
{
	SgReviewRow *row = palloc0(sizeof(SgReviewRow));

	row->rule = rule;
	row->level = sg_level_name(SG_LEVEL_ERROR);
	row->message = edata->message;
	row->detail = edata->detail;
	if (edata->hint != NULL && hint != NULL)
		row->hint = psprintf("%s  %s", edata->hint, hint);
	else
		row->hint = edata->hint != NULL ? edata->hint : unconstify(char *, hint);
	row->location = -1;
	if (edata->cursorpos > 0 && text != NULL)
		row->location = pg_mbcharcliplen(text, strlen(text),
										 edata->cursorpos - 1);
	return row;
}
