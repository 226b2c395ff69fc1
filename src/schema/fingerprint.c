/*-------------------------------------------------------------------------
 *
 * fingerprint.c
 *		What schema_objects() and its relatives need besides SQL.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_schema_id);
PG_FUNCTION_INFO_V1(sg_view_text);
PG_FUNCTION_INFO_V1(sg_valid_objects);

/*
 * The schema of this name, which has to exist.
 */
Datum
sg_schema_id(PG_FUNCTION_ARGS)
{
	sg_require_argument(fcinfo, 0, "schema");
	PG_RETURN_OID(get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false));
}

/* ---------------- views ---------------- */

/* The query of a view or materialized view, as a copy; NULL if it has none. */
static Query *
view_query(Relation rel)
{
	RuleLock   *rules = rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		RewriteRule *rule = rules->rules[i];

		if (rule->event == CMD_SELECT && list_length(rule->actions) == 1)
			return copyObject(linitial_node(Query, rule->actions));
	}
	return NULL;
}

/*
 * Up to version 15 the range table of a view begins with the view itself,
 * twice, as "old" and "new".  Nothing refers to them, but they make a query
 * of one table look like a join, whose columns are printed with their table.
 */
static void
forget_old_and_new(Query *query, Oid viewid)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (n == 2 || rte->rtekind != RTE_RELATION || rte->relid != viewid)
			break;
		n++;
	}
	if (n == 0)
		return;
	query->rtable = list_delete_first_n(query->rtable, n);
	OffsetVarNodes((Node *) query, -n, 0);
}

/*
 * The query of a view as text that is the same in all versions, and after
 * pg_dump: its columns have the names that they have now.
 */
Datum
sg_view_text(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel = try_relation_open(relid, AccessShareLock);
	Query	   *query = NULL;
	ListCell   *lc;

	if (rel == NULL)
		PG_RETURN_NULL();
	if (rel->rd_rel->relkind == RELKIND_VIEW ||
		rel->rd_rel->relkind == RELKIND_MATVIEW)
		query = view_query(rel);
	if (query == NULL)
	{
		relation_close(rel, AccessShareLock);
		PG_RETURN_NULL();
	}

	forget_old_and_new(query, relid);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk && tle->resno <= RelationGetNumberOfAttributes(rel))
			tle->resname = pstrdup(NameStr(TupleDescAttr(RelationGetDescr(rel),
														 tle->resno - 1)->attname));
	}
	relation_close(rel, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(pg_get_querydef(query, false)));
}

/* ---------------- another database's objects ---------------- */

static void
not_objects(const char *what)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"objects\" does not hold the objects of a schema"),
			errdetail("%s", what),
			errhint("Give what SELECT jsonb_agg(o) FROM safeguard.schema_objects() o returns in the other database."));
}

/* An element must have these, as strings. */
static void
check_object(JsonbValue *element, int n)
{
	static const char *const keys[] = {"object", "definition", "hash"};

	if (element->type != jbvBinary ||
		!JsonContainerIsObject(element->val.binary.data))
		not_objects(psprintf("Element %d is not an object.", n));
	for (int i = 0; i < lengthof(keys); i++)
	{
		JsonbValue	buffer;
		JsonbValue *value;

		value = getKeyJsonValueFromContainer(element->val.binary.data, keys[i],
											 strlen(keys[i]), &buffer);
		if (value == NULL || value->type != jbvString)
			not_objects(psprintf("Element %d has no string \"%s\".", n, keys[i]));
	}
}

/*
 * Its argument, if that is what jsonb_agg() makes of schema_objects().
 */
Datum
sg_valid_objects(PG_FUNCTION_ARGS)
{
	Jsonb	   *objects;
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;
	int			n = 0;

	sg_require_argument(fcinfo, 0, "objects");
	objects = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_ARRAY(objects) || JB_ROOT_IS_SCALAR(objects))
		not_objects("It is not an array.");
	it = JsonbIteratorInit(&objects->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			check_object(&value, ++n);
	}
	if (n == 0)
		not_objects("It is empty, and even an empty schema has an object: itself.");
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
