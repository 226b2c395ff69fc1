/*-------------------------------------------------------------------------
 *
 * ddl.c
 *		The HINT of an ON CONFLICT that no unique key serves.
 *
 * First the clause that the closest key serves, then the command that makes
 * the key which is missing, then how to see whether duplicates stand against
 * it.  Nothing here looks at a row: an error is being raised.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "upsert/arbiter.h"

static void
next_sentence(StringInfo buf)
{
	if (buf->len > 0)
		appendStringInfoChar(buf, ' ');
}

/* ---------------- the corrected clause ---------------- */

/*
 * Would it be right to write the closest key into the ON CONFLICT, for
 * someone who means that key?
 */
static bool
clause_would_serve(const SgArbitration *arb, const SgCandidate *key)
{
	if (key == NULL || !key->unique || !key->valid || key->deferrable)
		return false;

	/* a view has other names, and may not show all the columns */
	if (arb->view != NULL)
		return false;
	switch (key->misfit)
	{
		case SG_MISFIT_NOT_REPEATED:
		case SG_MISFIT_NOT_IMPLIED:
		case SG_MISFIT_COLLATION:
		case SG_MISFIT_OPCLASS:
		case SG_MISFIT_EXPRESSION:
			return true;
		case SG_MISFIT_COLUMNS:
			return key->lacking == NIL || key->surplus == NIL;
		default:
			return false;
	}
}

static char *
clause(const SgCandidate *key)
{
	if (key->condition == NULL)
		return psprintf("ON CONFLICT %s", key->columns);
	return psprintf("ON CONFLICT %s WHERE %s", key->columns, key->condition);
}

/* ---------------- the missing key ---------------- */

/*
 * Is the table known to be empty?  By the size of its file, which says
 * nothing about a partitioned table.
 */
static bool
is_empty(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		RelationGetNumberOfBlocks(rel) == 0;
}

/* The columns of the missing key, with some that must be added. */
static char *
key_columns(SgArbitration *arb, List *add)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, arb->columns, strlen(arb->columns) - 1);
	foreach(lc, add)
		appendStringInfo(&buf, ", %s", quote_identifier(lfirst(lc)));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * The WHERE of the missing key: that of the ON CONFLICT, unless a parameter
 * has to do with it or no index can have it.  A key without it serves too.
 */
static char *
key_condition(SgArbitration *arb)
{
	Node	   *where = (Node *) arb->where;

	if (arb->where == NIL || arb->where_varies ||
		contain_mutable_functions(where) || sg_has_parameter(where, NULL))
		return "";
	return psprintf(" WHERE %s",
					sg_arbiter_element(arb, (Node *) make_ands_explicit(arb->where)));
}

static void
append_command(StringInfo buf, SgArbitration *arb, List *add)
{
	char	   *columns = key_columns(arb, add);
	char	   *condition = key_condition(arb);

	if (arb->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		appendStringInfo(buf, "CREATE UNIQUE INDEX ON %s %s%s; That blocks writes: to avoid it, create the index ON ONLY the table, build the like CONCURRENTLY on each partition, and attach these.",
						 arb->qualified, columns, condition);
	else if (!is_empty(arb->rel))
		appendStringInfo(buf, "CREATE UNIQUE INDEX CONCURRENTLY ON %s %s%s;",
						 arb->qualified, columns, condition);
	else if (arb->plain && condition[0] == '\0')
		appendStringInfo(buf, "ALTER TABLE %s ADD UNIQUE %s;",
						 arb->qualified, columns);
	else
		appendStringInfo(buf, "CREATE UNIQUE INDEX ON %s %s%s;",
						 arb->qualified, columns, condition);
}

/* How to see whether duplicates stand against the key. */
static void
append_check(StringInfo buf, SgArbitration *arb, List *add)
{
	List	   *names = NIL;
	ListCell   *lc;

	if (!arb->plain || !OidIsValid(get_extension_oid("safeguard", true)))
		return;
	foreach(lc, arb->elems)
	{
		Var		   *var = (Var *) lfirst_node(InferenceElem, lc)->expr;

		names = lappend(names, get_attname(arb->relid, var->varattno, false));
	}
	names = list_concat(names, add);
	next_sentence(buf);
	appendStringInfo(buf, "Look for duplicates first: SELECT * FROM safeguard.check_key(%s",
					 quote_literal_cstr(arb->qualified));
	foreach(lc, names)
		appendStringInfo(buf, ", %s", quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(buf, ");");
}

/*
 * The command for the missing key.  With "clause" the corrected clause has
 * been told.
 */
static void
append_key(StringInfo buf, SgArbitration *arb, bool clause)
{
	List	   *add;
	char	   *obstacle = sg_arbiter_obstacle(arb, &add);

	/* with the columns that must be added, it may be the one that is there */
	if (obstacle != NULL && (add == NIL || clause))
		return;
	next_sentence(buf);
	if (obstacle != NULL && arb->view == NULL)
		appendStringInfo(buf, "Write ON CONFLICT %s and create the key: ",
						 key_columns(arb, add));
	else
		appendStringInfoString(buf, clause ? "Else create the key: " :
							   "Create the key: ");
	append_command(buf, arb, add);
	append_check(buf, arb, add);
}

/* ---------------- all ---------------- */

static char *
index_name(const SgCandidate *key)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(key->index)),
									  key->name);
}

/*
 * The HINT, or NULL if there is none to give.
 */
char *
sg_arbiter_hint(SgArbitration *arb)
{
	const SgCandidate *key = arb->closest;
	StringInfoData buf;

	initStringInfo(&buf);
	if (key != NULL && key->misfit == SG_MISFIT_PARAMETER)
		return psprintf("Write the value as a constant, %s, or SET plan_cache_mode = force_custom_plan.",
						clause(key));
	if (key != NULL && key->misfit == SG_MISFIT_INVALID && key->partitioned)
		return psprintf("Build the like of it CONCURRENTLY on each partition that has none, and attach it: ALTER INDEX %s ATTACH PARTITION ...;",
						index_name(key));
	if (key != NULL && key->misfit == SG_MISFIT_INVALID)
	{
		appendStringInfo(&buf, "Build it again: REINDEX INDEX CONCURRENTLY %s;",
						 index_name(key));
		append_check(&buf, arb, NIL);
		return buf.data;
	}
	if (key != NULL && key->misfit == SG_MISFIT_EXCLUSION &&
		arb->do_nothing && arb->view == NULL)
		appendStringInfo(&buf, "Write ON CONFLICT ON CONSTRAINT %s.",
						 quote_identifier(key->name));
	else if (clause_would_serve(arb, key))
		appendStringInfo(&buf, "If that key is meant, write %s.", clause(key));
	append_key(&buf, arb, buf.len > 0);
	return buf.len > 0 ? buf.data : NULL;
}
