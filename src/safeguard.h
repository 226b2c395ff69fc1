/*-------------------------------------------------------------------------
 *
 * safeguard.h
 *		Types and functions that the files of safeguard share.
 *
 * One section per defining file; the settings are in guc.h.  A rule only detects: it fills SgFinding
 * and neither raises, counts nor asks for its level.  finding.c is the only
 * place that reports.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFEGUARD_H
#define SAFEGUARD_H

#include "catalog/objectaccess.h"
#include "executor/execdesc.h"
#include "fmgr.h"
#include "libpq/pqcomm.h"
#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "optimizer/planner.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

/*
 * Rules, in the order in which safeguard.rules shows them.  The number is
 * stored in plans and in the statistics file, never in a user's table.
 */
typedef enum SgRuleId
{
	SG_RULE_COMPOSITE_KEY,
	SG_RULE_COMPOSITE_KEY_DOUBT,
	SG_RULE_CONFLICT_TARGET,
	SG_RULE_UPSERT_OVERWRITE,
	SG_RULE_UNQUALIFIED_DML,
	SG_RULE_ROW_LIMIT,
	SG_RULE_OUTER_REFERENCE,
	SG_RULE_UNLINKED_FROM,
	SG_RULE_CONSTRAINT_BYPASS,
	SG_RULE_DESTRUCTIVE_DDL,
	SG_RULE_LOCK_TIMEOUT,
	SG_RULE_SCOPE,
	SG_RULE_CONFLICT_SILENT,
	SG_NUM_RULES				/* keep last */
} SgRuleId;

/* What a rule does about a finding; the order is that of severity. */
typedef enum SgLevel
{
	SG_LEVEL_OFF,				/* not looked at */
	SG_LEVEL_RECORD,			/* counted, the client sees nothing */
	SG_LEVEL_WARNING,			/* counted and a WARNING */
	SG_LEVEL_ERROR				/* counted and rejected */
} SgLevel;

/* What a column has been declared to be (safeguard.set_column). */
typedef enum SgColumnRole
{
	SG_COLUMN_IDENTITY,			/* alone identifies the rows of its table */
	SG_COLUMN_SCOPE,			/* every write must restrict it */
	SG_NUM_COLUMN_ROLES
} SgColumnRole;

/* A setting that decides whether a finding is one at all, asked when the
 * plan is executed. */
typedef enum SgWhen
{
	SG_WHEN_ALWAYS,
	SG_WHEN_TRUE_IS_UNQUALIFIED /* only while safeguard.true_is_unqualified */
} SgWhen;

/* Which statements have figures in safeguard.query_stats. */
typedef enum SgTrack
{
	SG_TRACK_OFF,
	SG_TRACK_SLOW,				/* slow and failed ones */
	SG_TRACK_ALL,				/* all that have a query identifier */
	SG_TRACK_AUTO				/* all where identifiers are computed anyway,
								 * slow elsewhere */
} SgTrack;

/*
 * What a rule has found in one statement.
 *
 * The texts are made when the statement is planned, since the Query is gone
 * when they are shown.  They may be shown only to a role that may read all
 * the columns in "reads"; every other role gets the closed text, which says
 * nothing that does not stand in the statement itself.
 */
typedef struct SgFinding
{
	SgRuleId	rule;
	SgLevel		highest;		/* it never acts above this; OFF: no such limit */
	SgLevel		decided;		/* has been asked for already; OFF: has not */
	Oid			relid;			/* relation that the level belongs to: target */
	int			location;		/* byte offset in the source text, or -1 */
	SgWhen		when;			/* on what it depends, besides its level */
	List	   *reads;			/* of SgColumnRef, see above */
	char	   *schema_name;	/* PG_DIAG fields, NULL if there is none */
	char	   *table_name;
	char	   *column_name;
	char	   *constraint_name;
	char	   *message;		/* errmsg */
	char	   *detail;			/* errdetail or NULL */
	char	   *hint;			/* errhint or NULL */
	char	   *closed_message; /* errmsg for a role that may not read it */
} SgFinding;

