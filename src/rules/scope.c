/*-------------------------------------------------------------------------
 *
 * scope.c
 *		Finds UPDATE, DELETE and MERGE that do not restrict a column which has
 *		been declared "scope".
 *
 * A column is restricted if in each scene of the statement (one side of every
 * OR) it has a given value: a constant, a parameter, anything that is one
 * value for the whole statement, a list or a closed range of these; or if it
 * equals a column of a source that is itself restricted so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "query/scene.h"
#include "query/statement.h"
#include "safeguard.h"

typedef struct Judgement
{
	SgStatement *stmt;
	SgCatalog  *catalog;
	MemoryContext context;		/* for what outlives a scene */
	AttrNumber	open;			/* the first column found unrestricted, or 0 */
	char	   *source;			/* what it is equated with all the same */
	Oid			source_relid;
	AttrNumber	source_attnum;
} Judgement;

/* Is a column limited to given values, by whatever is known to equal it? */
static bool
is_given(SgNode *node)
{
	SgNode	   *each = node;

	if (sg_equal_root(node)->pins != NIL)
		return true;
	do
	{
		if ((each->uses & SG_USE_LISTED) != 0 ||
			((each->uses & SG_USE_ABOVE) != 0 &&
			 (each->uses & SG_USE_BELOW) != 0))
			return true;
		each = each->next;
	} while (each != node);
	return false;
}

/* Is one row of a relation named by a whole unique key? */
static bool
row_is_given(Judgement *j, SgScene *scene, SgItem *item)
{
	Bitmapset  *declared;
	int			att = -1;
	ListCell   *lc;

	foreach(lc, sg_relation(j->catalog, item->relid)->keys)
	{
		SgKey	   *key = (SgKey *) lfirst(lc);
		bool		given = true;

		for (int i = 0; i < key->ncols && given; i++)
		{
			SgNode	   *node = sg_node_known(scene, item, key->cols[i]);

			given = node && is_given(node);
		}
		if (given)
			return true;
	}
	/* what somebody has declared to identify a row, as of a foreign table */
	declared = sg_columns_with_role(item->relid, SG_COLUMN_IDENTITY);
	while ((att = bms_next_member(declared, att)) >= 0)
	{
		SgNode	   *node = sg_node_known(scene, item, att);

		if (node && is_given(node))
			return true;
	}
	return false;
}

/* Is anything in the source row of an item limited to given values? */
static bool
row_is_limited(SgScene *scene, SgItem *item)
{
	ListCell   *lc;

	foreach(lc, scene->items)
	{
		SgItem	   *other = (SgItem *) lfirst(lc);

		if (other->number == 0 || sg_row(other) != sg_row(item))
			continue;
		for (int i = 0; i < other->ncolumns; i++)
			if (other->columns[i] &&
				(is_given(other->columns[i]) ||
				 (other->columns[i]->uses & (SG_USE_ABOVE | SG_USE_BELOW))))
				return true;
	}
	return false;
}

/* Do the rows of an item come from outside, or from this statement itself? */
static bool
rows_are_given(SgItem *item)
{
	return item->rte->rtekind == RTE_NAMEDTUPLESTORE ||
		!OidIsValid(item->relid) ||
		(item->scope->query->commandType == CMD_INSERT &&
		 item->rti == item->scope->query->resultRelation);
}

/*
 * Is a column of a source restricted?  Its own value being given was seen
 * before; here it is the row that is: one named by its key, or rows of the
 * relation whose key the column is (the tenants themselves), chosen by
 * anything.
 */
static bool
source_is_scoped(Judgement *j, SgScene *scene, SgNode *node)
{
	SgItem	   *item = node->item;

	if (item->number == 0)
		return false;
	if (rows_are_given(item) || row_is_given(j, scene, item))
		return true;
	return node->att > 0 &&
		(sg_is_unique_set(sg_relation(j->catalog, item->relid),
						  bms_make_singleton(node->att)) ||
		 sg_column_declared(j->catalog, item->relid, node->att)) &&
		row_is_limited(scene, item);
}

