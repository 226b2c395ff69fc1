/*-------------------------------------------------------------------------
 *
 * planmark.c
 *		Carries findings from planning to execution inside the plan.
 *
 * A plan has no field for extensions, and a hash keyed by its address would
 * not do, since the plan cache copies plans.  What does travel with every copy
 * is PlannedStmt.invalItems, a list of (cacheId, hashValue).  The plan cache
 * compares the cacheId with the system cache that was invalidated and passes
 * over an item of another; system caches have numbers from 0 up, so negative
 * ones are free.  A finding is turned into bytes, four of which go into the
 * hashValue of an item and three into its cacheId.
 *
 * The plan of a parallel worker comes without the list: workers never judge.
 *
 * Notes travel the same way: some numbers that an execution needs and that
 * do not stand in the plan.
 *
 * This is the only file that knows the trick.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "safeguard.h"

/* first item of a finding, its hashValue is the number of bytes */
#define MARK_HEADER	(-0x53470001)
/* the items after it, seven bytes each, the last one padded */
#define MARK_DATA	(-0x40000000)
#define MARK_DATA_BYTES	7
#define MARK_DATA_MASK	0xFFFFFF

/* first item of a note, its hashValue is the number of words after it */
#define MARK_NOTE	(-0x53470003)
#define MARK_WORD	(-0x53470004)

/* no finding comes near this, so more is not ours */
#define MARK_MAX_BYTES	(1024 * 1024)

/* number of strings of an SgFinding */
#define MARK_STRINGS	8

/* bytes being read; after the first shortage everything reads as nothing */
typedef struct MarkReader
{
	const char *data;
	int			len;
	int			pos;
	bool		bad;			/* came to the end, or met nonsense */
} MarkReader;

/* ---------------- writing ---------------- */

static void
write_int(StringInfo buf, int32 value)
{
	appendBinaryStringInfo(buf, (const char *) &value, sizeof(value));
}

static void
write_string(StringInfo buf, const char *str)
{
	if (str == NULL)
	{
		write_int(buf, -1);
		return;
	}
	write_int(buf, (int32) strlen(str));
	appendBinaryStringInfo(buf, str, strlen(str));
}

static void
write_finding(StringInfo buf, const SgFinding *finding)
{
	ListCell   *lc;

	write_int(buf, finding->rule);
	write_int(buf, finding->highest);
	write_int(buf, (int32) finding->relid);
	write_int(buf, finding->location);
	write_int(buf, finding->when);
	write_int(buf, list_length(finding->reads));
	foreach(lc, finding->reads)
	{
		const SgColumnRef *ref = lfirst(lc);

		write_int(buf, (int32) ref->relid);
		write_int(buf, ref->attnum);
	}
	write_string(buf, finding->schema_name);
	write_string(buf, finding->table_name);
	write_string(buf, finding->column_name);
	write_string(buf, finding->constraint_name);
	write_string(buf, finding->message);
	write_string(buf, finding->detail);
	write_string(buf, finding->hint);
	write_string(buf, finding->closed_message);
}

static PlanInvalItem *
make_item(int cacheId, uint32 hashValue)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = cacheId;
	item->hashValue = hashValue;
	return item;
}

/*
 * Seven bytes: the first word, and three bytes of the second, whatever the
 * byte order.
 */
static PlanInvalItem *
make_data(const uint32 *words)
{
	const uint8 *rest = (const uint8 *) &words[1];

	return make_item(MARK_DATA - (rest[0] | rest[1] << 8 | rest[2] << 16),
					 words[0]);
}

static bool
is_data(const PlanInvalItem *item)
{
	return item->cacheId <= MARK_DATA &&
		item->cacheId >= MARK_DATA - MARK_DATA_MASK;
}

/*
 * Turn a list of SgFinding into a list of PlanInvalItem, allocated in the
 * current memory context.
 */
List *
sg_planmark_encode(List *findings)
{
	List	   *items = NIL;
	ListCell   *lc;

	foreach(lc, findings)
	{
		StringInfoData buf;

		initStringInfo(&buf);
		write_finding(&buf, lfirst(lc));
		items = lappend(items, make_item(MARK_HEADER, (uint32) buf.len));
		for (int pos = 0; pos < buf.len; pos += MARK_DATA_BYTES)
		{
			uint32		words[2] = {0, 0};

			memcpy(words, buf.data + pos, Min(MARK_DATA_BYTES, buf.len - pos));
			items = lappend(items, make_data(words));
		}
		pfree(buf.data);
	}
	return items;
}

/*
 * Write what sg_planmark_encode made into the plan.
 */
void
sg_planmark_put(PlannedStmt *plan, List *marks)
{
	plan->invalItems = list_concat(plan->invalItems, marks);
}

/* ---------------- reading ---------------- */

static int32
read_int(MarkReader *reader)
{
	int32		value;

	if (reader->bad || reader->len - reader->pos < (int) sizeof(value))
	{
		reader->bad = true;
		return 0;
	}
	memcpy(&value, reader->data + reader->pos, sizeof(value));
	reader->pos += sizeof(value);
	return value;
}

