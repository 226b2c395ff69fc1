/*-------------------------------------------------------------------------
 *
 * tools.c
 *		The history tables of migration tools, and what their columns mean.
 *
 * A name says little: six tools call their table schema_migrations, and six
 * call it migrations.  A table is one of a tool if its name, the columns
 * below and their types fit, and its schema or a second table beside it where
 * these are the only difference.  The first entry that fits holds.  Where
 * two tools make the same table, the entry names both.
 *
 * A time that is not that of the run, but of the writing of the migration, is
 * not shown as applied_at (TypeORM, Drizzle).
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "migrate/tools.h"

/*
 * A column that is matched with a regular expression is so in the collation
 * "C", since it may have one that is not for such.
 */

/* a time as RFC 3339 text; what is not one is NULL */
#define TEXT_TIME(column) \
	"CASE WHEN " column " COLLATE \"C\" ~ '^\\d{4}-[01]\\d-[0-3]\\d[T ][0-2]\\d:[0-5]\\d'" \
	" THEN " column "::timestamptz END"

/* not between times that are infinite, or so far apart that it is an error */
#define ELAPSED(start, stop) \
	"CASE WHEN " start " BETWEEN '1900-01-01' AND '9999-12-31'" \
	" AND " stop " BETWEEN '1900-01-01' AND '9999-12-31'" \
	" THEN extract(epoch FROM " stop " - " start ")::float8 * 1000 END"

#define FLYWAY(table) \
	{ \
		.name = "Flyway", .relation = table, \
		.columns = {{"installed_rank", SG_TOOL_INTEGER}, {"version", SG_TOOL_STRING}, \
			{"description", SG_TOOL_STRING}, {"type", SG_TOOL_STRING}, \
			{"script", SG_TOOL_STRING}, {"installed_on", SG_TOOL_TIME}, \
			{"execution_time", SG_TOOL_INTEGER}, {"success", SG_TOOL_BOOL}}, \
		.failed_column = "success", .failed_value = "false", \
		.key = "version", \
		.description = "h.description", \
		.applied_at = "h.installed_on::timestamptz", \
		.duration_ms = "h.execution_time::float8", \
		.success = "h.success", \
		/* an undone version has a later row that says so */ \
		.condition = "h.type::text COLLATE \"C\" !~ '^(UNDO|DELETE|SCHEMA)' AND NOT EXISTS" \
			" (SELECT FROM %s u WHERE u.version::text = h.version::text AND" \
			" u.installed_rank > h.installed_rank AND u.success AND" \
			" u.type::text COLLATE \"C\" ~ '^(UNDO|DELETE)')" \
	}

#define EF_CORE(table, id, product) \
	{ \
		.name = "EF Core", .relation = table, \
		.columns = {{id, SG_TOOL_STRING}, {product, SG_TOOL_STRING}}, \
		.key = id \
	}

