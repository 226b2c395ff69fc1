/*-------------------------------------------------------------------------
 *
 * tools.h
 *		The tables in which migration tools record what they have applied.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_TOOLS_H
#define SG_TOOLS_H

#include "utils/relcache.h"

#define SG_TOOL_COLUMNS 9		/* that a table is recognised by, at most */

/*
 * What a column of a history table must be.  All are types of pg_catalog, so
 * that no code of a user runs when their values are read.
 */
typedef enum SgToolType
{
	SG_TOOL_STRING = 1,			/* text or varchar */
	SG_TOOL_INTEGER,			/* int4 or int8 */
	SG_TOOL_INT4,
	SG_TOOL_INT8,
	SG_TOOL_FLOAT8,
	SG_TOOL_BOOL,
	SG_TOOL_TIME,				/* timestamp with or without time zone */
	SG_TOOL_JSON,				/* json or jsonb */
	SG_TOOL_BYTEA,
	SG_TOOL_NAME,
	SG_TOOL_STRINGS				/* text[] or varchar[] */
} SgToolType;

typedef struct SgToolColumn
{
	const char *name;			/* NULL ends the list */
	SgToolType	type;
} SgToolColumn;

/*
 * One form of the history table of one tool.  The expressions are SQL over
 * the table under the name "h"; NULL where it does not record that.
 */
typedef struct SgTool
{
	const char *name;			/* as safeguard.migration_history shows it */
	const char *schema;			/* it must be in; NULL: in any */
	const char *relation;		/* name of the table */
	const char *sibling;		/* table that must be beside it, or NULL */
	bool		exact;			/* it has these columns and no other */
	bool		extra;			/* a second table of its tool, which tells
								 * nothing about migrations that are applied */
	const char *failed_column;	/* with this value there, a row is that of a */
	const char *failed_value;	/* migration that has failed */
	SgToolColumn columns[SG_TOOL_COLUMNS + 1];

	const char *key;			/* column that names the migration: what this
								 * changes in is the row of one */
	const char *version;		/* text; NULL: the key */
	const char *project;		/* text, that the version is unique in */
	const char *description;	/* text */
	const char *applied_at;		/* timestamptz */
	const char *duration_ms;	/* float8 */
	const char *success;		/* bool; NULL: what is there is applied */
	const char *condition;		/* rows to leave out do not satisfy it; %s is
								 * the table once more */
} SgTool;

extern const SgTool sg_tools[];
extern const int sg_ntools;

/* what a table is recognised by is its own; call it with the table locked */
extern const SgTool *sg_history_tool(Relation rel);

#endif							/* SG_TOOLS_H */
