/*-------------------------------------------------------------------------
 *
 * products.c
 *		Keeps together what rules have made out of one statement.
 *
 * They are executed one after the other, by the same portal.  A portal's
 * address is used again, so the time of the client's message and the place in
 * the portal's list have to fit as well.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/pquery.h"

#include "limit/limit.h"

/* the last of several products that has been run */
static SgLimitProducts last_product;

static bool
same_execution(const SgLimitProducts *a, const SgLimitProducts *b)
{
	return a->portal == b->portal && a->plans == b->plans &&
		a->started == b->started;
}

/*
 * Is this statement one of several that rules have made out of one?  If so,
 * get what those before it have changed.
 */
void
sg_limit_find_products(SgLimitStatement *statement)
{
	SgLimitProducts *before = &statement->before;
	int			n = 0;
	ListCell   *lc;

	statement->position = -1;
	if (ActivePortal == NULL || list_length(ActivePortal->stmts) < 2)
		return;
	foreach(lc, ActivePortal->stmts)
	{
		if (lfirst(lc) == statement->queryDesc->plannedstmt)
			statement->position = n;
		n++;
	}
	if (statement->position < 0)
		return;

	before->portal = ActivePortal;
	before->plans = ActivePortal->stmts;
	before->started = GetCurrentStatementStartTimestamp();
	if (same_execution(before, &last_product) &&
		last_product.position < statement->position)
		*before = last_product;
	statement->strict = before->changed[SG_LEVEL_ERROR];
}

void
sg_limit_remember_product(const SgLimitStatement *statement)
{
	if (statement->position < 0)
		return;
	last_product = statement->before;
	last_product.position = statement->position;
	for (int i = 0; i < statement->ntargets; i++)
	{
		const SgLimitTarget *target = &statement->targets[i];

		last_product.changed[target->level] += target->rows.changed;
	}
}
