/*-------------------------------------------------------------------------
 *
 * names.c
 *		What the names in a SQL statement of a PL/pgSQL function stand for.
 *
 * PL/pgSQL's own parser hooks need a function that is being executed.  Those
 * here resolve the same names to the same variables; a field of a record
 * whose type nobody knows yet takes the type that its place asks for.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "plpgsql.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "review/review.h"

typedef PLpgSQL_nsitem *(*lookup_function) (PLpgSQL_nsitem *ns_cur,
											bool localmode,
											const char *name1,
											const char *name2,
											const char *name3,
											int *names_used);

static lookup_function
lookup_names(void)
{
	return (lookup_function) sg_plpgsql_symbol("plpgsql_ns_lookup");
}

static Node *
make_variable(int dno, Oid type, int32 typmod, int location)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = dno + 1;
	param->paramtype = OidIsValid(type) ? type : UNKNOWNOID;
	param->paramtypmod = typmod;
	param->paramcollid = get_typcollation(param->paramtype);
	param->location = location;
	return (Node *) param;
}

/* Is a variable the NEW or OLD of a trigger function? */
static bool
is_trigger_row(const PLpgSQL_function *compiled, int dno)
{
	return compiled->fn_is_trigger == PLPGSQL_DML_TRIGGER &&
		(dno == compiled->new_varno || dno == compiled->old_varno);
}

/* The composite type of a record variable; InvalidOid: not known. */
static Oid
record_type(SgPlpgsqlScope *scope, PLpgSQL_rec *rec)
{
	if (is_trigger_row(scope->body->compiled, rec->dno))
	{
		scope->stmt->needs_row = true;
		return OidIsValid(scope->body->relation) ?
			get_rel_type_id(scope->body->relation) : InvalidOid;
	}
	return rec->rectypeid == RECORDOID ? InvalidOid : rec->rectypeid;
}

static Node *
make_field(ParseState *pstate, PLpgSQL_rec *rec, const char *name,
		   int location)
{
	SgPlpgsqlScope *scope = pstate->p_ref_hook_state;
	PLpgSQL_function *compiled = scope->body->compiled;
	Oid			type = record_type(scope, rec);
	Oid			field_type = InvalidOid;
	int32		typmod = -1;
	int			dno = rec->firstfield;

	while (dno >= 0)
	{
		PLpgSQL_recfield *field = (PLpgSQL_recfield *) compiled->datums[dno];

		if (strcmp(field->fieldname, name) == 0)
			break;
		dno = field->nextfield;
	}
	if (dno < 0)
		return NULL;
	if (OidIsValid(type))
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_domain(type, -1, false);

		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			{
				field_type = att->atttypid;
				typmod = att->atttypmod;
			}
		}
		ReleaseTupleDesc(desc);
		/* no column was found either; as PL/pgSQL says when it runs it */
		if (!OidIsValid(field_type))
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("record \"%s\" has no field \"%s\"",
						   rec->refname, name),
					parser_errposition(pstate, location));
	}
	return make_variable(dno, field_type, typmod, location);
}

static Node *
make_datum(SgPlpgsqlScope *scope, int dno, int location)
{
	PLpgSQL_function *compiled = scope->body->compiled;
	PLpgSQL_datum *datum = compiled->datums[dno];

	switch (datum->dtype)
	{
		case PLPGSQL_DTYPE_VAR:
		case PLPGSQL_DTYPE_PROMISE:
			{
				PLpgSQL_type *type = ((PLpgSQL_var *) datum)->datatype;

				return make_variable(dno, type->typoid, type->atttypmod,
									 location);
			}
		case PLPGSQL_DTYPE_REC:
			{
				Oid			type = record_type(scope, (PLpgSQL_rec *) datum);

				return make_variable(dno, OidIsValid(type) ? type : RECORDOID,
									 -1, location);
			}
		default:
			return NULL;
	}
}