static char *
read_string(MarkReader *reader)
{
	int32		len = read_int(reader);
	char	   *str;

	if (reader->bad || len == -1)
		return NULL;
	if (len < 0 || len > reader->len - reader->pos)
	{
		reader->bad = true;
		return NULL;
	}
	str = pnstrdup(reader->data + reader->pos, len);
	reader->pos += len;
	return str;
}

/*
 * Read one finding, or return NULL if the bytes make none.
 */
static SgFinding *
read_finding(MarkReader *reader)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	int32		rule = read_int(reader);
	int32		nreads;

	if (rule < 0 || rule >= SG_NUM_RULES)
		return NULL;
	finding->rule = (SgRuleId) rule;
	finding->highest = (SgLevel) read_int(reader);
	finding->relid = (Oid) read_int(reader);
	finding->location = read_int(reader);
	finding->when = (SgWhen) read_int(reader);
	nreads = read_int(reader);
	for (int i = 0; i < nreads && !reader->bad; i++)
	{
		SgColumnRef *ref = palloc(sizeof(SgColumnRef));

		ref->relid = (Oid) read_int(reader);
		ref->attnum = (AttrNumber) read_int(reader);
		finding->reads = lappend(finding->reads, ref);
	}
	finding->schema_name = read_string(reader);
	finding->table_name = read_string(reader);
	finding->column_name = read_string(reader);
	finding->constraint_name = read_string(reader);
	finding->message = read_string(reader);
	finding->detail = read_string(reader);
	finding->hint = read_string(reader);
	finding->closed_message = read_string(reader);

	if (reader->bad || finding->message == NULL ||
		finding->closed_message == NULL)
		return NULL;
	return finding;
}

/*
 * Decode the finding whose header is the n-th item.  Returns NULL if what
 * follows is not as many bytes as it announces.
 */
static SgFinding *
decode_at(List *items, int n)
{
	uint32		len = list_nth_node(PlanInvalItem, items, n)->hashValue;
	int			nitems;
	char	   *data;
	MarkReader	reader = {0};

	if (len > MARK_MAX_BYTES)
		return NULL;
	nitems = (len + MARK_DATA_BYTES - 1) / MARK_DATA_BYTES;
	if (list_length(items) - n - 1 < nitems)
		return NULL;
	data = palloc((nitems + 1) * MARK_DATA_BYTES);
	for (int i = 0; i < nitems; i++)
	{
		PlanInvalItem *item = list_nth_node(PlanInvalItem, items, n + 1 + i);

		uint32		low = (uint32) (MARK_DATA - item->cacheId);
		char	   *to = data + i * MARK_DATA_BYTES;

		if (!is_data(item))
			return NULL;
		memcpy(to, &item->hashValue, sizeof(uint32));
		to[4] = (char) (low & 0xFF);
		to[5] = (char) (low >> 8 & 0xFF);
		to[6] = (char) (low >> 16 & 0xFF);
	}
	reader.data = data;
	reader.len = (int) len;
	return read_finding(&reader);
}

/*
 * Does the plan carry a finding?  Costs a walk of a short list.
 */
bool
sg_planmark_any(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->invalItems)
	{
		if (lfirst_node(PlanInvalItem, lc)->cacheId == MARK_HEADER)
			return true;
	}
	return false;
}

/*
 * The findings that the plan carries: list of SgFinding, allocated in the
 * current memory context.
 */
List *
sg_planmark_get(const PlannedStmt *plan)
{
	List	   *findings = NIL;

	for (int i = 0; i < list_length(plan->invalItems); i++)
	{
		PlanInvalItem *item = list_nth_node(PlanInvalItem, plan->invalItems, i);
		SgFinding  *finding;

		if (item->cacheId != MARK_HEADER)
			continue;
		finding = decode_at(plan->invalItems, i);
		if (finding != NULL)
			findings = lappend(findings, finding);
	}
	return findings;
}

/* ---------------- notes ---------------- */

/*
 * A note of some words, the first of which is what it is found by.  As
 * sg_planmark_encode.
 */
List *
sg_planmark_note(const uint32 *words, int nwords)
{
	List	   *items = list_make1(make_item(MARK_NOTE, nwords));

	for (int i = 0; i < nwords; i++)
		items = lappend(items, make_item(MARK_WORD, words[i]));
	return items;
}

/*
 * Read the first note whose first word is "id" into words[].  Returns how
 * many words it has, 0 if there is none.
 */
int
sg_planmark_find_note(const PlannedStmt *plan, uint32 id, uint32 *words,
					  int maxwords)
{
	List	   *items = plan->invalItems;

	for (int i = 0; i < list_length(items); i++)
	{
		PlanInvalItem *item = list_nth_node(PlanInvalItem, items, i);
		int			n = (int) item->hashValue;

		if (item->cacheId != MARK_NOTE || n < 1 || n > maxwords ||
			n > list_length(items) - i - 1)
			continue;
		for (int j = 0; j < n; j++)
			words[j] = list_nth_node(PlanInvalItem, items,
									 i + 1 + j)->hashValue;
		if (words[0] == id)
			return n;
	}
	return 0;
}
