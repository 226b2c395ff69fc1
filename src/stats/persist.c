/*-------------------------------------------------------------------------
 *
 * persist.c
 *		The statistics file: figures across a restart.
 *
 * The collector writes it now and then, and the process that started the
 * server when it stops; the same process reads it when the server starts.
 * Trouble with the file is logged and costs the figures, never the start or
 * the stop.
 *
 * The file: SgFileHeader, then for each area SgFileSection and its items, then
 * a CRC of all that.  Written by the same kind of machine that reads it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "safeguard.h"
#include "stats/area.h"
#include "stats/collector.h"

#define STAT_FILE			PGSTAT_STAT_PERMANENT_DIRECTORY "/safeguard.stat"
#define STAT_FILE_NEW		STAT_FILE ".tmp"
#define STAT_FILE_DAMAGED	STAT_FILE ".damaged"
#define STAT_FILE_FOREIGN	STAT_FILE ".foreign"

#define FILE_MAGIC			0x53474631	/* "SGF1" */
#define FILE_VERSION		3
/* more areas than there will ever be: a limit for a damaged number */
#define FILE_MAX_SECTIONS	1024

typedef struct SgFileHeader
{
	uint32		magic;
	uint32		version;		/* of the layout of the file */
	uint64		system_id;		/* of the cluster that has written it */
	uint32		nsections;
	uint32		padding;
} SgFileHeader;

typedef struct SgFileSection
{
	char		name[NAMEDATALEN];	/* of the area */
	uint32		version;		/* of its items */
	uint32		padding;
	uint64		item_size;
	uint64		nitems;
} SgFileSection;

/* A file being written or read, with the CRC of what has passed. */
typedef struct SgFile
{
	FILE	   *file;
	pg_crc32c	crc;
	int			failed;			/* errno of what went wrong, or 0 */
} SgFile;

/* ---------------- writing ---------------- */

static void
put(SgFile *f, const void *data, Size size)
{
	if (f->failed != 0 || size == 0)
		return;
	COMP_CRC32C(f->crc, data, size);
	errno = 0;
	if (fwrite(data, size, 1, f->file) != 1)
		f->failed = errno != 0 ? errno : ENOSPC;
}

static void
put_area(SgFile *f, const SgArea *area, bool alone)
{
	SgFileSection section = {0};
	void	   *items = (*area->snapshot) (&section.nitems, alone);

	if (items == NULL)
	{
		/* an older file is better than one without these figures */
		f->failed = ENOMEM;
		return;
	}
	strlcpy(section.name, area->name, sizeof(section.name));
	section.version = area->version;
	section.item_size = area->item_size;
	put(f, &section, sizeof(section));
	for (uint64 i = 0; i < section.nitems; i++)
		put(f, (char *) items + i * area->item_size, area->item_size);
	pfree(items);
}

static void
put_all(SgFile *f, bool alone)
{
	SgFileHeader header = {0};
	pg_crc32c	crc;

	header.magic = FILE_MAGIC;
	header.version = FILE_VERSION;
	header.system_id = GetSystemIdentifier();
	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].item_size > 0)
			header.nsections++;
	}
	put(f, &header, sizeof(header));
	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].item_size > 0)
			put_area(f, &sg_areas[i], alone);
	}
	FIN_CRC32C(f->crc);
	crc = f->crc;
	put(f, &crc, sizeof(crc));
}

/*
 * Write the new file, and rename it when it is complete and safe on disk.
 * Returns 0 or the errno of what went wrong.
 */
static int
write_file(bool alone)
{
	SgFile		f = {0};

	f.file = AllocateFile(STAT_FILE_NEW, PG_BINARY_W);
	if (f.file == NULL)
		return errno;
	INIT_CRC32C(f.crc);
	put_all(&f, alone);
	if (FreeFile(f.file) != 0 && f.failed == 0)
		f.failed = errno;
	if (f.failed == 0 && durable_rename(STAT_FILE_NEW, STAT_FILE, DEBUG1) != 0)
		f.failed = errno;
	if (f.failed != 0)
		unlink(STAT_FILE_NEW);
	return f.failed;
}

/*
 * Trouble that lasts is told once, and when it is over.
 */
static void
report_result(int failed)
{
	bool		failed_before = pg_atomic_exchange_u32(&sg_collector->failing,
													   failed != 0) != 0;

	if (failed == 0)
		pg_atomic_write_u64(&sg_collector->written_at, GetCurrentTimestamp());
	if (failed != 0 && !failed_before)
	{
		errno = failed;
		ereport(LOG,
				errcode_for_file_access(),
				errmsg("could not write file \"%s\": %m", STAT_FILE),
				errdetail("Figures of safeguard since the last time it was written are lost if the server crashes or stops."));
	}
	else if (failed == 0 && failed_before)
		ereport(LOG,
				errmsg("file \"%s\" can be written again", STAT_FILE));
}

/*
 * Write the file.  "alone" says that nobody else is attached to our shared
 * memory; otherwise the caller must be a process that may take locks.  Never
 * raises on purpose.
 *
 * The lock is held until the file is in its place, so that one of older
 * figures never replaces one of newer; nobody waits for it but who writes.
 */
void
sg_persist_write(bool alone)
{
	int			failed;

	if (!sg_has_shmem())
		return;
	if (!alone)
		LWLockAcquire(sg_lock(SG_LOCK_FILE), LW_EXCLUSIVE);
	failed = write_file(alone);
	if (!alone)
		LWLockRelease(sg_lock(SG_LOCK_FILE));
	report_result(failed);
}

