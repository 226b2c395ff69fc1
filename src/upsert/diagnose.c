/*-------------------------------------------------------------------------
 *
 * diagnose.c
 *		Looks for the unique key that comes closest to an ON CONFLICT.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "safeguard.h"
#include "upsert/arbiter.h"

/* ---------------- the clause ---------------- */

/*
 * An expression of the ON CONFLICT as the planner compares it: constants
 * folded, the table being relation 1.
 */
static Node *
as_planned(Query *query, ParamListInfo params, Node *expr)
{
	PlannerInfo *root = makeNode(PlannerInfo);

	root->parse = query;
	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = params;
	expr = copyObject(expr);
	ChangeVarNodes(expr, query->resultRelation, 1, 0);
	return eval_const_expressions(root, expr);
}

/*
 * The WHERE of ON CONFLICT as a list.  The planner has made it one already,
 * unless this INSERT is in a CTE, of which it planned a copy.
 */
static List *
where_as_planned(Query *query, ParamListInfo params)
{
	Node	   *where = query->onConflict->arbiterWhere;

	if (where == NULL)
		return NIL;
	if (IsA(where, List))
		where = (Node *) make_ands_explicit((List *) where);
	where = as_planned(query, params, where);
	return make_ands_implicit(canonicalize_qual((Expr *) where, false));
}

/* The elements, each once. */
static List *
elements_as_planned(Query *query, ParamListInfo params)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, query->onConflict->arbiterElems)
		result = list_append_unique(result,
									as_planned(query, params, lfirst(lc)));
	return result;
}

/*
 * An expression over the target as SQL.
 */
char *
sg_arbiter_element(SgArbitration *arb, Node *expr)
{
	return deparse_expression(expr,
							  deparse_context_for(arb->relation, arb->relid),
							  false, false);
}

/*
 * Can the text of an expression stand among the columns of an index as it is?
 * A column and a call of a function can, and operators and tests have their
 * parentheses; all else needs them.
 */
static bool
stands_alone(Node *expr)
{
	switch (nodeTag(expr))
	{
		case T_FuncExpr:
			return ((FuncExpr *) expr)->funcformat == COERCE_EXPLICIT_CALL;
		case T_Var:
		case T_OpExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
			return true;
		default:
			return false;
	}
}

/*
 * The elements as ON CONFLICT and CREATE INDEX want them.
 */
static char *
columns_text(SgArbitration *arb)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, arb->elems)
	{
		InferenceElem *elem = lfirst_node(InferenceElem, lc);
		char	   *text = sg_arbiter_element(arb, (Node *) elem->expr);

		appendStringInfo(&buf,
						 stands_alone((Node *) elem->expr) ? "%s%s" : "%s(%s)",
						 buf.len > 0 ? ", " : "", text);
		if (OidIsValid(elem->infercollid))
			appendStringInfo(&buf, " COLLATE %s",
							 generate_collation_name(elem->infercollid));
		if (OidIsValid(elem->inferopclass))
			appendStringInfo(&buf, " %s",
							 generate_opclass_name(elem->inferopclass));
	}
	return psprintf("(%s)", buf.data);
}

/* Sets attnums and plain. */
static void
note_columns(SgArbitration *arb)
{
	ListCell   *lc;

	arb->plain = true;
	foreach(lc, arb->elems)
	{
		InferenceElem *elem = lfirst_node(InferenceElem, lc);
		AttrNumber	att = IsA(elem->expr, Var) ?
			((Var *) elem->expr)->varattno : 0;

		if (att > 0)
			arb->attnums = bms_add_member(arb->attnums, att);
		if (att <= 0 || OidIsValid(elem->infercollid) ||
			OidIsValid(elem->inferopclass))
			arb->plain = false;
	}
}

/*
 * Columns of the target that the ON CONFLICT is about: list of SgColumnRef.
 */
List *
sg_arbiter_reads(SgArbitration *arb)
{
	Bitmapset  *used = NULL;
	List	   *reads = NIL;
	int			i = -1;

	pull_varattnos((Node *) arb->elems, 1, &used);
	pull_varattnos((Node *) arb->where, 1, &used);
	while ((i = bms_next_member(used, i)) >= 0)
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));

		ref->relid = arb->relid;
		ref->attnum = i + FirstLowInvalidHeapAttributeNumber;
		reads = lappend(reads, ref);
	}
	return reads;
}

/* The view that the statement inserts into, or NULL if it names the table. */
static char *
named_view(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW &&
			(sg_required_permissions(query, rte) & ACL_INSERT) != 0)
			return get_rel_name(rte->relid);
	}
	return NULL;
}

/* ---------------- the keys ---------------- */

/*
 * Does a come closer than b?  Both do not serve.
 */
static bool
is_closer(SgCandidate *a, SgCandidate *b)
{
	int			differ_a = list_length(a->lacking) + list_length(a->surplus);
	int			differ_b = list_length(b->lacking) + list_length(b->surplus);

	if (a->misfit != b->misfit)
		return a->misfit < b->misfit;
	/* one that cannot serve anyway comes after one that can */
	if ((a->valid && !a->deferrable) != (b->valid && !b->deferrable))
		return a->valid && !a->deferrable;
	if (differ_a != differ_b)
		return differ_a < differ_b;
	/* part of the clause, or the clause part of it, before a mixture */
	return (a->lacking == NIL || a->surplus == NIL) &&
		b->lacking != NIL && b->surplus != NIL;
}

/*
 * Look at all indexes of the target.  Returns false if one of them serves.
 */
static bool
look_at_indexes(SgArbitration *arb)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(arb->rel))
	{
		bool		hidden;
		SgCandidate *candidate = sg_candidate(arb, lfirst_oid(lc), &hidden);

		if (hidden)
			arb->nhidden++;
		if (candidate == NULL)
			continue;
		if (candidate->misfit == SG_MISFIT_NONE)
			return false;
		if (candidate->unique)
			arb->keys = lappend(arb->keys, candidate);
		if (candidate->misfit != SG_MISFIT_DISJOINT &&
			(arb->closest == NULL || is_closer(candidate, arb->closest)))
			arb->closest = candidate;
	}
	return true;
}

/*
 * Find out why no key serves the ON CONFLICT of an INSERT.  Returns NULL if
 * one does.  The statement holds a lock on its target, which is open when
 * this returns a result: the caller closes arb->rel.
 */
SgArbitration *
sg_arbitrate(Query *query, ParamListInfo params)
{
	SgArbitration *arb = palloc0(sizeof(SgArbitration));
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);

	arb->rel = table_open(rte->relid, NoLock);
	arb->relid = rte->relid;
	arb->relation = pstrdup(RelationGetRelationName(arb->rel));
	arb->qualified =
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(arb->rel)),
								   arb->relation);
	arb->view = named_view(query);
	arb->do_nothing = query->onConflict->action == ONCONFLICT_NOTHING;
	arb->elems = elements_as_planned(query, params);
	arb->where = where_as_planned(query, params);
	arb->where_varies = params != NULL && params->numParams > 0;
	arb->columns = columns_text(arb);
	note_columns(arb);
	if (look_at_indexes(arb))
		return arb;
	table_close(arb->rel, NoLock);
	return NULL;
}
