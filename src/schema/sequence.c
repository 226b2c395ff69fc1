/*-------------------------------------------------------------------------
 *
 * sequence.c
 *		How far a sequence has come.
 *
 * The server's own function keeps a lock on each sequence until the end of
 * the transaction, so that asking all of a large schema may fill the lock
 * table; here it is given back.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/acl.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(sg_sequence_position);

/* Of this session or permanent, and on a standby not unlogged. */
static bool
is_readable(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_SEQUENCE ||
		RELATION_IS_OTHER_TEMP(rel) ||
		(rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT &&
		 RecoveryInProgress()))
		return false;
	return pg_class_aclcheck(RelationGetRelid(rel), GetUserId(),
							 ACL_SELECT | ACL_USAGE) == ACLCHECK_OK;
}

/*
 * The last value that was given out; NULL if there is none, or the caller may
 * not know.  Nobody is stopped by an error in the middle of a report.
 */
Datum
sg_sequence_position(PG_FUNCTION_ARGS)
{
	Relation	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	bool		found = false;
	int64		value = 0;

	if (rel == NULL)
		PG_RETURN_NULL();
	if (is_readable(rel) && RelationGetNumberOfBlocks(rel) > 0)
	{
		Buffer		buffer = ReadBuffer(rel, 0);
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (!PageIsNew(page) &&
			PageGetMaxOffsetNumber(page) >= FirstOffsetNumber)
		{
			ItemId		item = PageGetItemId(page, FirstOffsetNumber);
			HeapTupleHeader header = (HeapTupleHeader) PageGetItem(page, item);
			Form_pg_sequence_data data = (Form_pg_sequence_data)
				((char *) header + header->t_hoff);

			found = ItemIdIsNormal(item) && data->is_called;
			value = found ? data->last_value : 0;
		}
		UnlockReleaseBuffer(buffer);
	}
	relation_close(rel, AccessShareLock);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_INT64(value);
}
