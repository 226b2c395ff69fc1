/*-------------------------------------------------------------------------
 *
 * measure.c
 *		What the transaction of another tool's migration costs.
 *
 * A migration is known as one when its tool writes to its history table,
 * mostly at the end.  So what is measured has to be there anyway: the server
 * counts rows and WAL, and this file commands, for every transaction.  A
 * statement that changes no table of a user pays nothing, any other one look
 * into a small table.
 *
 * The state is static and of fixed size: what has been undone by the rollback
 * of a subtransaction is taken out in its callback, where nothing may fail.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "executor/instrument.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "failopen.h"
#include "migrate/log.h"
#include "safeguard.h"
#include "stats/findings.h"

#define OTHERS			128		/* tables that are no history, remembered */
#define RELATIONS_SEEN	8		/* result relations looked at: of the leaves of
								 * a partitioned table, none is a history */
#define LEVELS			64		/* of subtransactions; deeper ones are one */
#define MAX_WRITES		16		/* history tables, by subtransaction */

/* What the transaction has written to a history table. */
typedef struct Write
{
	SubTransactionId subid;
	TransactionId xid;			/* that the row has as xmin */
	bool		undone;			/* by the rollback of a subtransaction */
	bool		told;			/* it is in an entry that has been made */
	bool		failed;			/* the tool says that the migration has */
	SgLogEntry	entry;			/* its names; figures come later */
} Write;

static Oid	others[OTHERS];
static int64 commands[LEVELS];
static bool any_commands = false;
bool		sg_migration_seen = false;	/* anything: "nwrites" or "any_commands" */
static Write writes[MAX_WRITES];
static int	nwrites = 0;
SgMigrationBefore sg_migration_before;
static char database[NAMEDATALEN];
static SgRows all_rows;			/* of the transaction, before it ends */
static SgRows other_rows;		/* not in the history table of writes[0] */

/* ---------------- commands, waits, errors ---------------- */

static int
level_now(void)
{
	return Min(GetCurrentTransactionNestLevel(), LEVELS - 1);
}

/*
 * A utility command begins.  If it fails, so does what it is counted for.
 */
void
sg_migration_command(const Node *stmt)
{
	if (!sg_migration_log_on ||
		GetCommandLogLevel(unconstify(Node *, stmt)) != LOGSTMT_DDL)
		return;
	commands[level_now()]++;
	any_commands = true;
	sg_migration_seen = true;
}

int64
sg_measured_commands(void)
{
	int64		sum = 0;

	for (int i = 0; any_commands && i < LEVELS; i++)
		sum += commands[i];
	return sum;
}

/*
 * The number of milliseconds in a message, which is the only one with three
 * decimals in any language; in microseconds.
 */
static int64
milliseconds_in(const char *message)
{
	for (const char *p = strchr(message, '.'); p != NULL; p = strchr(p + 1, '.'))
	{
		const char *start = p;

		if (strspn(p + 1, "0123456789") != 3)
			continue;
		while (start > message && start[-1] >= '0' && start[-1] <= '9')
			start--;
		if (start < p)
			return strtoll(start, NULL, 10) * 1000 + strtol(p + 1, NULL, 10);
	}
	return 0;
}

/*
 * A message is on its way to the log: perhaps that a lock has been waited for.
 */
void
sg_migration_log_wait(const ErrorData *edata)
{
	if (edata->message_id == NULL || edata->message == NULL)
		return;
	if (strncmp(edata->message_id, "process %d acquired ", 20) == 0 ||
		strncmp(edata->message_id, "process %d failed to acquire ", 29) == 0)
		sg_migration_before.lock_wait_us += milliseconds_in(edata->message);
}

/*
 * An error is on its way to the log.  The first one is the cause.
 */
void
sg_migration_log_error(const ErrorData *edata)
{
	if (nwrites > 0 && IsTransactionState() && edata->message != NULL)
		sg_copy_text(sg_migration_before.error, edata->message,
					 sizeof(sg_migration_before.error));
}

/* ---------------- writing to a history table ---------------- */

