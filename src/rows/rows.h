/*-------------------------------------------------------------------------
 *
 * rows.h
 *		Rows that are kept as they were, and put back.
 *
 * doc/architecture_rows.md.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_ROWS_H
#define SG_ROWS_H

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "commands/trigger.h"
#include "executor/execdesc.h"
#include "utils/relcache.h"

#include "own.h"

/* the schema of the kept tables */
#define SG_KEPT_SCHEMA	"safeguard_rows"

/* a label that a caller gives must not be longer, in bytes */
#define SG_LABEL_SIZE	511

/*
 * The columns that a kept table begins with.  Then come the live columns of the
 * relation, by name and type.
 */
#define SG_KEPT_CHANGE		1	/* bigint: the changes of a label, counted */
#define SG_KEPT_STATEMENT	2	/* bigint: command of the transaction; one row is
								 * changed once in it, so that this and the
								 * change put the changes of a row in order */
#define SG_KEPT_IMAGE		3	/* "char", SG_IMAGE_... */
#define SG_KEPT_COLUMNS		3

#define SG_IMAGE_OLD		'o' /* of a row that was updated; the new one has the
								 * same sg_change */
#define SG_IMAGE_NEW		'n'
#define SG_IMAGE_DELETED	'd'
#define SG_IMAGE_INSERTED	'i' /* by a restore */
#define SG_IMAGE_ADDED		'a' /* new one of an update, of a row that was
								 * inserted under the label: nothing is kept
								 * of what it was */

/* A relation that was named, and where its images go. */
typedef struct SgKeptRelation
{
	Oid			relid;			/* never a partition: its root */
	bool		named;			/* by keep_rows() */
	SubTransactionId subid;		/* that has named it */
	bool		checked;		/* that its rows can be kept */
	Oid			kept;			/* newest kept table; 0: none */
	bool		unsure;			/* perhaps it has been rolled back */
	AttrNumber	dropped;		/* column of which that was told last */
} SgKeptRelation;

/*
 * A label under which this transaction keeps rows.
 */
typedef struct SgKeepLabel
{
	struct SgKeepLabel *next;
	char	   *label;
	Oid			roleid;			/* who has begun it */
	SubTransactionId subid;		/* in which */
	bool		all;			/* rows of all tables that existed before */
	bool		inserts;		/* also rows that are inserted */
	int64		changes;		/* that have been kept so far */
	CommandId	since;			/* rows that later commands insert are not
								 * those of before */
	bool		late;			/* only what is deferred to the end of the
								 * transaction */
	List	   *relations;		/* of SgKeptRelation */
	List	   *partitions;		/* OIDs, of those that are named */
} SgKeepLabel;

/*
 * What one statement that a foreign key has run has changed.
 */
typedef struct SgKeepPart
{
	Oid			relid;			/* its target */
	CmdType		command;
	CommandId	cid;
	int64		rows;			/* as of its end */
	EState	   *estate;			/* NULL: it has ended */
} SgKeepPart;

/* ---------------- label.c ---------------- */

/* those of this transaction; NULL almost always, and then nothing costs */
extern SG_OWN SgKeepLabel *sg_keep_labels;

/*
 * Begin to keep rows under a label, in the rest of the transaction or until
 * sg_keep_end().  The label must not have been used by another transaction.
 */
extern SgKeepLabel *sg_keep_begin(const char *name, bool all, bool inserts);
extern void sg_keep_relation(SgKeepLabel *label, Oid relid);
extern void sg_keep_end(SgKeepLabel *label);
extern void sg_keep_late(SgKeepLabel *label);
extern void sg_keep_lock(const char *name);
extern bool sg_label_is_used(const char *name);
extern SgKeptRelation *sg_kept_relation(SgKeepLabel *label, Oid relid);
extern void sg_keep_since(void);
extern bool sg_keeps(const SgKeepLabel *label, Relation rel);
extern Oid	sg_keep_root(Oid relid);

/* ---------------- able.c ---------------- */

/* Raises an error that says why, if the rows of a table can not be kept. */
extern void sg_check_keepable(Relation rel);
extern void sg_check_row_security(Relation rel);
extern void sg_refuse_children(ModifyTableState *node);
extern void sg_refuse_moves(ModifyTableState *node);
extern bool sg_is_temporary(Relation rel);
extern bool sg_is_ours(Oid relnamespace);

/* ---------------- marks.c ---------------- */

typedef struct SgKeepMarks SgKeepMarks;

typedef struct SgKeepMarkers
{
	SgKeepMarks *updated;
	SgKeepMarks *deleted;
} SgKeepMarkers;

extern SgKeepMarks *sg_keep_marks_make(MemoryContext context);
extern bool sg_keep_can_mark(const ModifyTableState *node);
extern void sg_keep_moves(CommandId command);
extern void sg_keep_moves_forget(void);
extern ExprState *sg_keep_marks_condition(SgKeepMarks *marks);
extern SgKeepMarks *sg_keep_marks_of(const ExprState *state);
extern bool sg_keep_marked(const SgKeepMarks *marks, int64 rows, int64 row);
extern bool sg_keep_all_marked(const SgKeepMarks *marks, int64 rows);
extern void sg_keep_marks_clear(SgKeepMarks *marks);

/* ---------------- catch.c ---------------- */

extern void sg_keep_start(QueryDesc *queryDesc, int eflags);
extern void sg_keep_finish(QueryDesc *queryDesc,
						   void (*finish) (QueryDesc *queryDesc));
extern bool sg_keep_covers(const SgKeepLabel *label, Relation rel,
						   CmdType command, List *parts);
extern List *sg_keep_take(Oid relid, CmdType command);
extern SgKeepMarks *sg_keep_marks(Oid relid, CmdType command);
extern CommandId sg_keep_command(void);
extern void sg_keep_gathered(int64 rows);
extern void sg_keep_forget(void);

/* ---------------- trigger.c ---------------- */

extern Oid	sg_keep_function(void);
extern void sg_keep_trigger_add(ResultRelInfo *rri, EState *estate,
								bool inserts, const SgKeepMarkers *held,
								const SgKeepMarkers *looked);
extern bool sg_keep_has_triggers(const ResultRelInfo *rri);
extern SgKeepMarks *sg_keep_trigger_marks(const ResultRelInfo *rri,
										  CmdType command);

/* ---------------- refuse.c ---------------- */

extern void sg_keep_access(ObjectAccessType access, Oid relid, int column,
						   bool altering);

/* ---------------- write.c ---------------- */

typedef struct SgKeepWriter SgKeepWriter;

extern SgKeepWriter *sg_keep_writer_open(SgKeepLabel *label, Relation rel);
extern void sg_keep_write(SgKeepWriter *writer, TupleTableSlot *old,
						  TupleTableSlot *new, CommandId command);
extern void sg_keep_write_added(SgKeepWriter *writer, TupleTableSlot *new,
								CommandId command);
extern void sg_keep_writer_close(SgKeepWriter *writer);

/* ---------------- table.c ---------------- */

/* those as of the last label, for who must not look into a catalog */
extern Oid	sg_kept_namespace;
extern Oid	sg_kept_registry_relid;

extern Oid	sg_kept_registry(void);
extern char *sg_kept_origin(Oid relid);
extern Relation sg_kept_open(SgKeepLabel *label, SgKeptRelation *entry);

extern bool sg_is_kept_table(Relation rel);

#endif							/* SG_ROWS_H */
