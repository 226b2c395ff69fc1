/*-------------------------------------------------------------------------
 *
 * minimal_hook.c
 *		The least that a guard can do: an error for UPDATE and DELETE without
 *		WHERE, found right after parsing.
 *
 * Not part of the extension: bench/run builds it, to have something to compare
 * the cost of safeguard with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

static post_parse_analyze_hook_type previous = NULL;

static void
look(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (previous)
		(*previous) (pstate, query, jstate);
	if ((query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE) &&
		query->jointree->quals == NULL)
		ereport(ERROR,
				errcode(ERRCODE_CARDINALITY_VIOLATION),
				errmsg("UPDATE or DELETE without WHERE"));
}

void
_PG_init(void)
{
	previous = post_parse_analyze_hook;
	post_parse_analyze_hook = look;
}
