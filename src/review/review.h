/*-------------------------------------------------------------------------
 *
 * review.h
 *		Statements that are judged without being executed: those of a script,
 *		and those inside stored functions.
 *
 * A function is opened once and its statements are analysed one by one, each
 * when its reader asks, since one that fails must not hide the others.
 * Nothing of the function is executed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_REVIEW_H
#define SG_REVIEW_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "parser/parse_node.h"

#include "safeguard.h"

/*
 * A statement of a script.  Positions in raw, and cursorpos in error, are
 * those of text, which is the statement alone: add location (bytes) or chars
 * (characters) for those of the script.
 */
typedef struct SgScriptStatement
{
	int			number;			/* from 1 */
	int			location;		/* of its first byte in the script */
	int			len;			/* in bytes, without the semicolon */
	int			chars;			/* characters before it in the script */
	char	   *text;			/* a copy of it; NULL: not parsed yet */
	RawStmt    *raw;			/* NULL: it is wrong */
	ErrorData  *error;			/* of the parser, else NULL */
} SgScriptStatement;

/* ---------------- script.c ---------------- */

extern List *sg_script_split(const char *sql);
extern bool sg_script_parse(const char *sql, SgScriptStatement *stmt);

/* ---------------- contain.c ---------------- */

extern bool sg_is_interrupt(const ErrorData *edata);
extern ErrorData *sg_keep_error(MemoryContext context);
extern ErrorData *sg_contained(void (*work) (void *arg), void *arg);

/* ---------------- veto.c ---------------- */

extern ErrorData *sg_contained_review(void (*work) (void *arg), void *arg);
extern ErrorData *sg_contained_read(void (*work) (void *arg), void *arg);
extern bool sg_is_veto(const ErrorData *edata);

/* ---------------- report.c ---------------- */

/* What is told of a statement. */
typedef struct SgReviewRow
{
	const char *rule;
	const char *level;
	Oid			relid;			/* or InvalidOid */
	List	   *columns;		/* of char *, or NIL */
	char	   *message;
	char	   *detail;			/* or NULL */
	char	   *hint;			/* or NULL */
	int			location;		/* byte in SgReview.text, or -1 */
} SgReviewRow;

/* A call of check() or check_function(), and the statement it has come to. */
typedef struct SgReview
{
	ReturnSetInfo *rsinfo;
	Oid			function;		/* InvalidOid: there is no such column */
	int			statement;		/* number of it, from 1 */
	const char *text;			/* that locations refer to, or NULL */
	int			chars;			/* characters before text; -1: not known */
	bool		bypassed;		/* see sg_review_find */
	const char *hint;			/* about what does not analyse, or NULL */
} SgReview;

extern void sg_review_put(SgReview *review, const SgReviewRow *row);
extern SgReviewRow *sg_review_error_row(const char *rule,
										const ErrorData *edata,
										const char *text, const char *hint);

/* ---------------- judge.c ---------------- */

extern List *sg_review_find(List *queries, const char *text, bool *bypassed);
extern List *sg_review_rows(List *findings, SgLevel highest);
extern Query *sg_without_calls(Query *query);
extern bool sg_is_utility(const Node *stmt);

/* ---------------- ddl.c ---------------- */

/* findings about a utility statement that is not executed: SgFinding */
extern List *sg_review_utility(Node *stmt, const char *sql, int location,
							   int len);

/* The same in pieces: what is known when an error comes, is known. */
typedef struct SgUtilityReview
{
	Node	   *stmt;
	const char *sql;
	int			location;
	int			len;
	List	   *findings;		/* out: of SgFinding */
	List	   *dropped;		/* out: OIDs of relations that it would drop */
} SgUtilityReview;

extern void sg_try_utility(void *arg);

/* ---------------- follow.c ---------------- */

/* What a script has come to. */
typedef struct SgScript
{
	MemoryContext context;
	int			guc_level;
	bool		in_block;
	List	   *settings;		/* that outlive its transaction */
	List	   *gone;			/* OIDs of tables dropped or renamed */
	List	   *locked;			/* OIDs of tables locked by its transaction */
	struct HTAB *made;			/* names of what it makes, or NULL */
	bool		made_more;		/* or may make, under names not known */
	bool		made_parts;		/* the same of indexes and the like alone */
	int			old_settings;	/* length of the lists at its BEGIN */
	int			old_gone;
} SgScript;

extern void sg_script_begin(SgScript *script);
extern List *sg_script_utility(SgScript *script, Node *stmt, const char *sql,
							   int len, ErrorData **error);
