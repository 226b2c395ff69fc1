/*-------------------------------------------------------------------------
 *
 * unqualified_dml.c
 *		Finds UPDATE and DELETE without WHERE, and MERGE ON a constant.
 *
 * What counts is what was written: the condition of a view or of a policy
 * makes no WHERE of it.  A WHERE that is always true is found as well, and
 * marked as a finding only while safeguard.true_is_unqualified is on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "query/scene.h"
#include "query/statement.h"
#include "safeguard.h"

/* What a condition is, as far as constants tell. */
typedef enum Truth
{
	TRUTH_OPEN,					/* depends on rows, parameters, the moment; or
								 * NULL, which lets nothing pass either way */
	TRUTH_TRUE,
	TRUTH_FALSE,
	TRUTH_ALIKE,				/* the same for each row of the target: it says
								 * something of sources of one row only */
	TRUTH_MISSING				/* there is none */
} Truth;

static bool
depends_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, Param) || IsA(node, SubLink) ||
		IsA(node, CurrentOfExpr))
		return true;
	return expression_tree_walker(node, depends_walker, context);
}

static bool
is_foreign(Oid oid, void *context)
{
	return oid >= FirstNormalObjectId;
}

/*
 * Are there functions or types that are not PostgreSQL's own?  They are not
 * to be run here: whatever an error in them leaves behind could not be
 * cleaned up.
 */
static bool
foreign_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const) && is_foreign(((Const *) node)->consttype, NULL))
		return true;
	if (check_functions_in_node(node, is_foreign, NULL))
		return true;
	return expression_tree_walker(node, foreign_walker, context);
}

/*
 * Might a condition come to a constant?  A look at its AND and OR alone, so
 * cheap that every statement can afford it: the first column of the first
 * condition ends it.
 */
static bool
may_be_constant(Node *node)
{
	if (node == NULL)
		return true;
	if (IsA(node, BoolExpr))
	{
		BoolExpr   *b = (BoolExpr *) node;
		ListCell   *lc;

		check_stack_depth();
		foreach(lc, b->args)
		{
			bool		arm = may_be_constant((Node *) lfirst(lc));

			/* one constant arm can decide an OR; a NOT turns them round */
			if (b->boolop == AND_EXPR ? !arm : arm)
				return b->boolop != AND_EXPR;
		}
		return b->boolop == AND_EXPR;
	}
	return !depends_walker(node, NULL);
}

/* A condition that is neither AND, OR nor NOT. */
static Truth
truth_of_leaf(Node *leaf)
{
	Const	   *folded = (Const *) leaf;

	if (!IsA(leaf, Const))
	{
		if (depends_walker(leaf, NULL) || foreign_walker(leaf, NULL))
			return TRUTH_OPEN;
		folded = (Const *) eval_const_expressions(NULL, copyObject(leaf));
	}
	if (folded == NULL || !IsA(folded, Const) || folded->constisnull)
		return TRUTH_OPEN;
	return DatumGetBool(folded->constvalue) ? TRUTH_TRUE : TRUTH_FALSE;
}

static Truth
truth_of(Node *condition)
{
	BoolExpr   *b = (BoolExpr *) condition;
	Truth		decisive;
	Truth		result;
	ListCell   *lc;

	if (condition == NULL)
		return TRUTH_MISSING;
	if (!IsA(condition, BoolExpr))
		return truth_of_leaf(condition);
	check_stack_depth();
	if (b->boolop == NOT_EXPR)
	{
		result = truth_of(linitial(b->args));
		return result == TRUTH_OPEN ? TRUTH_OPEN :
			result == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE;
	}
	/* one arm decides, or all of them agree on the contrary */
	decisive = b->boolop == OR_EXPR ? TRUTH_TRUE : TRUTH_FALSE;
	result = b->boolop == OR_EXPR ? TRUTH_FALSE : TRUTH_TRUE;
	foreach(lc, b->args)
	{
		Truth		arm = truth_of(lfirst(lc));

		if (arm == decisive)
			return decisive;
		if (arm == TRUTH_OPEN)
			result = TRUTH_OPEN;
	}
	return result;
}

