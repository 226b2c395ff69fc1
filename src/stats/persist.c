/*-------------------------------------------------------------------------
 *
 * persist.c
 *		The statistics file: findings and counters across a restart.
 *
 * Written by the process that started the server when it stops, read by it
 * when it starts; then nobody else is attached to our shared memory, so no
 * lock is taken (the postmaster could not take one).  Trouble with the file is
 * logged and costs the figures, never the start or the stop.
 *
 * The file: SgFileHeader, the rules with their counters by name (so that a
 * version with other rules can read it), the findings, the upserts, and a CRC
 * of all that.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#include "stats/findings.h"
#include "stats/upserts.h"

#define STAT_FILE			PGSTAT_STAT_PERMANENT_DIRECTORY "/safeguard.stat"
#define STAT_FILE_NEW		STAT_FILE ".tmp"
#define STAT_FILE_DAMAGED	STAT_FILE ".damaged"

#define FILE_MAGIC			0x53474631	/* "SGF1" */
#define FILE_VERSION		2
/* more rules than there will ever be: a limit for a damaged number */
#define FILE_MAX_RULES		1024

typedef struct SgFileHeader
{
	uint32		magic;
	uint32		version;		/* of the layout */
	uint64		system_id;		/* of the cluster that has written it */
	uint32		entry_size;		/* sizeof(SgFindingEntry) there */
	uint32		nrules;
	uint32		nentries;
	uint32		nupserts;
	uint64		evicted;
	uint64		unjudged;
	uint64		upsert_size;	/* sizeof(SgUpsertEntry) there */
} SgFileHeader;

typedef struct SgFileRule
{
	char		name[NAMEDATALEN];
	uint64		seen;
	uint64		rejected;
} SgFileRule;

/* A file being written or read, with the CRC of what has passed. */
typedef struct SgFile
{
	FILE	   *file;
	pg_crc32c	crc;
	bool		failed;
} SgFile;

/* ---------------- writing ---------------- */

static void
put(SgFile *f, const void *data, Size size)
{
	if (f->failed)
		return;
	COMP_CRC32C(f->crc, data, size);
	if (fwrite(data, size, 1, f->file) != 1)
		f->failed = true;
}

static void
put_all(SgFile *f)
{
	SgFileHeader header = {0};
	HASH_SEQ_STATUS seq;
	SgFindingEntry *entry;
	SgUpsertEntry *upsert;
	pg_crc32c	crc;

	header.magic = FILE_MAGIC;
	header.version = FILE_VERSION;
	header.system_id = sg_shared->system_id;
	header.entry_size = sizeof(SgFindingEntry);
	header.nrules = SG_NUM_RULES;
	header.nentries = hash_get_num_entries(sg_finding_table);
	header.evicted = pg_atomic_read_u64(&sg_shared->evicted);
	header.unjudged = pg_atomic_read_u64(&sg_shared->unjudged);
	header.nupserts = hash_get_num_entries(sg_upsert_table);
	header.upsert_size = sizeof(SgUpsertEntry);
	put(f, &header, sizeof(header));

	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		SgFileRule	rule = {0};

		strlcpy(rule.name, sg_rules[i].name, sizeof(rule.name));
		rule.seen = pg_atomic_read_u64(&sg_shared->seen[i]);
		rule.rejected = pg_atomic_read_u64(&sg_shared->rejected[i]);
		put(f, &rule, sizeof(rule));
	}

	hash_seq_init(&seq, sg_finding_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		put(f, entry, sizeof(*entry));
	hash_seq_init(&seq, sg_upsert_table);
	while ((upsert = hash_seq_search(&seq)) != NULL)
		put(f, upsert, sizeof(*upsert));

	FIN_CRC32C(f->crc);
	crc = f->crc;
	if (!f->failed && fwrite(&crc, sizeof(crc), 1, f->file) != 1)
		f->failed = true;
}

/*
 * Write the file, replacing an older one only when the new one is complete.
 * Nobody else may be using our shared memory.
 */
void
sg_persist_write(void)
{
	SgFile		f = {0};

	if (sg_shared == NULL || sg_finding_table == NULL ||
		sg_upsert_table == NULL)
		return;

	f.file = AllocateFile(STAT_FILE_NEW, PG_BINARY_W);
	if (f.file == NULL)
	{
		ereport(LOG,
				errcode_for_file_access(),
				errmsg("could not write file \"%s\": %m", STAT_FILE_NEW));
		return;
	}
	INIT_CRC32C(f.crc);
	put_all(&f);
	if (FreeFile(f.file) != 0 || f.failed)
	{
		ereport(LOG,
				errcode_for_file_access(),
				errmsg("could not write file \"%s\": %m", STAT_FILE_NEW));
		unlink(STAT_FILE_NEW);
		return;
	}
	(void) durable_rename(STAT_FILE_NEW, STAT_FILE, LOG);
}

/* ---------------- reading ---------------- */

static bool
get(SgFile *f, void *data, Size size)
{
	if (fread(data, size, 1, f->file) != 1)
		return false;
	COMP_CRC32C(f->crc, data, size);
	return true;
}

/*
 * Check the whole file before anything of it is believed.  Returns what is
 * wrong with it, or NULL and the header.
 */
