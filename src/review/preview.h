/*-------------------------------------------------------------------------
 *
 * preview.h
 *		A script that is rehearsed: run in a subtransaction that is always
 *		rolled back, and watched meanwhile.
 *
 * What is to be told of a statement is kept outside of the subtransaction, in
 * SgRehearsed; what is needed while it runs, in SgHit and "work".
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_PREVIEW_H
#define SG_PREVIEW_H

#include "nodes/execnodes.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "portability/instr_time.h"
#include "storage/lock.h"
#include "tcop/cmdtag.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "safeguard.h"
#include "review/rehearse.h"
#include "review/review.h"

/* key values of a relation that are shown */
#define SG_PREVIEW_SAMPLE		5

/* findings of a statement that are shown */
#define SG_PREVIEW_FINDINGS		100

/* A lock that this backend holds. */
typedef struct SgHeldLock
{
	LOCKTAG		tag;
	LOCKMODE	mode;
	int64		session;		/* how often by the session, if advisory */
} SgHeldLock;

typedef struct SgHeldLocks
{
	int			n;
	SgHeldLock *locks;			/* in the order of compare_locks() */
} SgHeldLocks;

/* Different values, by their hashes: a set, an estimate when large. */
typedef struct SgDistinct
{
	int			n;				/* members of the set */
	int			size;			/* its slots, a power of two, or 0 */
	uint64	   *slots;			/* zero: free */
	uint8	   *registers;		/* not NULL: the set was too large */
	MemoryContext context;
} SgDistinct;

/* Why a relation is written to. */
typedef enum SgHitKind
{
	SG_HIT_OWN,					/* the statement says so */
	SG_HIT_CTE,					/* in a data-modifying WITH query */
	SG_HIT_RULE,				/* a rule has added it */
	SG_HIT_FUNCTION,			/* a function that the statement calls does */
	SG_HIT_TRIGGER,				/* a trigger does, or what it calls */
	SG_HIT_CASCADE				/* a foreign key does */
} SgHitKind;

/* A column whose values are counted. */
typedef struct SgHitColumn
{
	AttrNumber	attnum;			/* of the relation that is named */
	NameData	name;
	bool		in_key;
	TypeCacheEntry *type;		/* NULL: values are compared as text */
	Oid			typid;
	Oid			collation;
	SgDistinct	values;
} SgHitColumn;

/* What a statement does to a relation, while it runs. */
typedef struct SgHit
{
	SgHitKind	kind;
	CmdType		operation;
	Oid			relid;
	char	   *name;			/* as regclass shows it */
	int64		rows;			/* changed */
	int64		source;			/* rows that came from below */
	bool		countable;		/* may the caller know how many there are? */
	bool		readable;		/* may he read the columns? */
	bool		keys_unknown;	/* some that were hit, or were not, after all */
	int			ncolumns;
	SgHitColumn *columns;
	TupleDesc	key;			/* the columns of the key */
	int			nsample;
	char	   *sample[SG_PREVIEW_SAMPLE];	/* JSON */
} SgHit;

/* A finding as it is shown. */
typedef struct SgCaptured
{
	SgRuleId	rule;
	SgLevel		level;
	char	   *message;
	char	   *detail;
	char	   *hint;
	int			position;		/* in the script, 0: none */
} SgCaptured;

/* What is told of a relation that a statement has changed. */
typedef struct SgChanged
{
	SgHitKind	kind;
	CmdType		operation;
	Oid			relid;
	char	   *name;
	int64		rows;			/* -1: not told */
	char	   *scope;			/* JSON, or NULL */
	char	   *sample;			/* the same */
} SgChanged;

/* A statement that has been rehearsed. */
typedef struct SgRehearsed
{
	int			number;			/* 0: none of the script */
	bool		again;			/* in the second run */
	const char *command;		/* its tag, NULL if it is no SQL */
	Oid			relid;			/* that it names */
	char	   *name;
	int64		rows;			/* by its command tag; -1: none */
	int64		source_rows;	/* -1: there is no source */
	List	   *changed;		/* of SgChanged, its own target first */
	List	   *findings;		/* of SgCaptured */
	SgHeldLocks locks;			/* that it has taken */
	uint64		wal_bytes;
	double		duration_ms;
	int			sqlstate;		/* 0: it has not failed */
	char	   *error;
} SgRehearsed;