const SgTool sg_tools[] = {
	{
		.name = "safeguard", .schema = "safeguard", .relation = "migrations",
		.columns = {{"project", SG_TOOL_STRING}, {"version", SG_TOOL_STRING},
			{"description", SG_TOOL_STRING}, {"status", SG_TOOL_STRING},
			{"applied_at", SG_TOOL_TIME}, {"duration_ms", SG_TOOL_FLOAT8}},
		.key = "version",
		.project = "h.project",
		.description = "concat_ws(': ', nullif(h.project, 'default'), h.description)",
		.applied_at = "h.applied_at::timestamptz",
		.duration_ms = "h.duration_ms",
		.success = "CASE WHEN h.status IN ('applied', 'repaired') THEN true END",
		.condition = "h.status NOT IN ('reverted', 'released')"
	},
	{
		.name = "Alembic", .relation = "alembic_version",
		.columns = {{"version_num", SG_TOOL_STRING}},
		.key = "version_num"
	},
	FLYWAY("flyway_schema_history"),
	FLYWAY("schema_version"),
	{
		.name = "Liquibase", .relation = "databasechangelog",
		.columns = {{"id", SG_TOOL_STRING}, {"author", SG_TOOL_STRING},
			{"filename", SG_TOOL_STRING}, {"dateexecuted", SG_TOOL_TIME},
			{"orderexecuted", SG_TOOL_INTEGER}, {"exectype", SG_TOOL_STRING},
			{"md5sum", SG_TOOL_STRING}, {"comments", SG_TOOL_STRING}},
		.key = "id",
		.description = "concat_ws(' ', h.filename || '::' || h.id || '::' || h.author,"
			" nullif(h.comments, ''))",
		.applied_at = "h.dateexecuted::timestamptz",
		.success = "h.exectype IN ('EXECUTED', 'RERAN', 'MARK_RAN')"
	},
	{
		.name = "Django", .relation = "django_migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"app", SG_TOOL_STRING},
			{"name", SG_TOOL_STRING}, {"applied", SG_TOOL_TIME}},
		.key = "name",
		.version = "h.app || '.' || h.name",
		.applied_at = "h.applied::timestamptz"
	},
	{
		.name = "Sqitch", .relation = "changes",
		.columns = {{"change_id", SG_TOOL_STRING}, {"script_hash", SG_TOOL_STRING},
			{"change", SG_TOOL_STRING}, {"project", SG_TOOL_STRING},
			{"note", SG_TOOL_STRING}, {"committed_at", SG_TOOL_TIME},
			{"planned_at", SG_TOOL_TIME}},
		.key = "change",
		.description = "concat_ws(': ', h.project, nullif(h.note, ''))",
		.applied_at = "h.committed_at::timestamptz"
	},
	{
		/* its log, for what has failed; what has succeeded is in changes */
		.name = "Sqitch", .relation = "events", .sibling = "dependencies", .extra = true,
		.failed_column = "event", .failed_value = "fail",
		.columns = {{"event", SG_TOOL_STRING}, {"change_id", SG_TOOL_STRING},
			{"change", SG_TOOL_STRING}, {"project", SG_TOOL_STRING},
			{"note", SG_TOOL_STRING}, {"committed_at", SG_TOOL_TIME},
			{"planned_at", SG_TOOL_TIME}},
		.key = "change",
		.description = "concat_ws(': ', h.project, nullif(h.note, ''))",
		.applied_at = "h.committed_at::timestamptz",
		.success = "false",
		.condition = "h.event = 'fail'"
	},
	{
		.name = "Prisma", .relation = "_prisma_migrations",
		.columns = {{"id", SG_TOOL_STRING}, {"checksum", SG_TOOL_STRING},
			{"migration_name", SG_TOOL_STRING}, {"logs", SG_TOOL_STRING},
			{"started_at", SG_TOOL_TIME}, {"finished_at", SG_TOOL_TIME},
			{"rolled_back_at", SG_TOOL_TIME}, {"applied_steps_count", SG_TOOL_INTEGER}},
		.key = "migration_name",
		.applied_at = "h.finished_at::timestamptz",
		.duration_ms = ELAPSED("h.started_at", "h.finished_at"),
		/* started, and neither finished nor failed: it runs, or was killed */
		.success = "CASE WHEN h.rolled_back_at IS NOT NULL THEN false"
			" WHEN h.finished_at IS NOT NULL THEN true"
			" WHEN h.logs <> '' THEN false END"
	},
	{
		.name = "Knex", .relation = "knex_migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"batch", SG_TOOL_INTEGER}, {"migration_time", SG_TOOL_TIME}},
		.key = "name",
		.description = "'batch ' || h.batch",
		.applied_at = "h.migration_time::timestamptz"
	},
	{
		.name = "Sequelize", .relation = "SequelizeMeta",
		.columns = {{"name", SG_TOOL_STRING}, {"createdAt", SG_TOOL_TIME}},
		.key = "name",
		.applied_at = "h.\"createdAt\"::timestamptz"
	},
	{
		.name = "Sequelize", .relation = "SequelizeMeta",
		.columns = {{"name", SG_TOOL_STRING}},
		.key = "name"
	},
	{
		.name = "Drizzle", .relation = "__drizzle_migrations",
		.columns = {{"hash", SG_TOOL_STRING}, {"created_at", SG_TOOL_INT8},
			{"name", SG_TOOL_STRING}, {"applied_at", SG_TOOL_TIME}},
		.key = "name",
		.version = "coalesce(h.name, h.created_at::text)",
		.description = "h.hash",
		.applied_at = "h.applied_at::timestamptz"
	},
	{
		/* created_at is the time of the journal, by which Drizzle orders */
		.name = "Drizzle", .relation = "__drizzle_migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"hash", SG_TOOL_STRING},
			{"created_at", SG_TOOL_INT8}},
		.key = "created_at",
		.description = "h.hash"
	},
	{
		.name = "Hasura", .schema = "hdb_catalog", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_INT8}, {"dirty", SG_TOOL_BOOL}},
		.key = "version",
		.success = "NOT h.dirty"
	},
	{
		.name = "Supabase", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_STRING}, {"statements", SG_TOOL_STRINGS},
			{"name", SG_TOOL_STRING}},
		.key = "version",
		.description = "h.name"
	},
	{
		.name = "Supabase", .schema = "supabase_migrations", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_STRING}},
		.key = "version"
	},
	{
		.name = "golang-migrate", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_INT8}, {"dirty", SG_TOOL_BOOL}},
		.exact = true,
		.key = "version",
		.success = "NOT h.dirty"
	},
	{
		.name = "Ecto", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_INT8}, {"inserted_at", SG_TOOL_TIME}},
		.key = "version",
		.applied_at = "h.inserted_at::timestamptz"
	},
	{
		.name = "Rails", .relation = "schema_migrations", .sibling = "ar_internal_metadata",
		.columns = {{"version", SG_TOOL_STRING}},
		.exact = true,
		.key = "version"
	},
	{
		.name = "dbmate or Rails", .relation = "schema_migrations",
		.columns = {{"version", SG_TOOL_STRING}},
		.exact = true,
		.key = "version"
	},
	{
		.name = "Laravel", .relation = "migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"migration", SG_TOOL_STRING},
			{"batch", SG_TOOL_INTEGER}},
		.key = "migration",
		.description = "'batch ' || h.batch"
	},
	{
		/* the time is the one in the name of the migration */
		.name = "TypeORM", .relation = "migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"timestamp", SG_TOOL_INT8},
			{"name", SG_TOOL_STRING}},
		.exact = true,
		.key = "timestamp",
		.description = "h.name"
	},
	{
		.name = "postgres-migrations", .relation = "migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"hash", SG_TOOL_STRING}, {"executed_at", SG_TOOL_TIME}},
		.key = "id",
		.description = "h.name",
		.applied_at = "h.executed_at::timestamptz"
	},
	{
		.name = "graphile-migrate", .schema = "graphile_migrate", .relation = "migrations",
		.columns = {{"hash", SG_TOOL_STRING}, {"previous_hash", SG_TOOL_STRING},
			{"filename", SG_TOOL_STRING}, {"date", SG_TOOL_TIME}},
		.key = "filename",
		.description = "h.hash",
		.applied_at = "h.date::timestamptz"
	},
	{
		.name = "pgroll", .relation = "migrations", .sibling = "pgroll_version",
		.columns = {{"schema", SG_TOOL_NAME}, {"name", SG_TOOL_STRING},
			{"migration", SG_TOOL_JSON}, {"created_at", SG_TOOL_TIME},
			{"updated_at", SG_TOOL_TIME}, {"parent", SG_TOOL_STRING},
			{"done", SG_TOOL_BOOL}},
		.key = "name",
		.description = "'schema ' || h.schema",
		.applied_at = "CASE WHEN h.done THEN h.updated_at::timestamptz END",
		/* not done: old and new schema are both in use */
		.success = "CASE WHEN h.done THEN true END"
	},
	{
		.name = "reshape", .schema = "reshape", .relation = "migrations",
		.columns = {{"index", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"description", SG_TOOL_STRING}, {"actions", SG_TOOL_JSON},
			{"completed_at", SG_TOOL_TIME}},
		.key = "name",
		.description = "h.description",
		.applied_at = "h.completed_at::timestamptz"
	},
	{
		.name = "gormigrate", .relation = "migrations",
		.columns = {{"id", SG_TOOL_STRING}},
		.exact = true,
		.key = "id"
	},
	{
		/* the version before the current one, and 0 for none, are unknown */
		.name = "tern", .relation = "schema_version",
		.columns = {{"version", SG_TOOL_INT4}},
		.exact = true,
		.key = "version",
		.condition = "h.version > 0"
	},
	{
		.name = "goose", .relation = "goose_db_version",
		.columns = {{"id", SG_TOOL_INTEGER}, {"version_id", SG_TOOL_INT8},
			{"is_applied", SG_TOOL_BOOL}, {"tstamp", SG_TOOL_TIME}},
		.key = "version_id",
		.applied_at = "h.tstamp::timestamptz",
		/* version 0 is the table itself; old versions wrote a row for down */
		.condition = "h.version_id <> 0 AND h.is_applied AND NOT EXISTS (SELECT FROM %s u"
			" WHERE u.version_id = h.version_id AND u.id > h.id AND NOT u.is_applied)"
	},
	EF_CORE("__EFMigrationsHistory", "MigrationId", "ProductVersion"),
	EF_CORE("__EFMigrationsHistory", "migration_id", "product_version"),
	EF_CORE("__ef_migrations_history", "migration_id", "product_version"),
	{
		.name = "Diesel", .relation = "__diesel_schema_migrations",
		.columns = {{"version", SG_TOOL_STRING}, {"run_on", SG_TOOL_TIME}},
		.key = "version",
		.applied_at = "h.run_on::timestamptz"
	},
	{
		.name = "sqlx", .relation = "_sqlx_migrations",
		.columns = {{"version", SG_TOOL_INT8}, {"description", SG_TOOL_STRING},
			{"installed_on", SG_TOOL_TIME}, {"success", SG_TOOL_BOOL},
			{"checksum", SG_TOOL_BYTEA}, {"execution_time", SG_TOOL_INT8}},
		.key = "version",
		.description = "h.description",
		.applied_at = "h.installed_on::timestamptz",
		/* nanoseconds; -1 until it has ended */
		.duration_ms = "CASE WHEN h.execution_time >= 0 THEN h.execution_time / 1e6::float8 END",
		.success = "h.success"
	},
	{
		.name = "refinery", .relation = "refinery_schema_history",
		.columns = {{"version", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"applied_on", SG_TOOL_STRING}, {"checksum", SG_TOOL_STRING}},
		.key = "version",
		.description = "h.name",
		.applied_at = TEXT_TIME("h.applied_on")
	},
	{
		.name = "node-pg-migrate", .relation = "pgmigrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"run_on", SG_TOOL_TIME}},
		.key = "name",
		.applied_at = "h.run_on::timestamptz"
	},
	{
		.name = "Phinx", .relation = "phinxlog",
		.columns = {{"version", SG_TOOL_INT8}, {"migration_name", SG_TOOL_STRING},
			{"start_time", SG_TOOL_TIME}, {"end_time", SG_TOOL_TIME}},
		.key = "version",
		.description = "h.migration_name",
		.applied_at = "h.end_time::timestamptz",
		.duration_ms = ELAPSED("h.start_time", "h.end_time")
	},
	{
		.name = "Doctrine", .relation = "doctrine_migration_versions",
		.columns = {{"version", SG_TOOL_STRING}, {"executed_at", SG_TOOL_TIME},
			{"execution_time", SG_TOOL_INTEGER}},
		.key = "version",
		.applied_at = "h.executed_at::timestamptz",
		.duration_ms = "h.execution_time::float8"
	},
	{
		.name = "Atlas", .relation = "atlas_schema_revisions",
		.columns = {{"version", SG_TOOL_STRING}, {"description", SG_TOOL_STRING},
			{"applied", SG_TOOL_INT8}, {"total", SG_TOOL_INT8},
			{"executed_at", SG_TOOL_TIME}, {"execution_time", SG_TOOL_INT8},
			{"error", SG_TOOL_STRING}, {"hash", SG_TOOL_STRING}},
		.key = "version",
		.description = "h.description",
		.applied_at = "h.executed_at::timestamptz",
		.duration_ms = "h.execution_time / 1e6::float8",	/* nanoseconds */
		.success = "CASE WHEN h.error <> '' THEN false WHEN h.applied >= h.total THEN true END",
		.condition = "h.version COLLATE \"C\" !~ '^[.]'"	/* of the tool, no migration */
	},
	{
		.name = "MikroORM", .relation = "mikro_orm_migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"executed_at", SG_TOOL_TIME}},
		.key = "name",
		.applied_at = "h.executed_at::timestamptz"
	},
	{
		.name = "Kysely", .relation = "kysely_migration",
		.columns = {{"name", SG_TOOL_STRING}, {"timestamp", SG_TOOL_STRING}},
		.key = "name",
		.applied_at = TEXT_TIME("h.\"timestamp\"")
	},
	{
		.name = "SeaORM", .relation = "seaql_migrations",
		.columns = {{"version", SG_TOOL_STRING}, {"applied_at", SG_TOOL_INT8}},
		.key = "version",
		.applied_at = "to_timestamp(h.applied_at)"
	},
	{
		.name = "sql-migrate", .relation = "gorp_migrations",
		.columns = {{"id", SG_TOOL_STRING}, {"applied_at", SG_TOOL_TIME}},
		.key = "id",
		.applied_at = "h.applied_at::timestamptz"
	},
	{
		.name = "bun", .relation = "bun_migrations",
		.columns = {{"id", SG_TOOL_INTEGER}, {"name", SG_TOOL_STRING},
			{"group_id", SG_TOOL_INTEGER}, {"migrated_at", SG_TOOL_TIME}},
		.key = "name",
		.description = "'group ' || h.group_id",
		.applied_at = "h.migrated_at::timestamptz"
	},
	{
		.name = "DbUp", .relation = "schemaversions",
		.columns = {{"schemaversionsid", SG_TOOL_INTEGER}, {"scriptname", SG_TOOL_STRING},
			{"applied", SG_TOOL_TIME}},
		.key = "scriptname",
		.applied_at = "h.applied::timestamptz"
	},
	{
		.name = "FluentMigrator", .relation = "VersionInfo",
		.columns = {{"Version", SG_TOOL_INT8}, {"AppliedOn", SG_TOOL_TIME},
			{"Description", SG_TOOL_STRING}},
		.key = "Version",
		.description = "h.\"Description\"",
		.applied_at = "h.\"AppliedOn\"::timestamptz"
	},
	{
		.name = "Play", .relation = "play_evolutions",
		.columns = {{"id", SG_TOOL_INTEGER}, {"hash", SG_TOOL_STRING},
			{"applied_at", SG_TOOL_TIME}, {"apply_script", SG_TOOL_STRING},
			{"revert_script", SG_TOOL_STRING}, {"state", SG_TOOL_STRING},
			{"last_problem", SG_TOOL_STRING}},
		.key = "id",
		.applied_at = "h.applied_at::timestamptz",
		.success = "CASE WHEN h.state = 'applied' THEN true WHEN h.last_problem <> '' THEN false END"
	},
	{
		.name = "yoyo", .relation = "_yoyo_migration",
		.columns = {{"migration_hash", SG_TOOL_STRING}, {"migration_id", SG_TOOL_STRING},
			{"applied_at_utc", SG_TOOL_TIME}},
		.key = "migration_id",
		.applied_at = "h.applied_at_utc AT TIME ZONE 'UTC'"
	},
	{
		.name = "aerich", .relation = "aerich",
		.columns = {{"id", SG_TOOL_INTEGER}, {"version", SG_TOOL_STRING},
			{"app", SG_TOOL_STRING}, {"content", SG_TOOL_JSON}},
		.key = "version",
		.description = "h.app"
	}
};

const int	sg_ntools = lengthof(sg_tools);
