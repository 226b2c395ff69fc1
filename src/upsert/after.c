/*-------------------------------------------------------------------------
 *
 * after.c
 *		What a command leaves of the keys that upserts need.
 *
 * The catalogs show it, except of a command that is only looked at, and of a
 * concurrent drop, which is judged before it begins.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/lsyscache.h"

#include "ddl/ddl.h"
#include "upsert/upsert.h"

/*
 * Is a relation, or with attnum > 0 a column of it, gone or about to go?
 */
bool
sg_after_is_gone(const SgAfter *after, Oid relid, AttrNumber attnum)
{
	const SgTrial *trial = after->utility->trial;

	if (trial != NULL && trial->drops != NULL &&
		sg_drops_have(trial->drops, RelationRelationId, relid, attnum))
		return true;
	/* a dropped column has no type */
	return attnum > 0 ? !OidIsValid(get_atttype(relid, attnum)) :
		get_rel_relkind(relid) == '\0';
}

static bool
index_is_gone(Oid index, void *arg)
{
	const SgAfter *after = arg;

	return index == after->without || sg_after_is_gone(after, index, 0);
}

/*
 * Would the command add a key that serves a target?
 */
static bool
adds_key(const SgTrial *trial, const SgTarget *target)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	for (int i = 0; i < target->nkeys; i++)
	{
		if (target->keys[i] <= 0)
			return false;
		columns = bms_add_member(columns, target->keys[i]);
	}
	foreach(lc, trial->keys)
	{
		const SgNewKey *key = lfirst(lc);

		if (key->table == target->key.relid &&
			bms_equal(key->columns, columns))
			return true;
	}
	return false;
}

/*
 * Does another unique index serve the upserts?
 */
bool
sg_after_is_served(const SgAfter *after, const SgTarget *target)
{
	const SgTrial *trial = after->utility->trial;

	return sg_target_is_served(target, index_is_gone, (void *) after) ||
		(trial != NULL && adds_key(trial, target));
}