/* A finding with what has been decided about it. */
typedef struct SgDecision
{
	const SgFinding *finding;
	SgLevel		level;			/* not OFF */
	bool		readable;		/* may the user see more than the statement? */
} SgDecision;

/* The statement that a finding is about. */
typedef struct SgSource
{
	const char *text;			/* of the query string, or NULL */
	int			location;		/* of the statement in it; -1: unknown */
	int			len;			/* of the statement; 0: all the rest */
	uint64		queryid;		/* 0: none was computed */
} SgSource;

/* A column, or with attnum 0 all columns, of a relation. */
typedef struct SgColumnRef
{
	Oid			relid;
	AttrNumber	attnum;
} SgColumnRef;

/*
 * One data-modifying Query (the statement itself or a CTE of it) on its way
 * through detection.
 */
typedef struct SgStatement
{
	Query	   *query;			/* UPDATE, DELETE, MERGE or INSERT; rewritten */
	List	   *parents;		/* Queries around it, innermost first: a CTE's
								 * ctelevelsup = 1 is looked up in the first */
	List	   *findings;		/* of SgFinding, appended to by the rules */
	List	   *consulted;		/* OIDs of relations that are not in the
								 * statement, but that its verdict depends on */
	Bitmapset  *key_columns;	/* of the target, that the rule asks about */
	bool		scoped;			/* it asks what limits them: every OR over them,
								 * or over a source, is taken apart, and the
								 * rows that MERGE does not match count */
} SgStatement;

/*
 * An INSERT ... ON CONFLICT that has been planned: the planner has said which
 * indexes arbitrate.
 */
typedef struct SgUpsert
{
	const PlannedStmt *plan;
	const ModifyTable *node;	/* has an ON CONFLICT action */
	const Query *query;			/* the INSERT; the planner may have scribbled
								 * on it */
	const Node *where;			/* of the conflict target as it was written;
								 * NULL if it has no parameter */
	List	   *findings;		/* of SgFinding, appended to by the rules */
	List	   *consulted;		/* as in SgStatement */
} SgUpsert;

/*
 * A utility command while it runs: what the object access hook has seen it do.
 * One on the C stack for each level of nesting, linked by "outer".
 */
typedef struct SgUtility
{
	struct SgUtility *outer;
	const PlannedStmt *pstmt;
	const char *query_string;
	Oid			function;		/* first function created or replaced */
	List	   *losses;			/* of SgKeyLoss: what it has dropped or
								 * renamed, in "context" */
	struct SgDdl *ddl;			/* notes of the rules about DDL, or NULL */
	struct SgTrial *trial;	/* not NULL: the command does not run, it is
								 * only looked at */
	MemoryContext context;
	bool		was_replica;	/* session_replication_role before it */
	int			failed;			/* bits, see utility.c */
} SgUtility;

/* A rule as the registry lists it. */
typedef struct SgRule
{
	const char *name;			/* also its GUC, source file, test, page */
	int			sqlstate;
	SgLevel		default_level;
	int			cap;			/* SgRuleId above whose level this one never
								 * acts, or -1 */
	SgLevel		highest;		/* above this it never acts; OFF: no limit */
	bool		on_relation;	/* can a table have a level of its own? */
	bool		needs_source;	/* only statements that read rows besides
								 * those of their target interest it */

	/*
	 * Can it have something to say about a Query?  NULL: always.  Asked before
	 * anything is set up that contains errors, so it must not read a catalog.
	 */
	bool		(*wants_dml) (const Query *query);
	const char *page;			/* below doc/ */
	const char *description;	/* one sentence for the rules view */

	/* looks at one data-modifying Query at planning; never raises on purpose */
	void		(*detect_dml) (SgStatement *stmt);

	/*
	 * Looks at one planned INSERT ... ON CONFLICT; never raises on purpose.
	 * If there is a wants_upsert, only at those for which it says true: it
	 * keeps the others from paying for the frame that contains errors, so it
	 * must not be able to raise.
	 */
	void		(*detect_upsert) (SgUpsert *upsert);
	bool		(*wants_upsert) (const SgUpsert *upsert);
} SgRule;

