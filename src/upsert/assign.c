/*-------------------------------------------------------------------------
 *
 * assign.c
 *		What an upsert does to a row that is there already.
 *
 * In the plan of ON CONFLICT, EXCLUDED is INNER_VAR with the table's column
 * numbers, which are also those of the proposed row; in an action of MERGE,
 * INNER_VAR is the row that the join has found.  Either way it stands for the
 * slot that the node below has returned.  Any other Var is the old row.  A
 * MERGE of a single row has no Vars of its source at all: there the planner
 * has put the values themselves, parameters or constants.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "upsert/upsert.h"

/* bytes; a longer value is no key of anything */
#define MAX_KEY_LENGTH	128

/* What an expression reads. */
typedef struct Reads
{
	const SgTracker *tracker;
	bool		old_row;
	bool		new_value;		/* of a column that is not the key */
} Reads;

/* ---------------- finding the assignments ---------------- */

/*
 * Is this column of the proposed slot part of the key?
 */
static bool
is_key_slot(const SgTracker *tracker, AttrNumber attnum)
{
	if (!tracker->merge)
		return sg_target_has(&tracker->target, attnum);
	for (int i = 0; i < tracker->nhashed; i++)
	{
		if (tracker->hashed[i].state == NULL &&
			tracker->hashed[i].attnum == attnum)
			return true;
	}
	return false;
}

static MergeAction *
merge_action(const SgTracker *tracker, CmdType command)
{
	ListCell   *lc;

	foreach(lc, sg_merge_actions(tracker->mt))
	{
		MergeAction *action = lfirst_node(MergeAction, lc);

		if (action->commandType == command)
			return action;
	}
	return NULL;
}

/*
 * The SET of an upsert: its expressions, and in *columns their columns of the
 * table.  A MERGE with several is judged by the first.
 */
static List *
assignments(const SgTracker *tracker, List **columns)
{
	ModifyTable *node = (ModifyTable *) tracker->mt->ps.plan;
	MergeAction *action;

	*columns = node->onConflictCols;
	if (!tracker->merge)
		return node->onConflictSet;
	action = merge_action(tracker, CMD_UPDATE);
	if (action == NULL)
		return NIL;
	*columns = action->updateColnos;
	return action->targetList;
}

static Expr *
without_relabel(Expr *expr)
{
	while (expr != NULL && IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return expr;
}

static bool
is_old_column(Expr *expr, AttrNumber attnum)
{
	expr = without_relabel(expr);
	return expr != NULL && IsA(expr, Var) &&
		((Var *) expr)->varno != INNER_VAR &&
		((Var *) expr)->varattno == attnum;
}

/* ---------------- does it replace? ---------------- */

static bool
reads_walker(Node *node, Reads *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno != INNER_VAR)
			reads->old_row = true;
		else if (!is_key_slot(reads->tracker, var->varattno))
			reads->new_value = true;
		return false;
	}
	return expression_tree_walker(node, reads_walker, reads);
}

/*
 * Does the upsert replace a row, by values that do not depend on the one that
 * was there?  A counter, or a value that is kept, does.
 */
bool
sg_assign_replaces(SgTracker *tracker)
{
	Reads		reads = {tracker};
	List	   *columns;
	List	   *set = assignments(tracker, &columns);
	ListCell   *lc;
	ListCell   *lcc;

	forboth(lc, set, lcc, columns)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		/* that a column stays as it is says nothing */
		if (is_old_column(tle->expr, lfirst_int(lcc)))
			continue;
		reads_walker((Node *) tle->expr, &reads);
		if (reads.old_row)
			return false;

		/* a parameter or constant may be the source's value */
		if (tracker->merge && !sg_target_has(&tracker->target,
											 lfirst_int(lcc)))
			reads.new_value = true;
	}
	return reads.new_value;
}

/* ---------------- candidates ---------------- */

static bool
is_key_type(Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return true;
		default:
			return false;
	}
}

/*
 * Could a text be a key?  Not a long one, nor one of several words or with
 * the marks of a document, such as JSON: a key-value store has these.
 */
