/*-------------------------------------------------------------------------
 *
 * limit.h
 *		A statement whose rows are counted for rule row_limit.
 *
 * rules/row_limit.c judges, message.c has the words, products.c knows what
 * belongs together although rules have made several statements out of one.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_LIMIT_H
#define SG_LIMIT_H

#include "utils/portal.h"
#include "utils/rel.h"

#include "exec/exec.h"

#define SG_NUM_LEVELS	(SG_LEVEL_ERROR + 1)

/* One of the tables that a statement writes to. */
typedef struct SgLimitTarget
{
	SgRowCount	rows;			/* MUST BE FIRST */
	struct SgLimitStatement *statement;
	Relation	relation;		/* the one that the statement names */
	SgLevel		level;			/* not OFF */
	int64		summed;			/* rows already in the statement's sum */
} SgLimitTarget;

/*
 * A statement that rules have turned into several: what those before have
 * changed counts for those after.
 */
typedef struct SgLimitProducts
{
	Portal		portal;			/* that runs them; with the next two fields it
								 * tells one execution from another */
	List	   *plans;
	TimestampTz started;
	int			position;		/* of the last one run */
	int64		changed[SG_NUM_LEVELS]; /* rows, by level of their target */
	bool		reported;
} SgLimitProducts;

/* A statement that is running and judged.  Lives in its own memory. */
typedef struct SgLimitStatement
{
	QueryDesc  *queryDesc;
	int			limit;			/* 0: none */
	const char *limit_parameter;	/* that the limit comes from */
	int			expected;		/* -1: any number */
	SgLimitTarget *targets;
	int			ntargets;
	int64		strict;			/* rows changed in targets at level error */
	bool		judged;			/* the end has been judged */
	int			position;		/* among the products of rules, or -1 */
	SgLimitProducts before;		/* what they have changed until now */
	MemoryContextCallback forget;
	struct SgLimitStatement *next;
} SgLimitStatement;

/* The worst that a statement is guilty of. */
typedef struct SgLimitVerdict
{
	SgLevel		level;			/* OFF: nothing */
	bool		limit;			/* more than the limit, else not as expected */
	int64		rows;			/* changed or affected */
} SgLimitVerdict;

/* ---------------- message.c ---------------- */

extern int64 sg_limit_rows(const SgLimitTarget *target,
						   const SgLimitVerdict *verdict);
extern char *sg_limit_schema(const SgLimitTarget *target);
extern char *sg_limit_message(const SgLimitStatement *statement,
							  const SgLimitVerdict *verdict,
							  const SgLimitTarget *target, bool stopped);
extern char *sg_limit_detail(const SgLimitStatement *statement,
							 const SgLimitVerdict *verdict,
							 const SgLimitTarget *target, bool stopped);
extern char *sg_limit_hint(const SgLimitStatement *statement,
						   const SgLimitVerdict *verdict,
						   const SgLimitTarget *target);

/* ---------------- products.c ---------------- */

extern void sg_limit_find_products(SgLimitStatement *statement);
extern void sg_limit_remember_product(const SgLimitStatement *statement);

#endif							/* SG_LIMIT_H */
