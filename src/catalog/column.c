/*-------------------------------------------------------------------------
 *
 * column.c
 *		What the catalogs say of one column: who makes its values, what a
 *		partition bound or a CHECK pins it to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "safeguard.h"
#include "catalog/catalog.h"

/* The default expression of a column, or NULL.  Needs no lock. */
static Node *
column_default(Oid relid, AttrNumber att)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData skey[2];
	HeapTuple	tuple;
	Node	   *result = NULL;

	ScanKeyInit(&skey[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&skey[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(att));
	rel = table_open(AttrDefaultRelationId, AccessShareLock);
	scan = systable_beginscan(rel, AttrDefaultIndexId, true, NULL, 2, skey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_attrdef_adbin,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			result = stringToNode(TextDatumGetCString(datum));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static Node *
strip_casts(Node *node)
{
	for (;;)
	{
		if (node && IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (node && IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else if (node && IsA(node, CoerceToDomain))
			node = (Node *) ((CoerceToDomain *) node)->arg;
		else if (node && IsA(node, FuncExpr) &&
				 ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL &&
				 ((FuncExpr *) node)->args != NIL)
			node = (Node *) linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

/* The sequence that a default draws from: nextval('seq'). */
static Oid
default_sequence(Node *expr)
{
	expr = strip_casts(expr);
	if (expr && IsA(expr, FuncExpr) &&
		((FuncExpr *) expr)->funcid == F_NEXTVAL)
	{
		Node	   *arg = strip_casts(linitial(((FuncExpr *) expr)->args));

		if (arg && IsA(arg, Const) && !((Const *) arg)->constisnull)
			return DatumGetObjectId(((Const *) arg)->constvalue);
	}
	return InvalidOid;
}

/*
 * The sequence that is owned by a column (OWNED BY, or the internal one of an
 * identity column): it may be drawn from in a trigger, the default gone.
 */
static Oid
read_owned_sequence(Oid relid, AttrNumber att)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData skey[3];
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&skey[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&skey[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&skey[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(att));
	rel = table_open(DependRelationId, AccessShareLock);
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 3, skey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId && form->objsubid == 0 &&
			(form->deptype == DEPENDENCY_AUTO ||
			 form->deptype == DEPENDENCY_INTERNAL) &&
			get_rel_relkind(form->objid) == RELKIND_SEQUENCE)
		{
			result = form->objid;
			break;
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* The same, remembered: each view that reads a column depends on it, too. */
static Oid
owned_sequence(Oid relid, AttrNumber att)
{
	uint64		before;
	Oid			result;

	if (sg_remembered(relid, att, InvalidOid, &result))
		return result;
	before = sg_remember_generation();
	result = read_owned_sequence(relid, att);
	sg_remember(relid, att, InvalidOid, result, list_make1_oid(relid), before);
	return result;
}

/* Which sequence numbers this column of this very table? */
static Oid
column_sequence(Oid relid, AttrNumber att, Oid (*owned) (Oid, AttrNumber))
{
	Oid			seq = default_sequence(column_default(relid, att));

	return OidIsValid(seq) ? seq : owned(relid, att);
}

/*
 * The sequence that numbers the column of the root for all members: before
 * 17 a partition shows nothing of its root's identity.
 */
static Oid
root_sequence(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	Oid			root = sg_relation_root(catalog, relid);
	char	   *attname = root != relid ? get_attname(relid, att, true) : NULL;
	AttrNumber	ratt = attname ? get_attnum(root, attname) : InvalidAttrNumber;

	return ratt > 0 ? column_sequence(root, ratt, owned_sequence) : InvalidOid;
}

/*
 * Is there a member of the tree whose column is numbered by another
 * sequence?  Then the numbers of two members collide.
 */
static bool
another_sequence_in_tree(SgCatalog *catalog, Oid relid, AttrNumber att, Oid seq)
{
	Oid			root = sg_relation_root(catalog, relid);
	char	   *attname;
	List	   *members;
	ListCell   *lc;
	uint64		before;
	Oid			known = InvalidOid;

	if (root == relid && !sg_relation(catalog, relid)->has_children)
		return false;
	if (sg_remembered(relid, att, seq, &known))
		return OidIsValid(known);
	before = sg_remember_generation();
	attname = get_attname(relid, att, true);
	members = find_all_inheritors(root, NoLock, NULL);
	foreach(lc, members)
	{
		Oid			member = lfirst_oid(lc);
		AttrNumber	matt;
		Oid			mseq;

		if (member == relid || attname == NULL)
			continue;
		matt = get_attnum(member, attname);
		if (matt == InvalidAttrNumber)
			continue;
		mseq = column_sequence(member, matt, read_owned_sequence);
		if (OidIsValid(mseq) && mseq != seq)
		{
			known = mseq;
			break;
		}
	}
	sg_remember(relid, att, seq, known, members, before);
	return OidIsValid(known);
}

static bool
user_function_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcid >= FirstNormalObjectId &&
		func_volatile(((FuncExpr *) node)->funcid) == PROVOLATILE_VOLATILE)
		return true;
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcresulttype == UUIDOID &&
		func_volatile(((FuncExpr *) node)->funcid) == PROVOLATILE_VOLATILE)
		return true;
	return expression_tree_walker(node, user_function_walker, context);
}

/* Does this default make a new value for each row (not only a new time)? */
static bool
default_generates(Oid relid, AttrNumber att)
{
	Node	   *expr = column_default(relid, att);
	Oid			type;

	if (expr == NULL)
		return false;
	type = getBaseType(get_atttype(relid, att));
	if (type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID ||
		type == TIMEOID || type == TIMETZOID)
		return false;
	if (type == UUIDOID)
		return contain_volatile_functions(expr);

	/*
	 * A number or text made by a volatile function of somebody's own
	 * (snowflake, timestamp_id) or from a uuid; random() is no generator.
	 */
	return user_function_walker(expr, NULL);
}

/*
 * Has somebody declared that the column alone identifies its rows
 * (safeguard.set_column), for this table or for its root?
 */
bool
sg_column_declared(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	Oid			root;
	char	   *attname;
	AttrNumber	ratt;

	if (sg_column_has_role(relid, att, SG_COLUMN_IDENTITY))
		return true;
	root = sg_relation_root(catalog, relid);
	if (root == relid)
		return false;
	attname = get_attname(relid, att, true);
	ratt = attname ? get_attnum(root, attname) : InvalidAttrNumber;
	return ratt > 0 && sg_column_has_role(root, ratt, SG_COLUMN_IDENTITY);
}

/*
 * Does something number this column for this table alone, so that its values
 * do not repeat: identity, a sequence shared by all members of the tree, a
 * generating default?
 *
 * The caller has made sure that the column is no foreign key.
 */
bool
sg_column_generated(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	HeapTuple	tuple;
	bool		identity = false;
	bool		hasdefault = false;
	Oid			seq;

	if (att <= 0)
		return false;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
							Int16GetDatum(att));
	if (HeapTupleIsValid(tuple))
	{
		identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0';
		hasdefault = ((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef &&
			((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated == '\0';
		ReleaseSysCache(tuple);
	}

	seq = identity || hasdefault ? column_sequence(relid, att, owned_sequence) :
		owned_sequence(relid, att);
	if (!OidIsValid(seq) && !hasdefault)
		seq = root_sequence(catalog, relid, att);
	if (OidIsValid(seq))
		return !another_sequence_in_tree(catalog, relid, att, seq);
	return hasdefault && default_generates(relid, att);
}

bool
sg_column_is_uuid(Oid relid, AttrNumber att)
{
	return att > 0 && getBaseType(get_atttype(relid, att)) == UUIDOID;
}

/*
 * Columns that a stored generated column is computed from, or NULL if the
 * column is none.
 */
Bitmapset *
sg_stored_inputs(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	HeapTuple	tuple;
	char		generated = '\0';
	Bitmapset  *vars = NULL;
	Bitmapset  *result = NULL;
	int			x = -1;

	if (!sg_relation(catalog, relid)->generates)
		return NULL;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
							Int16GetDatum(att));
	if (HeapTupleIsValid(tuple))
	{
		generated = ((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated;
		ReleaseSysCache(tuple);
	}
	if (generated == '\0')
		return NULL;
	pull_varattnos(column_default(relid, att), 1, &vars);
	while ((x = bms_next_member(vars, x)) >= 0)
		result = bms_add_member(result, x + FirstLowInvalidHeapAttributeNumber);
	return result;
}

/* The bound of a LIST partition with one value, as a Const, or NULL. */
static Node *
single_list_value(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Datum		datum;
	bool		isnull;
	PartitionBoundSpec *spec;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	datum = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound,
							&isnull);
	spec = isnull ? NULL : stringToNode(TextDatumGetCString(datum));
	ReleaseSysCache(tuple);
	if (spec == NULL || !IsA(spec, PartitionBoundSpec) || spec->is_default ||
		spec->strategy != PARTITION_STRATEGY_LIST ||
		list_length(spec->listdatums) != 1 ||
		!IsA(linitial(spec->listdatums), Const) ||
		linitial_node(Const, spec->listdatums)->constisnull)
		return NULL;
	return linitial(spec->listdatums);
}

/* Is a column, by its name, a (plain) partition key column of a table? */
static bool
in_partition_key(Oid relid, const char *attname, bool alone)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Form_pg_partitioned_table form;
	AttrNumber	att = get_attnum(relid, attname);
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	if (!alone || form->partnatts == 1)
		for (int i = 0; i < form->partnatts; i++)
			if (att > 0 && form->partattrs.values[i] == att)
				result = true;
	ReleaseSysCache(tuple);
	return result;
}

static Oid
partition_parent(Oid relid)
{
	return get_rel_relispartition(relid) ? sg_cached_parent(relid) :
		InvalidOid;
}

/* CHECK (col = const) among the constraints of a relation, or NULL. */
static Node *
check_value(Oid relid, AttrNumber att)
{
	Relation	rel = RelationIdGetRelation(relid);
	TupleConstr *constr;
	Node	   *result = NULL;

	if (!RelationIsValid(rel))
		return NULL;
	constr = RelationGetDescr(rel)->constr;
	for (int i = 0; constr && i < constr->num_check && !result; i++)
	{
		Node	   *expr;
		ListCell   *lc;

		if (!constr->check[i].ccvalid)
			continue;
		expr = stringToNode(constr->check[i].ccbin);
		foreach(lc, make_ands_implicit((Expr *) expr))
		{
			OpExpr	   *op = (OpExpr *) lfirst(lc);
			Node	   *left;
			Node	   *right;

			if (!IsA(op, OpExpr) || list_length(op->args) != 2)
				continue;
			left = strip_casts(linitial(op->args));
			right = strip_casts(lsecond(op->args));
			if (IsA(left, Const) && IsA(right, Var))
			{
				Node	   *swap = left;

				left = right;
				right = swap;
			}
			if (IsA(left, Var) && ((Var *) left)->varattno == att &&
				IsA(right, Const) && !((Const *) right)->constisnull &&
				op_mergejoinable(op->opno, exprType(linitial(op->args))))
				result = right;
		}
	}
	RelationClose(rel);
	return result;
}

/*
 * The one value that every row of a table has in a column, by the bound of a
 * LIST partition or a validated CHECK, as a Const; NULL if there is none.
 */
Node *
sg_column_bound(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	char	   *attname;
	Oid			child = relid;
	Oid			parent;

	if (att <= 0 || !sg_relation(catalog, relid)->bounded)
		return NULL;
	attname = get_attname(relid, att, true);
	if (attname == NULL)
		return NULL;
	while (OidIsValid(parent = partition_parent(child)))
	{
		if (in_partition_key(parent, attname, true))
		{
			Node	   *value = single_list_value(child);

			if (value)
				return value;
		}
		child = parent;
	}
	return check_value(relid, att);
}

/* Is it a date or timestamp by which the table or an ancestor is split? */
bool
sg_is_time_partition_key(SgCatalog *catalog, Oid relid, AttrNumber att)
{
	char	   *attname = att > 0 ? get_attname(relid, att, true) : NULL;
	Oid			type;

	if (attname == NULL)
		return false;
	type = getBaseType(get_atttype(relid, att));
	if (type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		return false;
	for (; OidIsValid(relid); relid = partition_parent(relid))
		if (in_partition_key(relid, attname, false))
			return true;
	return false;
}
