/*-------------------------------------------------------------------------
 *
 * bypass_trigger.c
 *		constraint_bypass: ALTER TABLE ... DISABLE TRIGGER.
 *
 * What counts is the state: a trigger that fired in ordinary sessions before
 * the command and does not after it.  So ENABLE REPLICA TRIGGER counts, and
 * DISABLE TRIGGER of one that was off already does not.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "ddl/bypass.h"

/* more triggers than this are not remembered */
#define MAX_TRIGGERS	1000

/* A trigger's row. */
typedef struct TriggerState
{
	Oid			relid;
	Oid			constraint;
	bool		fires;			/* in ordinary sessions */
	char		name[NAMEDATALEN];
} TriggerState;

/* What one command has switched off on one table. */
typedef struct SwitchedOff
{
	Oid			relid;
	int			triggers;		/* of users */
	StringInfoData names;
	int			constraints;
	StringInfoData constraint_names;
	List	   *seen;			/* OIDs of these constraints */
} SwitchedOff;

/*
 * Does a trigger in this state fire in ordinary sessions?
 */
bool
sg_bypass_trigger_fires(char enabled)
{
	return enabled == TRIGGER_FIRES_ON_ORIGIN ||
		enabled == TRIGGER_FIRES_ALWAYS;
}

/*
 * Read a trigger as "snapshot" shows it; NULL is the catalogs' own, which does
 * not see what has been changed just now.
 */
static bool
read_trigger(Oid trigger, Snapshot snapshot, TriggerState *state)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		state->relid = form->tgrelid;
		state->constraint = form->tgconstraint;
		state->fires = sg_bypass_trigger_fires(form->tgenabled);
		strlcpy(state->name, NameStr(form->tgname), NAMEDATALEN);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * A trigger is switched off.
 */
void
sg_bypass_trigger_note(SgUtility *utility, Oid trigger)
{
	MemoryContext caller = MemoryContextSwitchTo(utility->context);
	SgDdl	   *ddl = sg_ddl(utility);

	if (list_length(ddl->triggers) < MAX_TRIGGERS)
		ddl->triggers = list_append_unique_oid(ddl->triggers, trigger);
	MemoryContextSwitchTo(caller);
}

/*
 * A trigger has been altered, which no snapshot but SnapshotSelf shows yet.
 */
void
sg_bypass_trigger_altered(SgUtility *utility, Oid trigger)
{
	TriggerState before;
	TriggerState after;

	if (read_trigger(trigger, NULL, &before) && before.fires &&
		read_trigger(trigger, SnapshotSelf, &after) && !after.fires)
		sg_bypass_trigger_note(utility, trigger);
}

static void
append_name(StringInfo buf, const char *name)
{
	appendStringInfo(buf, "%s\"%s\"", buf->len > 0 ? ", " : "", name);
}

/*
 * Sort one trigger under the table that the finding is about.
 */
static void
add_trigger(SwitchedOff *off, const TriggerState *state)
{
	if (!OidIsValid(state->constraint))
	{
		if (off->triggers++ < SG_DDL_MAX_NAMED)
			append_name(&off->names, state->name);
		return;
	}
	if (list_member_oid(off->seen, state->constraint))
		return;
	off->seen = lappend_oid(off->seen, state->constraint);
	if (off->constraints++ < SG_DDL_MAX_NAMED)
		append_name(&off->constraint_names,
					get_constraint_name(state->constraint));
}

static void
collect(SgUtility *utility, SwitchedOff *off)
{
	SgDdl	   *ddl = utility->ddl;
	ListCell   *lc;

	initStringInfo(&off->names);
	initStringInfo(&off->constraint_names);

	/* the table that the command names, else the first of its partitions */
	for (int pass = 0; pass < 2; pass++)
	{
		foreach(lc, ddl->triggers)
		{
			TriggerState state;

			/* it may be on again; in a review, it still is */
			if (!read_trigger(lfirst_oid(lc), NULL, &state) ||
				(state.fires && utility->trial == NULL))
				continue;
			if (pass == 0 ? state.relid != ddl->target :
				OidIsValid(off->relid) && state.relid != off->relid)
				continue;
			off->relid = state.relid;
			add_trigger(off, &state);
		}
		if (OidIsValid(off->relid))
			return;
	}
}

static char *
make_detail(const SwitchedOff *off)
{
	if (off->triggers == 0)
		return psprintf("Constraints that are no longer enforced: %s.",
						off->constraint_names.data);
	if (off->constraints == 0)
		return psprintf("Triggers that no longer fire: %s.", off->names.data);
	return psprintf("Constraints that are no longer enforced: %s.  Triggers that no longer fire: %s.",
					off->constraint_names.data, off->names.data);
}

/*
 * The command is done.
 */
void
sg_bypass_trigger_done(SgUtility *utility)
{
	SgDdl	   *ddl = utility->ddl;
	SwitchedOff off = {0};
	SgFinding  *finding;
	TriggerState only;
	const char *which;

	if (ddl->triggers == NIL)
		return;
	collect(utility, &off);
	if (!OidIsValid(off.relid))
		return;

	finding = sg_ddl_finding(SG_RULE_CONSTRAINT_BYPASS, off.relid);
	finding->location = ddl->location;
	finding->message = psprintf(off.constraints > 0 ?
								"%s switches off constraints of table \"%s\"" :
								"%s switches off triggers of table \"%s\"",
								ddl->command, finding->table_name);
	finding->detail = make_detail(&off);
	if (off.triggers == 1 && off.constraints == 0 &&
		read_trigger(linitial_oid(ddl->triggers), NULL, &only))
		which = quote_identifier(only.name);
	else
		which = off.constraints > 0 ? "ALL" : "USER";
	finding->hint = psprintf("Switch it on again as soon as possible: ALTER TABLE %s ENABLE TRIGGER %s;  Rows written in between are not checked by that.",
							 sg_qualified_name(off.relid), which);
	finding->closed_message = psprintf("%s switches off triggers", ddl->command);
	if (sg_session_is_restore())
		finding->highest = SG_LEVEL_RECORD;
	sg_ddl_report(finding, utility);
}
