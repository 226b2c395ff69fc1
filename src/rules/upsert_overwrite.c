/*-------------------------------------------------------------------------
 *
 * upsert_overwrite.c
 *		Finds loads whose upserts replace the rows that the same load has just
 *		written, because their key is not the identity of the data.
 *
 * See doc/rules/upsert_overwrite.md.  upsert/ counts, this file judges.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "upsert/upsert.h"

/*
 * A column could be the identity if so many of its values are different, and
 * if it repeats so much less often than the key.
 */
#define IDENTITY_SHARE	0.9
#define IDENTITY_REPEATS	0.2

/* of the rows looked at, so many need to repeat a key */
#define TELLING_SHARE	0.5

/* a load is found again when it has grown so many times */
#define AGAIN_AT		10

/* The figures of a load, or of its window, with those of a statement. */
typedef struct Figures
{
	int64		proposed;
	int64		inserted;
	int64		replaced;
	int64		keys;			/* different ones */
} Figures;

/* ---------------- figures ---------------- */

/*
 * Of the rows that were replaced, those that the load itself had written: no
 * more than the rows that brought no new key.
 */
static double
own_share(const Figures *figures)
{
	int64		own = Min(figures->replaced, figures->proposed - figures->keys);

	if (own <= 0 || figures->proposed <= 0)
		return 0.0;
	return (double) own / (double) figures->proposed;
}

/*
 * Is it time to look at the columns that a load overwrites?  Before it can be
 * found at all, so that there is something to see when it is.
 */
bool
sg_upsert_overwrite_suspects(SgLoad *load)
{
	Figures		figures = {load->proposed, load->inserted, load->replaced};

	if (load->proposed < load->window.opens_at ||
		load->proposed < sg_overwrite_min_rows / 2 ||
		load->replaced < load->proposed * sg_overwrite_ratio / 2)
		return false;
	figures.keys = sg_sketch_at_most(&load->keys);
	return own_share(&figures) >= sg_overwrite_ratio / 2;
}

/* ---------------- evidence ---------------- */

/*
 * Have the keys repeated often enough since the window was opened to tell
 * anything by what the other columns did meanwhile?
 */
static bool
window_tells(const SgWindow *window, const Figures *figures)
{
	return window->open &&
		figures->proposed >= Max(sg_overwrite_min_rows / 2, 1) &&
		own_share(figures) >= Min(sg_overwrite_ratio, TELLING_SHARE);
}

/*
 * The columns that differ in almost every row while the keys repeat, in the
 * order of the table.  Returns how many.
 */
static int
find_identities(SgWindow *window, const Figures *figures,
				AttrNumber *attnums)
{
	int			n = 0;

	for (int i = 0; i < window->ncandidates; i++)
	{
		int64		values = sg_sketch_at_least(&window->candidates[i].values);
		AttrNumber	attnum = window->candidates[i].attnum;
		int			at = n;

		if (values < figures->proposed * IDENTITY_SHARE ||
			figures->proposed - values >
			(figures->proposed - figures->keys) * IDENTITY_REPEATS)
			continue;
		for (; at > 0 && attnums[at - 1] > attnum; at--)
			attnums[at] = attnums[at - 1];
		attnums[at] = attnum;
		n++;
	}
	return n;
}

/* ---------------- texts ---------------- */

static char *
key_text(const SgTracker *tracker)
{
	const char *expr = tracker->target.exprs;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < tracker->target.nkeys; i++)
	{
		AttrNumber	attnum = tracker->target.keys[i];

		appendStringInfoString(&buf, i > 0 ? ", " : "");
		if (attnum > 0)
			appendStringInfoString(&buf,
								   quote_identifier(get_attname(tracker->relid,
																attnum, false)));
		else
		{
			appendStringInfoString(&buf, expr);
			expr += strlen(expr) + 1;
		}
	}
	return buf.data;
}

/*
 * How to say that the rows are meant to be replaced.
 */
static char *
allowance(const SgTracker *tracker, const char *relation)
{
	AttrNumber	key = tracker->target.keys[0];

	if (tracker->target.nkeys == 1 && key > 0)
		return psprintf("SELECT safeguard.set_column(%s, %s, 'identity')",
						relation,
						quote_literal_cstr(get_attname(tracker->relid, key,
													   false)));
	return psprintf("SELECT safeguard.set_level(%s, 'upsert_overwrite', 'off')",
					relation);
}

static char *
hint_text(const SgTracker *tracker, List *identities, const char *relation)
{
	StringInfoData columns;
	ListCell   *lc;

	initStringInfo(&columns);
	foreach(lc, identities)
		appendStringInfo(&columns, "%s\"%s\"",
						 columns.len > 0 ? ", " : "", (char *) lfirst(lc));
	if (!OidIsValid(get_extension_oid("safeguard", true)))
		return identities == NIL ? NULL :
			psprintf("The key is probably one of these columns, which differ in almost every row: %s.",
					 columns.data);
	if (identities == NIL)
		return psprintf("Nothing tells whether that is meant.  safeguard.check_key and safeguard.suggest_keys look for keys in a table.  If it is meant, run %s.",
						allowance(tracker, relation));
	return psprintf("%s %s in almost every row: the key is probably %s.  Check it with SELECT * FROM safeguard.check_key(%s, %s).  If rows are meant to be replaced, run %s.",
					list_length(identities) == 1 ? "Column" : "Columns",
					psprintf("%s %s", columns.data,
							 list_length(identities) == 1 ? "differs" : "differ"),
					list_length(identities) == 1 ? "that" : "one of them",
					relation, quote_literal_cstr(linitial(identities)),
					allowance(tracker, relation));
}

