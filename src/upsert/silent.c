/*-------------------------------------------------------------------------
 *
 * silent.c
 *		The words of a conflict_silent finding.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "upsert/silent.h"

static char *
qualified(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* The columns of a set, each by a format with one %s. */
static char *
list_columns(Oid relid, Bitmapset *cols, const char *format, bool quote)
{
	StringInfoData buf;
	int			att = -1;

	initStringInfo(&buf);
	while ((att = bms_next_member(cols, att)) >= 0)
	{
		char	   *name = get_attname(relid, att, false);

		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		appendStringInfo(&buf, format, quote ? quote_identifier(name) : name);
	}
	return buf.data;
}

/*
 * A finding without its texts, for whoever may read these columns of the
 * target; all, if there are none.
 */
static SgFinding *
add_finding(SgUpsert *upsert, Bitmapset *columns, int location)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	Oid			relid = rt_fetch(upsert->query->resultRelation,
								   upsert->query->rtable)->relid;
	int			att = bms_next_member(columns, -1);

	finding->rule = SG_RULE_CONFLICT_SILENT;
	finding->relid = relid;
	finding->location = location;
	finding->schema_name = get_namespace_name(get_rel_namespace(relid));
	finding->table_name = get_rel_name(relid);
	finding->closed_message =
		"INSERT with ON CONFLICT does not do what it says";
	do
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));

		ref->relid = relid;
		ref->attnum = Max(att, 0);
		finding->reads = lappend(finding->reads, ref);
		att = bms_next_member(columns, att);
	} while (att > 0);
	upsert->findings = lappend(upsert->findings, finding);
	return finding;
}

/* Where the conflict target stands; -1 if it has no columns. */
static int
target_location(const SgUpsert *upsert)
{
	return exprLocation((Node *) upsert->query->onConflict->arbiterElems);
}

static char *
copy_string(const char *string)
{
	return string == NULL ? NULL : pstrdup(string);
}

/* A finding in the current memory context. */
void *
sg_silent_copy(const void *from)
{
	SgFinding  *finding = palloc(sizeof(SgFinding));
	ListCell   *lc;

	*finding = *(const SgFinding *) from;
	finding->reads = NIL;
	foreach(lc, ((const SgFinding *) from)->reads)
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));

		*ref = *(SgColumnRef *) lfirst(lc);
		finding->reads = lappend(finding->reads, ref);
	}
	finding->schema_name = copy_string(finding->schema_name);
	finding->table_name = copy_string(finding->table_name);
	finding->column_name = copy_string(finding->column_name);
	finding->constraint_name = copy_string(finding->constraint_name);
	finding->message = copy_string(finding->message);
	finding->detail = copy_string(finding->detail);
	finding->hint = copy_string(finding->hint);
	finding->closed_message = copy_string(finding->closed_message);
	return finding;
}

/* The same finding about another statement. */
void
sg_silent_again(SgUpsert *upsert, const SgFinding *said)
{
	SgFinding  *finding = sg_silent_copy(said);

	finding->location = target_location(upsert);
	upsert->findings = lappend(upsert->findings, finding);
}

/* The constraint that an index serves, else the index. */
static char *
key_name(Oid indexid)
{
	Oid			constraint = get_index_constraint(indexid);

	return OidIsValid(constraint) ? get_constraint_name(constraint) :
		get_rel_name(indexid);
}

/* The predicate of a partial index as one would write it. */
static char *
predicate_text(const SgArbiter *arbiter)
{
	List	   *context = deparse_context_for(get_rel_name(arbiter->relid),
											  arbiter->relid);

	return deparse_expression((Node *) make_ands_explicit(arbiter->predicate),
							  context, false, false);
}

/* ---------------- a deferrable arbiter ---------------- */

static void
strip_suffix(char *text, const char *suffix)
{
	size_t		len = strlen(text);
	size_t		cut = strlen(suffix);

	if (len > cut && strcmp(text + len - cut, suffix) == 0)
		text[len - cut] = '\0';
}

/* The command that makes a constraint anew, at the root of its partitions. */
static char *
not_deferrable_ddl(Oid indexid)
{
	Oid			parent;
	Oid			constraint;
	char	   *name;
	char	   *definition;

	while (OidIsValid(parent = sg_cached_parent(indexid)))
		indexid = parent;
	constraint = get_index_constraint(indexid);
	definition = TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
														 ObjectIdGetDatum(constraint)));
	strip_suffix(definition, " INITIALLY DEFERRED");
	strip_suffix(definition, " DEFERRABLE");
	name = pstrdup(quote_identifier(get_constraint_name(constraint)));
	return psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s;",
					qualified(IndexGetRelation(indexid, false)), name, name,
					definition);
}

void
sg_silent_deferrable(SgUpsert *upsert, Oid indexid, Bitmapset *columns,
					 bool others)
{
	SgFinding  *finding = add_finding(upsert, columns, target_location(upsert));
	bool		any = upsert->node->arbiterIndexes == NIL;

	finding->constraint_name = key_name(indexid);
	finding->message = psprintf("INSERT into table \"%s\" cannot use deferrable constraint \"%s\" as arbiter",
								finding->table_name, finding->constraint_name);
	finding->detail = any ?
		"ON CONFLICT without a target asks every key of the table, and the server refuses a deferrable one with an error (SQLSTATE 55000) at the first row." :
		"The server refuses a deferrable constraint with an error (SQLSTATE 55000) at the first row.";
	finding->hint = psprintf("Make it not deferrable: %s%s",
							 not_deferrable_ddl(indexid),
							 others ? " Or name the columns of another key: ON CONFLICT (...) DO NOTHING." : "");
}

/* ---------------- an arbiter by parameter ---------------- */

