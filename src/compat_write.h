/*-------------------------------------------------------------------------
 *
 * compat_write.h
 *		Differences between PostgreSQL 15 and 18 for who writes rows without a plan
 *
 * Apart from compat.h, which is for everybody: only restoring rows needs this.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_COMPAT_WRITE_H
#define SG_COMPAT_WRITE_H

#include "access/tableam.h"
#include "executor/executor.h"
#include "parser/parse_relation.h"

/*
 * Entries in indexes for a row.  16 can leave those to summarizing indexes alone
 * to be made.
 */
#if PG_VERSION_NUM < 160000
#define sg_insert_index_entries(rri, slot, estate, summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL)
#else
#define sg_insert_index_entries(rri, slot, estate, summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL, summarizing)
#endif

/* Update a row; *entries: it needs entries in indexes, or in summarizing ones. */
static inline TM_Result
sg_update_tuple(Relation rel, ItemPointer tid, TupleTableSlot *slot,
				CommandId cid, Snapshot snapshot, TM_FailureData *tmfd,
				bool *entries, bool *summarizing)
{
	LockTupleMode lockmode;
#if PG_VERSION_NUM < 160000
	TM_Result	result = table_tuple_update(rel, tid, slot, cid, snapshot,
											InvalidSnapshot, true, tmfd,
											&lockmode, entries);

	*summarizing = false;
#else
	TU_UpdateIndexes update;
	TM_Result	result = table_tuple_update(rel, tid, slot, cid, snapshot,
											InvalidSnapshot, true, tmfd,
											&lockmode, &update);

	*entries = update != TU_None;
	*summarizing = update == TU_Summarizing;
#endif
	return result;
}

/*
 * The range table of an executor state for result relations.  16 put their
 * permissions into a list of its own, and 18 wants to know which are in use.
 */
static inline void
sg_init_range_table(EState *estate, List *rtes)
{
#if PG_VERSION_NUM < 160000
	ExecInitRangeTable(estate, rtes);
#else
	List	   *perminfos = NIL;
	ListCell   *lc;

	foreach(lc, rtes)
		addRTEPermissionInfo(&perminfos, (RangeTblEntry *) lfirst(lc));
#if PG_VERSION_NUM < 180000
	ExecInitRangeTable(estate, rtes, perminfos);
#else
	ExecInitRangeTable(estate, rtes, perminfos,
					   bms_add_range(NULL, 1, list_length(rtes)));
#endif
#endif
}

#endif
