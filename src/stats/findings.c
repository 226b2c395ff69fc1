/*-------------------------------------------------------------------------
 *
 * findings.c
 *		Findings counted in shared memory, and the views that show them.
 *
 * Two kinds of figures: per rule an atomic counter, and per finding (who, by
 * which statement, on which relation, at which level) an entry of a hash of
 * fixed size.
 *
 * Note about locking: SgShared.lock is held exclusively to add, change or
 * remove entries and to change the plain fields, shared to read them.
 * Nothing is allocated, looked up or reported while it is held, so that
 * counting can fail for no reason of its own: what needs catalogs or memory
 * is made before.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "common/ip.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "stats/area.h"
#include "stats/findings.h"

/* per cent of the entries that are dropped at once when the table is full */
#define EVICT_PERCENT	5

int64		sg_findings_raised = 0;
SgShared   *sg_shared = NULL;
HTAB	   *sg_finding_table = NULL;

/* the same as in SgShared, for a server without our shared memory */
static uint64 local_unjudged = 0;
static int	local_unjudged_sqlstate = 0;
static char local_unjudged_message[SG_UNJUDGED_MESSAGE];

/* ---------------- shared memory ---------------- */

/*
 * Bytes of shared memory that the present settings need.
 */
Size
sg_findings_size(void)
{
	return add_size(MAXALIGN(sizeof(SgShared)),
					hash_estimate_size(sg_max_findings,
									   sizeof(SgFindingEntry)));
}

static void
init_shared(void)
{
	memset(sg_shared, 0, sizeof(SgShared));
	sg_shared->lock = sg_lock(SG_LOCK_FINDINGS);
	for (int i = 0; i < SG_NUM_RULES; i++)
	{
		pg_atomic_init_u64(&sg_shared->seen[i], 0);
		pg_atomic_init_u64(&sg_shared->rejected[i], 0);
	}
	pg_atomic_init_u64(&sg_shared->evicted, 0);
	pg_atomic_init_u64(&sg_shared->unjudged, 0);
	pg_atomic_init_u64(&sg_shared->unjudged_at, 0);
}