void
sg_silent_parameter(SgUpsert *upsert, const SgArbiter *arbiter)
{
	SgFinding  *finding = add_finding(upsert, arbiter->columns,
									  target_location(upsert));
	char	   *predicate = predicate_text(arbiter);

	finding->constraint_name = get_rel_name(arbiter->indexid);
	finding->message = psprintf("INSERT into table \"%s\" finds its arbiter only by the value of a parameter",
								finding->table_name);
	finding->detail = psprintf("Partial index \"%s\" serves while the value is known when the statement is planned; a generic plan fails because no unique index matches.",
							   finding->constraint_name);
	finding->hint = psprintf("Write the predicate with constants: ON CONFLICT (%s) WHERE %s.",
							 pg_get_indexdef_columns(arbiter->indexid, false),
							 predicate);
}

/* ---------------- an arbiter that sees no NULLs ---------------- */

/* The command that makes a unique index that holds NULLs to be equal. */
static char *
nulls_not_distinct_ddl(const SgArbiter *arbiter)
{
	char	   *table = qualified(arbiter->relid);
	char	   *columns = pg_get_indexdef_columns(arbiter->indexid, false);

	if (OidIsValid(get_index_constraint(arbiter->indexid)))
		return psprintf("ALTER TABLE %s ADD UNIQUE NULLS NOT DISTINCT (%s);",
						table, columns);
	return psprintf("CREATE UNIQUE INDEX %sON %s (%s) NULLS NOT DISTINCT%s%s;",
					get_rel_relkind(arbiter->relid) == RELKIND_PARTITIONED_TABLE ?
					"" : "CONCURRENTLY ",
					table, columns,
					arbiter->predicate != NIL ? " WHERE " : "",
					arbiter->predicate != NIL ? predicate_text(arbiter) : "");
}

void
sg_silent_nullable(SgUpsert *upsert, const SgArbiter *arbiter)
{
	SgFinding  *finding = add_finding(upsert, arbiter->columns,
									  target_location(upsert));
	Oid			relid = arbiter->relid;
	char	   *columns = list_columns(relid, arbiter->nullable, "\"%s\"", false);
	bool		one = bms_membership(arbiter->nullable) == BMS_SINGLETON;
	char	   *ddl = psprintf("ALTER TABLE %s %s;", qualified(relid),
							   list_columns(relid, arbiter->nullable,
											"ALTER COLUMN %s SET NOT NULL", true));

	finding->constraint_name = key_name(arbiter->indexid);
	if (one)
		finding->column_name =
			get_attname(relid, bms_singleton_member(arbiter->nullable), false);
	finding->message = psprintf("INSERT into table \"%s\" cannot conflict where %s is NULL",
								finding->table_name,
								one ? columns : psprintf("one of %s", columns));
	finding->detail = psprintf(arbiter->exclusion ?
							   "Exclusion constraint \"%s\" lets every row with a NULL pass, and nothing forbids a NULL in %s: such a row is inserted each time." :
							   "Unique index \"%s\" takes NULLs to be distinct, and nothing forbids a NULL in %s: such a row is inserted each time.",
							   get_rel_name(arbiter->indexid), columns);
	finding->hint = arbiter->exclusion ?
		psprintf("Forbid it: %s", ddl) :
		psprintf("Forbid it: %s Or take NULLs to be equal: %s", ddl,
				 nulls_not_distinct_ddl(arbiter));
}

/* ---------------- no arbiter at all ---------------- */

void
sg_silent_no_key(SgUpsert *upsert, Relation rel)
{
	SgFinding  *finding = add_finding(upsert, NULL, -1);
	char	   *table = qualified(RelationGetRelid(rel));
	bool		partitioned =
		rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;

	finding->message = psprintf("INSERT into table \"%s\" can never conflict",
								finding->table_name);
	finding->detail = psprintf(partitioned ?
							   "Neither \"%s\" nor any partition of it has a unique index or an exclusion constraint, so that ON CONFLICT DO NOTHING inserts every row." :
							   "\"%s\" has no unique index and no exclusion constraint, so that ON CONFLICT DO NOTHING inserts every row.",
							   finding->table_name);
	finding->hint = psprintf("Make the columns that identify a row unique%s: ALTER TABLE %s ADD UNIQUE (...); SELECT * FROM safeguard.suggest_keys(%s) tells which can be.",
							 partitioned ? ", the partition key among them" : "",
							 table, quote_literal_cstr(table));
}

/* ---------------- nothing is written ---------------- */

void
sg_silent_own_values(SgUpsert *upsert, bool lost, Oid relid)
{
	Bitmapset  *columns = NULL;
	int			location = -1;
	SgFinding  *finding;
	ListCell   *lc;

	foreach(lc, upsert->query->onConflict->onConflictSet)
	{
		int			here = exprLocation(lfirst(lc));

		if (location < 0 || (here >= 0 && here < location))
			location = here;
	}
	foreach(lc, upsert->node->onConflictCols)
		columns = bms_add_member(columns, lfirst_int(lc));
	finding = add_finding(upsert, columns, location);
	if (bms_membership(columns) == BMS_SINGLETON)
		finding->column_name = get_attname(relid, bms_singleton_member(columns),
										   false);
	finding->message = psprintf("INSERT into table \"%s\" writes nothing where it conflicts",
								finding->table_name);
	finding->detail = psprintf("DO UPDATE sets %s to what is there already, and what was proposed is lost.",
							   list_columns(relid, columns, "\"%s\"", false));
	finding->hint = lost ?
		psprintf("Take the proposed values: SET %s. If the row is to stay as it is, write DO NOTHING.",
				 list_columns(relid, columns, "%1$s = EXCLUDED.%1$s", true)) :
		"Set the columns that are to change, or write DO NOTHING.";
}
