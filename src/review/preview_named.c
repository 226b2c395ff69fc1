/*-------------------------------------------------------------------------
 *
 * preview_named.c
 *		The relation that a statement names as what it works on.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"

#include "review/preview.h"

/* The first one of several is as good as any. */
static const RangeVar *
first_of(const List *relations)
{
	return relations == NIL ? NULL : linitial_node(RangeVar, relations);
}

static const RangeVar *
dropped(const DropStmt *stmt)
{
	List	   *names = linitial(stmt->objects);

	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			return makeRangeVarFromNameList(names);
		case OBJECT_TRIGGER:
		case OBJECT_POLICY:
		case OBJECT_RULE:
			/* the last name is the object's own */
			return makeRangeVarFromNameList(list_copy_head(names,
														   list_length(names) - 1));
		default:
			return NULL;
	}
}

/*
 * NULL if there is none.
 */
const RangeVar *
sg_named_relation(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			return ((InsertStmt *) stmt)->relation;
		case T_UpdateStmt:
			return ((UpdateStmt *) stmt)->relation;
		case T_DeleteStmt:
			return ((DeleteStmt *) stmt)->relation;
		case T_MergeStmt:
			return ((MergeStmt *) stmt)->relation;
		case T_SelectStmt:
			return ((SelectStmt *) stmt)->intoClause == NULL ? NULL :
				((SelectStmt *) stmt)->intoClause->rel;
		case T_ExplainStmt:
			return sg_named_relation(((ExplainStmt *) stmt)->query);
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->relation;
		case T_CreateStmt:
			return ((CreateStmt *) stmt)->relation;
		case T_CreateForeignTableStmt:
			return ((CreateForeignTableStmt *) stmt)->base.relation;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->into->rel;
		case T_RefreshMatViewStmt:
			return ((RefreshMatViewStmt *) stmt)->relation;
		case T_ViewStmt:
			return ((ViewStmt *) stmt)->view;
		case T_CreateSeqStmt:
			return ((CreateSeqStmt *) stmt)->sequence;
		case T_AlterSeqStmt:
			return ((AlterSeqStmt *) stmt)->sequence;
		case T_AlterTableStmt:
			return ((AlterTableStmt *) stmt)->relation;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->relation;
		case T_AlterObjectSchemaStmt:
			return ((AlterObjectSchemaStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->relation;
		case T_ReindexStmt:
			return ((ReindexStmt *) stmt)->relation;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation;
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) stmt)->relation;
		case T_RuleStmt:
			return ((RuleStmt *) stmt)->relation;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) stmt)->table;
		case T_AlterPolicyStmt:
			return ((AlterPolicyStmt *) stmt)->table;
		case T_TruncateStmt:
			return first_of(((TruncateStmt *) stmt)->relations);
		case T_LockStmt:
			return first_of(((LockStmt *) stmt)->relations);
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->rels == NIL ? NULL :
				linitial_node(VacuumRelation, ((VacuumStmt *) stmt)->rels)->relation;
		case T_DropStmt:
			return dropped((DropStmt *) stmt);
		default:
			return NULL;
	}
}