static void
relation_changed(Datum arg, Oid relid)
{
	/* a table beside another can make that the history of another tool */
	memset(others, 0, sizeof(others));
}

static void
remember_other(Oid relid)
{
	static bool registered = false;

	if (!registered)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	registered = true;
	others[relid % OTHERS] = relid;
}

static Write *
get_write(Oid relid)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Write	   *write;

	for (int i = 0; i < nwrites; i++)
	{
		if (writes[i].entry.relid == relid && writes[i].subid == subid &&
			!writes[i].undone)
			return &writes[i];
	}
	if (nwrites == MAX_WRITES)
	{
		/* the oldest one is missed least */
		memmove(&writes[0], &writes[1], (MAX_WRITES - 1) * sizeof(Write));
		nwrites--;
	}
	write = &writes[nwrites];
	memset(write, 0, sizeof(*write));
	write->subid = subid;
	write->entry.relid = relid;
	nwrites++;
	sg_migration_seen = true;
	return write;
}

static void
note_write(Relation rel, const SgTool *tool, const SgWritten *written)
{
	Write	   *write = get_write(RelationGetRelid(rel));
	SgLogEntry *entry = &write->entry;

	write->xid = GetCurrentTransactionIdIfAny();
	write->failed = written->failed;
	entry->removed = written->removed;
	if (database[0] == '\0')
		sg_copy_text(database, get_database_name(MyDatabaseId), NAMEDATALEN);
	sg_copy_text(entry->tool, tool->name, sizeof(entry->tool));
	sg_copy_text(entry->schema, get_namespace_name(RelationGetNamespace(rel)),
				 NAMEDATALEN);
	sg_copy_text(entry->relation, RelationGetRelationName(rel), NAMEDATALEN);
	memcpy(entry->version, written->version, sizeof(entry->version));
	memcpy(entry->project, written->project, sizeof(entry->project));
	sg_log_slot(entry->tool, entry->project, entry->version,
				GetCurrentTransactionStartTimestamp());
}

/* A table that a statement has changed. */
typedef struct Changed
{
	QueryDesc  *queryDesc;
	Oid			relid;
} Changed;

/* Called by sg_fail_open() */
static void
examine(void *arg)
{
	const Changed *changed = (const Changed *) arg;
	Oid			relid = changed->relid;
	EState	   *estate = changed->queryDesc->estate;
	Relation	rel = table_open(relid, NoLock);
	const SgTool *tool = sg_history_tool(rel);
	SgWritten	written;

	sg_fault("history");

	if (tool == NULL)
		remember_other(relid);
	else if (strcmp(tool->name, "safeguard") != 0 &&
			 !sg_process_is_exempt() && !sg_session_is_restore())
	{
		sg_history_written(rel, tool, estate->es_output_cid,
						   estate->es_processed, &written);
		if (written.any)
			note_write(rel, tool, &written);
	}
	table_close(rel, NoLock);
}

/*
 * A statement has changed rows of its result relations.
 */
void
sg_migration_wrote(QueryDesc *queryDesc)
{
	PlannedStmt *plan = queryDesc->plannedstmt;
	int			seen = 0;
	ListCell   *lc;

	foreach(lc, plan->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(lc), plan->rtable)->relid;
		Changed		changed = {queryDesc, relid};

		if (++seen > RELATIONS_SEEN)
			break;
		if (others[relid % OTHERS] != relid)
			(void) sg_fail_open(examine, &changed);
	}
}

/* ---------------- subtransactions ---------------- */

void
sg_migration_subtransaction(SubXactEvent event, SubTransactionId mine,
							SubTransactionId parent)
{
	int			level;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	level = level_now();
	if (any_commands && level > 0)
	{
		if (event == SUBXACT_EVENT_COMMIT_SUB && level < LEVELS - 1)
			commands[level - 1] += commands[level];
		if (event == SUBXACT_EVENT_ABORT_SUB || level < LEVELS - 1)
			commands[level] = 0;
	}
	for (int i = 0; i < nwrites; i++)
	{
		if (writes[i].subid != mine)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			writes[i].undone = true;
		writes[i].subid = parent;
	}
}