/* A rehearsal that is running. */
typedef struct SgRehearsal
{
	const char *sql;
	List	   *script;			/* of SgScriptStatement */
	bool		twice;
	int			lock_timeout;	/* ms; 0: the session's */
	int			timeout;		/* ms; 0: none */

	MemoryContext context;		/* of what is told */
	MemoryContext work;			/* of the statement that runs */
	MemoryContext names;		/* of a function that is looked at */
	List	   *done;			/* of SgRehearsed */

	/* while it runs */
	SgRehearsed *current;
	const SgScriptStatement *statement;
	List	   *hits;			/* of SgHit, in "work" */
	SgHeldLocks before;			/* the locks held before the statement */
	uint64		wal_before;
	instr_time	started;
	Oid			caller;			/* whose answer it is */
	int			trigger_depth;	/* at which it was called */
	bool		holds_advisory; /* did the session, before? */
	SubTransactionId subid;
	int			session_lock_timeout;
	bool		script_sets_lock_timeout;
	List	   *prepared;		/* names of statements that it has prepared */
	List	   *cursors;		/* names of those that it must not touch */
	struct SgCounted *counted;	/* when each subtransaction began */
} SgRehearsal;

/* ---------------- preview.c ---------------- */

extern void sg_preview_check_time(void);

/* ---------------- preview_run.c ---------------- */

extern void sg_preview_script(SgRehearsal *rehearsal);
extern void sg_preview_stop_clock(SgRehearsal *rehearsal);
extern void sg_preview_failed(SgRehearsal *rehearsal, ErrorData *edata);
extern void sg_preview_capture(const SgDecision *decision,
							   const SgSource *source);

/* ---------------- preview_refuse.c ---------------- */

/* What cannot be rehearsed, and why. */
typedef struct SgRefusal
{
	const char *what;			/* NULL: nothing */
	const char *why;
	const char *hint;			/* or NULL */
	int			location;		/* in the statement, or -1 */
} SgRefusal;

#define SG_NO_BLOCK		"It cannot run inside a transaction block."
#define SG_NO_ROLLBACK	"What it does cannot be rolled back."

extern void sg_preview_refuse_statement(const SgScriptStatement *stmt);

/* ---------------- preview_outside.c ---------------- */

extern bool sg_refuse(SgRefusal *refusal, const char *what, const char *why,
					  const char *hint);
extern bool sg_refuse_call(SgRefusal *refusal, const FuncCall *call);
extern bool sg_refuse_target(SgRefusal *refusal, const RangeVar *name);
extern bool sg_refuse_read(SgRefusal *refusal, const RangeVar *name);
extern bool sg_writes_foreign(Oid relid);
extern void sg_refuse_foreign(Oid relid);

/* ---------------- preview_count.c ---------------- */

extern const char *sg_operation_name(CmdType operation);
extern List *sg_preview_changed(SgRehearsal *rehearsal);

/* ---------------- preview_keys.c ---------------- */

extern void sg_watch_keys(ModifyTableState *node, SgHit *hit);

/* ---------------- preview_named.c ---------------- */

extern const RangeVar *sg_named_relation(Node *stmt);

/* ---------------- preview_scope.c ---------------- */

extern void sg_hit_columns(SgHit *hit, Relation rel);
extern void sg_hit_row(SgHit *hit, TupleTableSlot *slot,
					   const AttrNumber *attnums);
extern char *sg_hit_scope(const SgHit *hit);
extern char *sg_hit_sample(const SgHit *hit);

/* ---------------- preview_distinct.c ---------------- */

extern void sg_distinct_add(SgDistinct *distinct, uint64 hash);
extern int64 sg_distinct_count(const SgDistinct *distinct);

/* ---------------- preview_source.c ---------------- */

extern Query *sg_source_query(const Query *query);
extern int64 sg_source_count(Query *source, const char *sql);

/* ---------------- preview_guard.c ---------------- */

extern void sg_guard_cursors(SgRehearsal *rehearsal);
extern void sg_release_cursors(SgRehearsal *rehearsal);
extern void sg_watch_subtransactions(SgRehearsal *rehearsal);
extern void sg_unwatch_subtransactions(SgRehearsal *rehearsal);

/* ---------------- preview_locks.c ---------------- */

extern void sg_held_locks(SgHeldLocks *held);
extern void sg_new_locks(SgHeldLocks *result, const SgHeldLocks *now,
						 const SgHeldLocks *before, MemoryContext context);
extern bool sg_holds_advisory(const SgHeldLocks *held);
extern void sg_release_advisory(const SgHeldLocks *before);
extern List *sg_lock_texts(const SgHeldLocks *held);

/* ---------------- preview_rows.c ---------------- */

extern void sg_preview_put(SgRehearsal *rehearsal, Tuplestorestate *store,
						   TupleDesc desc);

#endif							/* SG_PREVIEW_H */
