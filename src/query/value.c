/*-------------------------------------------------------------------------
 *
 * value.c
 *		Follows an expression to the column whose value it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "query/scene.h"

static const SgValue nothing = {SG_VALUE_NOTHING, NULL, NULL, NIL};

/* Is it a function of PostgreSQL's own with one of these names? */
static bool
is_builtin(Oid funcid, const char *const *names)
{
	char	   *name;

	if (funcid >= FirstNormalObjectId)
		return false;
	name = get_func_name(funcid);
	for (; name && *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static const char *const picking_aggregates[] =
{"min", "max", "any_value", "array_agg", NULL};
static const char *const picking_windows[] =
{"min", "max", "first_value", "last_value", "nth_value", "lag", "lead", NULL};
static const char *const unnesting[] = {"unnest", NULL};

/* Takes casts off an expression. */
Node *
sg_strip(Node *expr)
{
	for (;;)
	{
		if (expr == NULL)
			return NULL;
		switch (nodeTag(expr))
		{
			case T_RelabelType:
				expr = (Node *) ((RelabelType *) expr)->arg;
				break;
			case T_CoerceViaIO:
				expr = (Node *) ((CoerceViaIO *) expr)->arg;
				break;
			case T_ArrayCoerceExpr:
				expr = (Node *) ((ArrayCoerceExpr *) expr)->arg;
				break;
			case T_ConvertRowtypeExpr:
				expr = (Node *) ((ConvertRowtypeExpr *) expr)->arg;
				break;
			case T_CoerceToDomain:
				expr = (Node *) ((CoerceToDomain *) expr)->arg;
				break;
			case T_CollateExpr:
				expr = (Node *) ((CollateExpr *) expr)->arg;
				break;
			case T_FuncExpr:
				if (((FuncExpr *) expr)->funcformat == COERCE_EXPLICIT_CALL ||
					((FuncExpr *) expr)->funcformat == COERCE_SQL_SYNTAX ||
					((FuncExpr *) expr)->args == NIL)
					return expr;
				expr = (Node *) linitial(((FuncExpr *) expr)->args);
				break;
			default:
				return expr;
		}
	}
}

/*
 * Follows the output column of a scope.  What it finds is kept where a further
 * Query lies between: to follow each column of a chain of CTEs to the first
 * one would take time by the square of its length.  Not so where alternatives
 * were met on the way, which are chosen anew each time.
 */
static SgValue
output_value(SgScene *scene, SgScope *scope, int resno)
{
	Node	   *expr = sg_scope_output(&scope, resno);
	int			nchoices = scene->nchoices;
	SgValue		value = nothing;

	if (expr == NULL)
		return nothing;
	if (resno < scope->noutputs && scope->outputs[resno] != NULL)
	{
		value.kind = SG_VALUE_COLUMN;
		value.node = scope->outputs[resno];
		return value;
	}
	check_stack_depth();
	value = sg_value(scene, scope, NULL, expr);
	if (value.kind == SG_VALUE_COLUMN && value.single == NULL &&
		scene->nchoices == nchoices && IsA(expr, Var) &&
		((Var *) expr)->varlevelsup == 0 && scope->entries != NULL &&
		scope->entries[((Var *) expr)->varno].sub != NULL)
		sg_keep_output(scene, scope, resno, value.node);
	return value;
}

/* Follows a column of unnest(...) in FROM to the array's elements. */
static SgValue
function_value(SgScene *scene, SgScope *scope, RangeTblEntry *rte, Var *var)
{
	ListCell   *lc;
	int			col = 0;

	foreach(lc, rte->functions)
	{
		RangeTblFunction *rtf = lfirst_node(RangeTblFunction, lc);

		col += rtf->funccolcount;
		if (var->varattno > col)
			continue;
		if (IsA(rtf->funcexpr, FuncExpr) &&
			is_builtin(((FuncExpr *) rtf->funcexpr)->funcid, unnesting))
		{
			SgValue		value = sg_value(scene, scope, NULL,
										 linitial(((FuncExpr *) rtf->funcexpr)->args));

			if (value.kind == SG_VALUE_COLUMN)
				return value;
		}
		break;
	}
	return nothing;
}

static SgValue chosen_value(SgScene *scene, SgScope *scope, SgScope *link,
							List *exprs);

/*
 * Follows a column of VALUES whose rows are made of other columns.  Sets *given
 * if they are all constants or parameters.
 */
static SgValue
values_value(SgScene *scene, SgScope *scope, RangeTblEntry *rte, int attno,
			 bool *given)
{
	List	   *exprs = NIL;
	bool		columns = false;
	ListCell   *lc;

	foreach(lc, rte->values_lists)
	{
		List	   *row = (List *) lfirst(lc);

		if (attno > 0 && attno <= list_length(row))
		{
			Node	   *expr = sg_strip(list_nth(row, attno - 1));

			/* most are no more than that, and there may be thousands */
			if (expr && (IsA(expr, Const) || IsA(expr, Param)))
				continue;
			exprs = lappend(exprs, list_nth(row, attno - 1));
			columns = columns || sg_columns(scene, scope, llast(exprs)) != NIL;
		}
	}
	*given = exprs == NIL;
	return columns ? chosen_value(scene, scope, NULL, exprs) : nothing;
}

static SgValue
var_value(SgScene *scene, SgScope *scope, Var *var)
{
	SgValue		value = nothing;
	RangeTblEntry *rte;
	SgEntry    *entry;
	Node	   *alias;
	bool		given = false;

	for (Index up = var->varlevelsup; up > 0; up--)
	{
		scope->correlated = true;
		scope = scope->parent;
		if (scope == NULL)
			return nothing;
	}
	if (var->varno <= 0 || var->varno > list_length(scope->query->rtable))
		return nothing;
	rte = rt_fetch(var->varno, scope->query->rtable);
	alias = sg_alias_expr(rte, var->varattno);
	if (alias != NULL)
	{
		check_stack_depth();
		return sg_value(scene, scope, NULL, alias);
	}
	if (rte->rtekind == RTE_JOIN)
		return nothing;
	entry = sg_entry(scene, scope, var->varno);
	if (entry->sub != NULL)
		return output_value(scene, entry->sub, var->varattno);
	if (rte->rtekind == RTE_VALUES)
	{
		value.node = sg_node_known(scene, entry->item, var->varattno);
		if (value.node != NULL && value.node->given)
		{
			value.kind = SG_VALUE_COLUMN;
			return value;
		}
		value = values_value(scene, scope, rte, var->varattno, &given);
		if (value.kind == SG_VALUE_COLUMN)
			return value;
	}
	if (rte->rtekind == RTE_FUNCTION)
	{
		value = function_value(scene, scope, rte, var);
		if (value.kind == SG_VALUE_COLUMN)
			return value;
	}
	value.kind = SG_VALUE_COLUMN;
	value.node = sg_node(scene, entry->item, var->varattno);
	value.node->given = given;
	return value;
}

/*
 * One of several expressions, constants left out; the scene chooses.  Of those
 * that are computed one is enough: 200 arms of a CASE were 200 scenes.
 */
static SgValue
chosen_value(SgScene *scene, SgScope *scope, SgScope *link, List *exprs)
{
	List	   *candidates = NIL;
	bool		computed = false;
	ListCell   *lc;

	foreach(lc, exprs)
	{
		Node	   *expr = sg_strip((Node *) lfirst(lc));

		if (expr == NULL || IsA(expr, Const) || IsA(expr, Param))
			continue;
		if (IsA(expr, OpExpr) && sg_is_plain_operation((OpExpr *) expr))
		{
			if (computed)
				continue;
			computed = true;
		}
		candidates = lappend(candidates, expr);
	}
	if (candidates == NIL)
		return nothing;
	return sg_value(scene, scope, link,
					list_nth(candidates,
							 sg_choose(scene, list_length(candidates))));
}

static SgValue
sublink_value(SgScene *scene, SgScope *scope, SubLink *sublink)
{
	SgForm		form = sublink->subLinkType == EXPR_SUBLINK ? SG_FORM_SCALAR :
		SG_FORM_IN;
	SgScope    *sub;
	SgValue		value;

	if (sublink->subLinkType != EXPR_SUBLINK &&
		sublink->subLinkType != ARRAY_SUBLINK)
		return nothing;
	sub = sg_enter_sublink(scene, sublink, scope, form);
	if (sub == NULL)
		return nothing;
	value = output_value(scene, sub, 1);
	if (sublink->subLinkType == EXPR_SUBLINK && !sub->correlated &&
		!contain_volatile_functions(sublink->subselect))
	{
		/* (SELECT $1) is as good as $1; a subquery is the same as itself */
		if (value.kind != SG_VALUE_SINGLE)
			value.single = (Node *) sublink;
		if (value.kind == SG_VALUE_NOTHING)
			value.kind = SG_VALUE_SINGLE;
	}
	return value;
}

typedef struct ColumnsContext
{
	SgScene    *scene;
	SgScope    *scope;
	SgScope    *link;
	List	   *columns;
} ColumnsContext;

/* Collects the columns that an expression is computed from. */
static bool
columns_walker(Node *node, ColumnsContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink) &&
		((SubLink *) node)->subLinkType != EXPR_SUBLINK &&
		((SubLink *) node)->subLinkType != ARRAY_SUBLINK)
	{
		/* EXISTS and the like deep in an expression: read it all the same */
		sg_condition(context->scene, context->scope, node, SG_TRUST_WRITTEN);
		return false;
	}
	if (IsA(node, Var) || IsA(node, SubLink) ||
		(IsA(node, Param) && ((Param *) node)->paramkind == PARAM_SUBLINK))
	{
		SgValue		value = sg_value(context->scene, context->scope,
									 context->link, node);

		if (value.kind == SG_VALUE_COLUMN)
			context->columns = lappend(context->columns, value.node);
		else
			context->columns = list_concat(context->columns, value.columns);
		return false;
	}
	return expression_tree_walker(node, columns_walker, context);
}