bool
sg_could_be_key(Datum value)
{
	struct varlena *text;
	const char *data;
	int			len;

	if (toast_raw_datum_size(value) > MAX_KEY_LENGTH + VARHDRSZ)
		return false;
	text = PG_DETOAST_DATUM_PACKED(value);
	data = VARDATA_ANY(text);
	len = VARSIZE_ANY_EXHDR(text);
	while (len > 0 && data[len - 1] == ' ')
		len--;					/* the padding of char(n) */
	for (int i = 0; i < len; i++)
	{
		if ((unsigned char) data[i] <= ' ' ||
			strchr("{}[]<>\"'", data[i]) != NULL)
			return false;
	}
	return true;
}

/* A column, and the value that it is given. */
typedef struct Assigned
{
	AttrNumber	attnum;			/* of the row that is there */
	AttrNumber	slot_attnum;	/* of the proposed row */
} Assigned;

/* Does an expression ask whether the one is less than the other? */
static bool
orders_walker(Node *node, Assigned *assigned)
{
	OpExpr	   *op = (OpExpr *) node;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) && list_length(op->args) == 2)
	{
		bool		old_value = false;
		bool		new_value = false;

		for (int i = 0; i < 2; i++)
		{
			Var		   *var = (Var *) without_relabel(list_nth(op->args, i));

			if (is_old_column((Expr *) var, assigned->attnum))
				old_value = true;
			else if (var != NULL && IsA(var, Var) && var->varno == INNER_VAR &&
					 var->varattno == assigned->slot_attnum)
				new_value = true;
		}
		if (old_value && new_value && sg_operator_orders(op->opno))
			return true;
	}
	return expression_tree_walker(node, orders_walker, assigned);
}

/*
 * Does the upsert replace a row only by one that comes later by this column?
 * Then it is a version, and no identity.
 */
static bool
is_version(const SgTracker *tracker, AttrNumber attnum, const SgHashed *hashed)
{
	Assigned	assigned = {attnum, hashed->attnum};
	MergeAction *action;

	if (!tracker->merge)
		return orders_walker(((ModifyTable *) tracker->mt->ps.plan)->onConflictWhere,
							 &assigned);
	action = merge_action(tracker, CMD_UPDATE);
	return action != NULL && orders_walker(action->qual, &assigned);
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/*
 * An expression without what may refuse its value and leaves the hash as it
 * is: the check of a domain, and the range of another integer type.
 */
static Expr *
without_check(Expr *expr)
{
	FuncExpr   *func;

	if (expr != NULL && IsA(expr, CoerceToDomain))
		expr = ((CoerceToDomain *) expr)->arg;
	func = (FuncExpr *) expr;
	if (expr != NULL && IsA(expr, FuncExpr) &&
		func->funcformat != COERCE_EXPLICIT_CALL &&
		list_length(func->args) == 1 && is_integer(func->funcresulttype) &&
		is_integer(exprType(linitial(func->args))))
		return linitial(func->args);
	return expr;
}

static bool
is_unknown_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) ||
		(IsA(node, Param) && ((Param *) node)->paramkind != PARAM_EXTERN))
		return true;
	return expression_tree_walker(node, is_unknown_walker, context);
}

/*
 * The value of an expression that is the same for all rows, now, since here its
 * error is not the statement's; or the expression if it cannot fail for a row.
 * NULL for others: the server computes the key of a row that it inserts, but of
 * one that matches, nobody else would.
 */
static Expr *
harmless(SgTracker *tracker, Expr *expr)
{
	EState	   *estate = tracker->mt->ps.state;
	Oid			type = exprType((Node *) expr);
	int16		len;
	bool		by_value;
	bool		isnull;
	Datum		value;

	if (contain_subplans((Node *) expr) ||
		contain_volatile_functions((Node *) expr))
		return NULL;
	if (is_unknown_walker((Node *) expr, NULL))
		return contain_leaked_vars((Node *) expr) ? NULL : expr;
	if (!IsA(expr, SQLValueFunction) &&
		contain_mutable_functions((Node *) expr))
		return NULL;
	get_typlenbyval(type, &len, &by_value);
	value = ExecEvalExprSwitchContext(ExecInitExpr(expr, &tracker->mt->ps),
									  GetPerTupleExprContext(estate), &isnull);
	return (Expr *) makeConst(type, -1, exprCollation((Node *) expr), len,
							  isnull ? (Datum) 0 : datumCopy(value, by_value, len),
							  isnull, by_value);
}