/*
 * Can the rule have something to say?  Views and rules are left to a closer
 * look: they come with more than one range table entry.
 */
bool
sg_unqualified_dml_wants(const Query *query)
{
	if (list_length(query->rtable) > 1)
		return true;
	return query->jointree == NULL || may_be_constant(query->jointree->quals);
}

/* Have all relations that the target is joined with one row? */
static bool
sources_have_one_row(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	Index		target = sg_target_index(query);
	List	   *parents = lcons(query, list_copy(stmt->parents));
	ListCell   *lc;

	foreach(lc, query->jointree->fromlist)
	{
		Node	   *item = lfirst(lc);

		if (IsA(item, RangeTblRef) &&
			(((RangeTblRef *) item)->rtindex == target ||
			 ((RangeTblRef *) item)->rtindex == query->resultRelation))
			continue;
		if (!sg_has_one_row(query, item, parents))
			return false;
	}
	return true;
}

/*
 * What a condition is for the rows of the target: one about sources of one
 * row is the same for all of them.  Without columns it may be a switch, and is
 * left alone.
 */
static Truth
truth_for_target(SgStatement *stmt, Node *condition)
{
	Truth		truth = truth_of(condition);
	Query	   *query = stmt->query;
	Index		target = sg_target_index(query);

	if (truth != TRUTH_OPEN || list_length(query->rtable) < 2)
		return truth;

	/* most conditions do, and early: before all of their columns are read */
	if (sg_mentions(condition, target) ||
		(query->resultRelation != target &&
		 sg_mentions(condition, query->resultRelation)))
		return truth;
	if (bms_is_empty(pull_varnos(NULL, condition)) ||
		contain_volatile_functions(condition) ||
		!sources_have_one_row(stmt))
		return truth;
	return TRUTH_ALIKE;
}

/* Of conditions, those that do not mention a relation. */
static List *
without(Node *node, Index rti)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (node == NULL)
		return NIL;
	if (!is_andclause(node))
		return sg_mentions(node, rti) ? NIL : list_make1(node);
	check_stack_depth();
	foreach(lc, ((BoolExpr *) node)->args)
		result = list_concat(result, without((Node *) lfirst(lc), rti));
	return result;
}

/*
 * A rule's action without WHERE has got that of the statement that fired it,
 * which says nothing of the table that the action writes to.  An action that
 * stands for an UPDATE or DELETE of a view finds its own rows of the table;
 * which of them are meant says that statement, as far as it says anything.
 */
static Truth
truth_of_product(Query *query)
{
	Node	   *condition = sg_written_condition(query);
	Index		target = sg_target_index(query);

	if (condition == NULL || IsA(condition, CurrentOfExpr))
		return truth_of(condition);
	if (!sg_mentions(condition, target))
		return TRUTH_MISSING;
	if (OidIsValid(sg_ruled_view(query)))
	{
		List	   *written = without(condition, target);

		return truth_of(written == NIL ? NULL :
						(Node *) make_andclause(written));
	}
	return truth_of(condition);
}

static Truth
truth_of_statement(SgStatement *stmt)
{
	if (sg_is_product(stmt->query))
		return truth_of_product(stmt->query);
	return truth_for_target(stmt, sg_written_condition(stmt->query));
}

/*
 * The UPDATE or DELETE of a MERGE ON a constant that acts on all rows of the
 * target, since it has no condition of its own; or NULL.
 */
static MergeAction *
unqualified_action(SgStatement *stmt, Truth truth)
{
	Query	   *query = stmt->query;
	ListCell   *lc;

	foreach(lc, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);
		Truth		own;

		if (action->commandType != CMD_UPDATE &&
			action->commandType != CMD_DELETE)
			continue;
		own = truth_for_target(stmt, action->qual);
		if (own == TRUTH_OPEN || own == TRUTH_FALSE)
			continue;
		if ((truth != TRUTH_FALSE && sg_merge_matched(action)) ||
			(truth != TRUTH_TRUE && sg_merge_by_source(action)))
			return action;
	}
	return NULL;
}

