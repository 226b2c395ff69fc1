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
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "parser/parse_node.h"

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

/* ---------------- ddl.c ---------------- */

/* findings about a utility statement that is not executed: SgFinding */
extern List *sg_review_utility(Node *stmt, const char *sql, int location,
							   int len);

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
} SgBody;

/* ---------------- functions.c ---------------- */

extern SgBody *sg_body_open(Oid function, Oid relation);
extern List *sg_body_analyze(SgBody *body, SgBodyStatement *stmt);

/* ---------------- plpgsql.c ---------------- */

extern void *sg_plpgsql_symbol(const char *name);
extern void sg_plpgsql_open(SgBody *body, Oid result_type);

/* ---------------- names.c ---------------- */

/* What the parser hooks for a statement of PL/pgSQL need. */
typedef struct SgPlpgsqlScope
{
	SgBody	   *body;
	SgBodyStatement *stmt;
} SgPlpgsqlScope;

extern void sg_plpgsql_parser_setup(ParseState *pstate, void *arg);

#endif							/* SG_REVIEW_H */