extern bool sg_script_follows(Node *stmt);
extern void sg_script_follow(SgScript *script, Node *stmt);
extern void sg_script_end(SgScript *script);

/* ---------------- made.c ---------------- */

extern bool sg_makes_table(Node *stmt);
extern void sg_script_made(SgScript *script, Node *stmt);
extern bool sg_script_may_make(const SgScript *script, const DropStmt *stmt,
							   const ErrorData *edata);
extern void sg_script_query(SgScript *script, Query *query);
extern void sg_script_failed(SgScript *script, const ErrorData *edata);

/* A SQL statement in the body of a function. */
typedef struct SgBodyStatement
{
	const char *text;			/* the positions in its Queries refer to this;
								 * NULL: they have none (BEGIN ATOMIC) */
	int			location;		/* of the statement in text */
	int			len;			/* of the statement; 0: all the rest */
	int			offset;			/* of text in the body; -1: not found there */
	int			line;			/* in the body, from 1; 0: unknown */
	RawStmt    *raw;			/* language sql, string body */
	Query	   *stored;			/* language sql, BEGIN ATOMIC */
	void	   *expr;			/* PL/pgSQL: its PLpgSQL_expr */
	bool		needs_row;		/* uses NEW or OLD; known once analysed */
	bool		dynamic;		/* text is the expression whose value is run:
								 * nothing to analyse */
} SgBodyStatement;

/* A function whose statements are read. */
typedef struct SgBody
{
	Oid			function;
	Oid			relation;		/* whose rows NEW and OLD are, or InvalidOid */
	char	   *source;			/* pg_proc.prosrc */
	List	   *statements;		/* of SgBodyStatement, in the order of the text;
								 * cursors as they are declared come first */
	void	   *parse_info;		/* language sql: names of the arguments */
	void	   *compiled;		/* PL/pgSQL: its PLpgSQL_function */
	int			found_line;		/* of the last statement found in source, 0: none */
	int			found_end;		/* byte behind it */
} SgBody;

/* ---------------- functions.c ---------------- */

extern SgBody *sg_body_open(Oid function, Oid relation);
extern void sg_body_settings(Oid function);
extern List *sg_body_analyze(SgBody *body, SgBodyStatement *stmt);
extern Node *sg_body_statement_node(const SgBodyStatement *stmt);

/* ---------------- plpgsql.c ---------------- */

extern void *sg_plpgsql_symbol(const char *name);
extern void sg_plpgsql_open(SgBody *body, Oid result_type);
extern void sg_plpgsql_open_inline(SgBody *body);

/* ---------------- names.c ---------------- */

/* What the parser hooks for a statement of PL/pgSQL need. */
typedef struct SgPlpgsqlScope
{
	SgBody	   *body;
	SgBodyStatement *stmt;
} SgPlpgsqlScope;

extern void sg_plpgsql_parser_setup(ParseState *pstate, void *arg);

/* ---------------- body.c ---------------- */

/* A body that is reviewed, and the statement of it that is looked at. */
typedef struct SgBodyReview
{
	SgReview   *review;
	void		(*open) (struct SgBodyReview *br);	/* sets body, or nothing */
	void		(*settings) (struct SgBodyReview *br);	/* puts those of the
														 * function into force */
	SgBody	   *body;
	Oid			function;		/* of check_function() */
	Oid			relation;		/* whose rows NEW and OLD are */
	int			ntables;		/* for which it is reviewed one after another */
	Node	   *created;		/* CREATE FUNCTION in a script */
	const char *source;			/* of a body in a script, or NULL */
	const char *outer;			/* text of the statement it is in, or NULL */
	int			outer_chars;	/* characters before that */
	int			base;			/* characters before the body; -1: not known */
	bool		lenient;		/* what does not analyse is no row */
	SgBodyStatement *stmt;
	List	   *rows;			/* of it: SgReviewRow */
	List	   *seen;			/* rows that have been returned */
	List	   *failed;			/* numbers of statements, once for each table */
} SgBodyReview;

extern void sg_review_body(SgBodyReview *br, bool numbered);

/* ---------------- inline.c ---------------- */

extern void sg_review_inline(SgReview *review, Node *stmt);

/* ---------------- check_function.c ---------------- */

extern void sg_review_function(SgReview *review, Oid function, Oid relation);

/* ---------------- check_functions.c ---------------- */

extern bool sg_may_see_function(Oid function);

#endif							/* SG_REVIEW_H */