void
sg_findings_startup(void)
{
	HASHCTL		ctl = {0};
	bool		found;

	sg_shared = ShmemInitStruct("safeguard", sizeof(SgShared), &found);
	if (!found)
		init_shared();
	ctl.keysize = sizeof(SgFindingKey);
	ctl.entrysize = sizeof(SgFindingEntry);
	sg_finding_table = ShmemInitHash("safeguard findings",
									 sg_max_findings, sg_max_findings, &ctl,
									 HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

bool
sg_has_shmem(void)
{
	return sg_shared != NULL;
}

/* ---------------- making an entry ---------------- */

/*
 * Copy a text into a field of fixed size, cut at a character's boundary.
 */
void
sg_copy_text(char *to, const char *from, Size size)
{
	int			len = from == NULL ? 0 : (int) strlen(from);

	if (len >= size)
		len = pg_mbcliplen(from, len, size - 1);
	memcpy(to, from == NULL ? "" : from, len);
	to[len] = '\0';
}

/*
 * A client's address as pg_stat_activity shows it, "[local]" for a socket of
 * the same machine, empty for none.
 */
void
sg_copy_client(char *to, const SockAddr *addr, Size size)
{
	char		host[NI_MAXHOST];

	to[0] = '\0';
	if (addr->addr.ss_family == AF_UNIX)
		sg_copy_text(to, "[local]", size);
	else if ((addr->addr.ss_family == AF_INET ||
			  addr->addr.ss_family == AF_INET6) &&
			 pg_getnameinfo_all(&addr->addr, addr->salen, host, sizeof(host),
								NULL, 0, NI_NUMERICHOST) == 0)
		sg_copy_text(to, host, size);
}

/*
 * A relation that the statement has dropped goes by the name that the finding
 * has kept.
 */
static void
fill_names(SgFindingEntry *entry, const SgFinding *finding)
{
	Oid			relid = entry->key.relid;
	char	   *schema = NULL;
	char	   *relation = NULL;

	if (OidIsValid(relid))
	{
		schema = get_namespace_name(get_rel_namespace(relid));
		relation = get_rel_name(relid);
		if (relation == NULL)
		{
			schema = finding->schema_name;
			relation = finding->table_name;
		}
	}
	sg_copy_text(entry->database, get_database_name(entry->key.dbid), NAMEDATALEN);
	sg_copy_text(entry->role, GetUserNameFromId(entry->key.roleid, true),
			  NAMEDATALEN);
	sg_copy_text(entry->schema, schema, NAMEDATALEN);
	sg_copy_text(entry->relation, relation, NAMEDATALEN);
	sg_copy_text(entry->application, application_name, NAMEDATALEN);
	if (MyBEEntry != NULL)
		sg_copy_client(entry->client,
					   (const SockAddr *) &MyBEEntry->st_clientaddr,
					   sizeof(entry->client));
}

/*
 * An entry as it would be if this were its first call.
 */
static void
make_entry(SgFindingEntry *entry, const SgFinding *finding, SgLevel level,
		   const char *message, const char *hint, const SgSource *source)
{
	char	   *query = sg_normalize(source->text, source->location,
									 source->len);

	memset(entry, 0, sizeof(*entry));
	entry->has_queryid = source->queryid != 0;
	entry->key.query = entry->has_queryid ? source->queryid :
		hash_bytes_extended((const unsigned char *) query, strlen(query), 0);
	entry->key.dbid = MyDatabaseId;
	entry->key.roleid = GetUserId();
	entry->key.relid = finding->relid;
	entry->key.rule = finding->rule;
	entry->key.level = level;
	entry->encoding = GetDatabaseEncoding();
	entry->calls = 1;
	entry->rejected = level == SG_LEVEL_ERROR ? 1 : 0;
	entry->first_seen = GetCurrentTimestamp();
	entry->last_seen = entry->first_seen;
	fill_names(entry, finding);
	sg_copy_text(entry->query, query, sizeof(entry->query));
	sg_copy_text(entry->message, message, sizeof(entry->message));
	sg_copy_text(entry->hint, hint, sizeof(entry->hint));
}

/* ---------------- storing ---------------- */

/*
 * The least useful first: what never rejected anything, and of these the one
 * not seen for longest.
 */
static int
compare_usefulness(const void *a, const void *b)
{
	const SgFindingEntry *ea = *(SgFindingEntry *const *) a;
	const SgFindingEntry *eb = *(SgFindingEntry *const *) b;

	if ((ea->rejected > 0) != (eb->rejected > 0))
		return ea->rejected > 0 ? 1 : -1;
	if (ea->last_seen != eb->last_seen)
		return ea->last_seen > eb->last_seen ? 1 : -1;
	return 0;
}

/*
 * Drop the least useful entries.  "room" holds sg_max_findings pointers;
 * caller must hold the lock exclusively.
 */
static void
evict(SgFindingEntry **room)
{
	HASH_SEQ_STATUS seq;
	SgFindingEntry *entry;
	int			n = 0;
	int			victims;

	hash_seq_init(&seq, sg_finding_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		room[n++] = entry;
	qsort(room, n, sizeof(room[0]), compare_usefulness);

	victims = Min(n, Max(1, sg_max_findings / 100 * EVICT_PERCENT));
	for (int i = 0; i < victims; i++)
		hash_search(sg_finding_table, &room[i]->key, HASH_REMOVE, NULL);
	pg_atomic_fetch_add_u64(&sg_shared->evicted, victims);
}

/*
 * Bring a later call into the entry.  Caller must hold the lock exclusively.
 */
static void
merge_entry(SgFindingEntry *entry, const SgFindingEntry *call)
{
	int64		calls = entry->calls + call->calls;
	int64		rejected = entry->rejected + call->rejected;
	TimestampTz first_seen = entry->first_seen;

	memcpy(entry, call, sizeof(*entry));
	entry->calls = calls;
	entry->rejected = rejected;
	entry->first_seen = first_seen;
}

/*
 * Store a call.  Returns false, having stored nothing, if the table is full
 * and there is no "room" to choose what to drop.
 */
static bool
store(const SgFindingEntry *call, SgFindingEntry **room)
{
	SgFindingEntry *entry;

	LWLockAcquire(sg_shared->lock, LW_EXCLUSIVE);
	entry = hash_search(sg_finding_table, &call->key, HASH_FIND, NULL);
	if (entry != NULL)
		merge_entry(entry, call);
	else
	{
		if (hash_get_num_entries(sg_finding_table) >= sg_max_findings)
		{
			if (room == NULL)
			{
				LWLockRelease(sg_shared->lock);
				return false;
			}
			evict(room);
		}
		entry = hash_search(sg_finding_table, &call->key, HASH_ENTER_NULL,
							NULL);
		if (entry != NULL)
			memcpy(entry, call, sizeof(*entry));
		else
			pg_atomic_fetch_add_u64(&sg_shared->evicted, 1);
	}
	LWLockRelease(sg_shared->lock);
	return true;
}

/*
 * Count one execution of a finding.  "message" and "hint" are what the
 * client is told, or would be.  Does nothing without shared memory, writes to
 * no table, and must be called before the report, which may be an ERROR.
 */
void
sg_findings_count(const SgFinding *finding, SgLevel level,
				  const char *message, const char *hint,
				  const SgSource *source)
{
	SgFindingEntry call;
	SgFindingEntry **room;

	sg_findings_raised++;
	if (sg_shared == NULL)
		return;

	pg_atomic_fetch_add_u64(&sg_shared->seen[finding->rule], 1);
	if (level == SG_LEVEL_ERROR)
		pg_atomic_fetch_add_u64(&sg_shared->rejected[finding->rule], 1);

	make_entry(&call, finding, level, message, hint, source);
	if (store(&call, NULL))
		return;
	room = palloc_extended(sg_max_findings * sizeof(SgFindingEntry *),
						   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (room == NULL)
	{
		pg_atomic_fetch_add_u64(&sg_shared->evicted, 1);
		return;
	}
	store(&call, room);
	pfree(room);
}

/* ---------------- statements that nobody judged ---------------- */

/*
 * Count a statement on which detection failed, and keep the reason.
 */
void
sg_unjudged_count(const ErrorData *edata)
{
	const char *message = edata->message == NULL ? "" : edata->message;

	if (sg_shared == NULL)
	{
		local_unjudged++;
		local_unjudged_sqlstate = edata->sqlerrcode;
		sg_copy_text(local_unjudged_message, message, SG_UNJUDGED_MESSAGE);
		return;
	}
	pg_atomic_fetch_add_u64(&sg_shared->unjudged, 1);
	pg_atomic_write_u64(&sg_shared->unjudged_at,
						(uint64) GetCurrentTimestamp());
	LWLockAcquire(sg_shared->lock, LW_EXCLUSIVE);
	sg_shared->unjudged_sqlstate = edata->sqlerrcode;
	sg_copy_text(sg_shared->unjudged_message, message, SG_UNJUDGED_MESSAGE);
	LWLockRelease(sg_shared->lock);
}

/*
 * Number of statements that detection failed on, in the cluster or, without
 * shared memory, in this session; with the reason of the last one.
 */
uint64
sg_unjudged_get(int *sqlstate, char *message, Size size)
{
	if (sg_shared == NULL)
	{
		*sqlstate = local_unjudged_sqlstate;
		sg_copy_text(message, local_unjudged_message, size);
		return local_unjudged;
	}
	LWLockAcquire(sg_shared->lock, LW_SHARED);
	*sqlstate = sg_shared->unjudged_sqlstate;
	sg_copy_text(message, sg_shared->unjudged_message, size);
	LWLockRelease(sg_shared->lock);
	return pg_atomic_read_u64(&sg_shared->unjudged);
}