/* ---------------- safeguard.c ---------------- */

/* true if loaded by shared_preload_libraries, so shared memory is there */
extern bool sg_preloaded;

/* ---------------- transaction.c ---------------- */

extern void sg_transaction_init(void);

/* ---------------- planner.c ---------------- */

extern PlannedStmt *sg_plan(planner_hook_type planner, Query *parse,
							const char *query_string, int cursorOptions,
							ParamListInfo boundParams, bool modifies);

/* ---------------- registry.c ---------------- */

extern const SgRule sg_rules[SG_NUM_RULES];

extern int	sg_rule_by_name(const char *name);
extern char *sg_rule_names(void);
extern bool sg_registry_wants_dml(const Query *query);
extern bool sg_registry_wants_upsert(const SgUpsert *upsert);

/* ---------------- guc.c ---------------- */

#include "guc.h"

/* ---------------- context.c ---------------- */

extern List *sg_detect(Query *parse, List **consulted, bool *passing);
extern Node *sg_upsert_where(Query *parse);
extern List *sg_detect_upserts(Query *parse, PlannedStmt *plan, Node *where,
							   List **consulted, bool *passing);
extern void sg_judge(QueryDesc *queryDesc, int eflags);
extern bool sg_must_rethrow(int sqlstate);
extern bool sg_process_is_exempt(void);
extern bool sg_execution_is_exempt(int eflags);
extern bool sg_session_is_restore(void);
extern bool sg_relation_is_exempt(Oid relid);
extern bool sg_is_top_level(void);

/* ---------------- planmark.c ---------------- */

extern List *sg_planmark_encode(List *findings);
extern void sg_planmark_put(PlannedStmt *plan, List *marks);
extern bool sg_planmark_any(const PlannedStmt *plan);
extern List *sg_planmark_get(const PlannedStmt *plan);
extern List *sg_planmark_note(const uint32 *words, int nwords);
extern int	sg_planmark_find_note(const PlannedStmt *plan, uint32 id,
								  uint32 *words, int maxwords);

/* ---------------- finding.c ---------------- */

/* takes what would be counted and reported, while statements are rehearsed */
extern void (*sg_capture) (const SgDecision *decision,
						   const SgSource *source);

extern SgLevel sg_level_for(SgRuleId rule, Oid relid);
extern bool sg_columns_are_readable(List *columns);
extern List *sg_decide(List *findings);
extern void sg_deliver(List *decisions, const SgSource *source,
					   bool explain_only);
extern void sg_report(List *findings, const SgSource *source,
					  bool explain_only);
extern void sg_query_source(SgSource *source, QueryDesc *queryDesc);

/* ---------------- exceptions.c ---------------- */

extern void sg_exceptions_init(void);
extern int	sg_table_level(Oid relid, SgRuleId rule);	/* SgLevel or -1 */
extern bool sg_column_has_role(Oid relid, AttrNumber attnum,
							   SgColumnRole role);
extern bool sg_known_without_role(Oid relid, SgColumnRole role);
extern Bitmapset *sg_columns_with_role(Oid relid, SgColumnRole role);
extern Oid	sg_partition_root(Oid relid);
extern const char *sg_column_role_name(SgColumnRole role);
extern int	sg_column_role_by_name(const char *name);
extern char *sg_column_role_names(void);

/* columns that our tables begin with */
#define SG_CONFIG_RELATION	1
#define SG_LEVELS_RULE		2
#define SG_LEVELS_LEVEL		3
#define SG_ROLES_COLUMN		2
#define SG_ROLES_ROLE		3

