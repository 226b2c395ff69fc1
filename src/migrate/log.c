/*-------------------------------------------------------------------------
 *
 * log.c
 *		What becomes of migrations, for the figures.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "migrate/migrate.h"

/*
 * The migration runs in this transaction.
 */
void
sg_migration_started(const SgMigrationName *name)
{
}

/*
 * It has been committed.
 */
void
sg_migration_applied(const SgMigrationName *name,
					 const SgMigrationFigures *figures)
{
}

/*
 * It has been rolled back.
 */
void
sg_migration_failed(const SgMigrationName *name,
					const SgMigrationFigures *figures,
					int sqlerrcode, const char *message)
{
}

/*
 * It is in a transaction that has been prepared, and is nobody's now.
 */
void
sg_migration_forgotten(const SgMigrationName *name)
{
}

/*
 * It had been applied already, perhaps while this session waited.
 */
void
sg_migration_skipped(const SgMigrationName *name, bool waited)
{
}
