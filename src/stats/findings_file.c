/*-------------------------------------------------------------------------
 *
 * findings_file.c
 *		Findings and counters of the rules in the statistics file.
 *
 * Rules are known there by their names, so that a version with other rules
 * can read it.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "stats/area.h"
#include "stats/findings.h"

/* counters beside those of the rules; no rule has such a name */
#define ITEM_EVICTED	"*evicted"
#define ITEM_UNJUDGED	"*unjudged"

/*
 * Copies of all findings.  The number of the rule in a copy's key is that of
 * this version: restore believes the name.
 */
void *
sg_findings_snapshot(uint64 *nitems, bool alone)
{
	HASH_SEQ_STATUS seq;
	SgFindingEntry *entry;
	SgFindingEntry *copies;
	uint64		n = 0;

	/* made before the lock is taken; pages that are not used cost nothing */
	copies = palloc_extended(sg_max_findings * sizeof(SgFindingEntry),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (copies == NULL)
		return NULL;
	if (!alone)
		LWLockAcquire(sg_shared->lock, LW_SHARED);
	hash_seq_init(&seq, sg_finding_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (n < sg_max_findings)
			copies[n++] = *entry;
	}
	if (!alone)
		LWLockRelease(sg_shared->lock);
	for (uint64 i = 0; i < n; i++)
		strlcpy(copies[i].rule, sg_rules[copies[i].key.rule].name,
				sizeof(copies[i].rule));
	*nitems = n;
	return copies;
}

static void
terminate_strings(SgFindingEntry *entry)
{
#define TERMINATE(field) (entry->field[sizeof(entry->field) - 1] = '\0')
	TERMINATE(rule);
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

static void
restore_one(SgFindingEntry *entry)
{
	SgFindingEntry *stored = NULL;
	int			rule;

	terminate_strings(entry);
	rule = sg_rule_by_name(entry->rule);
	if (rule < 0 ||
		entry->key.level < SG_LEVEL_OFF || entry->key.level > SG_LEVEL_ERROR)
		return;
	entry->key.rule = rule;
	if (hash_get_num_entries(sg_finding_table) < sg_max_findings)
		stored = hash_search(sg_finding_table, &entry->key, HASH_ENTER_NULL,
							 NULL);
	if (stored == NULL)
		pg_atomic_fetch_add_u64(&sg_shared->evicted, 1);
	else
		memcpy(stored, entry, sizeof(*entry));
}

void
sg_findings_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
		restore_one((SgFindingEntry *) items + i);
}

static void
put_item(SgRuleItem *item, const char *name, pg_atomic_uint64 *seen,
		 pg_atomic_uint64 *rejected)
{
	memset(item, 0, sizeof(*item));
	strlcpy(item->name, name, sizeof(item->name));
	item->seen = pg_atomic_read_u64(seen);
	if (rejected != NULL)
		item->rejected = pg_atomic_read_u64(rejected);
}

void *
sg_rules_snapshot(uint64 *nitems, bool alone)
{
	SgRuleItem *items = palloc_extended((SG_NUM_RULES + 2) * sizeof(SgRuleItem),
										MCXT_ALLOC_NO_OOM);

	if (items == NULL)
		return NULL;
	for (int i = 0; i < SG_NUM_RULES; i++)
		put_item(&items[i], sg_rules[i].name, &sg_shared->seen[i],
				 &sg_shared->rejected[i]);
	put_item(&items[SG_NUM_RULES], ITEM_EVICTED, &sg_shared->evicted, NULL);
	put_item(&items[SG_NUM_RULES + 1], ITEM_UNJUDGED, &sg_shared->unjudged,
			 NULL);
	*nitems = SG_NUM_RULES + 2;
	return items;
}

void
sg_rules_restore(void *items, uint64 nitems)
{
	for (uint64 i = 0; i < nitems; i++)
	{
		SgRuleItem *item = (SgRuleItem *) items + i;
		int			rule;

		item->name[NAMEDATALEN - 1] = '\0';
		rule = sg_rule_by_name(item->name);
		if (rule >= 0)
		{
			pg_atomic_write_u64(&sg_shared->seen[rule], item->seen);
			pg_atomic_write_u64(&sg_shared->rejected[rule], item->rejected);
		}
		else if (strcmp(item->name, ITEM_EVICTED) == 0)
			pg_atomic_write_u64(&sg_shared->evicted, item->seen);
		else if (strcmp(item->name, ITEM_UNJUDGED) == 0)
			pg_atomic_write_u64(&sg_shared->unjudged, item->seen);
	}
}
