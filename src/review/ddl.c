/*-------------------------------------------------------------------------
 *
 * ddl.c
 *		Judges utility statements that are not executed.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "review/review.h"

/*
 * What the rules say of a utility statement as the parser has made it: a list
 * of SgFinding.
 */
List *
sg_review_utility(Node *stmt, const char *sql, int location, int len)
{
	return NIL;
}