static bool
is_restricted(Judgement *j, SgScene *scene, AttrNumber att)
{
	SgNode	   *node = sg_node_known(scene, scene->target, att);
	SgNode	   *each = node;

	if (node && is_given(node))
		return true;
	/* a partition that holds one value, a CHECK that allows one */
	if (sg_column_bound(j->catalog, scene->target->relid, att))
		return true;
	if (node == NULL)
		return false;
	for (each = node->next; each != node; each = each->next)
		if (source_is_scoped(j, scene, each))
			return true;
	return false;
}

/* Remembers what an unrestricted column is equated with, for the hint. */
static void
note_source(Judgement *j, SgScene *scene, AttrNumber att)
{
	ListCell   *lc;

	foreach(lc, scene->ties)
	{
		SgTie	   *tie = (SgTie *) lfirst(lc);
		SgItem	   *item = tie->node->item;

		if (tie->kind != SG_TIE_EQUAL || tie->att != att ||
			tie->node->att <= 0 || item->rte->rtekind != RTE_RELATION)
			continue;
		j->source_relid = item->relid;
		j->source_attnum = tie->node->att;
		j->source = psprintf("%s.%s", item->rte->eref->aliasname,
							 get_attname(item->relid, tie->node->att, false));
		return;
	}
}

/*
 * Is one row named by its place, ctid = $1?  It has been read before, as that
 * of a cursor has: postgres_fdw writes rows one by one so.  Not so a place that
 * stands in the text, which somebody has written down.
 */
static bool
place_is_given(Judgement *j, SgScene *scene)
{
	SgItem	   *target = scene->target;
	SgNode	   *place;
	ListCell   *lc;

	if (!scene->whole_row ||
		(target->rte->inh &&
		 sg_relation(j->catalog, target->relid)->has_children))
		return false;
	place = sg_node_known(scene, target, SelfItemPointerAttributeNumber);
	if (place == NULL)
		return false;
	foreach(lc, sg_equal_root(place)->pins)
	{
		Node	   *value = sg_strip((Node *) lfirst(lc));

		if (IsA(value, Param) && ((Param *) value)->paramkind == PARAM_EXTERN)
			return true;
	}
	return false;
}

static void
judge_scene(SgScene *scene, void *arg)
{
	Judgement  *j = (Judgement *) arg;
	int			nchoices = scene->nchoices;
	int			att = -1;

	if (place_is_given(j, scene))
		return;
	while ((att = bms_next_member(j->stmt->key_columns, att)) >= 0)
	{
		if (j->open != InvalidAttrNumber)
			break;
		if (!is_restricted(j, scene, att))
		{
			MemoryContext old = MemoryContextSwitchTo(j->context);

			j->open = att;
			note_source(j, scene, att);
			MemoryContextSwitchTo(old);
		}
	}
	scene->nchoices = nchoices;
}

/* ------------------------------------------------------------------------
 * The finding
 * ------------------------------------------------------------------------
 */

typedef struct Place
{
	Index		rti;
	AttrNumber	att;
	int			location;
	bool		any;			/* is the column mentioned at all? */
} Place;

static bool
place_walker(Node *node, Place *place)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == 0 &&
		((Var *) node)->varno == place->rti &&
		((Var *) node)->varattno == place->att)
	{
		place->any = true;
		place->location = ((Var *) node)->location;
		return true;
	}
	return expression_tree_walker(node, place_walker, place);
}

static bool
is_users_volatile(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId &&
		func_volatile(funcid) == PROVOLATILE_VOLATILE;
}

static bool
users_volatile_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_users_volatile, NULL))
		return true;
	return expression_tree_walker(node, users_volatile_walker, context);
}

/*
 * Is the column compared with a function of the user's that is VOLATILE, as
 * any is that was made without a word about it?
 */