static const char *
check_file(SgFile *f, SgFileHeader *header)
{
	pg_crc32c	stored;
	char		buffer[4096];
	uint64		rest;

	INIT_CRC32C(f->crc);
	if (!get(f, header, sizeof(*header)))
		return "it is too short";
	if (header->magic != FILE_MAGIC)
		return "it is not a statistics file of safeguard";
	if (header->version != FILE_VERSION ||
		header->entry_size != sizeof(SgFindingEntry) ||
		header->upsert_size != sizeof(SgUpsertEntry))
		return "it has been written by another version";
	if (header->system_id != sg_shared->system_id)
		return "it comes from another database cluster";
	if (header->nrules > FILE_MAX_RULES)
		return "its number of rules is impossible";

	rest = (uint64) header->nrules * sizeof(SgFileRule) +
		(uint64) header->nentries * sizeof(SgFindingEntry) +
		(uint64) header->nupserts * sizeof(SgUpsertEntry);
	while (rest > 0)
	{
		Size		piece = Min(rest, sizeof(buffer));

		if (!get(f, buffer, piece))
			return "it is too short";
		rest -= piece;
	}
	FIN_CRC32C(f->crc);
	if (fread(&stored, sizeof(stored), 1, f->file) != 1)
		return "it is too short";
	if (!EQ_CRC32C(stored, f->crc))
		return "its checksum does not match";
	return NULL;
}

static void
terminate_strings(SgFindingEntry *entry)
{
#define TERMINATE(field) (entry->field[sizeof(entry->field) - 1] = '\0')
	TERMINATE(database);
	TERMINATE(role);
	TERMINATE(schema);
	TERMINATE(relation);
	TERMINATE(application);
	TERMINATE(client);
	TERMINATE(query);
	TERMINATE(message);
	TERMINATE(hint);
#undef TERMINATE
}

/*
 * Take over one entry, whose rule number is the one of the file.
 */
static void
take_entry(SgFindingEntry *entry, const int *rule_ids, uint32 nrules)
{
	SgFindingEntry *stored;

	if (entry->key.rule < 0 || entry->key.rule >= nrules ||
		rule_ids[entry->key.rule] < 0 ||
		entry->key.level < SG_LEVEL_OFF || entry->key.level > SG_LEVEL_ERROR)
		return;
	entry->key.rule = rule_ids[entry->key.rule];
	terminate_strings(entry);

	if (hash_get_num_entries(sg_finding_table) >= sg_max_findings)
		stored = NULL;
	else
		stored = hash_search(sg_finding_table, &entry->key, HASH_ENTER_NULL,
							 NULL);
	if (stored == NULL)
		pg_atomic_fetch_add_u64(&sg_shared->evicted, 1);
	else
		memcpy(stored, entry, sizeof(*entry));
}

static void
take_upsert(SgUpsertEntry *entry)
{
	SgUpsertEntry *stored;

	if (entry->nkeys < 0 || entry->nkeys > INDEX_MAX_KEYS ||
		hash_get_num_entries(sg_upsert_table) >= sg_max_upserts)
		return;
	entry->exprs[sizeof(entry->exprs) - 1] = '\0';
	entry->statement[sizeof(entry->statement) - 1] = '\0';
	stored = hash_search(sg_upsert_table, &entry->key, HASH_ENTER_NULL, NULL);
	if (stored == NULL)
		return;
	memcpy(stored, entry, sizeof(*entry));
	SpinLockInit(&stored->mutex);
}

/*
 * Take over a file that has been checked and stands at its start.
 */
static void
take_file(SgFile *f)
{
	SgFileHeader header;
	int			rule_ids[FILE_MAX_RULES];

	if (!get(f, &header, sizeof(header)) || header.nrules > FILE_MAX_RULES)
		return;
	pg_atomic_write_u64(&sg_shared->evicted, header.evicted);
	pg_atomic_write_u64(&sg_shared->unjudged, header.unjudged);

	for (uint32 i = 0; i < header.nrules; i++)
	{
		SgFileRule	rule;

		if (!get(f, &rule, sizeof(rule)))
			return;
		rule.name[NAMEDATALEN - 1] = '\0';
		rule_ids[i] = sg_rule_by_name(rule.name);
		if (rule_ids[i] < 0)
			continue;
		pg_atomic_write_u64(&sg_shared->seen[rule_ids[i]], rule.seen);
		pg_atomic_write_u64(&sg_shared->rejected[rule_ids[i]], rule.rejected);
	}
	for (uint32 i = 0; i < header.nentries; i++)
	{
		SgFindingEntry entry;

		if (!get(f, &entry, sizeof(entry)))
			return;
		take_entry(&entry, rule_ids, header.nrules);
	}
	for (uint32 i = 0; i < header.nupserts; i++)
	{
		SgUpsertEntry entry;

		if (!get(f, &entry, sizeof(entry)))
			return;
		take_upsert(&entry);
	}
}

static void
set_aside(const char *reason)
{
	ereport(LOG,
			errmsg("ignoring file \"%s\": %s", STAT_FILE, reason),
			errdetail("It is renamed to \"%s\".", STAT_FILE_DAMAGED));
	(void) durable_rename(STAT_FILE, STAT_FILE_DAMAGED, LOG);
}

/*
 * Read the file into shared memory that has just been initialised.  It stays
 * where it is until the next one replaces it, so that a crash costs only what
 * has been counted since.
 */
void
sg_persist_read(void)
{
	SgFile		f = {0};
	SgFileHeader header;
	const char *problem;

	sg_shared->system_id = GetSystemIdentifier();

	f.file = AllocateFile(STAT_FILE, PG_BINARY_R);
	if (f.file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					errcode_for_file_access(),
					errmsg("could not read file \"%s\": %m", STAT_FILE));
		return;
	}
	problem = check_file(&f, &header);
	if (problem == NULL && fseek(f.file, 0, SEEK_SET) == 0)
		take_file(&f);
	FreeFile(f.file);
	if (problem != NULL)
		set_aside(problem);
}
