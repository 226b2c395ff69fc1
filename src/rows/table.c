/*-------------------------------------------------------------------------
 *
 * table.c
 *		The tables of kept rows.
 *
 * One is made when the first row is kept, with the columns that the relation has
 * then, and another if they change.  It is the server itself that makes it, for
 * the owner of the relation: no privilege of anybody is asked for, none is given
 * to anybody else, and nobody's code runs.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "catalog/toasting.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"
#include "compat_write.h"
#include "migrate/migrate.h"
#include "rows/rows.h"
#include "safeguard.h"

Oid			sg_kept_namespace = InvalidOid;
Oid			sg_kept_registry_relid = InvalidOid;

Oid
sg_kept_registry(void)
{
	Oid			relid = sg_config_table("kept");

	if (!OidIsValid(relid))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("extension \"safeguard\" is not installed in this database"));
	sg_kept_registry_relid = relid;
	sg_kept_namespace = get_namespace_oid(SG_KEPT_SCHEMA, false);
	return relid;
}

/* Is a column of a relation kept?  What is computed when it is read is not. */
static bool
is_kept_column(Form_pg_attribute att)
{
	return !att->attisdropped && !sg_is_virtual_column(att);
}

static bool
same_column(Form_pg_attribute a, Form_pg_attribute b)
{
	return a->atttypid == b->atttypid && a->atttypmod == b->atttypmod &&
		a->attcollation == b->attcollation &&
		strcmp(NameStr(a->attname), NameStr(b->attname)) == 0;
}

/*
 * Has a kept table the columns that the relation has now?  Rows are written as
 * they come, so it must be exactly as we have made it: its owner may have done
 * to it what an owner can.  There is nobody who would write to an index.
 */
static bool
fits(Relation kept, Relation rel)
{
	TupleDesc	theirs = RelationGetDescr(rel);
	TupleDesc	ours = RelationGetDescr(kept);
	int			n = SG_KEPT_COLUMNS;

	if (!sg_is_kept_table(kept) || kept->rd_rel->relhasindex)
		return false;
	for (int i = 0; i < theirs->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(theirs, i);

		if (!is_kept_column(att))
			continue;
		if (n >= ours->natts || !same_column(att, TupleDescAttr(ours, n)))
			return false;
		n++;
	}
	return n == ours->natts;
}

/*
 * What stands for the columns of a relation, by which the tables of one label
 * and relation differ: in an index, where all of them would have no room.
 */
static char *
shape_of(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!is_kept_column(att))
			continue;
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		appendStringInfo(&buf, "%s %s", quote_identifier(NameStr(att->attname)),
						 format_type_extended(att->atttypid, att->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(att->attcollation))
			appendStringInfo(&buf, " COLLATE %u", att->attcollation);
	}
	return TextDatumGetCString(DirectFunctionCall2(binary_encode,
												   DirectFunctionCall1(sha256_bytea,
																	   CStringGetTextDatum(buf.data)),
												   CStringGetTextDatum("hex")));
}

/*
 * What tells a relation from those of other databases and clusters with the
 * same OID.
 */
char *
sg_kept_origin(Oid relid)
{
	return psprintf(UINT64_FORMAT "/%u/%u", GetSystemIdentifier(),
					MyDatabaseId, relid);
}

/* The numbers that the kept columns have in the relation, as an array. */
static Datum
attnums_of(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *attnums = palloc(desc->natts * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
		if (is_kept_column(TupleDescAttr(desc, i)))
			attnums[n++] = Int16GetDatum(i + 1);
	return PointerGetDatum(construct_array(attnums, n, INT2OID, sizeof(int16),
										   true, TYPALIGN_SHORT));
}

static TupleDesc
kept_columns(Relation rel)
{
	TupleDesc	theirs = RelationGetDescr(rel);
	TupleDesc	desc;
	AttrNumber	n = SG_KEPT_COLUMNS;

	for (int i = 0; i < theirs->natts; i++)
		if (is_kept_column(TupleDescAttr(theirs, i)))
			n++;
	desc = CreateTemplateTupleDesc(n);
	TupleDescInitEntry(desc, SG_KEPT_CHANGE, "sg_change", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SG_KEPT_STATEMENT, "sg_statement", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SG_KEPT_IMAGE, "sg_image", CHAROID, -1, 0);
	n = SG_KEPT_COLUMNS;
	for (int i = 0; i < theirs->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(theirs, i);

		if (!is_kept_column(att))
			continue;
		n++;
		TupleDescInitEntry(desc, n, NameStr(att->attname), att->atttypid,
						   att->atttypmod, att->attndims);
		TupleDescInitEntryCollation(desc, n, att->attcollation);

		/* nobody tries to compress again what is not to be */
		if (att->attstorage == TYPSTORAGE_EXTERNAL)
			TupleDescAttr(desc, n - 1)->attstorage = att->attstorage;
	}
	return desc;
}

/* columns of safeguard.kept */
enum
{
	KEPT_ID,
	KEPT_LABEL,
	KEPT_RELATION,
	KEPT_RELATION_NAME,
	KEPT_TABLE,
	KEPT_SHAPE,
	KEPT_ORIGIN,
	KEPT_ATTNUMS,
	KEPT_XID,
	KEPT_BY,
	KEPT_AT,
	KEPT_RESTORED_AT,
	KEPT_COLUMNS
};

/*
 * Write a row of safeguard.kept.  A subscriber to all tables does not get it,
 * as it does not get the kept rows, and may give the same number to its own.
 */
static void
write_unpublished(Relation registry, TupleTableSlot *slot)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);

	InitResultRelInfo(rri, registry, 0, NULL, 0);
	ExecOpenIndices(rri, false);
	table_tuple_insert(registry, slot, GetCurrentCommandId(true),
					   TABLE_INSERT_NO_LOGICAL, NULL);
	list_free(sg_insert_index_entries(rri, slot, estate, false));
	ExecCloseIndices(rri);
	FreeExecutorState(estate);
}

