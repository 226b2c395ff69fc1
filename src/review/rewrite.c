/*-------------------------------------------------------------------------
 *
 * rewrite.c
 *		Would ALTER TABLE write all rows again, or build indexes again?
 *
 * Decided as the server decides it (ATExecAddColumn, ATPrepAlterColumnType,
 * CheckIndexCompatible), from the expressions alone: no function that is not
 * the server's own is evaluated.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "review/trial.h"
#include "safeguard.h"

/*
 * The type of a column definition.  Returns false if it is not there: the
 * script may make it before.
 */
static bool
find_type(ColumnDef *def, Oid *type, int32 *typmod)
{
	Type		tuple = LookupTypeName(NULL, def->typeName, typmod, true);

	if (tuple == NULL)
		return false;
	*type = typeTypeId(tuple);
	ReleaseSysCache(tuple);
	return get_typisdefined(*type);
}

/* ---------------- ADD COLUMN ---------------- */

static bool
is_serial(const TypeName *type)
{
	static const char *const names[] = {"smallserial", "serial2", "serial",
	"serial4", "bigserial", "serial8"};

	if (type == NULL || list_length(type->names) != 1 || type->pct_type)
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(strVal(linitial(type->names)), names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Does the new column need a value of its own in each row?
 */
static bool
fills_rows(ColumnDef *def)
{
	Node	   *expr;
	Node	   *raw = def->raw_default;
	Oid			type;
	int32		typmod;
	ListCell   *lc;

	if (is_serial(def->typeName))
		return true;
	if (!find_type(def, &type, &typmod))
		return false;
	foreach(lc, def->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_IDENTITY)
			return true;
		if (constraint->contype == CONSTR_GENERATED)
			return !sg_is_virtual(constraint);
		if (constraint->contype == CONSTR_DEFAULT)
			raw = constraint->raw_expr;
	}
	if (DomainHasConstraints(type))
		return true;
	expr = raw == NULL ? get_typdefault(type) :
		cookDefault(make_parsestate(NULL), copyObject(raw), type, typmod,
					def->colname, '\0');
	return expr != NULL && contain_volatile_functions(expr);
}

/* ---------------- ALTER COLUMN TYPE ---------------- */

/*
 * Is the value of the column, as it is stored, the value of the expression?
 */
static bool
is_same_value(Node *expr, AttrNumber attnum)
{
	for (;;)
	{
		if (IsA(expr, Var))
			return ((Var *) expr)->varattno == attnum;
		if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain))
		{
			if (DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
				return false;
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		}
		else if (IsA(expr, FuncExpr))
		{
			FuncExpr   *call = (FuncExpr *) expr;

			if ((call->funcid != F_TIMESTAMPTZ_TIMESTAMP &&
				 call->funcid != F_TIMESTAMP_TIMESTAMPTZ) ||
				TimestampTimestampTzRequiresRewrite())
				return false;
			expr = linitial(call->args);
		}
		else
			return false;
	}
}

/*
 * What the server would compute for each row; NULL if there is no such cast.
 */
static Node *
new_value(Relation rel, ColumnDef *def, AttrNumber attnum, Oid type,
		  int32 typmod)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	if (def->raw_default != NULL)
	{
		ParseNamespaceItem *item =
			addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										  false, true);

		addNSItemToQuery(pstate, item, false, true, true);
		expr = transformExpr(pstate, copyObject(def->raw_default),
							 EXPR_KIND_ALTER_COL_TRANSFORM);
	}
	else
		expr = (Node *) makeVar(1, attnum, att->atttypid, att->atttypmod,
								att->attcollation, 0);
	expr = coerce_to_target_type(pstate, expr, exprType(expr), type, typmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST,
								 -1);
	if (expr == NULL)
		return NULL;
	assign_expr_collations(pstate, expr);
	if (!sg_calls_others(expr, NULL))
		expr = (Node *) expression_planner((Expr *) expr);
	return expr;
}

/*
 * Do the other parts of an index, expressions and predicate, use a column?
 */
static bool
uses_column(Relation index, AttrNumber attnum)
{
	Bitmapset  *columns = NULL;

	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &columns);
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);
}

static Oid
opclass_of(Relation index, int i)
{
	Datum		classes;
	bool		isnull;

	classes = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
							  Anum_pg_index_indclass, &isnull);
	return isnull ? InvalidOid :
		((oidvector *) DatumGetPointer(classes))->values[i];
}

/*
 * Does the index go on as it is when a column of its key gets this type?  What
 * it had by default, it gets by default again.
 */
