/*-------------------------------------------------------------------------
 *
 * safeguard.h
 *		Types and functions that the files of safeguard share.
 *
 * One section per defining file.  A rule only detects: it fills SgFinding
 * and neither raises, counts nor asks for its level.  finding.c is the only
 * place that reports.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFEGUARD_H
#define SAFEGUARD_H

#include "executor/execdesc.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
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
	Oid			relid;			/* relation that the level belongs to: target */
	int			location;		/* byte offset in the source text, or -1 */
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
} SgStatement;

/* A rule as the registry lists it. */
typedef struct SgRule
{
	const char *name;			/* also its GUC, source file, test, page */
	int			sqlstate;
	SgLevel		default_level;
	int			cap;			/* SgRuleId above whose level this one never
								 * acts, or -1 */
	bool		on_relation;	/* can a table have a level of its own? */
	bool		needs_source;	/* only statements that read rows besides
								 * those of their target interest it */
	const char *page;			/* below doc/ */
	const char *description;	/* one sentence for the rules view */

	/* looks at one data-modifying Query at planning; never raises on purpose */
	void		(*detect_dml) (SgStatement *stmt);
} SgRule;

/* ---------------- safeguard.c ---------------- */

/* true if loaded by shared_preload_libraries, so shared memory is there */
extern bool sg_preloaded;

/* ---------------- registry.c ---------------- */

extern const SgRule sg_rules[SG_NUM_RULES];

extern int	sg_rule_by_name(const char *name);
extern char *sg_rule_names(void);
extern bool sg_registry_wants_dml(const Query *query);
extern void sg_registry_detect_dml(SgStatement *stmt);

/* ---------------- guc.c ---------------- */

extern bool sg_enabled;
extern int	sg_max_level;		/* SgLevel */
extern bool sg_temp_tables;
extern int	sg_max_findings;
extern int	sg_rule_level[SG_NUM_RULES];	/* SgLevel */

extern const char *sg_level_name(SgLevel level);
extern int	sg_level_by_name(const char *name);
extern char *sg_level_names(void);
extern char *sg_rule_parameter(const char *rule);
extern void sg_guc_init(void);

/* ---------------- context.c ---------------- */

extern List *sg_find(Query *parse, List **consulted);
extern List *sg_detect(Query *parse, List **consulted);
extern void sg_judge(QueryDesc *queryDesc, int eflags);

/* ---------------- planmark.c ---------------- */

extern List *sg_planmark_encode(List *findings);
extern void sg_planmark_put(PlannedStmt *plan, List *marks);
extern bool sg_planmark_any(const PlannedStmt *plan);
extern List *sg_planmark_get(const PlannedStmt *plan);

/* ---------------- finding.c ---------------- */

extern SgLevel sg_level_for(SgRuleId rule, Oid relid);
extern void sg_report(List *findings, QueryDesc *queryDesc,
					  bool explain_only);

/* ---------------- exceptions.c ---------------- */

extern void sg_exceptions_init(void);
extern int	sg_table_level(Oid relid, SgRuleId rule);	/* SgLevel or -1 */
extern bool sg_column_has_role(Oid relid, AttrNumber attnum,
							   SgColumnRole role);
extern Oid	sg_partition_root(Oid relid);
extern const char *sg_column_role_name(SgColumnRole role);
extern int	sg_column_role_by_name(const char *name);
extern char *sg_column_role_names(void);
extern Oid	sg_config_table(const char *relname);
extern Relation sg_open_config_table(const char *relname, Oid *relid);

/* columns that our tables begin with */
#define SG_CONFIG_RELATION	1
#define SG_LEVELS_RULE		2
#define SG_LEVELS_LEVEL		3
#define SG_ROLES_COLUMN		2
#define SG_ROLES_ROLE		3

/* ---------------- upkeep.c ---------------- */

extern List *sg_dead_rows(void);

/* ---------------- arguments.c ---------------- */

extern Oid	sg_relation_argument(FunctionCallInfo fcinfo);
extern SgRuleId sg_rule_argument(FunctionCallInfo fcinfo, int n);
extern SgLevel sg_level_argument(FunctionCallInfo fcinfo, int n);
extern SgColumnRole sg_role_argument(FunctionCallInfo fcinfo, int n);
extern char *sg_column_argument(FunctionCallInfo fcinfo, int n, Oid relid);

/* ---------------- status.c ---------------- */

extern char *sg_extension_version(void);

/* ---------------- stats/findings.c ---------------- */

/* sizes of texts in shared memory, in bytes with the terminating zero */
#define SG_FINDING_QUERY	1025
#define SG_FINDING_MESSAGE	512
#define SG_FINDING_HINT		1024
#define SG_FINDING_CLIENT	64
#define SG_UNJUDGED_MESSAGE	256

/* What makes two findings the same; hashed as bytes, so zero it first. */
typedef struct SgFindingKey
{
	uint64		query;			/* query id, or hash of the normalised text */
	Oid			dbid;
	Oid			roleid;
	Oid			relid;
	int32		rule;			/* SgRuleId */
	int32		level;			/* SgLevel that was acted on */
	int32		padding;
} SgFindingKey;

/* One finding of the shared table, and of the statistics file. */
typedef struct SgFindingEntry
{
	SgFindingKey key;			/* MUST BE FIRST */
	bool		has_queryid;	/* key.query is the server's query id */
	int32		encoding;		/* of all texts */
	int64		calls;			/* executions found */
	int64		rejected;		/* of these, rejected */
	TimestampTz first_seen;
	TimestampTz last_seen;
	char		database[NAMEDATALEN];	/* names as last seen */
	char		role[NAMEDATALEN];
	char		schema[NAMEDATALEN];
	char		relation[NAMEDATALEN];
	char		application[NAMEDATALEN];
	char		client[SG_FINDING_CLIENT];
	char		query[SG_FINDING_QUERY];
	char		message[SG_FINDING_MESSAGE];
	char		hint[SG_FINDING_HINT];
} SgFindingEntry;

/* The fixed part of our shared memory. */
typedef struct SgShared
{
	LWLock	   *lock;			/* guards the table and the plain fields */
	uint64		system_id;		/* of the cluster, for the statistics file */
	pg_atomic_uint64 seen[SG_NUM_RULES];
	pg_atomic_uint64 rejected[SG_NUM_RULES];
	pg_atomic_uint64 evicted;	/* findings dropped for want of room */
	pg_atomic_uint64 unjudged;	/* statements on which detection failed */
	int			unjudged_sqlstate;	/* why the last one did */
	char		unjudged_message[SG_UNJUDGED_MESSAGE];
} SgShared;

/* NULL without shared memory */
extern SgShared *sg_shared;
extern HTAB *sg_finding_table;

extern void sg_findings_shmem_request(void);
extern void sg_findings_shmem_startup(void);
extern Size sg_findings_shmem_size(void);
extern void sg_findings_count(const SgFinding *finding, SgLevel level,
							  const char *message, const char *hint,
							  QueryDesc *queryDesc);
extern void sg_unjudged_count(const ErrorData *edata);
extern uint64 sg_unjudged_get(int *sqlstate, char *message, Size size);

/* ---------------- stats/persist.c ---------------- */

extern void sg_persist_read(void);
extern void sg_persist_write(void);

/* ---------------- stats/normalize.c ---------------- */

extern char *sg_normalize(const char *text, int location, int len);

/* ---------------- rules/ ---------------- */

extern void sg_composite_key_detect(SgStatement *stmt);

#endif							/* SAFEGUARD_H */