/* ---------------- upkeep.c ---------------- */

extern List *sg_dead_rows(void);

/* ---------------- arguments.c ---------------- */

extern void sg_require_argument(FunctionCallInfo fcinfo, int n,
								const char *name);
extern double sg_milliseconds_argument(FunctionCallInfo fcinfo, int n,
									   const char *name);
extern Relation sg_open_argument(FunctionCallInfo fcinfo);
extern Oid	sg_relation_argument(FunctionCallInfo fcinfo);
extern SgRuleId sg_rule_argument(FunctionCallInfo fcinfo, int n);
extern SgLevel sg_level_argument(FunctionCallInfo fcinfo, int n);
extern SgColumnRole sg_role_argument(FunctionCallInfo fcinfo, int n);
extern AttrNumber sg_column_number(Oid relid, const char *name);
extern char *sg_column_argument(FunctionCallInfo fcinfo, int n, Oid relid);

/* ---------------- extension.c ---------------- */

extern char *sg_extension_version(void);
extern Oid	sg_config_table(const char *relname);
extern Relation sg_open_config_table(const char *relname, Oid *relid);

/* size of a statement in shared memory, with the terminating zero */
#define SG_FINDING_QUERY	1025

/* ---------------- stats/areas.c ---------------- */

extern Size sg_shmem_size(void);
extern void sg_shmem_request(void);
extern void sg_shmem_startup(void);
extern void sg_shmem_reset(void);

/* ---------------- stats/findings.c, stats/views.c ---------------- */

extern bool sg_has_shmem(void);
extern void sg_require_shmem(void);
extern void sg_findings_count(const SgFinding *finding, SgLevel level,
							  const char *message, const char *hint,
							  const SgSource *source);
extern void sg_copy_text(char *to, const char *from, Size size);
extern void sg_copy_client(char *to, const SockAddr *addr, Size size);
extern void sg_unjudged_count(const ErrorData *edata);

/* ---------------- stats/persist.c ---------------- */

extern void sg_persist_read(void);
extern void sg_persist_write(bool alone);

/* ---------------- stats/collector.c ---------------- */

extern void sg_collector_register(void);

/* ---------------- stats/normalize.c ---------------- */

extern char *sg_normalize(const char *text, int location, int len);
extern bool sg_is_text_error(int sqlstate);
extern bool sg_next_statement(const char *text, int from, int *location,
							  int *len);

/* ---------------- review/veto.c ---------------- */

extern SG_OWN int sg_reviewing;
extern void sg_veto_function(Oid function);

/* ---------------- query/calls.c ---------------- */

extern bool sg_is_made_function(Oid funcid, void *context);
extern bool sg_calls_others(Node *node, void *context);

/* ---------------- utility.c ---------------- */

extern bool sg_utility_wants(const Node *stmt);
extern void sg_utility_begin(SgUtility *utility, const PlannedStmt *pstmt,
							 const char *query_string);
extern void sg_utility_before(SgUtility *utility);
extern void sg_utility_event(SgUtility *utility, ObjectAccessType access,
							 Oid classId, Oid objectId, int subId, void *arg);
extern void sg_utility_judge(SgUtility *utility);
extern void sg_utility_done(SgUtility *utility);
extern void sg_utility_end(SgUtility *utility);
extern bool sg_utility_is_explain(void);
extern void sg_object_access(ObjectAccessType access, Oid classId,
							 Oid objectId, int subId, void *arg);

/* ---------------- upsert/ ---------------- */


/* Can a plan contain an upsert? */
static inline bool
sg_upsert_wanted(const PlannedStmt *plan)
{
	if (likely(plan->commandType == CMD_SELECT))
		return plan->hasModifyingCTE;
	if (plan->commandType == CMD_INSERT)
		return plan->hasModifyingCTE ||
			(IsA(plan->planTree, ModifyTable) &&
			 ((ModifyTable *) plan->planTree)->onConflictAction != ONCONFLICT_NONE);
	/* a MERGE that is an upsert carries a note */
	return plan->hasModifyingCTE ||
		(plan->commandType == CMD_MERGE && plan->invalItems != NIL);
}

