/*-------------------------------------------------------------------------
 *
 * bypass_constraint.c
 *		constraint_bypass: ADD CONSTRAINT ... NOT VALID.
 *
 * What counts is the state: a constraint that the command has made, or has
 * ceased to enforce (18), and that is not validated when it is done.  One that
 * ALTER TABLE has only put back, as unvalidated as it was, is none of these,
 * nor is one of a table without a row that it could have left unchecked.
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
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ddl/bypass.h"

/* more constraints than this are not remembered */
#define MAX_CONSTRAINTS	1000

/*
 * Read a constraint as "snapshot" shows it; NULL is the catalogs' own.
 */
static bool
read_constraint(Oid constraint, Snapshot snapshot, SgConstraint *state)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(constraint));
	scan = systable_beginscan(rel, ConstraintOidIndexId, true, snapshot, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		state->relid = form->conrelid;
		state->domain = form->contypid;
		state->validated = form->convalidated;
		state->enforced = sg_constraint_is_enforced(form);
		state->inherited = !form->conislocal || OidIsValid(form->conparentid);
		state->alone = form->connoinherit;
		strlcpy(state->name, NameStr(form->conname), NAMEDATALEN);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * A constraint's name as a note: unique with its table.
 */
static char *
note_of(const SgConstraint *state)
{
	return psprintf("%u %s", state->relid, state->name);
}

static bool
is_noted(List *notes, const char *note)
{
	ListCell   *lc;

	foreach(lc, notes)
	{
		if (strcmp(lfirst(lc), note) == 0)
			return true;
	}
	return false;
}

static void
remember(SgUtility *utility, Oid constraint)
{
	MemoryContext caller = MemoryContextSwitchTo(utility->context);
	SgDdl	   *ddl = sg_ddl(utility);

	if (list_length(ddl->constraints) < MAX_CONSTRAINTS)
		ddl->constraints = list_append_unique_oid(ddl->constraints,
												  constraint);
	MemoryContextSwitchTo(caller);
}

void
sg_bypass_constraint_made(SgUtility *utility, Oid constraint)
{
	SgConstraint state;

	if (read_constraint(constraint, SnapshotSelf, &state) &&
		!state.validated && !state.inherited)
		remember(utility, constraint);
}

/*
 * A change of what was not validated before changes nothing for us.
 */
void
sg_bypass_constraint_altered(SgUtility *utility, Oid constraint)
{
	SgConstraint before;
	SgConstraint after;

	if (read_constraint(constraint, NULL, &before) && before.enforced &&
		read_constraint(constraint, SnapshotSelf, &after) &&
		!after.enforced && !after.inherited)
		remember(utility, constraint);
}

/*
 * One that ALTER TABLE drops may be put back under its name.
 */
void
sg_bypass_constraint_dropped(SgUtility *utility, Oid constraint)
{
	SgConstraint state;
	MemoryContext caller;
	SgDdl	   *ddl;

	if (!read_constraint(constraint, NULL, &state) || state.validated)
		return;
	caller = MemoryContextSwitchTo(utility->context);
	ddl = sg_ddl(utility);
	if (list_length(ddl->unvalidated) < MAX_CONSTRAINTS)
		ddl->unvalidated = lappend(ddl->unvalidated, note_of(&state));
	MemoryContextSwitchTo(caller);
}

/*
 * Can there be rows that the constraint has not seen?
 */
static bool
leaves_unchecked(const SgConstraint *state)
{
	if (!OidIsValid(state->relid))
		return true;
	/* what a new table declares has never been in force */
	if (!state->enforced)
		return !sg_relation_is_new(state->relid);
	return sg_holds_old_data(state->relid, state->alone);
}

static void
report(SgUtility *utility, const SgConstraint *state)
{
	SgDdl	   *ddl = sg_ddl(utility);
	SgFinding  *finding = sg_ddl_finding(SG_RULE_CONSTRAINT_BYPASS,
										 state->relid);
	bool		of_domain = !OidIsValid(state->relid);
	char	   *owner;
	char	   *owner_name;
	const char *name = quote_identifier(state->name);

	if (of_domain)
	{
		owner = format_type_be(state->domain);
		owner_name = format_type_be_qualified(state->domain);
	}
	else
	{
		owner = finding->table_name;
		owner_name = sg_qualified_name(state->relid);
	}
	finding->location = ddl->location;
	finding->constraint_name = pstrdup(state->name);
	if (state->enforced)
	{
		finding->message = psprintf("%s adds constraint \"%s\" to %s \"%s\" as NOT VALID",
									ddl->command, state->name,
									of_domain ? "domain" : "table", owner);
		finding->detail = pstrdup("New rows are checked, those that are there already are not.");
		finding->hint = psprintf("Check them when the table can bear it: ALTER %s %s VALIDATE CONSTRAINT %s;",
								 of_domain ? "DOMAIN" : "TABLE", owner_name,
								 name);
	}
	else
	{
		finding->message = psprintf("%s leaves constraint \"%s\" of table \"%s\" NOT ENFORCED",
									ddl->command, state->name, owner);
		finding->detail = pstrdup("No row is checked.");
		finding->hint = psprintf("Enforce it: ALTER TABLE %s ALTER CONSTRAINT %s ENFORCED, or drop it and add it again.",
								 owner_name, name);
	}
	finding->closed_message = psprintf("%s leaves a constraint unchecked",
									   ddl->command);
	if (sg_session_is_restore())
		finding->highest = SG_LEVEL_RECORD;
	sg_ddl_report(finding, utility);
}

/*
 * The command leaves a constraint like this.
 */
void
sg_bypass_constraint_report(SgUtility *utility, const SgConstraint *state)
{
	if (!state->validated && leaves_unchecked(state))
		report(utility, state);
}

/*
 * The command is done.
 */
void
sg_bypass_constraint_done(SgUtility *utility)
{
	SgDdl	   *ddl = utility->ddl;
	ListCell   *lc;

	foreach(lc, ddl->constraints)
	{
		SgConstraint state;

		/* it may be gone again, or validated by the same command */
		if (read_constraint(lfirst_oid(lc), NULL, &state) &&
			!is_noted(ddl->unvalidated, note_of(&state)))
			sg_bypass_constraint_report(utility, &state);
	}
}
