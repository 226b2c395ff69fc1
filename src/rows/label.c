/*-------------------------------------------------------------------------
 *
 * label.c
 *		The labels under which this transaction keeps rows.
 *
 * They are in this backend alone, and end with the transaction; what a
 * subtransaction has begun ends when it is rolled back.  A label belongs to one
 * transaction: what another has kept under it is not mixed with.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "review/rehearse.h"
#include "rows/rows.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_keep_rows);

SgKeepLabel *sg_keep_labels = NULL;

/* column of safeguard.kept */
#define KEPT_LABEL	2

/* ---------------- transactions ---------------- */

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* the memory is that of the transaction */
			sg_keep_labels = NULL;
			sg_keep_forget();
			break;
		default:
			break;
	}
}

/*
 * Tables that a subtransaction has made go with it: look them all up again.
 */
static void
undo_label(SgKeepLabel *label, SubTransactionId subid)
{
	ListCell   *lc;

	foreach(lc, label->relations)
	{
		SgKeptRelation *entry = lfirst(lc);

		entry->unsure = true;
		entry->dropped = InvalidAttrNumber;
		if (entry->subid == subid)
			entry->named = false;
	}
}

static void
commit_label(SgKeepLabel *label, SubTransactionId subid,
			 SubTransactionId parent)
{
	ListCell   *lc;

	if (label->subid == subid)
		label->subid = parent;
	foreach(lc, label->relations)
	{
		SgKeptRelation *entry = lfirst(lc);

		if (entry->subid == subid)
			entry->subid = parent;
	}
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mySubid,
						 SubTransactionId parentSubid, void *arg)
{
	SgKeepLabel **link = &sg_keep_labels;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL)
	{
		SgKeepLabel *label = *link;

		if (event == SUBXACT_EVENT_COMMIT_SUB)
			commit_label(label, mySubid, parentSubid);
		else if (label->subid == mySubid)
		{
			*link = label->next;
			continue;
		}
		else
			undo_label(label, mySubid);
		link = &label->next;
	}
}

/* ---------------- labels ---------------- */

/*
 * Two transactions with the same label wait for each other.
 */
void
sg_keep_lock(const char *name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, sg_kept_registry(),
					   hash_bytes((const unsigned char *) name, strlen(name)),
					   2);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * Have rows been kept under the label, or are they being kept?  It is looked at
 * as it is now, whatever this transaction's snapshot says.
 */
bool
sg_label_is_used(const char *name)
{
	Relation	rel = table_open(sg_kept_registry(), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		used;

	ScanKeyInit(&key, KEPT_LABEL, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
	key.sk_collation = C_COLLATION_OID;
	scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf, 1, &key);
	used = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	for (SgKeepLabel *label = sg_keep_labels; label != NULL && !used;
		 label = label->next)
		used = strcmp(label->label, name) == 0;
	return used;
}

static void
refuse_used(const char *name)
{
	if (sg_label_is_used(name))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("rows have been kept under the label \"%s\" already",
					   name),
				errhint("Use another label, or when those rows are not needed any more, drop them: SELECT safeguard.drop_kept_rows(%s).",
						quote_literal_cstr(name)));
}

SgKeepLabel *
sg_keep_begin(const char *name, bool all, bool inserts)
{
	static bool registered = false;
	SgKeepLabel *label;
	SgKeepLabel **last = &sg_keep_labels;

	if (!registered)
	{
		RegisterXactCallback(at_end_of_transaction, NULL);
		RegisterSubXactCallback(at_end_of_subtransaction, NULL);
		registered = true;
	}
	sg_keep_lock(name);
	refuse_used(name);
	(void) sg_keep_function();

	label = MemoryContextAllocZero(TopTransactionContext, sizeof(SgKeepLabel));
	label->label = MemoryContextStrdup(TopTransactionContext, name);
	label->roleid = GetUserId();
	label->subid = GetCurrentSubTransactionId();
	label->all = all;
	label->inserts = inserts;
	label->since = GetCurrentCommandId(false);
	while (*last != NULL)
		last = &(*last)->next;
	*last = label;
	return label;
}

/*
 * Rows that have been inserted so far are not told from those of before.
 */
void
sg_keep_since(void)
{
	for (SgKeepLabel *label = sg_keep_labels; label != NULL;
		 label = label->next)
		label->since = GetCurrentCommandId(false) + 1;
}

/*
 * Keep no more under a label.  It may be gone already.
 */
void
sg_keep_end(SgKeepLabel *label)
{
	for (SgKeepLabel **link = &sg_keep_labels; *link != NULL;
		 link = &(*link)->next)
	{
		if (*link == label)
		{
			*link = label->next;
			return;
		}
	}
}

/*
 * The statements are done, but some of their triggers are deferred: keep what
 * those will change.  They run at the end of the transaction, when no portal
 * is active.
 */
void
sg_keep_late(SgKeepLabel *label)
{
	label->late = true;
}

/*
 * The relation whose kept table has the rows of "relid".
 */
Oid
sg_keep_root(Oid relid)
{
	Oid			root = sg_partition_root(relid);

	return OidIsValid(root) ? root : relid;
}

/*
 * The entry of a relation, which is made if there is none.
 */
