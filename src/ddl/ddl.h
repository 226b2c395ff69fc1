/*-------------------------------------------------------------------------
 *
 * ddl.h
 *		What the rules about DDL share: the notes that are taken while a
 *		command runs, and questions about the tables it touches.
 *
 * A command is looked at three times: before it runs, when nothing is locked
 * yet; from the object access hook, while it works; and when it is done.
 * What is found early enough to spare the work is reported at once, the rest
 * when the command is done: an error undoes it then.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_DDL_H
#define SG_DDL_H

#include "nodes/primnodes.h"
#include "storage/lockdefs.h"

#include "safeguard.h"

/* tables that one command names one by one; more of them are summed up */
#define SG_DDL_MAX_NAMED	10

/* What happens to data. */
typedef enum SgLossKind
{
	SG_LOSS_TABLE,				/* the table is dropped */
	SG_LOSS_COLUMN,				/* a column of it is */
	SG_LOSS_ROWS				/* it is truncated */
} SgLossKind;

/* A table, or a partitioned one with all its leaves, that loses data. */
typedef struct SgLoss
{
	SgLossKind	kind;
	Oid			relid;			/* the table; of several leaves, the first */
	Oid			root;			/* its partition root, or itself */
	bool		whole;			/* the root itself is dropped or truncated */
	Oid			row;			/* the table whose row gives the level, if any */
	int			parts;			/* leaves with data */
	List	   *relids;			/* OIDs of them; only for columns */
	uint64		bytes;
	SgLevel		level;			/* asked for while the table was there */
	bool		readable;		/* the same */
	char	   *schema;
	char	   *table;
	char	   *root_schema;
	char	   *root_table;
	char	   *row_name;		/* as a statement has it */
	List	   *columns;		/* names */
} SgLoss;

/* Tables beyond SG_DDL_MAX_NAMED, for one level. */
typedef struct SgLossRest
{
	int			tables;
	uint64		bytes;
	bool		closed;			/* the user may not read all of them */
} SgLossRest;

/* Notes on a command that is running. */
typedef struct SgDdl
{
	const char *command;		/* its tag */
	Oid			target;			/* the relation it names, if it names one */
	int			location;		/* of that name, or -1 */
	List	   *losses;			/* of SgLoss */
	SgLossRest	rest[SG_LEVEL_ERROR + 1];
	List	   *summed;			/* OIDs of tables in "rest" that lose columns */
	List	   *truncated;		/* of SgTruncated, see loss.c */
	List	   *rewritten;		/* OIDs of tables reported for a rewrite */
	List	   *indexed;		/* the same for the build of an index */
	List	   *builds;			/* of SgBuild, to be reported at the end */
	SgDecision *locked;			/* cascaded lock, see lock_timeout.c */
	List	   *locked_tables;	/* OIDs of all that it reaches */
	List	   *triggers;		/* OIDs: switched off by the command */
	List	   *constraints;	/* OIDs: made without a check of the rows */
	List	   *unvalidated;	/* names of such that were there before */
} SgDdl;

/* An index that is being built. */
typedef struct SgBuild
{
	Oid			table;
	bool		primary;
	bool		unique;
	bool		exclusion;
	char		name[NAMEDATALEN];	/* empty: several, or unknown */
} SgBuild;

/* A total unique key on columns that a command adds. */
typedef struct SgNewKey
{
	Oid			table;
	Bitmapset  *columns;
	const char *constraint;		/* name; NULL: a new one */
} SgNewKey;

typedef struct SgDrops SgDrops; /* see depend.c */

/*
 * A command that is only looked at (review/ddl.c): what is found, and what is
 * not in the catalogs because it has not been done.
 */
typedef struct SgTrial
{
	List	   *findings;		/* of SgFinding */
	SgDrops    *drops;			/* what it would drop, or NULL */
	List	   *keys;			/* of SgNewKey: what it would add */
	bool		locked;			/* what is told next has been locked by then */
} SgTrial;

/* ---------------- command.c ---------------- */

extern SgDdl *sg_ddl(SgUtility *utility);
extern bool sg_has_option(List *options, const char *name);
extern bool sg_is_concurrent(const Node *stmt);
extern const char *sg_ddl_command(SgUtility *utility);
extern void sg_ddl_source(SgSource *source, SgUtility *utility);
extern bool sg_is_named(const Node *stmt, const char *schema,
						const char *table);
extern SgFinding *sg_ddl_finding(SgRuleId rule, Oid relid);
extern Oid	sg_level_row(SgRuleId rule, Oid relid);
extern char *sg_allow_text(SgUtility *utility, SgRuleId rule,
						   const char *table, bool by_row);
extern char *sg_allow_table(SgUtility *utility, SgRuleId rule, Oid relid);
extern void sg_ddl_deliver(List *decisions, SgUtility *utility);
extern void sg_ddl_report(SgFinding *finding, SgUtility *utility);

/* ---------------- table.c ---------------- */

extern Oid	sg_find_relation(const RangeVar *name);
extern Oid	sg_find_named(List *names, int extra);
extern Oid	sg_find_owner(ObjectType type, List *names);
extern Oid	sg_table_of_index(Oid index);
extern Oid	sg_table_of_object(Oid classId, Oid objectId);
extern bool sg_relation_is_new(Oid relid);
extern bool sg_relation_is_held(Oid relid, LOCKMODE mode);
extern char *sg_relation_file(Oid relid);
extern uint64 sg_file_bytes(const char *path);
extern uint64 sg_relation_bytes(Oid relid);
extern uint64 sg_leaves_bytes(Oid relid, int *leaves);
extern bool sg_holds_old_data(Oid relid, bool alone);
extern bool sg_database_bytes(Oid database, uint64 *bytes);
extern char *sg_size_text(uint64 bytes);
extern char *sg_qualified_name(Oid relid);

/* ---------------- loss.c ---------------- */

extern void sg_loss_dropped(SgUtility *utility, Oid relid, int column);
extern void sg_loss_truncated(SgUtility *utility, Oid relid);
extern void sg_loss_database(SgUtility *utility, Oid database);
extern void sg_loss_deliver(SgUtility *utility);

/* ---------------- loss_report.c ---------------- */

extern void sg_loss_report(SgDdl *ddl, SgUtility *utility);

/* ---------------- cascade.c ---------------- */

extern bool sg_is_lockable(Oid relid);
extern Oid	sg_locked_by_event(const Node *stmt, ObjectAccessType access,
							   Oid classId, Oid objectId, void *arg);

/* ---------------- depend.c ---------------- */

extern SgDrops *sg_drops_make(void);
extern bool sg_drops_add(SgDrops *drops, List *targets,
						 DropBehavior behavior, List **dropped);
extern List *sg_drops_relations(const SgDrops *drops);
extern bool sg_drops_have(const SgDrops *drops, Oid classId,
						  Oid objectId, int subId);

/* ---------------- bulk.c ---------------- */

extern void sg_bulk_before(SgUtility *utility);
extern void sg_bulk_rewrites(SgUtility *utility, Oid relid);
extern void sg_bulk_builds(SgUtility *utility, const SgBuild *build);
extern void sg_bulk_created(SgUtility *utility, Oid relid);
extern void sg_bulk_deliver(SgUtility *utility);

#endif							/* SG_DDL_H */
