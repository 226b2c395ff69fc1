/*-------------------------------------------------------------------------
 *
 * scene.c
 *		Enumerates the scenes of a statement and keeps what is equal in one.
 *
 * The number of scenes is the product of the alternatives as long as that is
 * small; beyond MAX_SCENES each alternative is looked at by itself, the
 * others staying at their first side, so that the work stays linear in the
 * length of the statement.  Then not all was looked at, and if nothing was
 * found the statement counts as unjudged.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "query/scene.h"

#define MAX_CHOICES 256
#define MAX_SCENES 128		/* of all combinations */
#define MAX_LINEAR_SCENES 2048	/* of one OR, or one alternative at a time */
#define MAX_DIAGONALS 4

/* A scene and its memory, or more of that, in one piece of the allocator. */
#define SCENE_SIZE 2048

/*
 * Queries entered in all scenes of a statement.  A CTE is entered wherever it
 * is referred to, so that a chain of CTEs that each read the one before twice
 * would take exponential time.
 */
#define MAX_ENTERED 20000

typedef struct Enumeration
{
	SgStatement *stmt;
	MergeAction *action;
	void		(*judge) (SgScene *scene, void *arg);
	void	   *arg;
	MemoryContext context;		/* reset after each scene, or NULL */
	bool		first;			/* is the first scene still to come? */
	struct HTAB *known;			/* see SgScene */
	MemoryContext keep;
	int			options[MAX_CHOICES];	/* as the last scene met them */
	int			choices[MAX_CHOICES];
	int			nchoices;
	int			negations;		/* most that any scene has met */
	int			entered;		/* Queries, in all scenes */
	bool		cut;			/* something was left out */
} Enumeration;

/* The context of all scenes but the first. */
static MemoryContext
scene_context(Enumeration *e)
{
	if (e->context == NULL)
		e->context = AllocSetContextCreate(CurrentMemoryContext,
										   "safeguard scene",
										   ALLOCSET_DEFAULT_SIZES);
	return e->context;
}

/* Builds one scene with the choices that are set, and has it judged. */
static void
run_scene(Enumeration *e, int nforced, int focus)
{
	MemoryContext old = CurrentMemoryContext;
	SgScene    *scene;

	/* most statements have one scene only, and need no context for it */
	if (!e->first)
		MemoryContextSwitchTo(scene_context(e));
	e->first = false;
	scene = palloc(SCENE_SIZE);
	memset(scene, 0, sizeof(SgScene));
	scene->room = (char *) scene + MAXALIGN(sizeof(SgScene));
	scene->left = SCENE_SIZE - MAXALIGN(sizeof(SgScene));
	CHECK_FOR_INTERRUPTS();
	if (e->entered > MAX_ENTERED)
	{
		e->cut = true;
		e->nchoices = 0;
		MemoryContextSwitchTo(old);
		return;
	}
	scene->stmt = e->stmt;
	scene->action = e->action;
	scene->known = &e->known;
	scene->keep = e->keep;
	scene->choices = e->choices;
	scene->options = e->options;
	scene->nforced = nforced;
	scene->focus = focus;
	sg_enter_target(scene);
	MemoryContextSwitchTo(old);

	e->judge(scene, e->arg);

	e->nchoices = Min(scene->nchoices, MAX_CHOICES);
	e->negations = Max(e->negations, scene->negations);
	e->entered += scene->nscopes;
	e->cut = e->cut || scene->cut;
	if (e->context)
		MemoryContextReset(e->context);
}

/*
 * What is left of the old room is lost.  The new one is in the current memory
 * context: the scene's own while it is built, the one above, which lives longer,
 * while it is judged.
 */
void
sg_scene_more_room(SgScene *scene, Size size)
{
	scene->left = Max(size, SCENE_SIZE);
	scene->room = palloc(scene->left);
}

/*
 * Each alternative by itself, then all at their second side, at their third;
 * used when there are too many combinations.
 */
static void
run_linear(Enumeration *e, int focus)
{
	int			runs = 0;
	int			most = 0;

	e->cut = true;
	for (int i = 0; i < e->nchoices; i++)
	{
		int			noptions = e->options[i];

		most = Max(most, noptions);
		for (int side = 1; side < noptions && runs < MAX_LINEAR_SCENES; side++)
		{
			memset(e->choices, 0, sizeof(e->choices));
			e->choices[i] = side;
			run_scene(e, i + 1, focus);
			runs++;
		}
		/* find out again what follows when this one stays at its first */
		memset(e->choices, 0, sizeof(e->choices));
		run_scene(e, i + 1, focus);
	}
	for (int side = 1; side < Min(most, MAX_DIAGONALS); side++)
	{
		for (int i = 0; i < MAX_CHOICES; i++)
			e->choices[i] = side;
		run_scene(e, MAX_CHOICES, focus);
	}
}

