/*-------------------------------------------------------------------------
 *
 * outcome.c
 *		How many rows of an upsert were inserted, replaced or skipped.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/instrument.h"

#include "upsert/upsert.h"

/*
 * The server counts a row of DO UPDATE as a conflict even if a BEFORE UPDATE
 * trigger suppresses it, and forgets one that a BEFORE INSERT trigger
 * suppresses.  Their sum is what is missing from the command tag; where only
 * one of them can be, it is known which.
 */
static void
count_conflicts(SgTracker *tracker)
{
	ModifyTableState *mt = tracker->mt;
	const Instrumentation *instrument = mt->ps.instrument;
	TriggerDesc *triggers = mt->rootResultRelInfo->ri_TrigDesc;
	bool		only_update = triggers != NULL &&
		triggers->trig_update_before_row && !triggers->trig_insert_before_row;
	int64		conflicts = (int64) instrument->ntuples2;
	int64		filtered = (int64) instrument->nfiltered1;
	int64		missing = 0;
	int64		not_inserted;

	if (((ModifyTable *) mt->ps.plan)->onConflictAction == ONCONFLICT_NOTHING)
		filtered = conflicts;
	if (tracker->source == NULL)
		tracker->proposed = filtered + (int64) mt->ps.state->es_processed;
	else if (mt->canSetTag)
		missing = tracker->proposed - filtered -
			(int64) mt->ps.state->es_processed;
	missing = Max(missing, 0);
	not_inserted = only_update ? 0 :
		Min(missing, tracker->proposed - conflicts);

	tracker->inserted = Max(tracker->proposed - conflicts - not_inserted, 0);
	tracker->replaced = Max(conflicts - filtered - (missing - not_inserted), 0);
}

/*
 * What has become of the rows so far.
 */
void
sg_count_outcome(SgTracker *tracker)
{
	if (tracker->merge)
	{
		tracker->inserted = (int64) tracker->mt->mt_merge_inserted;
		tracker->replaced = (int64) tracker->mt->mt_merge_updated;
	}
	else
		count_conflicts(tracker);
	tracker->skipped = Max(tracker->proposed - tracker->inserted -
						   tracker->replaced, 0);
}
