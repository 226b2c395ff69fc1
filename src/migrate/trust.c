/*-------------------------------------------------------------------------
 *
 * trust.c
 *		May a table be read by SQL without running code of its owner?
 *
 * Who may create a table may give it a policy, an index with a predicate, a
 * CHECK constraint, or statistics or partitions over an expression that call a
 * function of his, and the planner
 * or the executor runs that function as the role that reads the table.  To
 * read a table that one has named oneself is one's own decision; a view that
 * looks for tables in all schemas must decide for its reader.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "migrate/history.h"

PG_FUNCTION_INFO_V1(sg_is_plain);

/*
 * A function that can run nothing but itself: immutable ones of the server.
 * (A stable one may read a table that it is given by name, and so a view.)
 */
static bool
calls_code(Oid funcid, void *context)
{
	if (funcid == F_CURRENT_SETTING_TEXT ||
		funcid == F_CURRENT_SETTING_TEXT_BOOL)
		return false;
	return funcid >= FirstUnpinnedObjectId ||
		func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
}

/* true if there may be something in an expression that runs code of a user */
static bool
code_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_FuncExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayExpr:
		case T_CaseExpr:
		case T_CoalesceExpr:
		case T_SQLValueFunction:
			if (exprType(node) >= FirstUnpinnedObjectId ||
				check_functions_in_node(node, calls_code, NULL))
				return true;
			break;
		case T_CaseWhen:
		case T_List:
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, code_walker, context);
}

static bool
policies_are_plain(Relation rel)
{
	ListCell   *lc;

	if (rel->rd_rsdesc == NULL)
		return true;
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = (RowSecurityPolicy *) lfirst(lc);

		if (policy->hassublinks || code_walker((Node *) policy->qual, NULL))
			return false;
	}
	return true;
}

static bool
has_value(int cache, Oid oid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return true;
	result = !heap_attisnull(tuple, attnum, NULL);
	ReleaseSysCache(tuple);
	return result;
}

/* A plan with constraint_exclusion simplifies CHECK constraints, too. */
static bool
checks_are_plain(Relation rel)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (constr->check[i].ccbin == NULL ||
			code_walker(stringToNode(constr->check[i].ccbin), NULL))
			return false;
	}
	return true;
}

/* The expressions by which it, or what it is a partition of, is divided. */
static bool
divided_plainly(Relation rel)
{
	List	   *divided = list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
		divided = list_concat(divided,
							  get_partition_ancestors(RelationGetRelid(rel)));
	foreach(lc, divided)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE &&
			has_value(PARTRELID, lfirst_oid(lc),
					  Anum_pg_partitioned_table_partexprs))
			return false;
	}
	return true;
}

/*
 * Nothing for the planner to simplify?  It calls functions whose arguments
 * are constants.
 */
static bool
plans_plainly(Relation rel)
{
	ListCell   *lc;

	if (!checks_are_plain(rel) || !divided_plainly(rel))
		return false;

	foreach(lc, RelationGetIndexList(rel))
		if (has_value(INDEXRELID, lfirst_oid(lc), Anum_pg_index_indexprs) ||
			has_value(INDEXRELID, lfirst_oid(lc), Anum_pg_index_indpred))
			return false;
	foreach(lc, RelationGetStatExtList(rel))
		if (has_value(STATEXTOID, lfirst_oid(lc),
					  Anum_pg_statistic_ext_stxexprs))
			return false;
	return true;
}

/*
 * Could the role run code as the current user anyway?
 */
bool
sg_role_is_trusted(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, GetUserId());
}

/*
 * May the current user select from the table?  Yes if its owner could run
 * code as this user anyway, or has attached none.
 */
bool
sg_table_is_plain(Relation rel)
{
	if (sg_role_is_trusted(rel->rd_rel->relowner))
		return true;
	return policies_are_plain(rel) && plans_plainly(rel);
}

/*
 * The same for a table and all its partitions, for a report that reads tables
 * which nobody has named.
 */
Datum
sg_is_plain(PG_FUNCTION_ARGS)
{
	List	   *relids = find_all_inheritors(PG_GETARG_OID(0), NoLock, NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = try_relation_open(lfirst_oid(lc), AccessShareLock);
		bool		plain = rel != NULL && sg_table_is_plain(rel);

		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		if (!plain)
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
