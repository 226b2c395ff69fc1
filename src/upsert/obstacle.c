/*-------------------------------------------------------------------------
 *
 * obstacle.c
 *		Why the unique key that an ON CONFLICT wants cannot be made.
 *
 * A hint must not name a command that the server refuses.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "review/preview.h"
#include "upsert/arbiter.h"

/* What is wrong with one element as the column of a unique index. */
static char *
element_obstacle(SgArbitration *arb, InferenceElem *elem)
{
	Node	   *expr = (Node *) elem->expr;
	Oid			type = exprType(expr);

	if (IsA(expr, Var) && ((Var *) expr)->varattno < 0)
		return psprintf("No key can have the system column \"%s\".",
						sg_arbiter_element(arb, expr));
	if (!OidIsValid(elem->inferopclass) &&
		!OidIsValid(GetDefaultOpClass(type, BTREE_AM_OID)))
		return psprintf("No unique key can have %s, since type %s has no order.",
						sg_arbiter_element(arb, expr), format_type_be(type));
	if (contain_mutable_functions(expr))
		return psprintf("No key can have %s, which is not immutable.",
						sg_arbiter_element(arb, expr));
	return NULL;
}

/* Names of a set of columns as they are written. */
static char *
name_list(Oid relid, Bitmapset *columns)
{
	StringInfoData buf;
	int			att = -1;

	initStringInfo(&buf);
	while ((att = bms_next_member(columns, att)) >= 0)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 quote_identifier(get_attname(relid, att, false)));
	return buf.data;
}

static char *
partition_obstacle(SgArbitration *arb, List **add)
{
	bool		expression;
	Bitmapset  *columns = sg_partition_columns(arb, &expression);
	Bitmapset  *missing = bms_difference(columns, arb->attnums);
	int			att = -1;

	if (sg_writes_foreign(arb->relid))
		return psprintf("Partitioned table \"%s\" has partitions that are foreign tables, so that it can have no unique key.",
						arb->relation);
	if (expression)
		return psprintf("Partitioned table \"%s\" is partitioned by an expression, so that it can have no unique key.",
						arb->relation);
	if (bms_is_empty(missing))
		return NULL;
	while ((att = bms_next_member(missing, att)) >= 0)
		*add = lappend(*add, get_attname(arb->relid, att, false));
	return psprintf("A unique key of partitioned table \"%s\" must have all columns of its partition key (%s).",
					arb->relation, name_list(arb->relid, columns));
}

/*
 * Why there can be no unique key on what ON CONFLICT names, as a sentence;
 * NULL if there can be one.  If more columns would do, *add gets their names.
 */
char *
sg_arbiter_obstacle(SgArbitration *arb, List **add)
{
	ListCell   *lc;

	*add = NIL;
	if (arb->rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return psprintf("Foreign table \"%s\" can have no unique key.",
						arb->relation);
	foreach(lc, arb->elems)
	{
		char	   *obstacle = element_obstacle(arb, lfirst(lc));

		if (obstacle != NULL)
			return obstacle;
	}
	if (list_length(arb->elems) > INDEX_MAX_KEYS)
		return psprintf("No key can have more than %d columns.",
						INDEX_MAX_KEYS);
	if (arb->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return partition_obstacle(arb, add);
	return NULL;
}