/*
 * Note it in safeguard.kept.  Returns the name of the table.
 */
static char *
note_table(SgKeepLabel *label, Relation rel)
{
	Relation	registry = table_open(sg_kept_registry(), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(registry, NULL);
	Datum	   *values = slot->tts_values;
	char	   *id;
	NameData	name;
	NameData	role;

	Assert(slot->tts_tupleDescriptor->natts == KEPT_COLUMNS);
	(void) sg_migration_write("SELECT pg_catalog.nextval('safeguard.kept_id_seq')",
							  0, NULL, NULL, NULL, &id);
	snprintf(NameStr(name), NAMEDATALEN, "k%s", id);
	namestrcpy(&role, GetUserNameFromId(label->roleid, false));
	memset(slot->tts_isnull, false, KEPT_COLUMNS * sizeof(bool));
	values[KEPT_ID] = Int64GetDatum(strtoll(id, NULL, 10));
	values[KEPT_LABEL] = CStringGetTextDatum(label->label);
	values[KEPT_RELATION] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[KEPT_RELATION_NAME] = CStringGetTextDatum(quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
																				RelationGetRelationName(rel)));
	values[KEPT_TABLE] = NameGetDatum(&name);
	values[KEPT_SHAPE] = CStringGetTextDatum(shape_of(rel));
	values[KEPT_ORIGIN] = CStringGetTextDatum(sg_kept_origin(RelationGetRelid(rel)));
	values[KEPT_ATTNUMS] = attnums_of(rel);
	values[KEPT_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[KEPT_BY] = NameGetDatum(&role);
	values[KEPT_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	slot->tts_isnull[KEPT_RESTORED_AT] = true;
	ExecStoreVirtualTuple(slot);
	write_unpublished(registry, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(registry, NoLock);
	return pstrdup(NameStr(name));
}

static Oid
create_table(SgKeepLabel *label, Relation rel)
{
	char	   *name = note_table(label, rel);
	Oid			relid;

	relid = heap_create_with_catalog(name,
									 get_namespace_oid(SG_KEPT_SCHEMA, false),
									 InvalidOid, InvalidOid, InvalidOid,
									 InvalidOid, rel->rd_rel->relowner,
									 HEAP_TABLE_AM_OID, kept_columns(rel), NIL,
									 RELKIND_RELATION,
									 RELPERSISTENCE_PERMANENT, false, false,
									 ONCOMMIT_NOOP, (Datum) 0, false, false,
									 true, InvalidOid, NULL);
	CommandCounterIncrement();
	NewRelationCreateToastTable(relid, (Datum) 0);
	CommandCounterIncrement();
	return relid;
}

/*
 * The table that has been made for these columns, or 0.
 */
static Oid
find_table(SgKeepLabel *label, Relation rel)
{
	Oid			types[] = {TEXTOID, REGCLASSOID, TEXTOID};
	Datum		params[3];
	char	   *name;

	params[0] = CStringGetTextDatum(label->label);
	params[1] = ObjectIdGetDatum(RelationGetRelid(rel));
	params[2] = CStringGetTextDatum(shape_of(rel));
	if (sg_migration_write("SELECT kept_table FROM safeguard.kept "
						   "WHERE label OPERATOR(pg_catalog.=) $1 "
						   "AND relation OPERATOR(pg_catalog.=) $2 "
						   "AND shape OPERATOR(pg_catalog.=) $3",
						   3, types, params, NULL, &name) == 0)
		return InvalidOid;
	return get_relname_relid(name, get_namespace_oid(SG_KEPT_SCHEMA, false));
}

/*
 * The table that keeps the rows of a relation as it is now, open for writing.
 */
Relation
sg_kept_open(SgKeepLabel *label, SgKeptRelation *entry)
{
	Relation	rel = table_open(entry->relid, AccessShareLock);
	Relation	kept = NULL;

	if (OidIsValid(entry->kept) && !entry->unsure)
	{
		kept = table_open(entry->kept, RowExclusiveLock);
		if (!fits(kept, rel))
		{
			table_close(kept, NoLock);
			kept = NULL;
		}
	}
	if (kept == NULL)
	{
		entry->kept = find_table(label, rel);
		if (!OidIsValid(entry->kept))
			entry->kept = create_table(label, rel);
		entry->unsure = false;
		kept = table_open(entry->kept, RowExclusiveLock);
		if (!fits(kept, rel))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("cannot keep rows of table \"%s\"",
						   RelationGetRelationName(rel)),
					errdetail("Table \"%s\", which keeps those that were changed before, has been altered.",
							  RelationGetRelationName(kept)),
					errtable(rel));
	}
	table_close(rel, NoLock);
	return kept;
}

/*
 * Is it a table of kept rows as we make it?  Its owner may have done whatever
 * an owner can: reading it must run no code of his as somebody else.
 */
bool
sg_is_kept_table(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		RelationGetNamespace(rel) == get_namespace_oid(SG_KEPT_SCHEMA, true) &&
		!rel->rd_rel->relhasrules && !rel->rd_rel->relrowsecurity &&
		!rel->rd_rel->relhassubclass && !rel->rd_rel->relispartition &&
		desc->natts >= SG_KEPT_COLUMNS &&
		TupleDescAttr(desc, SG_KEPT_CHANGE - 1)->atttypid == INT8OID &&
		TupleDescAttr(desc, SG_KEPT_STATEMENT - 1)->atttypid == INT8OID &&
		TupleDescAttr(desc, SG_KEPT_IMAGE - 1)->atttypid == CHAROID;
}
