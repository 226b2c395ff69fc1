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

/*
 * Is it a table of a user?  While a transaction is rolled back no catalog can
 * be asked; then one that the relation cache has forgotten counts.
 */
static bool
is_counted(const PgStat_TableStatus *table)
{
	Oid			relid = sg_stat_table_id(table);
	char		relkind = RELKIND_RELATION;

	if (relid < FirstNormalObjectId)
		return false;
	if (table->relation != NULL)
		relkind = table->relation->rd_rel->relkind;
	else if (IsTransactionState())
		relkind = get_rel_relkind(relid);
	return relkind != RELKIND_TOASTVALUE;
}

/*
 * What TRUNCATE has put aside counts, what DROP has put aside is gone with
 * its table, as are the rows of the old heap of a rewrite.
 */
static void
add(SgRows *rows, const PgStat_TableXactStatus *counts)
{
	rows->inserted += counts->tuples_inserted;
	rows->updated += counts->tuples_updated;
	rows->deleted += counts->tuples_deleted;
	if (counts->truncdropped && counts->parent->relation != NULL)
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
			if (sg_stat_table_id(counts->parent) != except &&
				is_counted(counts->parent))
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