static bool
volatile_walker(Node *node, Place *place)
{
	Place		mine = *place;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr))
	{
		mine.any = false;
		place_walker(node, &mine);
		return mine.any && users_volatile_walker(node, NULL);
	}
	return expression_tree_walker(node, volatile_walker, place);
}

static SgFinding *
make_finding(Judgement *j)
{
	Query	   *query = j->stmt->query;
	SgFinding  *finding = sg_new_finding(SG_RULE_SCOPE, j->stmt);
	Node	   *condition = sg_written_condition(query);
	Place		place = {query->resultRelation, j->open, -1, false};
	const char *command = sg_command_name(query);
	char	   *column = get_attname(finding->relid, j->open, false);

	place_walker(condition, &place);
	finding->location = place.any || condition == NULL ? place.location :
		exprLocation(condition);
	finding->column_name = column;
	sg_finding_reads(finding, finding->relid, j->open);
	finding->message = psprintf("%s table \"%s\" does not restrict \"%s\"",
								sg_command_on(query), finding->table_name, column);
	finding->closed_message = psprintf("%s does not restrict a column that is declared scope",
									   command);
	if (j->source)
	{
		sg_finding_reads(finding, j->source_relid, j->source_attnum);
		finding->detail = psprintf("The column is declared scope; it is compared with \"%s\", which is not restricted either.",
								   j->source);
	}
	else if (place.any)
		finding->detail = pstrdup("The column is declared scope; what the statement says of it leaves other values of it open.");
	else
		finding->detail = pstrdup("The column is declared scope.");
	finding->hint = psprintf("Add a condition such as %s = value, in every arm of an OR. If every value is meant, take the declaration back with safeguard.clear_column(), or allow it for this table with safeguard.set_level().",
							 j->source ? j->source : column);
	if (volatile_walker(condition, &place))
		finding->hint = psprintf("If the function that \"%s\" is compared with gives one value for the whole statement, declare it STABLE: ALTER FUNCTION ... STABLE.",
								 column);
	return finding;
}

/* ------------------------------------------------------------------------
 * The rule
 * ------------------------------------------------------------------------
 */

/*
 * Can the rule have something to say?  Most tables have no such column, and
 * that is known from the second statement on.
 */
bool
sg_scope_wants(const Query *query)
{
	RangeTblEntry *rte = sg_target_entry(query);

	/* what the trigger of a view writes is judged when it does */
	return rte != NULL && rte->relkind != RELKIND_VIEW &&
		!sg_known_without_role(rte->relid, SG_COLUMN_SCOPE);
}

/*
 * Looks at one UPDATE, DELETE or MERGE and appends at most one finding.
 */
void
sg_scope_detect(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	RangeTblEntry *rte = sg_target_entry(query);
	SgStatement mine = *stmt;
	SgCatalog	catalog = {NIL};
	Judgement	j = {0};
	bool		complete;

	if (rte == NULL)
		return;
	mine.key_columns = sg_columns_with_role(rte->relid, SG_COLUMN_SCOPE);
	if (bms_is_empty(mine.key_columns))
		return;

	/* a cursor's row is one row, and nothing can be added to CURRENT OF */
	if (query->jointree->quals && IsA(query->jointree->quals, CurrentOfExpr))
		return;
	mine.scoped = true;
	j.stmt = &mine;
	j.catalog = &catalog;
	j.context = CurrentMemoryContext;
	complete = sg_for_each_scene(&mine, judge_scene, &j);
	stmt->consulted = list_concat_unique_oid(stmt->consulted,
											 sg_consulted(&catalog));
	if (j.open != InvalidAttrNumber)
		stmt->findings = lappend(stmt->findings, make_finding(&j));
	else if (!complete)
		ereport(ERROR,			/* contained by the caller, and counted */
				errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				errmsg_internal("statement is too complex to be judged by rule \"scope\""));
}
