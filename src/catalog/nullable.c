/*-------------------------------------------------------------------------
 *
 * nullable.c
 *		Can a new row have a NULL in a column?
 *
 * A column may be NULL if nothing forbids it: NOT NULL, a CHECK, the bounds
 * of the partition, its domain, or the expression that generates it.  What a
 * trigger would put there is not known.
 *
 * The relation is one that the statement has locked.  All expressions have
 * the relation as their range table entry 1.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "safeguard.h"

/* "column IS NOT NULL", as a list of one condition */
static List *
not_null_test(Form_pg_attribute attr)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) makeVar(1, attr->attnum, attr->atttypid,
								 attr->atttypmod, attr->attcollation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return list_make1(test);
}

/*
 * Can a column of the relation not be NULL in a row of which these conditions
 * are true?
 */
bool
sg_conditions_forbid_null(Relation rel, AttrNumber att, List *conditions)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), att - 1);

	return conditions != NIL &&
		predicate_implied_by(not_null_test(attr), conditions, false);
}

/*
 * Do the CHECKs forbid it, or the bounds of a partition?  They let a row pass
 * of which they are true or unknown.
 *
 * The bounds lock the parent as the executor does at the first row.
 */
static bool
checks_forbid_null(Relation rel, Form_pg_attribute attr)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	List	   *conditions = NIL;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		Node	   *expr;

		if (!sg_check_is_enforced(&constr->check[i]))
			continue;
		expr = stringToNode(constr->check[i].ccbin);
		/* the server does not fold it either, which would execute them */
		if (!sg_calls_others(expr, NULL))
			expr = eval_const_expressions(NULL, expr);
		expr = (Node *) canonicalize_qual((Expr *) expr, true);
		conditions = list_concat(conditions, make_ands_implicit((Expr *) expr));
	}
	if (rel->rd_rel->relispartition)
		conditions = list_concat(conditions,
								 list_copy(RelationGetPartitionQual(rel)));
	return conditions != NIL &&
		predicate_implied_by(not_null_test(attr), conditions, true);
}

/* Has a partitioned table no partition for a NULL in a column of its key? */
static bool
routing_forbids_null(Relation rel, AttrNumber att)
{
	PartitionKey key = RelationGetPartitionKey(rel);
	PartitionBoundInfo bounds;

	if (key == NULL || key->strategy == PARTITION_STRATEGY_HASH)
		return false;
	for (int i = 0; i < key->partnatts; i++)
	{
		if (key->partattrs[i] != att)
			continue;
		bounds = RelationGetPartitionDesc(rel, true)->boundinfo;
		return bounds == NULL || (!partition_bound_has_default(bounds) &&
								  !partition_bound_accepts_nulls(bounds));
	}
	return false;
}

static bool
domain_forbids_null(Oid type)
{
	DomainConstraintRef *ref;
	ListCell   *lc;

	if (get_typtype(type) != TYPTYPE_DOMAIN)
		return false;
	ref = palloc(sizeof(DomainConstraintRef));
	InitDomainConstraintRef(type, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		DomainConstraintState *con = lfirst(lc);
		NullTest   *test = (NullTest *) con->check_expr;

		if (con->constrainttype == DOM_CONSTRAINT_NOTNULL)
			return true;
		if (test != NULL && IsA(test, NullTest) &&
			test->nulltesttype == IS_NOT_NULL &&
			IsA(test->arg, CoerceToDomainValue))
			return true;
	}
	return false;
}

/*
 * May a new row have a NULL in this column?
 */
bool
sg_column_nullable(Relation rel, AttrNumber att)
{
	Form_pg_attribute attr;

	if (att <= 0)
		return false;
	attr = TupleDescAttr(RelationGetDescr(rel), att - 1);
	if (attr->attnotnull)
		return false;
	if (attr->attgenerated != '\0' &&
		bms_is_empty(sg_expression_nullable(rel,
											build_column_default(rel, att))))
		return false;
	return !routing_forbids_null(rel, att) &&
		!domain_forbids_null(attr->atttypid) &&
		!checks_forbid_null(rel, attr);
}

/*
 * The columns each of which, if it is NULL, makes an expression over the
 * relation NULL.  Nothing is known of an expression that may turn a NULL into
 * something else, as COALESCE does.
 */
Bitmapset *
sg_expression_nullable(Relation rel, Node *expr)
{
	Bitmapset  *used = NULL;
	Bitmapset  *result = NULL;
	int			member = -1;

	if (expr == NULL || contain_nonstrict_functions(expr))
		return NULL;
	pull_varattnos(expr, 1, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	att = member + FirstLowInvalidHeapAttributeNumber;

		if (sg_column_nullable(rel, att))
			result = bms_add_member(result, att);
	}
	return result;
}
