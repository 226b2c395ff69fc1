/*-------------------------------------------------------------------------
 *
 * tap.c
 *		Calls of ours before and after each call of a plan node.
 *
 * A node of a running plan is called through a pointer of its own, which the
 * server lets anybody replace (ExecSetExecProcNode).  The function that is
 * put there gets the node and nothing else, so it has to find by the node
 * what belongs to it: in a list that holds the tapped nodes of the statements
 * that are running, the one called last at its head.
 *
 * Whoever has replaced the pointer before us is kept and called, and several
 * taps on one node follow each other, so taps can be put on top of anything.
 *
 * A statement that fails ends without a word to its nodes, its memory is
 * simply gone.  Therefore a node leaves the list when the memory context of
 * its statement is reset or deleted.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"

#include "exec/exec.h"

typedef struct TappedNode
{
	PlanState  *node;
	ExecProcNodeMtd procedure;	/* what the node did before */
	SgTap	   *taps;			/* on it, the first one first */
	struct TappedNode *next;	/* in tapped_nodes */
	MemoryContextCallback forget;
} TappedNode;

/* the tapped nodes of all statements that are running */
static TappedNode *tapped_nodes = NULL;

/*
 * The entry of a node, which is put at the head of the list, or NULL.
 */
static TappedNode *
find_entry(const PlanState *node)
{
	TappedNode **link;

	for (link = &tapped_nodes; *link != NULL; link = &(*link)->next)
	{
		TappedNode *entry = *link;

		if (entry->node != node)
			continue;
		*link = entry->next;
		entry->next = tapped_nodes;
		tapped_nodes = entry;
		return entry;
	}
	return NULL;
}

/*
 * The memory of a tapped node is going away.
 */
static void
forget_entry(void *arg)
{
	TappedNode **link;

	for (link = &tapped_nodes; *link != NULL; link = &(*link)->next)
	{
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
	}
}

/*
 * What a tapped node does when it is called.
 */
static TupleTableSlot *
call_tapped(PlanState *node)
{
	TappedNode *entry = find_entry(node);
	TupleTableSlot *slot;

	if (entry == NULL)
		elog(ERROR, "plan node has lost its function");

	for (SgTap *tap = entry->taps; tap != NULL; tap = tap->next)
	{
		if (tap->before != NULL)
			tap->before(tap);
	}
	slot = entry->procedure(node);
	for (SgTap *tap = entry->taps; tap != NULL; tap = tap->next)
	{
		if (tap->after != NULL)
			tap->after(tap, slot);
	}
	return slot;
}

static TappedNode *
make_entry(PlanState *node)
{
	MemoryContext context = node->state->es_query_cxt;
	TappedNode *entry = MemoryContextAllocZero(context, sizeof(TappedNode));

	entry->node = node;
	entry->procedure = node->ExecProcNodeReal;
	entry->forget.func = forget_entry;
	entry->forget.arg = entry;
	MemoryContextRegisterResetCallback(context, &entry->forget);

	/* nothing fails from here on */
	entry->next = tapped_nodes;
	tapped_nodes = entry;
	ExecSetExecProcNode(node, call_tapped);
	return entry;
}

/*
 * Put a tap on a node of a plan that has been started and not run yet.  The
 * tap must live as long as the plan does.
 */
void
sg_tap_attach(PlanState *node, SgTap *tap)
{
	TappedNode *entry = find_entry(node);
	SgTap	  **link;

	if (entry == NULL)
		entry = make_entry(node);
	for (link = &entry->taps; *link != NULL; link = &(*link)->next)
		;
	*link = tap;
	tap->next = NULL;
}

/*
 * The tap on a node that calls this function before the node, or NULL.
 */
SgTap *
sg_tap_find(PlanState *node, void (*before) (SgTap *tap))
{
	TappedNode *entry = find_entry(node);

	for (SgTap *tap = entry ? entry->taps : NULL; tap != NULL; tap = tap->next)
	{
		if (tap->before == before)
			return tap;
	}
	return NULL;
}