/* ---------------- the end of the transaction ---------------- */

/*
 * What does not depend on the tool.
 */
void
sg_measure_entry(SgLogEntry *entry)
{
	entry->xid = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	entry->dbid = MyDatabaseId;
	entry->roleid = GetOuterUserId();
	entry->encoding = GetDatabaseEncoding();
	entry->pid = MyProcPid;
	entry->session = MyStartTimestamp;
	entry->findings = sg_findings_raised - sg_migration_before.findings;
	entry->lock_wait_ms = log_lock_waits ?
		sg_migration_before.lock_wait_us / 1000.0 : -1;
}

static void
fill_figures(SgLogEntry *entry, bool succeeded)
{
	sg_measure_entry(entry);
	entry->started_at = GetCurrentTransactionStartTimestamp();
	entry->duration_ms = (GetCurrentTimestamp() - entry->started_at) / 1000.0;
	entry->ddl_count = sg_measured_commands();
	entry->rows = all_rows;
	entry->wal_bytes = pgWalUsage.wal_bytes - sg_migration_before.wal;
	entry->succeeded = succeeded;
	memcpy(entry->database, database, NAMEDATALEN);
	if (!succeeded)
		sg_copy_text(entry->error, sg_migration_before.error[0] != '\0' ?
					 sg_migration_before.error : "transaction was rolled back",
					 sizeof(entry->error));
}

/*
 * Has the transaction changed nothing but a history table?
 */
static bool
only_history(const SgLogEntry *entry)
{
	if (entry->ddl_count > 0)
		return false;
	return other_rows.inserted <= 0 && other_rows.updated <= 0 &&
		other_rows.deleted <= 0;
}

/*
 * Make one entry of all that has been written to one table; the last write
 * says which version.
 */
static void
log_table(int last, bool succeeded)
{
	SgLogEntry *entry = &writes[last].entry;

	for (int i = 0; i <= last; i++)
	{
		Write	   *write = &writes[i];

		if (write->entry.relid != entry->relid ||
			(succeeded && write->undone))
			continue;
		write->told = true;
		if (entry->nxids < SG_LOG_XIDS)
			entry->nxids++;
		else
			memmove(&entry->xids[0], &entry->xids[1],
					(SG_LOG_XIDS - 1) * sizeof(TransactionId));
		entry->xids[entry->nxids - 1] = write->xid;
	}
	fill_figures(entry, succeeded);
	if (succeeded && writes[last].failed)
	{
		entry->succeeded = false;
		strlcpy(entry->error, "the history table says that it has failed",
				sizeof(entry->error));
	}
	sg_log_add(entry, only_history(entry));
}

static void
log_all(bool succeeded)
{
	for (int i = nwrites - 1; i >= 0; i--)
	{
		if (!writes[i].told && !(succeeded && writes[i].undone))
			log_table(i, succeeded);
	}
}

static void
forget_transaction(void)
{
	if (nwrites > 0)
		sg_log_slot_clear();
	nwrites = 0;
	if (any_commands)
		memset(commands, 0, sizeof(commands));
	any_commands = false;
	sg_migration_seen = false;
	sg_migration_begin_anew();
}

/*
 * Read what the server has counted, as long as it is there.
 */
static void
look_at_rows(void)
{
	sg_rows_of_transaction(&all_rows, InvalidOid);
	sg_rows_of_transaction(&other_rows, writes[0].entry.relid);
}

/*
 * A transaction comes to its end, or has come.  Where nothing was seen of it,
 * sg_migration_begin_anew() is as good behind it.
 */
void
sg_migration_transaction(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (nwrites > 0)
				look_at_rows();
			return;
		case XACT_EVENT_COMMIT:
			if (nwrites > 0)
				log_all(true);
			break;
		case XACT_EVENT_PREPARE:
			/* nobody knows yet what becomes of it, and who will be told */
			break;
		case XACT_EVENT_ABORT:
			if (nwrites > 0)
			{
				look_at_rows();
				log_all(false);
			}
			break;
		default:
			return;
	}
	forget_transaction();
}
