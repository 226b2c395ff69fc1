/*-------------------------------------------------------------------------
 *
 * preview_source.c
 *		How many rows the source of a statement selects, run alone.
 *
 * That number beside the rows that are hit shows a match by too little: six
 * keys selected, 32 rows hit.  It cannot be seen in the plan of the statement
 * itself, in which a subquery may be joined, made unique, run many times or
 * stopped at its first row.  So the source is taken out of the statement as
 * it was analysed and counted before the statement runs, as its author would
 * do by hand: what USING or FROM join, under those conditions that do without
 * the target; else the first subquery of the WHERE.
 *
 * Nothing is counted where that could do harm: a source that calls volatile
 * functions or changes rows itself, or whose parts are tied to each other by
 * the target only, so that without it each row of one meets all of the other.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "review/preview.h"

/* ---------------- joins ---------------- */

/* The relations of a FROM clause, and all that is said of them. */
typedef struct Joined
{
	List	   *leaves;			/* of int: range table indexes */
	List	   *quals;
} Joined;

/* The conjuncts of a condition, however it is written. */
static List *
conjuncts(Node *quals)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (quals == NULL)
		return NIL;
	if (IsA(quals, List))
	{
		foreach(lc, (List *) quals)
			result = list_concat(result, conjuncts(lfirst(lc)));
		return result;
	}
	if (!is_andclause(quals))
		return list_make1(quals);
	foreach(lc, ((BoolExpr *) quals)->args)
		result = list_concat(result, conjuncts(lfirst(lc)));
	return result;
}

static Node *
conjunction(List *quals)
{
	return quals == NIL ? NULL : (Node *) make_ands_explicit(quals);
}

static void
collect_joined(Node *node, Joined *joined)
{
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		joined->leaves = lappend_int(joined->leaves,
									 ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		collect_joined(join->larg, joined);
		collect_joined(join->rarg, joined);
		joined->quals = list_concat(joined->quals, conjuncts(join->quals));
	}
	else if (IsA(node, FromExpr))
	{
		FromExpr   *from = (FromExpr *) node;

		foreach(lc, from->fromlist)
			collect_joined(lfirst(lc), joined);
		joined->quals = list_concat(joined->quals, conjuncts(from->quals));
	}
}

/*
 * Are all relations of a FROM clause tied to each other?  What is written
 * in the statement itself, or depends on its neighbour, is no matter.
 */
static bool
is_tied(const Query *query)
{
	Joined		joined = {NIL, NIL};
	Relids		reached = NULL;
	bool		grows = true;
	ListCell   *lc;

	collect_joined((Node *) query->jointree, &joined);
	foreach(lc, joined.leaves)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (reached == NULL || rte->lateral || rte->rtekind == RTE_VALUES ||
			rte->rtekind == RTE_FUNCTION)
			reached = bms_add_member(reached, lfirst_int(lc));
	}
	while (grows)
	{
		grows = false;
		foreach(lc, joined.quals)
		{
			Relids		used = pull_varnos(NULL, lfirst(lc));

			if (!bms_overlap(used, reached) || bms_is_subset(used, reached))
				continue;
			reached = bms_add_members(reached, used);
			grows = true;
		}
	}
	foreach(lc, joined.leaves)
	{
		if (!bms_is_member(lfirst_int(lc), reached))
			return false;
	}
	return true;
}

/* ---------------- what the source is ---------------- */

/*
 * Make a Query out of this statement that only counts: one column, no order,
 * no more than the source.
 */
static Query *
select_one(Query *query)
{
	Const	   *one = makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								Int32GetDatum(1), false, true);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->resultRelation = 0;
	query->targetList = list_make1(makeTargetEntry((Expr *) one, 1,
												   pstrdup("one"), false));
	query->returningList = NIL;
	sg_forget_merge(query);
	query->onConflict = NULL;
	query->withCheckOptions = NIL;
	return query;
}

/* What FROM or USING join to the target. */
static Query *
joined_source(const Query *statement)
{
	Query	   *query = copyObject(unconstify(Query *, statement));
	int			target = query->resultRelation;
	List	   *items = NIL;
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, query->jointree->fromlist)
	{
		Node	   *item = lfirst(lc);

		if (!IsA(item, RangeTblRef) || ((RangeTblRef *) item)->rtindex != target)
			items = lappend(items, item);
	}
	if (items == NIL)
		return NULL;
	if (query->commandType != CMD_MERGE)
	{
		foreach(lc, conjuncts(query->jointree->quals))
		{
			if (!rangeTableEntry_used(lfirst(lc), target, 0))
				quals = lappend(quals, lfirst(lc));
		}
	}
	query->jointree = makeFromExpr(items, conjunction(quals));
	return is_tied(query) ? select_one(query) : NULL;
}