/*
 * The variable, or field of one, that a name stands for; NULL if none.  A.B is
 * a field B of A, or a variable B of block A; A.B.C a field of such a one; with
 * a star for the last name the whole row.
 */
static Node *
resolve_name(ParseState *pstate, ColumnRef *cref)
{
	SgPlpgsqlScope *scope = pstate->p_ref_hook_state;
	lookup_function lookup = lookup_names();
	PLpgSQL_function *compiled = scope->body->compiled;
	PLpgSQL_expr *expr = scope->stmt->expr;
	int			nfields = list_length(cref->fields);
	bool		star = IsA(llast(cref->fields), A_Star);
	const char *names[3] = {NULL, NULL, NULL};
	PLpgSQL_nsitem *item;
	int			used;
	int			dno;

	if (nfields > 3 || (star && nfields == 1))
		return NULL;
	for (int i = 0; i < nfields; i++)
	{
		Node	   *field = list_nth(cref->fields, i);

		names[i] = IsA(field, String) ? strVal(field) : "*";
	}
	item = (*lookup) (expr->ns, false, names[0], names[1], names[2], &used);
	if (item == NULL)
		return NULL;
	dno = item->itemno;
	if (used == nfields - (star ? 1 : 0))
	{
		if (star && item->itemtype != PLPGSQL_NSTYPE_REC)
			return NULL;
		return make_datum(scope, dno, cref->location);
	}
	if (star || used != nfields - 1 || item->itemtype != PLPGSQL_NSTYPE_REC)
		return NULL;
	return make_field(pstate, (PLpgSQL_rec *) compiled->datums[dno],
					  names[nfields - 1], cref->location);
}

static Node *
before_column(ParseState *pstate, ColumnRef *cref)
{
	SgPlpgsqlScope *scope = pstate->p_ref_hook_state;
	PLpgSQL_function *compiled = scope->body->compiled;

	if (compiled->resolve_option != PLPGSQL_RESOLVE_VARIABLE)
		return NULL;
	return resolve_name(pstate, cref);
}

static Node *
after_column(ParseState *pstate, ColumnRef *cref, Node *column)
{
	SgPlpgsqlScope *scope = pstate->p_ref_hook_state;
	PLpgSQL_function *compiled = scope->body->compiled;

	/*
	 * With a column and a variable of the same name, the parser complains
	 * that it is ambiguous, as PL/pgSQL will.
	 */
	if (compiled->resolve_option == PLPGSQL_RESOLVE_VARIABLE ||
		(compiled->resolve_option == PLPGSQL_RESOLVE_COLUMN && column != NULL))
		return NULL;
	return resolve_name(pstate, cref);
}

/* $1, $2: arguments */
static Node *
parameter(ParseState *pstate, ParamRef *pref)
{
	SgPlpgsqlScope *scope = pstate->p_ref_hook_state;
	lookup_function lookup = lookup_names();
	PLpgSQL_expr *expr = scope->stmt->expr;
	char		name[32];
	PLpgSQL_nsitem *item;

	snprintf(name, sizeof(name), "$%d", pref->number);
	item = (*lookup) (expr->ns, false, name, NULL, NULL, NULL);
	return item == NULL ? NULL :
		make_datum(scope, item->itemno, pref->location);
}

/* A field of unknown type is of the type that is wanted. */
static Node *
coerce_field(ParseState *pstate, Param *param, Oid type, int32 typmod,
			 int location)
{
	if (param->paramkind != PARAM_EXTERN || param->paramtype != UNKNOWNOID)
		return NULL;
	param->paramtype = type;
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(type);
	return (Node *) param;
}

/*
 * Parser hooks for a statement of a PL/pgSQL function; arg is SgPlpgsqlScope.
 */
void
sg_plpgsql_parser_setup(ParseState *pstate, void *arg)
{
	pstate->p_pre_columnref_hook = before_column;
	pstate->p_post_columnref_hook = after_column;
	pstate->p_paramref_hook = parameter;
	pstate->p_coerce_param_hook = coerce_field;
	pstate->p_ref_hook_state = arg;
}