/* The columns that an expression is computed from, as a list of SgNode. */
List *
sg_columns(SgScene *scene, SgScope *scope, Node *expr)
{
	ColumnsContext context = {scene, scope, NULL, NIL};

	columns_walker(expr, &context);
	return context.columns;
}

/* Does an expression, or a subquery in it, depend on a row around it? */
static bool
depends_on_row(SgScope *scope, Node *expr)
{
	for (int up = 0; scope != NULL; scope = scope->parent, up++)
		if (contain_vars_of_level(expr, up))
			return true;
	return false;
}

static SgValue
computed_value(SgScene *scene, SgScope *scope, SgScope *link, Node *expr)
{
	ColumnsContext context = {scene, scope, link, NIL};
	SgValue		value = nothing;

	columns_walker(expr, &context);
	if (context.columns != NIL)
	{
		value.kind = SG_VALUE_EXPRESSION;
		value.columns = context.columns;
	}
	else if (!contain_volatile_functions(expr) && !depends_on_row(scope, expr))
	{
		value.kind = SG_VALUE_SINGLE;
		value.single = expr;
	}
	return value;
}

/*
 * Which value an expression of a scope has.  "link" is the scope of the
 * sublink whose test expression this is, or NULL.
 */
SgValue
sg_value(SgScene *scene, SgScope *scope, SgScope *link, Node *expr)
{
	SgValue		value = nothing;

	/* the commonest; checks the depth of the stack where it goes on */
	if (expr != NULL && IsA(expr, Var))
		return var_value(scene, scope, (Var *) expr);
	expr = sg_strip(expr);
	if (expr == NULL)
		return nothing;
	if (!IsA(expr, Const) && !IsA(expr, Param))
		check_stack_depth();
	switch (nodeTag(expr))
	{
		case T_Var:
			return var_value(scene, scope, (Var *) expr);
		case T_Const:
			value.kind = SG_VALUE_SINGLE;
			value.single = expr;
			return value;
		case T_Param:
			if (((Param *) expr)->paramkind == PARAM_SUBLINK)
				return link ? output_value(scene, link,
										   ((Param *) expr)->paramid) : nothing;
			value.kind = SG_VALUE_SINGLE;
			value.single = expr;
			return value;
		case T_SubLink:
			return sublink_value(scene, scope, (SubLink *) expr);
		case T_Aggref:
			if (is_builtin(((Aggref *) expr)->aggfnoid, picking_aggregates))
				return sg_value(scene, scope, link,
								(Node *) linitial_node(TargetEntry,
													   ((Aggref *) expr)->args)->expr);
			break;
		case T_WindowFunc:
			if (is_builtin(((WindowFunc *) expr)->winfnoid, picking_windows))
				return sg_value(scene, scope, link,
								linitial(((WindowFunc *) expr)->args));
			break;
		case T_FuncExpr:
			if (is_builtin(((FuncExpr *) expr)->funcid, unnesting))
				return sg_value(scene, scope, link,
								linitial(((FuncExpr *) expr)->args));
			break;
		case T_CoalesceExpr:
			value = chosen_value(scene, scope, link,
								 ((CoalesceExpr *) expr)->args);
			break;
		case T_MinMaxExpr:
			value = chosen_value(scene, scope, link,
								 ((MinMaxExpr *) expr)->args);
			break;
		case T_ArrayExpr:
			if (sg_is_value_list(expr))
			{
				value.kind = SG_VALUE_SINGLE;
				value.single = expr;
				return value;
			}
			value = chosen_value(scene, scope, link,
								 ((ArrayExpr *) expr)->elements);
			break;
		case T_NullIfExpr:
			return sg_value(scene, scope, link,
							linitial(((NullIfExpr *) expr)->args));
		case T_CaseExpr:
			{
				CaseExpr   *c = (CaseExpr *) expr;
				List	   *results = NIL;
				ListCell   *lc;

				foreach(lc, c->args)
					results = lappend(results,
									  lfirst_node(CaseWhen, lc)->result);
				if (c->defresult)
					results = lappend(results, c->defresult);
				value = chosen_value(scene, scope, link, results);
				break;
			}
		case T_SubscriptingRef:
			if (((SubscriptingRef *) expr)->refassgnexpr == NULL)
				value = sg_value(scene, scope, link,
								 (Node *) ((SubscriptingRef *) expr)->refexpr);
			if (value.kind == SG_VALUE_COLUMN && value.node->att > 0)
			{
				/* an element of a column of array type is not its value */
				Node	   *array = sg_strip((Node *) ((SubscriptingRef *) expr)->refexpr);

				if (IsA(array, Var))
					value = nothing;
			}
			break;
		case T_FieldSelect:
			value = sg_value(scene, scope, link,
							 (Node *) ((FieldSelect *) expr)->arg);
			if (value.kind == SG_VALUE_COLUMN && value.node->att == 0)
			{
				value.node = sg_node(scene, value.node->item,
									 ((FieldSelect *) expr)->fieldnum);
				return value;
			}
			value = nothing;
			break;
		case T_OpExpr:
			if (sg_neutral_operand((OpExpr *) expr))
				return sg_value(scene, scope, link,
								sg_neutral_operand((OpExpr *) expr));
			break;
		default:
			break;
	}
	if (value.kind == SG_VALUE_COLUMN)
		return value;
	return computed_value(scene, scope, link, expr);
}
