/*-------------------------------------------------------------------------
 *
 * rows.c
 *		How many rows the present transaction has changed.
 *
 * A tool writes its history last, when the rows have long been changed.  The
 * server counts them anyway, per table and level of subtransactions, and takes
 * out what a subtransaction has undone; so they are read there when they are
 * wanted, and nothing is counted beside it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/pgstat_internal.h"
#include "utils/rel.h"

#include "compat.h"
#include "migrate/log.h"
#include "rows/rows.h"

/*
 * The kind of a table of a user that still exists, or 0; also 0 for those of
 * kept rows.  While a transaction
 * is rolled back no catalog can be asked; then one that the relation cache has
 * forgotten counts.
 */
static char
kind_of(const PgStat_TableStatus *table)
{
	Oid			relid = sg_stat_table_id(table);

	if (relid < FirstNormalObjectId)
		return '\0';
	if (relid == sg_kept_registry_relid)
		return '\0';
	if (table->relation != NULL && OidIsValid(sg_kept_namespace) &&
		RelationGetNamespace(table->relation) == sg_kept_namespace)
		return '\0';
	if (table->relation != NULL)
		return table->relation->rd_droppedSubid != InvalidSubTransactionId ?
			'\0' : table->relation->rd_rel->relkind;
	if (!IsTransactionState())
		return RELKIND_RELATION;
	return OidIsValid(sg_kept_namespace) &&
		get_rel_namespace(relid) == sg_kept_namespace ?
		'\0' : get_rel_relkind(relid);
}

/*
 * TRUNCATE and DROP put aside what was counted before.  The rows of a table
 * that is gone do not count: it may be the old heap of a rewrite.
 */
static void
add(SgRows *rows, const PgStat_TableXactStatus *counts)
{
	char		kind = kind_of(counts->parent);

	if (kind == '\0' || kind == RELKIND_TOASTVALUE)
		return;
	rows->inserted += counts->tuples_inserted;
	rows->updated += counts->tuples_updated;
	rows->deleted += counts->tuples_deleted;
	if (counts->truncdropped)
	{
		rows->inserted += counts->inserted_pre_truncdrop;
		rows->updated += counts->updated_pre_truncdrop;
		rows->deleted += counts->deleted_pre_truncdrop;
	}
}

/*
 * All rows changed so far, but those of a table.
 */
void
sg_rows_of_transaction(SgRows *rows, Oid except)
{
	PgStat_SubXactStatus *level;

	memset(rows, 0, sizeof(*rows));
	if (!pgstat_track_counts)
	{
		rows->inserted = rows->updated = rows->deleted = -1;
		return;
	}
	level = pgstat_get_xact_stack_level(GetCurrentTransactionNestLevel());
	for (; level != NULL; level = level->prev)
	{
		for (PgStat_TableXactStatus *counts = level->first; counts != NULL;
			 counts = counts->next)
		{
			if (sg_stat_table_id(counts->parent) != except)
				add(rows, counts);
		}
	}
}

/*
 * Those of one table.  Returns false if they are not known.
 */
bool
sg_rows_of_table(SgRows *rows, Oid relid)
{
	SgRows		others;

	sg_rows_of_transaction(rows, InvalidOid);
	sg_rows_of_transaction(&others, relid);
	if (rows->inserted < 0)
		return false;
	rows->inserted -= others.inserted;
	rows->updated -= others.updated;
	rows->deleted -= others.deleted;
	return true;
}
