/*-------------------------------------------------------------------------
 *
 * recognise.c
 *		Is a table the history of a migration tool, and of which?
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "migrate/tools.h"

static bool
type_fits(SgToolType type, Oid typid)
{
	switch (type)
	{
		case SG_TOOL_STRING:
			return typid == VARCHAROID || typid == TEXTOID;
		case SG_TOOL_INTEGER:
			return typid == INT4OID || typid == INT8OID;
		case SG_TOOL_INT4:
			return typid == INT4OID;
		case SG_TOOL_INT8:
			return typid == INT8OID;
		case SG_TOOL_FLOAT8:
			return typid == FLOAT8OID;
		case SG_TOOL_BOOL:
			return typid == BOOLOID;
		case SG_TOOL_TIME:
			return typid == TIMESTAMPOID || typid == TIMESTAMPTZOID;
		case SG_TOOL_JSON:
			return typid == JSONBOID || typid == JSONOID;
		case SG_TOOL_BYTEA:
			return typid == BYTEAOID;
		case SG_TOOL_NAME:
			return typid == NAMEOID;
		case SG_TOOL_STRINGS:
			return typid == TEXTARRAYOID || typid == VARCHARARRAYOID;
	}
	return false;
}

/* Has the table these columns, and no other if they are to be all? */
static bool
columns_fit(const SgTool *tool, TupleDesc desc)
{
	int			wanted = 0;
	int			present = 0;

	for (const SgToolColumn *column = tool->columns; column->name != NULL; column++)
	{
		bool		found = false;

		wanted++;
		for (int i = 0; i < desc->natts && !found; i++)
		{
			Form_pg_attribute attr = TupleDescAttr(desc, i);

			/* (no tool has generated columns, which a scan need not show) */
			found = !attr->attisdropped && attr->attgenerated == '\0' &&
				type_fits(column->type, attr->atttypid) &&
				strcmp(NameStr(attr->attname), column->name) == 0;
		}
		if (!found)
			return false;
	}
	if (!tool->exact)
		return true;
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			present++;
	return present == wanted;
}

static bool
tool_fits(const SgTool *tool, Relation rel)
{
	if (strcmp(tool->relation, RelationGetRelationName(rel)) != 0)
		return false;
	if (!columns_fit(tool, RelationGetDescr(rel)))
		return false;
	if (tool->schema != NULL)
	{
		char	   *schema = get_namespace_name(RelationGetNamespace(rel));
		bool		same = schema != NULL && strcmp(schema, tool->schema) == 0;

		if (schema != NULL)
			pfree(schema);
		if (!same)
			return false;
	}
	return tool->sibling == NULL ||
		get_rel_relkind(get_relname_relid(tool->sibling,
									  RelationGetNamespace(rel))) == RELKIND_RELATION;
}

/*
 * The tool whose history a table is, or NULL.  Nothing but a table that is
 * kept is one: reading a view or a foreign table runs its owner's code.
 */
const SgTool *
sg_history_tool(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION ||
		rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT ||
		RelationGetRelid(rel) < FirstNormalObjectId)
		return NULL;
	for (int i = 0; i < sg_ntools; i++)
		if (tool_fits(&sg_tools[i], rel))
			return &sg_tools[i];
	return NULL;
}
