/*-------------------------------------------------------------------------
 *
 * calls.c
 *		Whose functions an expression calls.
 *
 * Folding constants executes functions.  In what others have written, such as
 * the CHECKs of a table, they would run with the rights of whoever's statement
 * is looked at.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/nodeFuncs.h"

#include "safeguard.h"

/*
 * Is the function one that somebody has made?  For check_functions_in_node().
 */
bool
sg_is_made_function(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId;
}

/*
 * Does an expression call functions that are not the server's own?
 */
bool
sg_calls_others(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, sg_is_made_function, NULL) ||
		expression_tree_walker(node, sg_calls_others, context);
}