SgKeptRelation *
sg_kept_relation(SgKeepLabel *label, Oid relid)
{
	MemoryContext caller;
	SgKeptRelation *entry;
	ListCell   *lc;

	foreach(lc, label->relations)
	{
		entry = lfirst(lc);
		if (entry->relid == relid)
			return entry;
	}
	caller = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc0(sizeof(SgKeptRelation));
	entry->relid = relid;
	label->relations = lappend(label->relations, entry);
	MemoryContextSwitchTo(caller);
	return entry;
}

void
sg_keep_relation(SgKeepLabel *label, Oid relid)
{
	SgKeptRelation *entry = sg_kept_relation(label, sg_keep_root(relid));

	if (entry->named)
		return;
	entry->named = true;
	entry->subid = GetCurrentSubTransactionId();
	label->since = GetCurrentCommandId(false);
	if (get_rel_relkind(entry->relid) == RELKIND_PARTITIONED_TABLE)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

		/* one that is detached is still not to be dropped */
		label->partitions =
			list_concat(label->partitions,
						find_all_inheritors(entry->relid, NoLock, NULL));
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Was there the table, or a part of it, before this transaction?
 */
static bool
existed_before(Relation rel)
{
	bool		result = false;
	ListCell   *lc;

	if (rel->rd_createSubid == InvalidSubTransactionId)
		return true;
	if (rel->rd_rel->relispartition)
	{
		Relation	root = table_open(sg_keep_root(RelationGetRelid(rel)),
									  AccessShareLock);

		result = existed_before(root);
		table_close(root, NoLock);
	}
	else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		foreach(lc, find_all_inheritors(RelationGetRelid(rel),
										AccessShareLock, NULL))
		{
			Relation	part = table_open(lfirst_oid(lc), NoLock);

			result |= part->rd_createSubid == InvalidSubTransactionId;
			table_close(part, NoLock);
		}
	}
	return result;
}

/*
 * Has the table been named, or one that is a part of the same?
 */
static bool
is_named(const SgKeepLabel *label, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			root = sg_keep_root(relid);
	ListCell   *lc;

	foreach(lc, label->relations)
	{
		const SgKeptRelation *entry = lfirst(lc);

		if (entry->named && sg_keep_root(entry->relid) == root)
			return true;
	}

	/* perhaps one that has been detached */
	return list_member_oid(label->partitions, relid);
}

/*
 * Are the rows of a table kept under the label?
 */
bool
sg_keeps(const SgKeepLabel *label, Relation rel)
{
	if (label->late && ActivePortal != NULL)
		return false;
	if (!label->all)
		return is_named(label, rel);
	return !sg_is_temporary(rel) && !sg_is_ours(RelationGetNamespace(rel)) &&
		existed_before(rel);
}

/* ---------------- keep_rows() ---------------- */

static char *
label_argument(FunctionCallInfo fcinfo)
{
	char	   *name;

	sg_require_argument(fcinfo, 0, "label");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be empty", "label"));
	if (strlen(name) > SG_LABEL_SIZE)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" is too long", "label"),
				errdetail("It has %zu bytes, and at most %d are possible.",
						  strlen(name), SG_LABEL_SIZE));
	return name;
}

/*
 * One of the relations, or the partitioned table that it is a part of.  It
 * stays as it is until the end of the transaction.
 */
static void
name_relation(SgKeepLabel *label, Oid relid)
{
	Relation	rel;

	relid = sg_keep_root(relid);
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relid));
	if (!sg_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	sg_check_keepable(rel);
	sg_keep_relation(label, relid);
	relation_close(rel, NoLock);
}

static SgKeepLabel *
find_label(const char *name)
{
	SgKeepLabel *label = sg_keep_labels;

	while (label != NULL && (label->all || label->inserts || strcmp(label->label, name) != 0))
		label = label->next;
	return label;
}

/*
 * keep_rows(label text, VARIADIC relations regclass[])
 */
Datum
sg_keep_rows(PG_FUNCTION_ARGS)
{
	char	   *name = label_argument(fcinfo);
	SgKeepLabel *label;
	Datum	   *relids;
	bool	   *nulls;
	int			n;

	sg_require_argument(fcinfo, 1, "relations");
	PreventCommandDuringRecovery("safeguard.keep_rows()");
	PreventCommandIfReadOnly("safeguard.keep_rows()");
	PreventCommandIfParallelMode("safeguard.keep_rows()");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), REGCLASSOID, sizeof(Oid), true,
					  TYPALIGN_INT, &relids, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be empty", "relations"));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument \"%s\" must not contain null",
						   "relations"));
	}
	label = find_label(name);
	if (label == NULL)
		label = sg_keep_begin(name, false, false);
	for (int i = 0; i < n; i++)
		name_relation(label, DatumGetObjectId(relids[i]));

	/* in a function or a script, there may be more to come */
	if (!IsTransactionBlock() && sg_is_top_level() && sg_top_context == NULL)
		ereport(WARNING,
				errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				errmsg("safeguard.keep_rows() has no effect outside of a transaction block"),
				errdetail("It keeps rows until the end of the transaction, and that is the end of this statement."),
				errhint("Begin a transaction first."));
	PG_RETURN_VOID();
}