/*
 * Prepare to hash the value of an expression in an action of MERGE.
 */
static bool
hash_merge_value(SgTracker *tracker, SgHashed *hashed, Expr *expr)
{
	Expr	   *bare;
	Reads		reads = {tracker};

	expr = without_check(expr);
	bare = without_relabel(expr);
	if (bare == NULL ||
		!sg_hashed_init(hashed, 0, exprType((Node *) expr),
						exprCollation((Node *) expr)))
		return false;
	if (IsA(bare, Var))
	{
		hashed->attnum = ((Var *) bare)->varattno;
		return ((Var *) bare)->varno == INNER_VAR && hashed->attnum > 0;
	}
	reads_walker((Node *) expr, &reads);
	expr = reads.old_row ? NULL : harmless(tracker, expr);
	if (expr == NULL)
		return false;
	hashed->state = ExecInitExpr(expr, &tracker->mt->ps);
	return true;
}

/*
 * Prepare to hash the value that an assignment copies.
 */
static bool
hash_assigned(SgTracker *tracker, SgHashed *hashed, Expr *expr)
{
	Var		   *var = (Var *) without_relabel(expr);

	if (tracker->merge)
		return hash_merge_value(tracker, hashed, expr);
	return var != NULL && IsA(var, Var) && var->varno == INNER_VAR &&
		var->varattno > 0 && !is_key_slot(tracker, var->varattno) &&
		sg_hashed_init(hashed, var->varattno, var->vartype, var->varcollid);
}

/*
 * Find the columns that could be the identity of the data and that this upsert
 * overwrites with the proposed value: NOT NULL, of a type that keys have.
 */
void
sg_assign_candidates(SgTracker *tracker)
{
	Relation	rel = tracker->mt->resultRelInfo[0].ri_RelationDesc;
	MemoryContext context = tracker->mt->ps.state->es_query_cxt;
	List	   *columns;
	List	   *set = assignments(tracker, &columns);
	ListCell   *lc;
	ListCell   *lcc;

	forboth(lc, set, lcc, columns)
	{
		AttrNumber	attnum = lfirst_int(lcc);
		SgCandidate *candidate = &tracker->candidates[tracker->ncandidates];
		Form_pg_attribute att;

		if (tracker->ncandidates >= SG_MAX_CANDIDATES)
			break;
		if (attnum <= 0 || attnum > RelationGetDescr(rel)->natts)
			continue;
		att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		candidate->attnum = sg_target_in_root(&tracker->target,
											  RelationGetRelid(rel), attnum);
		if (!att->attnotnull || !is_key_type(att->atttypid) ||
			candidate->attnum <= 0 ||
			!hash_assigned(tracker, &candidate->hashed,
						   lfirst_node(TargetEntry, lc)->expr) ||
			is_version(tracker, attnum, &candidate->hashed))
			continue;
		sg_hashes_init(&candidate->seen, context);
		tracker->ncandidates++;
	}
}

/* ---------------- the key of a MERGE ---------------- */

/*
 * Find in the row that the join of a MERGE returns the values that it would
 * insert into the key's columns.  Returns false if they are not to be had.
 */
bool
sg_merge_hashed(SgTracker *tracker)
{
	MergeAction *insert = merge_action(tracker, CMD_INSERT);

	if (insert == NULL)
		return false;
	for (int i = 0; i < tracker->target.nhashed; i++)
	{
		Expr	   *expr = NULL;
		ListCell   *lc;

		foreach(lc, insert->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);

			if (tle->resno == tracker->target.hashed[i].attnum)
				expr = tle->expr;
		}

		/* an unmatched row is inserted, a matched one has the same key */
		if (expr == NULL ||
			!hash_merge_value(tracker, &tracker->hashed[i], expr))
			return false;
	}
	tracker->nhashed = tracker->target.nhashed;
	return true;
}