static void
read_column(SgFinding *finding, AttrNumber attnum)
{
	SgColumnRef *ref;

	if (attnum <= 0)
		return;
	ref = palloc(sizeof(SgColumnRef));
	ref->relid = finding->relid;
	ref->attnum = attnum;
	finding->reads = lappend(finding->reads, ref);
}

static SgFinding *
make_finding(const SgTracker *tracker, const Figures *figures,
			 List *identities)
{
	SgFinding  *finding = palloc0(sizeof(SgFinding));
	char	   *relation;

	finding->rule = SG_RULE_UPSERT_OVERWRITE;
	finding->highest = identities == NIL ? SG_LEVEL_RECORD : SG_LEVEL_OFF;
	finding->relid = tracker->relid;
	finding->location = -1;
	for (int i = 0; i < tracker->target.nhashed; i++)
		read_column(finding, tracker->target.hashed[i].attnum);
	finding->table_name = get_rel_name(tracker->relid);
	/* as anybody would write it: pg_temp, not its number */
	finding->schema_name =
		get_namespace_name_or_temp(get_rel_namespace(tracker->relid));
	finding->column_name = identities == NIL ? NULL : linitial(identities);
	relation = quote_literal_cstr(quote_qualified_identifier(finding->schema_name,
															 finding->table_name));
	finding->message =
		psprintf("%s (%s) keeps replacing rows of table \"%s\" that this load has just written",
				 tracker->merge ? "MERGE ON" : "INSERT ... ON CONFLICT",
				 key_text(tracker), finding->table_name);
	finding->detail =
		psprintf("Of %lld rows proposed, %lld were inserted and %lld replaced a row; they have %lld different keys.",
				 (long long) figures->proposed, (long long) figures->inserted,
				 (long long) figures->replaced, (long long) figures->keys);
	finding->hint = hint_text(tracker, identities, relation);
	finding->closed_message =
		psprintf("%s keeps replacing rows of table \"%s\" that this load has just written",
				 tracker->merge ? "MERGE" : "INSERT ... ON CONFLICT",
				 finding->table_name);
	return finding;
}

/* ---------------- judging ---------------- */

static bool
key_is_declared(const SgTracker *tracker)
{
	for (int i = 0; i < tracker->target.nkeys; i++)
	{
		if (sg_column_has_role(tracker->relid, tracker->target.keys[i],
							   SG_COLUMN_IDENTITY))
			return true;
	}
	return false;
}

/*
 * Decide and tell.  Returns false if there is nothing to tell; raises the
 * ERROR if the level says so.
 */
static bool
tell(const SgTracker *tracker, const Figures *figures,
	 const AttrNumber *attnums, int nattnums, QueryDesc *queryDesc)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "safeguard judgement",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	List	   *names = NIL;
	SgFinding  *finding;
	List	   *decisions;
	SgSource	source;

	for (int i = 0; i < nattnums; i++)
	{
		char	   *name = get_attname(tracker->target.root, attnums[i], true);

		if (name != NULL)
			names = lappend(names, name);
	}
	finding = make_finding(tracker, figures, names);
	sg_query_source(&source, queryDesc);
	decisions = sg_decide(list_make1(finding));
	sg_deliver(decisions, &source, false);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return decisions != NIL;
}

/*
 * Look at a load with the statement that goes on with it.  A load is shown
 * when there is evidence that its key is wrong, and again at each tenfold;
 * without evidence it is recorded, which does not count as shown.
 */
void
sg_upsert_overwrite_judge(SgLoad *load, const SgTracker *tracker,
						  QueryDesc *queryDesc)
{
	SgWindow   *window = &load->window;
	Figures		all;
	Figures		late;
	AttrNumber	identities[SG_MAX_CANDIDATES];
	int			nidentities = 0;

	all.proposed = load->proposed + tracker->proposed;
	all.inserted = load->inserted + tracker->inserted;
	all.replaced = load->replaced + tracker->replaced;
	if (all.proposed < sg_overwrite_min_rows ||
		all.replaced < all.proposed * sg_overwrite_ratio ||
		all.proposed < (window->open ? Min(load->show_at, load->record_at) :
						load->record_at))
		return;
	all.keys = sg_sketch_at_most(&load->keys);
	if (own_share(&all) < sg_overwrite_ratio)
		return;
	if (sg_level_for(SG_RULE_UPSERT_OVERWRITE,
					 tracker->relid) == SG_LEVEL_OFF ||
		key_is_declared(tracker))
		return;

	late.proposed = window->proposed + tracker->proposed;
	late.replaced = window->replaced + tracker->replaced;
	late.keys = sg_sketch_at_most(&window->keys);
	if (window_tells(window, &late))
	{
		nidentities = find_identities(window, &late, identities);
		if (nidentities == 0)
			sg_window_close(window, all.proposed * AGAIN_AT);
	}

	if (all.proposed < (nidentities > 0 ? load->show_at : load->record_at))
		return;
	all.keys = sg_sketch_now(&load->keys);
	if (!tell(tracker, &all, identities, nidentities, queryDesc))
		return;
	load->record_at = all.proposed * AGAIN_AT;
	if (nidentities > 0)
	{
		load->show_at = load->record_at;
		sg_window_close(window, load->show_at / 2);
	}
}
