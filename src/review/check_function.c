/*-------------------------------------------------------------------------
 *
 * check_function.c
 *		safeguard.check_function() and check_functions(): review the SQL inside
 *		stored functions; and that of DO for check().
 *
 * A function is opened and each of its statements analysed in subtransactions
 * that are rolled back.  Nothing of the function is executed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/proclang.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "compat.h"
#include "review/review.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_check_function);

/* A body and the statement of it that is being looked at. */
typedef struct BodyReview
{
	SgReview   *review;
	SgBody	   *body;
	Oid			function;		/* InvalidOid: that of a DO */
	Oid			relation;		/* whose rows NEW and OLD are */
	const char *source;			/* of a DO */
	const char *outer;			/* text of the DO, or NULL */
	int			outer_chars;	/* characters before that */
	SgBodyStatement *stmt;
	int			base;			/* characters before the body, -1: not known */
	List	   *rows;			/* out: SgReviewRow */
	List	   *seen;			/* of rows that have been returned */
	int			ntables;		/* for which it is reviewed one after another */
	List	   *failed;			/* numbers of statements, once for each table */
} BodyReview;

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
	BodyReview *br = (BodyReview *) arg;
	SgBodyStatement *stmt = br->stmt;
	Node	   *node = stmt->stored != NULL &&
		stmt->stored->commandType != CMD_UTILITY ? NULL :
		sg_body_statement_node(stmt);
	List	   *findings;

	if (OidIsValid(br->function))
		sg_body_settings(br->function);
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
location_in_body(BodyReview *br, int location)
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
put_at(BodyReview *br, SgReviewRow *row, const char *source)
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
put(BodyReview *br, SgReviewRow *row)
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
put_dynamic(BodyReview *br)
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
fails_for_all(BodyReview *br)
{
	int			n = 0;
	ListCell   *lc;

	br->failed = lappend_int(br->failed, br->review->statement);
	foreach(lc, br->failed)
		n += lfirst_int(lc) == br->review->statement;
	return n == br->ntables;
}

static void
put_failure(BodyReview *br, const ErrorData *edata)
{
	SgBodyStatement *stmt = br->stmt;
	SgReviewRow *row;

	if (edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(unconstify(ErrorData *, edata));
	/* of whose rows NEW and OLD are nothing is known */
	if (stmt->needs_row && !OidIsValid(br->relation))
		return;
	if (stmt->needs_row && !fails_for_all(br))
		return;
	if (is_table_to_come(br->body, edata))
		return;
	row = sg_review_error_row("analyze", edata, stmt->text, NULL);
	put(br, row);
}

static void
review_statement(BodyReview *br)
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
	edata = sg_contained(examine, br);
	if (edata != NULL)
		put_failure(br, edata);
	else
	{
		foreach(lc, br->rows)
			put(br, lfirst(lc));
	}
}

/* ---------------- bodies ---------------- */

static void
open_body(void *arg)
{
	BodyReview *br = (BodyReview *) arg;

	if (OidIsValid(br->function))
	{
		sg_body_settings(br->function);
		br->body = sg_body_open(br->function, br->relation);
	}
	else
	{
		br->body = palloc0(sizeof(SgBody));
		br->body->source = unconstify(char *, br->source);
		sg_plpgsql_open_inline(br->body);
	}
}

/* Nothing can be said of a body that PL/pgSQL or the parser cannot read. */
static void
put_unreadable(BodyReview *br, ErrorData *edata)
{
	SgReviewRow *row;

	/* PL/pgSQL points into the source, if that is all there is */
	if (br->source != NULL && edata->internalquery != NULL &&
		strcmp(br->source, edata->internalquery) == 0)
		edata->cursorpos = edata->internalpos;
	else
		edata->cursorpos = 0;
	row = sg_review_error_row(edata->sqlerrcode == ERRCODE_SYNTAX_ERROR ?
							  "syntax" : "analyze", edata, br->source, NULL);
	put_at(br, row, br->source);
}

/* Review a body whose statements have numbers of their own, or not. */
static void
review_body(BodyReview *br, bool numbered)
{
	ErrorData  *edata = sg_contained(open_body, br);
	ListCell   *lc;

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

/*
 * Review the body of a DO that is a statement of a script; the review's text
 * is the whole statement.
 */
void
sg_review_do(SgReview *review, DoStmt *stmt)
{
	BodyReview	br = {.review = review, .base = -1,
		.outer = review->text, .outer_chars = review->chars};
	const char *language = "plpgsql";
	const char *found;
	ListCell   *lc;

	foreach(lc, stmt->args)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "as") == 0)
			br.source = strVal(option->arg);
		else if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
	}
	if (br.source == NULL || strcmp(language, "plpgsql") != 0)
		return;
	/* a body in dollar quotes stands there as it is */
	found = strstr(review->text, br.source);
	if (found != NULL)
		br.base = review->chars +
			pg_mbstrlen_with_len(review->text, found - review->text);
	review_body(&br, false);
}

/* ---------------- functions ---------------- */

/* The tables whose triggers call a function. */
static List *
trigger_relations(Oid function)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *relations = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (trigger->tgfoid == function)
			relations = list_append_unique_oid(relations, trigger->tgrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(relations, list_oid_cmp);
	return relations;
}

/*
 * Review a function; a trigger function for the relation, or else for each
 * table that has a trigger with it.
 */
void
sg_review_function(SgReview *review, Oid function, Oid relation)
{
	BodyReview	br = {.review = review, .function = function};
	List	   *relations = list_make1_oid(relation);
	ListCell   *lc;

	review->function = function;
	review->statement = 0;
	review->bypassed = false;
	if (!OidIsValid(relation) && get_func_rettype(function) == TRIGGEROID)
	{
		relations = trigger_relations(function);
		if (relations == NIL)
			relations = list_make1_oid(InvalidOid);
	}
	br.ntables = list_length(relations);
	foreach(lc, relations)
	{
		br.relation = lfirst_oid(lc);
		review_body(&br, true);
	}
}

static void
check_arguments(Oid function, Oid relation)
{
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function with OID %u does not exist", function));
	if (!sg_may_see_function(function))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION,
					   get_func_name(function));
	if (!OidIsValid(relation))
		return;
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relation));
	if (get_func_rettype(function) != TRIGGEROID)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("function %s is not a trigger function",
					   format_procedure(function)),
				errhint("Call check_function without a relation."));
}

/*
 * One row per finding about the statements inside a function.
 */
Datum
sg_check_function(PG_FUNCTION_ARGS)
{
	SgReview	review = {0};
	Oid			function;
	Oid			relation;

	sg_require_argument(fcinfo, 0, "function");
	function = PG_GETARG_OID(0);
	relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	check_arguments(function, relation);
	InitMaterializedSRF(fcinfo, 0);
	review.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	sg_review_function(&review, function, relation);
	return (Datum) 0;
}