static void
say_merge(SgFinding *finding, MergeAction *action, Truth truth)
{
	finding->message = psprintf(truth == TRUTH_ALIKE ?
								"MERGE into table \"%s\" joins ON a condition that does not mention the table" :
								"MERGE into table \"%s\" joins ON a constant",
								finding->table_name);
	finding->detail = psprintf(truth == TRUTH_ALIKE ?
							   "WHEN %s THEN %s applies to every row of the table or to none." :
							   "WHEN %s THEN %s applies to every row of the table.",
							   sg_merge_matched(action) ? "MATCHED" :
							   "NOT MATCHED BY SOURCE",
							   action->commandType == CMD_UPDATE ? "UPDATE" :
							   "DELETE");
	finding->hint = pstrdup("Compare columns of the target with columns of the source in ON. If every row is meant, allow it for this table with safeguard.set_level().");
	finding->closed_message = pstrdup(truth == TRUTH_ALIKE ?
									  "MERGE joins ON a condition that does not mention its target" :
									  "MERGE joins ON a constant");
}

static void
say_where(SgFinding *finding, Query *query, Truth truth)
{
	const char *command = sg_command_name(query);
	const char *does = query->commandType == CMD_UPDATE ? "changes" : "deletes";
	Oid			view = sg_ruled_view(query);

	if (truth == TRUTH_MISSING)
	{
		finding->message = psprintf("%s table \"%s\" has no WHERE clause",
									sg_command_on(query),
									finding->table_name);
		finding->closed_message = psprintf("%s has no WHERE clause", command);
		finding->hint = pstrdup("Add a WHERE clause. If every row is meant, write WHERE true, or allow it for this table with safeguard.set_level().");
	}
	else if (truth == TRUTH_ALIKE)
	{
		finding->message = psprintf("%s table \"%s\" has a WHERE clause that does not mention the table",
									sg_command_on(query),
									finding->table_name);
		finding->closed_message = psprintf("%s has a WHERE clause that does not mention its target",
										   command);
		finding->hint = pstrdup("Write a condition on the rows that are meant. If every row is, allow it for this table with safeguard.set_level().");
	}
	else
	{
		finding->message = psprintf("%s table \"%s\" has a WHERE clause that is always true",
									sg_command_on(query),
									finding->table_name);
		finding->closed_message = psprintf("%s has a WHERE clause that is always true",
										   command);
		finding->hint = pstrdup("Write a condition on the rows that are meant. If every row is, allow it for this table with safeguard.set_level().");
	}
	if (OidIsValid(view))
	{
		/* a table that the statement does not name */
		finding->detail = psprintf("A rule has made it of a statement on view \"%s\"; it %s every row that the rule lets it.",
								   get_rel_name(view), does);
		sg_finding_reads(finding, finding->relid, 0);
	}
	else if (sg_is_product(query))
		finding->detail = psprintf("It is the action of a rule and %s every row of the table each time the rule fires.",
								   does);
	else
		finding->detail = psprintf(truth == TRUTH_ALIKE ?
								   "It %s every row that it can see, or none." :
								   "It %s every row that it can see.", does);
}

/*
 * Looks at one UPDATE, DELETE or MERGE and appends at most one finding.
 */
void
sg_unqualified_dml_detect(SgStatement *stmt)
{
	Query	   *query = stmt->query;
	MergeAction *action = NULL;
	SgFinding  *finding;
	Truth		truth;

	if (sg_target_entry(query) == NULL)
		return;
	truth = truth_of_statement(stmt);
	if (truth == TRUTH_OPEN)
		return;
	if (query->commandType == CMD_MERGE)
	{
		action = unqualified_action(stmt, truth);
		if (action == NULL)
			return;
	}
	else if (truth == TRUTH_FALSE)
		return;

	finding = sg_new_finding(SG_RULE_UNQUALIFIED_DML, stmt);
	if (truth != TRUTH_MISSING)
		finding->location = exprLocation(sg_written_condition(query));
	if (action)
		say_merge(finding, action, truth);
	else
	{
		say_where(finding, query, truth);
		if (truth == TRUTH_TRUE)
			finding->when = SG_WHEN_TRUE_IS_UNQUALIFIED;
	}
	stmt->findings = lappend(stmt->findings, finding);
}
