/*-------------------------------------------------------------------------
 *
 * constraint.c
 *		Constraints that a command would add without checking rows, and
 *		triggers that it would switch off.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/bypass.h"
#include "review/trial.h"

/* ---------------- names ---------------- */

/* The columns that a CHECK mentions. */
typedef struct Mentioned
{
	Relation	rel;
	const char *column;
	bool		several;
} Mentioned;

static bool
find_mentioned(Node *node, void *context)
{
	Mentioned  *mentioned = (Mentioned *) context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);
		const char *name = IsA(last, String) ? strVal(last) : NULL;

		if (name == NULL ||
			(mentioned->column != NULL && strcmp(mentioned->column, name) != 0))
			mentioned->several = true;
		mentioned->column = name;
		return false;
	}
	return raw_expression_tree_walker(node, find_mentioned, context);
}

static char *
join_keys(List *keys)
{
	char		joined[NAMEDATALEN * 2] = "";
	ListCell   *lc;

	foreach(lc, keys)
	{
		if (strlen(joined) >= NAMEDATALEN)
			break;
		if (joined[0] != '\0')
			strlcat(joined, "_", sizeof(joined));
		strlcat(joined, strVal(lfirst(lc)), sizeof(joined));
	}
	return pstrdup(joined);
}

/*
 * The name of a constraint, or the one that the server would choose.
 */
static const char *
name_of(Relation rel, Constraint *constraint)
{
	Mentioned	mentioned = {rel, NULL, false};
	const char *columns = NULL;
	const char *label = "check";

	if (constraint->conname != NULL)
		return constraint->conname;
	if (constraint->contype == CONSTR_FOREIGN)
	{
		columns = join_keys(constraint->fk_attrs);
		label = "fkey";
	}
	else if (constraint->contype == CONSTR_NOTNULL)
	{
		columns = join_keys(constraint->keys);
		label = "not_null";
	}
	else
	{
		(void) find_mentioned(constraint->raw_expr, &mentioned);
		columns = mentioned.several ? NULL : mentioned.column;
	}
	return ChooseConstraintName(RelationGetRelationName(rel), columns, label,
								RelationGetNamespace(rel), NIL);
}

/* ---------------- constraints ---------------- */

static bool
is_validated(List *cmds, const char *name)
{
	ListCell   *lc;

	foreach(lc, cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_ValidateConstraint &&
			strcmp(cmd->name, name) == 0)
			return true;
	}
	return false;
}

static bool
is_there(SgUtility *utility, Relation rel, const char *name)
{
	Oid			constraint = get_relation_constraint_oid(RelationGetRelid(rel),
														 name, true);

	return OidIsValid(constraint) &&
		(utility->trial->drops == NULL ||
		 !sg_drops_have(utility->trial->drops, ConstraintRelationId,
						constraint, 0));
}

static bool
adds_constraint(SgUtility *utility, Relation rel, Constraint *constraint,
				List *cmds)
{
	SgConstraint state = {.relid = RelationGetRelid(rel)};

	if (constraint->conname != NULL &&
		is_there(utility, rel, constraint->conname))
		return false;
	if (constraint->contype == CONSTR_FOREIGN &&
		!OidIsValid(sg_find_relation(constraint->pktable)))
		return false;
	if (!constraint->skip_validation)
		return true;
	strlcpy(state.name, name_of(rel, constraint), NAMEDATALEN);
	state.enforced = !sg_is_unenforced(constraint);
	state.alone = constraint->is_no_inherit ||
		(constraint->contype == CONSTR_FOREIGN &&
		 rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE);
	state.validated = is_validated(cmds, state.name);
	sg_bypass_constraint_report(utility, &state);
	return true;
}

/*
 * A constraint is no longer enforced (18).
 */