extern List *sg_upsert_notes(Query *parse);
extern void sg_upsert_start(QueryDesc *queryDesc, int eflags);
extern SG_OWN int sg_upserts_running; /* are being executed */
extern void sg_upsert_finish(QueryDesc *queryDesc);
extern void sg_upsert_end(QueryDesc *queryDesc);
extern void sg_conflict_target_advise(SgUtility *utility);
extern void sg_loads_forget(void);

/* ---------------- ddl/ ---------------- */

/* the parts of constraint_bypass that are no matter of keys */
extern bool sg_bypass_wants(const Node *stmt);
extern void sg_bypass_before(SgUtility *utility);
extern void sg_bypass_access(SgUtility *utility, ObjectAccessType access,
							 Oid classId, Oid objectId, int subId, void *arg);
extern void sg_bypass_done(SgUtility *utility);
extern void sg_bypass_write(QueryDesc *queryDesc, int eflags);
extern SgFinding *sg_bypass_write_finding(CmdType operation, Oid relid);

/* ---------------- watch/ ---------------- */

extern void sg_watch_dropped(Oid tgoid);
extern void sg_watch_database_dropped(Oid dbid);
extern List *sg_watch_dead(void);
extern bool sg_watch_has_column(Oid relid, const char *name);

/* ---------------- rules/ ---------------- */

extern bool sg_conflict_target_wanted(const Query *parse);
extern PlannedStmt *sg_conflict_target_plan(planner_hook_type planner,
											Query *parse,
											const char *query_string,
											int cursorOptions,
											ParamListInfo boundParams);
extern SgFinding *sg_conflict_target_try(Query *query, Query *planned,
										 const char *query_string,
										 PlannedStmt **plan);
extern void sg_constraint_bypass_see(SgUtility *utility,
									 ObjectAccessType access, Oid classId,
									 Oid objectId, int subId, void *arg);
extern void sg_constraint_bypass_check(SgUtility *utility);
extern bool sg_conflict_silent_wants(const SgUpsert *upsert);
extern void sg_conflict_silent_detect(SgUpsert *upsert);

extern bool sg_destructive_ddl_wants(const Node *stmt);
extern void sg_destructive_ddl_before(SgUtility *utility);
extern void sg_destructive_ddl_access(SgUtility *utility,
									  ObjectAccessType access, Oid classId,
									  Oid objectId, int subId, void *arg);
extern void sg_destructive_ddl_done(SgUtility *utility);
extern bool sg_lock_timeout_wants(const Node *stmt);
extern void sg_lock_timeout_before(SgUtility *utility);
extern void sg_lock_timeout_access(SgUtility *utility,
								   ObjectAccessType access, Oid classId,
								   Oid objectId, int subId, void *arg);
extern void sg_lock_timeout_done(SgUtility *utility);

extern void sg_composite_key_detect(SgStatement *stmt);
extern bool sg_unqualified_dml_wants(const Query *query);
extern void sg_unqualified_dml_detect(SgStatement *stmt);
extern void sg_outer_reference_detect(SgStatement *stmt);
extern void sg_unlinked_from_detect(SgStatement *stmt);
extern bool sg_scope_wants(const Query *query);
extern void sg_scope_detect(SgStatement *stmt);

/* those that are being executed, or NULL */
extern SG_OWN struct SgLimitStatement *sg_limited_statements;

/* Is there any limit on rows? */
static inline bool
sg_row_limit_set(void)
{
	return (sg_max_rows | sg_max_rows_session) != 0 || sg_expected_rows >= 0;
}

extern void sg_row_limit_start(QueryDesc *queryDesc, int eflags);
extern void sg_row_limit_finish(QueryDesc *queryDesc);

#endif							/* SAFEGUARD_H */
