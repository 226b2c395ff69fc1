/*-------------------------------------------------------------------------
 *
 * remember.c
 *		What has been found out of a column by reading much of the catalogs.
 *
 * A partition or inheritance tree may have thousands of members, and a column
 * hundreds of views that depend on it, while the planner looks at the few
 * relations that a statement needs: to read the catalogs for each of them again
 * would be most of its planning.  An answer is kept per backend, with the
 * relations that it depends on, until one of them or any sequence changes: that
 * a sequence is owned by another column changes no relation.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"

/* All are forgotten when there are so many, of answers or of members. */
#define MAX_ANSWERS 128
#define MAX_MEMBERS 100000

typedef struct Answer
{
	Oid			relid;
	AttrNumber	att;
	Oid			about;
	Oid			answer;
	int			nmembers;
	Oid		   *members;		/* sorted */
} Answer;

static MemoryContext context = NULL;
static Answer answers[MAX_ANSWERS];
static int	nanswers = 0;
static int	total_members = 0;
static uint64 generation = 0;	/* counts invalidations */

static int
compare_oids(const void *a, const void *b)
{
	Oid			x = *(const Oid *) a;
	Oid			y = *(const Oid *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

static void
relation_changed(Datum arg, Oid relid)
{
	generation++;
	for (int i = 0; i < nanswers; i++)
		if (!OidIsValid(relid) ||
			bsearch(&relid, answers[i].members, answers[i].nmembers,
					sizeof(Oid), compare_oids) != NULL)
			nanswers = 0;
}

static void
sequence_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
	nanswers = 0;
}

/* To be asked for before the catalogs are. */
uint64
sg_remember_generation(void)
{
	if (context == NULL)
	{
		context = AllocSetContextCreate(CacheMemoryContext,
										"safeguard columns",
										ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(SEQRELID, sequence_changed, (Datum) 0);
	}
	return generation;
}

/* Is the answer known that was kept for a column and what it was about? */
bool
sg_remembered(Oid relid, AttrNumber att, Oid about, Oid *answer)
{
	for (int i = 0; i < nanswers; i++)
	{
		if (answers[i].relid != relid || answers[i].att != att ||
			answers[i].about != about)
			continue;
		*answer = answers[i].answer;
		return true;
	}
	return false;
}

/*
 * Keeps an answer, unless something has changed since the generation "before".
 * The members are all relations that were asked, and the relation itself.
 */
void
sg_remember(Oid relid, AttrNumber att, Oid about, Oid answer,
			List *members, uint64 before)
{
	Answer *entry;
	ListCell   *lc;

	if (generation != before || list_length(members) > MAX_MEMBERS)
		return;
	if (nanswers >= MAX_ANSWERS ||
		total_members + list_length(members) > MAX_MEMBERS)
		nanswers = 0;
	/* what has been forgotten is freed only here: a callback frees nothing */
	if (nanswers == 0)
	{
		MemoryContextReset(context);
		total_members = 0;
	}
	entry = &answers[nanswers];
	entry->relid = relid;
	entry->att = att;
	entry->about = about;
	entry->answer = answer;
	entry->nmembers = 0;
	entry->members = MemoryContextAlloc(context,
										Max(list_length(members), 1) * sizeof(Oid));
	foreach(lc, members)
		entry->members[entry->nmembers++] = lfirst_oid(lc);
	qsort(entry->members, entry->nmembers, sizeof(Oid), compare_oids);
	total_members += entry->nmembers;
	nanswers++;
}