/* All combinations, like an odometer whose last wheel turns first. */
static void
run_all(Enumeration *e, int focus)
{
	int			runs = 0;
	int			nforced = 0;

	for (;;)
	{
		double		left = 1;
		int			i;

		run_scene(e, nforced, focus);
		if (++runs == 1)
		{
			for (i = 0; i < e->nchoices; i++)
				left *= e->options[i];
			/* one OR may be long: its arms are no combinations */
			if (left > MAX_SCENES && e->nchoices > 1)
			{
				run_linear(e, focus);
				return;
			}
		}
		for (i = e->nchoices - 1; i >= 0; i--)
			if (e->choices[i] + 1 < e->options[i])
				break;
		if (i < 0)
			return;
		if (runs >= MAX_LINEAR_SCENES)
		{
			e->cut = true;
			return;
		}
		e->choices[i]++;
		nforced = i + 1;
	}
}

/* The statement, or an action of MERGE: first as it is, then each negation. */
static void
run_action(Enumeration *e, MergeAction *action)
{
	e->action = action;
	e->negations = 0;
	run_all(e, -1);
	for (int focus = 0; focus < e->negations && focus < MAX_SCENES; focus++)
		run_all(e, focus);
}

/*
 * Calls judge once for each scene of a statement; for MERGE, once for each of
 * its UPDATE and DELETE actions.  The scene lives until judge returns.
 *
 * Returns false if the statement was too complex to be looked at in full.
 */
bool
sg_for_each_scene(SgStatement *stmt,
				  void (*judge) (SgScene *scene, void *arg), void *arg)
{
	Enumeration enumeration;
	Enumeration *e = &enumeration;
	ListCell   *lc;

	/* the arrays need no zeroes: sg_choose() fills them as it goes */
	e->nchoices = 0;
	e->entered = 0;
	e->cut = false;
	e->known = NULL;
	e->keep = CurrentMemoryContext;
	e->stmt = stmt;
	e->judge = judge;
	e->arg = arg;
	e->context = NULL;
	e->first = true;
	if (stmt->query->commandType != CMD_MERGE)
		run_action(e, NULL);
	else
		foreach(lc, stmt->query->mergeActionList)
		{
			MergeAction *action = lfirst_node(MergeAction, lc);

			if ((sg_merge_matched(action) ||
				 (stmt->scoped && sg_merge_by_source(action))) &&
				(action->commandType == CMD_UPDATE ||
				 action->commandType == CMD_DELETE))
				run_action(e, action);
		}
	if (e->context)
		MemoryContextDelete(e->context);
	return !e->cut;
}

/*
 * Which of several alternatives does this scene take?  Must be asked in the
 * same order each time.
 */
int
sg_choose(SgScene *scene, int noptions)
{
	int			i = scene->nchoices++;

	if (noptions <= 1 || i >= MAX_CHOICES)
	{
		scene->nchoices--;
		return 0;
	}
	scene->options[i] = noptions;
	if (i >= scene->nforced)
		scene->choices[i] = 0;
	return Min(scene->choices[i], noptions - 1);
}

/*
 * What is known of a node, whichever scene has found it out: a long statement has
 * a scene for each arm, and to walk all of it for each would take time by the
 * square of its length.
 */