/* Looks for the first subquery that a condition matches by. */
static bool
find_sublink(Node *node, SubLink **found)
{
	if (node == NULL || *found != NULL)
		return *found != NULL;
	if (IsA(node, SubLink))
	{
		*found = (SubLink *) node;
		return true;
	}
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == NOT_EXPR)
		return false;
	return expression_tree_walker(node, find_sublink, found);
}

/*
 * The first subquery of the condition, without those of its own conditions
 * that look at the target.
 */
static Query *
subquery_source(const Query *statement)
{
	SubLink    *sublink = NULL;
	Query	   *query;
	Query	   *wrapper;
	RangeTblEntry *rte;
	RangeTblRef *ref;
	List	   *quals = NIL;
	ListCell   *lc;

	(void) find_sublink(statement->jointree->quals, &sublink);
	if (sublink == NULL)
		return NULL;
	query = copyObject(castNode(Query, sublink->subselect));
	if (query->setOperations == NULL)
	{
		foreach(lc, conjuncts(query->jointree->quals))
		{
			if (!contain_vars_of_level(lfirst(lc), 1))
				quals = lappend(quals, lfirst(lc));
		}
		query->jointree->quals = conjunction(quals);
		if (!is_tied(query))
			return NULL;
	}
	/* EXISTS may select nothing, or what belongs to the target */
	if (sublink->subLinkType == EXISTS_SUBLINK && query->groupClause == NIL &&
		query->havingQual == NULL && !query->hasAggs &&
		query->setOperations == NULL && query->distinctClause == NIL &&
		query->sortClause == NIL && !query->hasWindowFuncs &&
		!query->hasTargetSRFs)
		select_one(query);
	if (contain_vars_of_level((Node *) query, 1))
		return NULL;

	/* in a Query of its own, so that the WITH queries around it are there */
	rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->eref = makeAlias("source", NIL);
	foreach(lc, query->targetList)
	{
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			rte->eref->colnames = lappend(rte->eref->colnames,
										  makeString(pstrdup("column")));
	}
	rte->inFromCl = true;
	ref = makeNode(RangeTblRef);
	ref->rtindex = 1;
	wrapper = makeNode(Query);
	wrapper->querySource = QSRC_ORIGINAL;
	wrapper->cteList = copyObject(statement->cteList);
	wrapper->hasRecursive = statement->hasRecursive;
	wrapper->hasModifyingCTE = statement->hasModifyingCTE;
	wrapper->rtable = list_make1(rte);
	wrapper->jointree = makeFromExpr(list_make1(ref), NULL);
	return select_one(wrapper);
}

/*
 * The source of a statement as it was analysed, as a Query of its own, or
 * NULL if there is none that can be counted.
 */
Query *
sg_source_query(const Query *query)
{
	Query	   *source;

	if ((query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE &&
		 query->commandType != CMD_MERGE) || query->hasModifyingCTE)
		return NULL;
	source = joined_source(query);
	if (source == NULL)
		source = subquery_source(query);
	if (source == NULL || contain_volatile_functions((Node *) source))
		return NULL;
	return source;
}

/* ---------------- counting ---------------- */

static int64
run_and_count(Query *source, const char *sql)
{
	List	   *queries;
	PlannedStmt *plan;
	QueryDesc  *desc;
	int64		rows;

	PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_rewrite_query(source);
	plan = pg_plan_query(linitial_node(Query, queries), sql,
						 CURSOR_OPT_PARALLEL_OK, NULL);
	desc = CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot,
						   None_Receiver, NULL, NULL, 0);
	ExecutorStart(desc, 0);
	sg_executor_run_all(desc);
	rows = (int64) desc->estate->es_processed;
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	return rows;
}

/*
 * The number of rows that a source selects, or -1 if it cannot be run alone.
 */
int64
sg_source_count(Query *source, const char *sql)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;
	volatile int64 rows = -1;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		rows = run_and_count(source, sql);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	/* a SELECT leaves nothing but the locks that the statement takes, too */
	if (edata == NULL)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (edata != NULL && sg_is_interrupt(edata))
		ReThrowError(edata);
	return rows;
}
