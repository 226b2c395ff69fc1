/*-------------------------------------------------------------------------
 *
 * mark.c
 *		safeguard.migration_mark(): what somebody knows of a migration better
 *		than its row.
 *
 *	applied		it was applied before safeguard was there (baseline)
 *	repaired	it has been put right by hand: an abandoned one is done, or the
 *				changed text of an applied one is what the database has
 *	reverted	it has been taken back, and may be applied again
 *	released	its claim is given up, and may be made again
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "migrate/migrate.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migration_mark);

/* What is to be marked, and as what. */
typedef struct Mark
{
	SgMigrationName name;
	SgMigrationRow row;
	const char *status;
	const char *reason;
	const char *checksum;		/* or NULL */
} Mark;

typedef void (*Marker) (Mark *mark);

static void
refuse(const Mark *mark, const char *detail, const char *hint)
{
	ereport(ERROR,
			errcode(mark->row.state == SG_MIGRATION_RUNNING ||
					mark->row.state == SG_MIGRATION_OWN ?
					ERRCODE_OBJECT_IN_USE :
					ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("migration \"%s\" of project \"%s\" cannot be marked \"%s\"",
				   mark->name.version, mark->name.project, mark->status),
			errdetail_internal("%s", detail),
			hint ? errhint("%s", hint) : 0);
}

/* Raise an error that says what the migration is instead. */
static void
refuse_state(const Mark *mark)
{
	switch (mark->row.state)
	{
		case SG_MIGRATION_OWN:
			refuse(mark, "It is running in this transaction.", NULL);
			break;
		case SG_MIGRATION_RUNNING:
			refuse(mark, psprintf("Process %d, which has claimed it, is alive.",
								  mark->row.pid),
				   "Let it call safeguard.migration_end(), or end it with pg_terminate_backend().");
			break;
		case SG_MIGRATION_ABANDONED:
			refuse(mark, psprintf("Process %d, which had claimed it, is gone.",
								  mark->row.pid),
				   "If the migration is done, mark it \"repaired\"; to give the claim up, mark it \"released\".");
			break;
		default:
			refuse(mark, mark->row.status ?
				   psprintf("Its status is \"%s\".", mark->row.status) :
				   "There is no such migration.", NULL);
	}
}

/*
 * Set columns of the row, and take its claim away.
 */
static void
update(Mark *mark, const char *columns)
{
	Oid			types[] = {TIDOID, TEXTOID, TEXTOID, TEXTOID};
	char		nulls[] = "    ";
	Datum		params[4];

	params[0] = PointerGetDatum(&mark->row.tid);
	params[1] = CStringGetTextDatum(mark->status);
	params[2] = CStringGetTextDatum(psprintf("%s: %s", mark->status,
											 mark->reason));
	params[3] = mark->checksum ? CStringGetTextDatum(mark->checksum) : (Datum) 0;
	nulls[3] = mark->checksum ? ' ' : 'n';
	if (sg_migration_write(psprintf("UPDATE safeguard.migrations SET status = $2, "
									"description = pg_catalog.concat_ws(E'\\n', description, $3), "
									"checksum = COALESCE($4, checksum)%s "
									"WHERE ctid OPERATOR(pg_catalog.=) $1",
									columns),
						   4, types, params, nulls, NULL) != 1)
		sg_migration_gone(&mark->name);
	sg_migration_unclaim(&mark->row);
}

static void
mark_applied(Mark *mark)
{
	if (mark->row.state != SG_MIGRATION_NONE)
		refuse_state(mark);
	sg_migration_claim(&mark->name, mark->reason, mark->checksum,
					   &mark->row);
	sg_migration_finish(&mark->name, &mark->row, mark->status, NULL);
}

static void
mark_repaired(Mark *mark)
{
	if (mark->row.state == SG_MIGRATION_APPLIED)
		update(mark, "");
	else if (mark->row.state == SG_MIGRATION_ABANDONED)
		update(mark, ", id = pg_catalog.nextval('safeguard.migrations_id_seq'), "
			   "applied_at = pg_catalog.clock_timestamp()");
	else
		refuse_state(mark);
}

static void
mark_reverted(Mark *mark)
{
	if (mark->row.state != SG_MIGRATION_APPLIED)
		refuse_state(mark);
	update(mark, "");
}

static void
mark_released(Mark *mark)
{
	if (mark->row.state != SG_MIGRATION_ABANDONED)
		refuse_state(mark);
	update(mark, "");
}

static const struct
{
	const char *status;
	Marker		marker;
}			markers[] = {
	{"applied", mark_applied},
	{"repaired", mark_repaired},
	{"reverted", mark_reverted},
	{"released", mark_released},
};

static Marker
marker_for(const char *status)
{
	for (int i = 0; i < lengthof(markers); i++)
	{
		if (strcmp(markers[i].status, status) == 0)
			return markers[i].marker;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("a migration cannot be marked \"%s\"", status),
			errhint("Marks are: applied, repaired, reverted, released."));
	return NULL;
}

static char *
reason_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *reason;

	sg_require_argument(fcinfo, n, "reason");
	reason = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (reason[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must not be empty", "reason"));
	return reason;
}

/*
 * migration_mark(version text, status text, reason text, checksum text,
 *				  project text)
 */
Datum
sg_migration_mark(PG_FUNCTION_ARGS)
{
	Mark		mark = {{0}};
	Marker		marker;
	bool		waited;

	sg_migration_arguments(fcinfo, 0, 4, &mark.name);
	sg_require_argument(fcinfo, 1, "status");
	mark.status = text_to_cstring(PG_GETARG_TEXT_PP(1));
	marker = marker_for(mark.status);
	mark.reason = reason_argument(fcinfo, 2);
	mark.checksum = sg_checksum_argument(fcinfo, 3);

	PreventCommandDuringRecovery("safeguard.migration_mark()");
	PreventCommandIfReadOnly("safeguard.migration_mark()");
	PreventCommandIfParallelMode("safeguard.migration_mark()");
	(void) sg_migration_lock(&mark.name, true, &waited);
	sg_migration_look(&mark.name, &mark.row);
	(*marker) (&mark);
	ereport(LOG_SERVER_ONLY,
			errhidestmt(true),
			errmsg("migration \"%s\" of project \"%s\" was marked \"%s\" by role \"%s\": %s",
				   mark.name.version, mark.name.project, mark.status,
				   GetUserNameFromId(GetUserId(), false), mark.reason));
	PG_RETURN_VOID();
}