SgKnown *
sg_known(SgScene *scene, Node *node)
{
	SgKnown    *known;
	bool		found;

	if (*scene->known == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Node *);
		ctl.entrysize = sizeof(SgKnown);
		ctl.hcxt = scene->keep;
		*scene->known = hash_create("safeguard nodes", 32, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	known = hash_search(*scene->known, &node, HASH_ENTER, &found);
	if (!found)
	{
		known->canonical = NULL;
		known->leaves = NIL;
		known->apart_known = known->apart = false;
	}
	return known;
}

/* ------------------------------------------------------------------------
 * Items and their columns
 * ------------------------------------------------------------------------
 */

SgItem *
sg_add_item(SgScene *scene, SgScope *scope, Index rti)
{
	SgItem	   *item = sg_scene_alloc(scene, sizeof(SgItem));

	item->number = list_length(scene->items);
	item->rte = rt_fetch(rti, scope->query->rtable);
	item->rti = rti;
	item->scope = scope;
	item->judged = scope->judged;
	item->row = item;
	if (item->rte->rtekind == RTE_RELATION ||
		item->rte->rtekind == RTE_NAMEDTUPLESTORE)
		item->relid = item->rte->relid;
	scene->items = lappend(scene->items, item);
	return item;
}

/* Does lineage end at an item: no table, or a temporary one? */
bool
sg_lineage_ends(SgItem *item)
{
	return !OidIsValid(item->relid) ||
		(item->rte->rtekind == RTE_RELATION &&
		 get_rel_persistence(item->relid) == RELPERSISTENCE_TEMP);
}

/*
 * The node of a column if something was said of it, else NULL.  Whole rows
 * and system columns have numbers from 0 downwards.
 */
SgNode *
sg_node_known(SgScene *scene, SgItem *item, AttrNumber att)
{
	int			slot = att - FirstLowInvalidHeapAttributeNumber;

	return slot < item->ncolumns ? item->columns[slot] : NULL;
}

SgNode *
sg_node(SgScene *scene, SgItem *item, AttrNumber att)
{
	SgNode	   *node = sg_node_known(scene, item, att);
	int			slot = att - FirstLowInvalidHeapAttributeNumber;

	if (node != NULL)
		return node;
	if (slot >= item->ncolumns)
	{
		int			ncolumns = Max(Max(slot + 1, 16), 2 * item->ncolumns);
		SgNode	  **columns = sg_scene_alloc(scene,
											 ncolumns * sizeof(SgNode *));

		for (int i = 0; i < item->ncolumns; i++)
			columns[i] = item->columns[i];
		item->columns = columns;
		item->ncolumns = ncolumns;
	}
	node = sg_scene_alloc(scene, sizeof(SgNode));
	node->item = item;
	node->att = att;
	node->equal = node->next = node;
	item->columns[slot] = node;
	return node;
}

SgNode *
sg_equal_root(SgNode *node)
{
	while (node->equal != node)
	{
		node->equal = node->equal->equal;	/* keeps paths short */
		node = node->equal;
	}
	return node;
}

void
sg_make_equal(SgNode *a, SgNode *b)
{
	SgNode	   *next;

	a = sg_equal_root(a);
	b = sg_equal_root(b);
	if (a == b)
		return;
	b->equal = a;
	/* nobody asks for b's from now on */
	if (a->pins == NIL)
		a->pins = b->pins;
	else if (b->pins != NIL)
		a->pins = list_concat(a->pins, b->pins);
	/* two rings become one */
	next = a->next;
	a->next = b->next;
	b->next = next;
}

/* Records that a column has one value for the whole statement. */
void
sg_pin(SgNode *node, Node *single)
{
	node = sg_equal_root(node);
	node->pins = lappend(node->pins, single);
}

SgItem *
sg_row(SgItem *item)
{
	while (item->row != item)
	{
		item->row = item->row->row; /* keeps paths short */
		item = item->row;
	}
	return item;
}

/* Two relations joined by equality are one source row; never the target. */
void
sg_join_rows(SgItem *a, SgItem *b)
{
	if (a->number == 0 || b->number == 0)
		return;
	a = sg_row(a);
	b = sg_row(b);
	if (a != b)
		b->row = a;
}

/* ------------------------------------------------------------------------
 * Single values
 * ------------------------------------------------------------------------
 */

static bool
consts_agree(Const *a, Const *b)
{
	Oid			out;
	bool		varlena;
	char	   *texta;
	char	   *textb;

	if (a->constisnull || b->constisnull)
		return a->constisnull && b->constisnull;
	if (a->consttype == b->consttype)
		return datumIsEqual(a->constvalue, b->constvalue, a->constbyval,
							a->constlen);

	/* 7 and 7::bigint, 'x'::text and 'x'::varchar: compare what is printed */
	getTypeOutputInfo(a->consttype, &out, &varlena);
	texta = OidOutputFunctionCall(out, a->constvalue);
	getTypeOutputInfo(b->consttype, &out, &varlena);
	textb = OidOutputFunctionCall(out, b->constvalue);
	return strcmp(texta, textb) == 0;
}

/*
 * Can these be the same value?  Planning cannot tell two parameters apart,
 * nor a parameter from a constant; a subquery is the same only as itself.
 */
bool
sg_singles_agree(Node *a, Node *b)
{
	if (IsA(a, Const) && IsA(b, Const))
		return consts_agree((Const *) a, (Const *) b);
	if (checkExprHasSubLink(a) || checkExprHasSubLink(b))
		return equal(a, b);
	return true;
}

/* Are both columns known to have one value, and the same one? */
bool
sg_pins_agree(SgNode *a, SgNode *b)
{
	ListCell   *la;

	foreach(la, sg_equal_root(a)->pins)
	{
		ListCell   *lb;

		foreach(lb, sg_equal_root(b)->pins)
			if (sg_singles_agree((Node *) lfirst(la), (Node *) lfirst(lb)))
				return true;
	}
	return false;
}
