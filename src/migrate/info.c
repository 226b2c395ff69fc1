/*-------------------------------------------------------------------------
 *
 * info.c
 *		The fingerprint in the metric safeguard_schema_info.
 *
 * To compute one takes too long for each scrape, and what it may wait for or
 * fail on is not to harm one.  So it is computed once after each migration, and
 * kept with the totals of the database until the server stops; where that does
 * not go at once, it is left out, and the next scrape tries again.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "migrate/log.h"
#include "review/review.h"
#include "safeguard.h"

PG_FUNCTION_INFO_V1(sg_migrated_fingerprint);

/* no row if schema public is so large that it would take seconds */
#define FINGERPRINT \
	"SELECT safeguard.schema_fingerprint('public'::pg_catalog.name)" \
	" WHERE (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c" \
	" WHERE c.relnamespace OPERATOR(pg_catalog.=) 'public'::pg_catalog.regnamespace" \
	" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.\"char\"[]))" \
	" OPERATOR(pg_catalog.<=) 500"

/* it locks the views for a moment, which a migration may be altering */
#define PATIENCE	"100ms"

/*
 * Compute it into the buffer of "arg".  Runs in a subtransaction.
 */
static void
compute(void *arg)
{
	char	   *result;

	(void) set_config_option("lock_timeout", PATIENCE, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(FINGERPRINT, true, 1) == SPI_OK_SELECT && SPI_processed == 1)
	{
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		if (result != NULL)
			strlcpy((char *) arg, result, SG_FINGERPRINT);
	}
}

/*
 * The last row of safeguard.migrations, 0 if there is none.
 */
static int64
last_id(void)
{
	int64		id = 0;
	bool		isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT pg_catalog.max(id) FROM safeguard.migrations",
					true, 1) == SPI_OK_SELECT && SPI_processed == 1)
	{
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		id = isnull ? 0 : DatumGetInt64(value);
	}
	SPI_finish();
	return id;
}

/*
 * migrated_fingerprint(): that of schema public as it was when it was asked
 * for first after the last migration.  That is the last of safeguard's, or what
 * another tool has last said of one; the id tells it on a standby, where no tool
 * says anything.
 */
Datum
sg_migrated_fingerprint(PG_FUNCTION_ARGS)
{
	SgNotedFingerprint noted = {0};
	int64		id;
	int64		entries;

	if (!sg_migration_log_on)
		PG_RETURN_NULL();
	/* first which migration, then what it has made: never the other way */
	id = last_id();
	entries = sg_log_fingerprint(&noted);
	if (noted.text[0] != '\0' && noted.id == id && noted.entries == entries)
		PG_RETURN_TEXT_P(cstring_to_text(noted.text));
	/* what only this transaction sees is not for everybody */
	if (sg_measured_commands() > 0 || IsolationUsesXactSnapshot())
		PG_RETURN_NULL();
	memset(&noted, 0, sizeof(noted));
	if (sg_contained(compute, noted.text) != NULL || noted.text[0] == '\0')
		PG_RETURN_NULL();
	noted.id = id;
	noted.entries = entries;
	sg_log_note_fingerprint(&noted);
	PG_RETURN_TEXT_P(cstring_to_text(noted.text));
}
