/*-------------------------------------------------------------------------
 *
 * operator.c
 *		What an operator says of its arguments.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "query/scene.h"

/*
 * Built-in operators asked for before, since most statements use the same
 * few; nothing can change what they are.
 */
#define OPS_REMEMBERED 16

static struct
{
	Oid			opno;
	Oid			type;
	SgOpKind	kind;
}			remembered[OPS_REMEMBERED];

static SgOpKind
look_up_op(Oid opno, Oid type)
{
	Oid			negator;
	char	   *name;

	if (op_mergejoinable(opno, type) || op_hashjoinable(opno, type))
		return SG_OP_EQUAL;
	negator = get_negator(opno);
	if (OidIsValid(negator) &&
		(op_mergejoinable(negator, type) || op_hashjoinable(negator, type)))
		return SG_OP_UNEQUAL;
	name = get_opname(opno);
	if (name && (strcmp(name, "<") == 0 || strcmp(name, ">") == 0 ||
				 strcmp(name, "<=") == 0 || strcmp(name, ">=") == 0))
		return SG_OP_ORDER;
	return SG_OP_OTHER;
}

/*
 * What an operator says of its arguments; negated, under a NOT.
 */
SgOpKind
sg_op_kind(Oid opno, Node *left, bool negated)
{
	Oid			type = IsA(left, Var) ? ((Var *) left)->vartype : exprType(left);
	int			slot = (opno + type) % OPS_REMEMBERED;
	SgOpKind	kind;

	if (remembered[slot].opno == opno && remembered[slot].type == type)
		kind = remembered[slot].kind;
	else
	{
		kind = look_up_op(opno, type);
		if (opno < FirstNormalObjectId && type < FirstNormalObjectId)
		{
			remembered[slot].opno = opno;
			remembered[slot].type = type;
			remembered[slot].kind = kind;
		}
	}
	if (negated && kind == SG_OP_EQUAL)
		return SG_OP_UNEQUAL;
	if (negated && kind == SG_OP_UNEQUAL)
		return SG_OP_EQUAL;
	return kind;
}

/* The text of a constant, or NULL. */
static char *
const_text(Node *node)
{
	Const	   *c = (Const *) node;
	Oid			out;
	bool		varlena;

	if (node == NULL || !IsA(node, Const) || c->constisnull)
		return NULL;
	getTypeOutputInfo(c->consttype, &out, &varlena);
	return OidOutputFunctionCall(out, c->constvalue);
}

/*
 * IN (1, 2, $1): an array of values that are there as they stand?  There may be
 * thousands of them: this takes some 10 instructions for each, and to walk through
 * them in all the ways in which an expression is asked for what it reads took 518.
 */
bool
sg_is_value_list(Node *array)
{
	ListCell   *lc;

	if (!IsA(array, ArrayExpr))
		return false;
	foreach(lc, ((ArrayExpr *) array)->elements)
	{
		Node	   *element = (Node *) lfirst(lc);

		while (IsA(element, RelabelType))
			element = (Node *) ((RelabelType *) element)->arg;
		if (!IsA(element, Const) &&
			(!IsA(element, Param) ||
			 ((Param *) element)->paramkind == PARAM_SUBLINK))
			return false;
	}
	return true;
}

/* x of x + 0, x - 0, x * 1, x / 1, x || '', or NULL. */
Node *
sg_neutral_operand(OpExpr *op)
{
	char	   *name;
	char	   *right;
	char	   *left;
	bool		sum;
	bool		product;

	if (list_length(op->args) != 2 || op->opno >= FirstNormalObjectId)
		return NULL;
	name = get_opname(op->opno);
	if (name == NULL)
		return NULL;
	left = const_text(sg_strip(linitial(op->args)));
	right = const_text(sg_strip(lsecond(op->args)));
	sum = strcmp(name, "+") == 0;
	product = strcmp(name, "*") == 0;
	if (right && ((strcmp(right, "0") == 0 && (sum || strcmp(name, "-") == 0)) ||
				  (strcmp(right, "1") == 0 && (product || strcmp(name, "/") == 0)) ||
				  (*right == '\0' && strcmp(name, "||") == 0)))
		return linitial(op->args);
	if (left && ((strcmp(left, "0") == 0 && sum) ||
				 (strcmp(left, "1") == 0 && product) ||
				 (*left == '\0' && strcmp(name, "||") == 0)))
		return lsecond(op->args);
	return NULL;
}

/*
 * Is it computed from columns and values, and so no column's value?  Which of
 * several such it is makes no difference.
 */
bool
sg_is_plain_operation(OpExpr *op)
{
	ListCell   *lc;

	foreach(lc, op->args)
	{
		Node	   *arg = sg_strip((Node *) lfirst(lc));

		if (!IsA(arg, Var) && !IsA(arg, Const) && !IsA(arg, Param))
			return false;
	}
	return sg_neutral_operand(op) == NULL;
}