/* ---------------- reading ---------------- */

static bool
get(SgFile *f, void *data, Size size)
{
	if (size == 0)
		return true;
	if (fread(data, size, 1, f->file) != 1)
		return false;
	COMP_CRC32C(f->crc, data, size);
	return true;
}

static bool
skip(SgFile *f, uint64 size)
{
	char		buffer[4096];

	while (size > 0)
	{
		Size		piece = Min(size, sizeof(buffer));

		if (!get(f, buffer, piece))
			return false;
		size -= piece;
	}
	return true;
}

/*
 * Check the whole file before anything of it is believed.  Returns what is
 * wrong with it, or NULL.
 */
static const char *
check_file(SgFile *f, bool *foreign)
{
	SgFileHeader header;
	pg_crc32c	stored;

	INIT_CRC32C(f->crc);
	if (!get(f, &header, sizeof(header)))
		return "it is too short";
	if (header.magic != FILE_MAGIC)
		return "it is not a statistics file of safeguard";
	if (header.version != FILE_VERSION)
		return "it has been written by another version";
	if (header.nsections > FILE_MAX_SECTIONS)
		return "its number of sections is impossible";
	for (uint32 i = 0; i < header.nsections; i++)
	{
		SgFileSection section;

		if (!get(f, &section, sizeof(section)))
			return "it is too short";
		if (section.item_size > MaxAllocSize ||
			section.nitems > PG_INT32_MAX)
			return "the size of a section is impossible";
		if (!skip(f, section.item_size * section.nitems))
			return "it is too short";
	}
	FIN_CRC32C(f->crc);
	if (fread(&stored, sizeof(stored), 1, f->file) != 1)
		return "it is too short";
	if (!EQ_CRC32C(stored, f->crc))
		return "its checksum does not match";
	if (header.system_id != GetSystemIdentifier())
	{
		*foreign = true;
		return "it comes from another database cluster";
	}
	return NULL;
}

static const SgArea *
area_of(const SgFileSection *section)
{
	for (int i = 0; i < sg_num_areas; i++)
	{
		if (sg_areas[i].item_size > 0 &&
			strncmp(section->name, sg_areas[i].name, NAMEDATALEN) == 0)
			return &sg_areas[i];
	}
	return NULL;
}

/*
 * Take over one section.  Returns false if the rest cannot be read.
 */
static bool
take_section(SgFile *f)
{
	SgFileSection section;
	const SgArea *area;
	uint64		size;
	void	   *items;
	bool		ok;

	if (!get(f, &section, sizeof(section)))
		return false;
	size = section.item_size * section.nitems;
	area = area_of(&section);
	if (area == NULL || area->version != section.version ||
		area->item_size != section.item_size)
	{
		section.name[NAMEDATALEN - 1] = '\0';
		ereport(LOG,
				errmsg("ignoring section \"%s\" of file \"%s\": it has been written by another version",
					   section.name, STAT_FILE));
		return skip(f, size);
	}
	if (size == 0)
		return true;
	items = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (items == NULL)
	{
		section.name[NAMEDATALEN - 1] = '\0';
		ereport(LOG,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("ignoring section \"%s\" of file \"%s\": out of memory",
					   section.name, STAT_FILE));
		return skip(f, size);
	}
	ok = get(f, items, size);
	if (ok)
		(*area->restore) (items, section.nitems);
	pfree(items);
	return ok;
}

/*
 * Take over a file that has been checked and stands at its start.
 */
static void
take_file(SgFile *f)
{
	SgFileHeader header;

	if (!get(f, &header, sizeof(header)))
		return;
	for (uint32 i = 0; i < header.nsections; i++)
	{
		if (!take_section(f))
			return;
	}
}

static void
set_aside(const char *reason, const char *aside)
{
	ereport(LOG,
			errmsg("ignoring file \"%s\": %s", STAT_FILE, reason),
			errdetail("It is renamed to \"%s\".", aside));
	(void) durable_rename(STAT_FILE, aside, LOG);
}

/*
 * Does this server start from a copy?  pg_basebackup and pg_rewind leave a
 * backup label, and our file is among what they have copied.
 */
static bool
starts_from_backup(void)
{
	struct stat st;

	return stat("backup_label", &st) == 0;
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
	struct stat st;
	const char *problem;
	bool		foreign = false;

	/* left by a crash in the middle of writing */
	unlink(STAT_FILE_NEW);

	/* to open a pipe would wait for whoever writes to it */
	if (stat(STAT_FILE, &st) == 0 && !S_ISREG(st.st_mode) &&
		!S_ISDIR(st.st_mode))
	{
		set_aside("it is not a regular file", STAT_FILE_DAMAGED);
		return;
	}

	f.file = AllocateFile(STAT_FILE, PG_BINARY_R);
	if (f.file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					errcode_for_file_access(),
					errmsg("could not read file \"%s\": %m", STAT_FILE));
		return;
	}
	problem = check_file(&f, &foreign);
	if (problem == NULL && starts_from_backup())
	{
		foreign = true;
		problem = "it came with a backup";
	}
	if (problem == NULL && fseek(f.file, 0, SEEK_SET) == 0)
		take_file(&f);
	if (problem == NULL && fstat(fileno(f.file), &st) == 0)
		pg_atomic_write_u64(&sg_collector->written_at,
							time_t_to_timestamptz(st.st_mtime));
	FreeFile(f.file);
	if (problem != NULL)
		set_aside(problem, foreign ? STAT_FILE_FOREIGN : STAT_FILE_DAMAGED);
}