static bool
stops_enforcing(SgUtility *utility, Relation rel, const char *name)
{
	SgConstraint state = {.relid = RelationGetRelid(rel)};
	Oid			constraint = get_relation_constraint_oid(state.relid, name,
														 true);
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	bool		enforced;

	if (!HeapTupleIsValid(tuple))
		return false;
	enforced =
		sg_constraint_is_enforced((Form_pg_constraint) GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	strlcpy(state.name, name, NAMEDATALEN);
	if (enforced)
		sg_bypass_constraint_report(utility, &state);
	return true;
}

/*
 * A subcommand that has to do with a constraint.
 */
bool
sg_trial_constraint(SgUtility *utility, Relation rel, AlterTableCmd *cmd,
					List *cmds)
{
	const char *name = sg_stops_enforcing(cmd);
	Constraint *constraint;

	if (name != NULL)
		return stops_enforcing(utility, rel, name);
	if (cmd->subtype != AT_AddConstraint)
		return true;
	constraint = castNode(Constraint, cmd->def);
	if (constraint->contype == CONSTR_PRIMARY ||
		constraint->contype == CONSTR_UNIQUE ||
		constraint->contype == CONSTR_EXCLUSION)
		return sg_trial_key(utility, rel, constraint, NULL);
	return adds_constraint(utility, rel, constraint, cmds);
}

/*
 * ALTER DOMAIN ... ADD ... NOT VALID.
 */
bool
sg_trial_alter_domain(SgUtility *utility, AlterDomainStmt *stmt)
{
	SgConstraint state = {.enforced = true};
	Constraint *constraint = (Constraint *) stmt->def;
	Type		tuple;
	Form_pg_type form;

	if (stmt->subtype != 'C' || !constraint->skip_validation)
		return true;
	tuple = LookupTypeName(NULL, makeTypeNameFromNameList(stmt->typeName),
						   NULL, true);
	if (tuple == NULL)
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	state.domain = form->oid;
	strlcpy(state.name, constraint->conname != NULL ? constraint->conname :
			ChooseConstraintName(NameStr(form->typname), NULL, "check",
								 form->typnamespace, NIL), NAMEDATALEN);
	ReleaseSysCache(tuple);
	if (!sg_trial_owns(TypeRelationId, state.domain))
		return false;
	sg_bypass_constraint_report(utility, &state);
	return true;
}

/* ---------------- triggers ---------------- */

/*
 * Does a subcommand change when triggers fire, and if so, which?
 */
static bool
switches_triggers(const AlterTableCmd *cmd, char *enabled, bool *users)
{
	*users = cmd->subtype == AT_EnableTrigUser ||
		cmd->subtype == AT_DisableTrigUser;
	switch (cmd->subtype)
	{
		case AT_DisableTrig:
		case AT_DisableTrigAll:
		case AT_DisableTrigUser:
			*enabled = TRIGGER_DISABLED;
			return true;
		case AT_EnableTrig:
		case AT_EnableTrigAll:
		case AT_EnableTrigUser:
			*enabled = TRIGGER_FIRES_ON_ORIGIN;
			return true;
		case AT_EnableAlwaysTrig:
			*enabled = TRIGGER_FIRES_ALWAYS;
			return true;
		case AT_EnableReplicaTrig:
			*enabled = TRIGGER_FIRES_ON_REPLICA;
			return true;
		default:
			return false;
	}
}

/*
 * One subcommand.  "state" has how each trigger is enabled by then.
 */
static bool
switch_triggers(const TriggerDesc *triggers, const AlterTableCmd *cmd,
				char *state)
{
	char		enabled;
	bool		users;
	bool		found = cmd->name == NULL;

	if (!switches_triggers(cmd, &enabled, &users))
		return true;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (cmd->name != NULL && strcmp(trigger->tgname, cmd->name) != 0)
			continue;
		found = true;
		if (trigger->tgisinternal && users)
			continue;
		if (trigger->tgisinternal && !superuser())
			return false;
		state[i] = enabled;
	}
	return found;
}

/*
 * Triggers that fire now, and would not after all subcommands.
 */
bool
sg_trial_triggers(SgUtility *utility, Relation rel, List *cmds)
{
	const TriggerDesc *triggers = rel->trigdesc;
	int			n = triggers == NULL ? 0 : triggers->numtriggers;
	char	   *state = palloc(n + 1);
	ListCell   *lc;

	for (int i = 0; i < n; i++)
		state[i] = triggers->triggers[i].tgenabled;
	foreach(lc, cmds)
	{
		if (!switch_triggers(triggers, lfirst_node(AlterTableCmd, lc), state))
			return false;
	}
	for (int i = 0; i < n; i++)
	{
		if (sg_bypass_trigger_fires(triggers->triggers[i].tgenabled) &&
			!sg_bypass_trigger_fires(state[i]))
			sg_bypass_trigger_note(utility, triggers->triggers[i].tgoid);
	}
	return true;
}
