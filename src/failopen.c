/*-------------------------------------------------------------------------
 *
 * failopen.c
 *		Runs what judges a statement so that its failure lets the statement
 *		through.
 *
 * Judging reads catalogs inside of somebody else's statement.  Whatever goes
 * wrong there is no error of that statement: it goes on unjudged, which is
 * counted and shown by safeguard.status() and safeguard.health().
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "failopen.h"
#include "review/review.h"
#include "safeguard.h"

#define OUR_CATEGORY	MAKE_SQLSTATE('S', 'G', '0', '0', '0')

/*
 * What is no failure of judging: the verdict itself, and what the user or the
 * administrator has to be told whoever stumbles on it.  A conflict with
 * recovery or with a serializable transaction, and lock_timeout, end the
 * statement or its transaction wherever they strike; only of a deadlock our own
 * wait is the end.
 */
static bool
is_no_failure(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_TO_CATEGORY(OUR_CATEGORY) ||
		category == ERRCODE_OPERATOR_INTERVENTION ||
		(category == ERRCODE_TRANSACTION_ROLLBACK &&
		 sqlstate != ERRCODE_T_R_DEADLOCK_DETECTED) ||
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlstate == ERRCODE_DATA_CORRUPTED ||
		sqlstate == ERRCODE_INDEX_CORRUPTED;
}

static void
release_resources(ResourceOwner owner, bool success)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, success, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, success, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, success, false);
	ResourceOwnerDelete(owner);
}

/* What is as it was before, whatever becomes of the work. */
typedef struct Before
{
	ResourceOwner outer;
	ResourceOwner owner;		/* of what the work takes */
	Oid			userid;
	int			sec_context;
	int			guc_level;		/* settings from here on are the work's */
} Before;

static void
remember(Before *before)
{
	before->outer = CurrentResourceOwner;
	before->owner = ResourceOwnerCreate(before->outer, "safeguard");
	GetUserIdAndSecContext(&before->userid, &before->sec_context);
	before->guc_level = NewGUCNestLevel();
	CurrentResourceOwner = before->owner;
}

/*
 * Take back what a failure has left behind, short of what needs a
 * subtransaction: a read of catalogs leaves nothing else, and what connects to
 * SPI or pushes a snapshot does so in a subtransaction of its own.  No
 * lightweight lock was held before, so that releasing all of them releases only
 * ours.
 */
static void
clean_up_after_error(const Before *before)
{
	SetUserIdAndSecContext(before->userid, before->sec_context);
	LWLockReleaseAll();
	pgstat_report_wait_end();
	sg_io_error_cleanup();
	UnlockBuffers();
	ConditionVariableCancelSleep();
	LockErrorCleanup();
	release_resources(before->owner, false);
	AtEOXact_GUC(false, before->guc_level);

	/*
	 * The relations that were being read in.  No subtransaction has this
	 * number, so that none of those that are there is taken for ours.
	 */
	AtEOSubXact_RelationCache(false, PG_UINT32_MAX, InvalidSubTransactionId);
}

/* SQLSTATE of the last failure */
int			sg_failure = 0;

/*
 * Run "work", which reads catalogs and may raise a rule's error.  Returns false
 * if it failed: that is counted, and what it has left behind is taken back.
 */
bool
sg_fail_open(void (*work) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		interruptible = InterruptHoldoffCount == 0 &&
		QueryCancelHoldoffCount == 0;
	volatile bool done = false;
	Before		before;

	remember(&before);
	PG_TRY();
	{
		(*work) (arg);
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = before.outer;
		release_resources(before.owner, true);
		AtEOXact_GUC(true, before.guc_level);
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		CurrentResourceOwner = before.outer;
		MemoryContextSwitchTo(caller);

		/*
		 * An error resets the holdoff counts, so that a lock our caller may
		 * hold can no longer be told from ours.
		 */
		if (!interruptible || is_no_failure(geterrcode()))
			PG_RE_THROW();
		edata = sg_keep_error(caller);
		MemoryContextSwitchTo(caller);
		clean_up_after_error(&before);
		sg_failure = edata->sqlerrcode;
		sg_unjudged_count(edata);
	}
	PG_END_TRY();

	return done;
}

#ifdef SAFEGUARD_FAULTS

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/acl.h"

/* safeguard.fault: "place action", or empty */
static char *fault = NULL;

void
sg_fault_init(void)
{
	DefineCustomStringVariable("safeguard.fault",
							   "Where to fail, and how; for tests.",
							   NULL, &fault, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
}

static int
recurse(int n)
{
	volatile char frame[1024];

	check_stack_depth();
	frame[n % sizeof(frame)] = (char) n;
	return n < 0 ? 0 : recurse(n + 1) + frame[n % sizeof(frame)];
}

/* Holds a buffer and a relation when it fails. */
static void
leak(void)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);

	(void) systable_getnext(scan);
	elog(ERROR, "fault with resources held");
}

/* Fails while a buffer is being read: there is no such segment. */
static void
fail_in_io(void)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);

	(void) ReadBuffer(rel, 2 * RELSEG_SIZE);
}

/* Fails as another user, with other settings, while a relation is read in. */
static void
fail_in_relcache(void)
{
	int			sec_context;
	Oid			userid;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(get_role_oid("pg_monitor", false),
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	(void) NewGUCNestLevel();
	(void) set_config_option("application_name", "fault", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	/* the test has broken it */
	(void) RelationIdGetRelation(RelnameGetRelid("broken"));
	elog(ERROR, "relation \"broken\" is none");
}

/*
 * Fail here if the parameter says so.
 */
void
sg_fault(const char *place)
{
	Size		len = strlen(place);
	const char *action;

	if (fault == NULL || strncmp(fault, place, len) != 0 || fault[len] != ' ')
		return;
	action = fault + len + 1;
	if (strcmp(action, "error") == 0)
		elog(ERROR, "fault at %s", place);
	if (strcmp(action, "memory") == 0)
		ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
	if (strcmp(action, "depth") == 0)
		(void) recurse(0);
	if (strcmp(action, "leak") == 0)
		leak();
	if (strcmp(action, "io") == 0)
		fail_in_io();
	if (strcmp(action, "relcache") == 0)
		fail_in_relcache();
	if (strncmp(action, "sqlstate ", 9) == 0 && strlen(action) == 14)
		ereport(ERROR,
				errcode(MAKE_SQLSTATE(action[9], action[10], action[11],
									  action[12], action[13])),
				errmsg("fault at %s", place));
	if (strcmp(action, "sleep") == 0)
	{
		for (;;)
		{
			CHECK_FOR_INTERRUPTS();
			pg_usleep(10000L);
		}
	}
	if (strcmp(action, "crash") == 0)
		abort();
}

#endif