static bool
key_stays(Relation index, int i, Form_pg_attribute att, Oid type,
		  Oid collation)
{
	Oid			opclass = opclass_of(index, i);
	Oid			am = index->rd_rel->relam;

	if (index->rd_indcollation[i] == att->attcollation &&
		att->attcollation != collation)
		return false;
	if (GetDefaultOpClass(att->atttypid, am) == opclass &&
		GetDefaultOpClass(type, am) != opclass)
		return false;
	return att->atttypid == type ||
		!IsPolymorphicType(get_opclass_input_type(opclass));
}

static bool
index_stays(Relation index, Form_pg_attribute att, Oid type, Oid collation)
{
	bool		partial = RelationGetIndexExpressions(index) != NIL ||
		RelationGetIndexPredicate(index) != NIL;
	bool		stays = !partial || !uses_column(index, att->attnum);

	for (int i = 0; i < index->rd_index->indnatts; i++)
	{
		if (index->rd_index->indkey.values[i] != att->attnum)
			continue;
		if (partial || !index->rd_index->indisvalid ||
			(i < index->rd_index->indnkeyatts &&
			 !key_stays(index, i, att, type, collation)))
			stays = false;
	}
	return stays;
}

static void
find_rebuilt(Relation rel, AttrNumber attnum, Oid type, Oid collation,
			 SgRewrite *rewrite)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		bool		stays = index_stays(index, att, type, collation);

		index_close(index, NoLock);
		if (stays || list_member_oid(rewrite->indexes, lfirst_oid(lc)))
			continue;
		/* those of constraints come first */
		if (OidIsValid(get_index_constraint(lfirst_oid(lc))))
			rewrite->indexes = list_insert_nth_oid(rewrite->indexes,
												   rewrite->nconstraints++,
												   lfirst_oid(lc));
		else
			rewrite->indexes = lappend_oid(rewrite->indexes, lfirst_oid(lc));
	}
}

/*
 * Does a view, rule, trigger, policy or function hold on to a column?  The
 * server does not change its type then.
 */
static bool
is_held(Oid relid, AttrNumber attnum)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		held = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum((int32) attnum));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 3,
							  key);
	while (!held && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			catalog = ((Form_pg_depend) GETSTRUCT(tuple))->classid;

		held = catalog == RewriteRelationId || catalog == TriggerRelationId ||
			catalog == PolicyRelationId || catalog == ProcedureRelationId;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return held;
}

static bool
changes_type(Relation rel, AlterTableCmd *cmd, SgRewrite *rewrite)
{
	ColumnDef  *def = (ColumnDef *) cmd->def;
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), cmd->name);
	Oid			type;
	int32		typmod;
	Node	   *expr;

	if (attnum <= 0 || is_held(RelationGetRelid(rel), attnum))
		return false;
	if (!find_type(def, &type, &typmod))
		return true;
	expr = new_value(rel, def, attnum, type, typmod);
	if (expr == NULL)
		return false;
	if (!is_same_value(expr, attnum))
		rewrite->table = true;
	find_rebuilt(rel, attnum, type, GetColumnDefCollation(NULL, def, type),
				 rewrite);
	return true;
}

/* ---------------- entry point ---------------- */

/*
 * What a subcommand of ALTER TABLE means for a table, which may be a child of
 * the one named.
 */
bool
sg_trial_rewrite(SgUtility *utility, Relation rel, AlterTableCmd *cmd,
				 SgRewrite *rewrite)
{
	ColumnDef  *def = (ColumnDef *) cmd->def;
	char		persistence = rel->rd_rel->relpersistence;

	if (cmd->subtype == AT_AlterColumnType)
		return changes_type(rel, cmd, rewrite);
	if (cmd->subtype == AT_AddColumn)
	{
		if (sg_trial_column(utility, RelationGetRelid(rel),
							def->colname) == InvalidAttrNumber &&
			fills_rows(def))
			rewrite->table = true;
	}
	else if (cmd->subtype == AT_SetLogged)
		rewrite->table |= persistence == RELPERSISTENCE_UNLOGGED;
	else if (cmd->subtype == AT_SetUnLogged)
		rewrite->table |= persistence == RELPERSISTENCE_PERMANENT;
	else if (cmd->subtype == AT_SetAccessMethod)
	{
		Oid			am = get_table_am_oid(cmd->name != NULL ? cmd->name :
										  default_table_access_method, true);

		if (!OidIsValid(am))
			return false;
		rewrite->table |= am != rel->rd_rel->relam;
	}
	else if (sg_sets_expression(cmd))
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), cmd->name);

		if (attnum <= 0)
			return false;
		rewrite->table |=
			TupleDescAttr(RelationGetDescr(rel),
						  attnum - 1)->attgenerated == ATTRIBUTE_GENERATED_STORED;
	}
	return true;
}
