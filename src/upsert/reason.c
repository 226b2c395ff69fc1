/*-------------------------------------------------------------------------
 *
 * reason.c
 *		The DETAIL of an ON CONFLICT that no unique key serves.
 *
 * First the unique keys there are, then why the closest does not serve, then
 * where such a key is that does not count.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "upsert/arbiter.h"

/* So many keys are listed. */
#define MAX_KEYS 8

/* Begins the next sentence. */
static void
next_sentence(StringInfo buf)
{
	if (buf->len > 0)
		appendStringInfoChar(buf, ' ');
}

/* Items of a list with commas and, before the last, "and". */
static char *
enumerate(List *items)
{
	StringInfoData buf;
	int			n = list_length(items);

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s",
						 i == 0 ? "" : (i == n - 1 ? " and " : ", "),
						 (char *) list_nth(items, i));
	return buf.data;
}

/* ---------------- the keys there are ---------------- */

static void
describe_key(StringInfo buf, const SgCandidate *key)
{
	appendStringInfo(buf, "\"%s\" %s", key->name, key->columns);
	if (key->condition != NULL)
		appendStringInfo(buf, " WHERE %s", key->condition);
	if (key->deferrable)
		appendStringInfoString(buf, " DEFERRABLE");
	if (!key->valid)
		appendStringInfoString(buf, " INVALID");
}

static void
describe_keys(StringInfo buf, const SgArbitration *arb)
{
	int			n = list_length(arb->keys);

	if (n == 0)
	{
		/* for a foreign table it is told that it can have none */
		if (arb->nhidden == 0 &&
			arb->rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		{
			next_sentence(buf);
			appendStringInfo(buf, "Table \"%s\" has no unique key.",
							 arb->relation);
		}
		return;
	}
	next_sentence(buf);
	appendStringInfo(buf, "Table \"%s\" has the unique key%s ", arb->relation,
					 n == 1 ? "" : "s");
	for (int i = 0; i < Min(n, MAX_KEYS); i++)
	{
		if (i > 0)
			appendStringInfoString(buf, ", ");
		describe_key(buf, list_nth(arb->keys, i));
	}
	if (n > MAX_KEYS)
		appendStringInfo(buf, " and %d more", n - MAX_KEYS);
	appendStringInfoChar(buf, '.');
}

/* ---------------- the closest ---------------- */

static void
describe_columns(StringInfo buf, const SgCandidate *key)
{
	if (key->lacking == NIL)
		appendStringInfo(buf, "also has %s", enumerate(key->surplus));
	else if (key->surplus == NIL)
		appendStringInfo(buf, "does not have %s", enumerate(key->lacking));
	else
		appendStringInfo(buf, "has %s instead of %s",
						 enumerate(key->surplus), enumerate(key->lacking));
}

/* What is wrong with a unique key, to go on with after its name. */
static void
describe_misfit(StringInfo buf, const SgCandidate *key)
{
	switch (key->misfit)
	{
		case SG_MISFIT_PARAMETER:
			appendStringInfoString(buf, "is partial, and a generic plan does not know the parameter in the WHERE of the ON CONFLICT, which might imply its predicate");
			break;
		case SG_MISFIT_NOT_REPEATED:
			appendStringInfoString(buf, "is partial, and the ON CONFLICT does not repeat its predicate");
			break;
		case SG_MISFIT_NOT_IMPLIED:
			appendStringInfoString(buf, "is partial, and the WHERE of the ON CONFLICT does not imply its predicate");
			break;
		case SG_MISFIT_COLLATION:
			appendStringInfo(buf, "does not have collation %s on %s",
							 key->wanted, key->element);
			break;
		case SG_MISFIT_OPCLASS:
			appendStringInfo(buf, "does not have operator class %s on %s",
							 key->wanted, key->element);
			break;
		case SG_MISFIT_INVALID:
			appendStringInfoString(buf, key->partitioned ?
								   "is invalid, since some partition has no index attached to it" :
								   "is invalid, since a concurrent build of it has failed or is still running");
			break;
		default:
			describe_columns(buf, key);
			break;
	}
}

/* Why the closest does not serve, as a sentence. */
static void
describe_closest(StringInfo buf, const SgArbitration *arb)
{
	const SgCandidate *key = arb->closest;

	if (key->misfit == SG_MISFIT_NOT_UNIQUE)
		appendStringInfo(buf, "Index \"%s\" %s is not unique.",
						 key->name, key->columns);
	else if (key->misfit == SG_MISFIT_EXCLUSION)
		appendStringInfo(buf, "Exclusion constraint \"%s\" %s serves only if it is named, and only DO NOTHING.",
						 key->name, key->columns);
	else
	{
		if (list_length(arb->keys) == 1)
			appendStringInfoString(buf, "It ");
		else
			appendStringInfo(buf, "The closest, \"%s\", ", key->name);
		describe_misfit(buf, key);
		appendStringInfoChar(buf, '.');
		if (key->deferrable)
			appendStringInfoString(buf, " Being DEFERRABLE, it could serve no ON CONFLICT anyway.");
	}
}

static void
describe_choice(StringInfo buf, const SgArbitration *arb)
{
	if (arb->closest != NULL)
	{
		next_sentence(buf);
		describe_closest(buf, arb);
	}
	else if (arb->keys != NIL)
	{
		next_sentence(buf);
		appendStringInfo(buf, "%s of the columns of the ON CONFLICT.",
						 list_length(arb->keys) == 1 ? "It has none" :
						 "None has any");
	}
}

/* ---------------- all ---------------- */

static void
describe_surroundings(StringInfo buf, SgArbitration *arb)
{
	char	   *child = sg_child_with_key(arb);
	char	   *parent = sg_parent_with_key(arb);
	List	   *add;
	char	   *obstacle = sg_arbiter_obstacle(arb, &add);

	if (child != NULL)
	{
		next_sentence(buf);
		appendStringInfo(buf, arb->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
						 "Partition \"%s\" has such a key, but only one of the partitioned table counts." :
						 "Child table \"%s\" has such a key, but only one of the table itself counts.",
						 child);
	}
	if (parent != NULL)
	{
		next_sentence(buf);
		appendStringInfo(buf, "Parent table \"%s\" has such a key, but keys are not inherited.",
						 parent);
	}
	if (obstacle != NULL)
	{
		next_sentence(buf);
		appendStringInfoString(buf, obstacle);
	}
}

/*
 * The DETAIL, or NULL if there is nothing that the user may be told.
 */
char *
sg_arbiter_detail(SgArbitration *arb)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (arb->view != NULL)
		appendStringInfo(&buf, "View \"%s\" inserts into table \"%s\".",
						 arb->view, arb->relation);
	describe_keys(&buf, arb);
	describe_choice(&buf, arb);
	describe_surroundings(&buf, arb);
	return buf.len > 0 ? buf.data : NULL;
}
