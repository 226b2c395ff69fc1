/*-------------------------------------------------------------------------
 *
 * finding.c
 *		The funnel: decides on a finding's level, counts it, reports it.
 *
 * In this order, so that a rejection leaves its trace although it ends the
 * transaction.  No other file reports what a rule has found.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "safeguard.h"

/* set while statements are rehearsed, whose findings are somebody's answer */
void		(*sg_capture) (const SgDecision *decision,
						   const SgSource *source) = NULL;

/* ---------------- deciding ---------------- */

/*
 * The level that the table's own row, its partition root's row or the rule's
 * parameter gives, in this order.
 */
static SgLevel
configured_level(SgRuleId rule, Oid relid)
{
	int			level = -1;

	if (OidIsValid(relid))
	{
		level = sg_table_level(relid, rule);
		if (level < 0)
		{
			Oid			root = sg_partition_root(relid);

			if (OidIsValid(root))
				level = sg_table_level(root, rule);
		}
	}
	return level < 0 ? (SgLevel) sg_rule_level[rule] : (SgLevel) level;
}

/*
 * The level at which a rule acts on a relation (InvalidOid: on none in
 * particular) now.  Needs a transaction, since it may read catalogs.
 */
SgLevel
sg_level_for(SgRuleId rule, Oid relid)
{
	SgLevel		level;

	if (!sg_enabled)
		return SG_LEVEL_OFF;

	level = configured_level(rule, relid);
	if (sg_rules[rule].cap >= 0)
		level = Min(level, configured_level((SgRuleId) sg_rules[rule].cap,
											relid));
	if (sg_rules[rule].highest != SG_LEVEL_OFF)
		level = Min(level, sg_rules[rule].highest);
	return Min(level, (SgLevel) sg_max_level);
}

static bool
column_is_readable(const SgColumnRef *ref)
{
	Oid			roleid = GetUserId();
	bool		gone = false;

	if (get_rel_relkind(ref->relid) == '\0')
		return false;
	if (pg_class_aclcheck_ext(ref->relid, roleid, ACL_SELECT,
							  &gone) == ACLCHECK_OK)
		return true;
	if (sg_owns_relation(ref->relid, roleid))
		return true;
	if (ref->attnum == 0)
		return pg_attribute_aclcheck_all(ref->relid, roleid, ACL_SELECT,
										 ACLMASK_ALL) == ACLCHECK_OK;
	return pg_attribute_aclcheck_ext(ref->relid, ref->attnum, roleid,
									 ACL_SELECT, &gone) == ACLCHECK_OK;
}

/*
 * May the current user read all of these columns (list of SgColumnRef)?
 */
bool
sg_columns_are_readable(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (!column_is_readable(lfirst(lc)))
			return false;
	}
	return true;
}

/* ---------------- reporting ---------------- */

/*
 * Point at the expression.  The client draws its caret into the text it has
 * sent; where the statement comes from another text (a prepared statement, a
 * function), that text has to go along.
 */
static int
report_position(const SgFinding *finding, const char *source)
{
	int			position;

	if (finding->location < 0 || source == NULL ||
		finding->location > strlen(source))
		return 0;

	position = pg_mbstrlen_with_len(source, finding->location) + 1;
	if (debug_query_string != NULL && strcmp(source, debug_query_string) == 0)
		return errposition(position);
	internalerrposition(position);
	return internalerrquery(source);
}

/*
 * Fields for programs; a NULL is left out.
 */
static int
report_diagnostics(const SgFinding *finding)
{
	const struct
	{
		int			field;
		const char *value;
	}			fields[] = {
		{PG_DIAG_SCHEMA_NAME, finding->schema_name},
		{PG_DIAG_TABLE_NAME, finding->table_name},
		{PG_DIAG_COLUMN_NAME, finding->column_name},
		{PG_DIAG_CONSTRAINT_NAME, finding->constraint_name},
	};

	for (int i = 0; i < lengthof(fields); i++)
	{
		if (fields[i].value != NULL)
			err_generic_string(fields[i].field, fields[i].value);
	}
	return 0;
}

static void
report(const SgDecision *decision, int elevel, const char *source)
{
	const SgFinding *finding = decision->finding;
	int			sqlstate = sg_rules[finding->rule].sqlstate;

	if (decision->readable)
		ereport(elevel,
				errcode(sqlstate),
				errmsg_internal("%s", finding->message),
				finding->detail ? errdetail_internal("%s", finding->detail) : 0,
				finding->hint ? errhint("%s", finding->hint) : 0,
				report_position(finding, source),
				report_diagnostics(finding));
	else
		ereport(elevel,
				errcode(sqlstate),
				errmsg_internal("%s", finding->closed_message),
				report_position(finding, source));
}

/*
 * Decide at which level each of a list of SgFinding acts for the current user
 * now.  Returns a list of SgDecision, without those that are off or about a
 * relation that is not judged.  Needs a transaction, since it reads catalogs.
 */
List *
sg_decide(List *findings)
{
	List	   *decisions = NIL;
	ListCell   *lc;

	foreach(lc, findings)
	{
		const SgFinding *finding = lfirst(lc);
		SgDecision *decision;
		SgLevel		level;

		if (sg_relation_is_exempt(finding->relid))
			continue;
		if (finding->when == SG_WHEN_TRUE_IS_UNQUALIFIED &&
			!sg_true_is_unqualified)
			continue;
		level = finding->decided != SG_LEVEL_OFF ? finding->decided :
			sg_level_for(finding->rule, finding->relid);
		if (finding->highest != SG_LEVEL_OFF)
			level = Min(level, finding->highest);
		if (level == SG_LEVEL_OFF)
			continue;
		decision = palloc(sizeof(SgDecision));
		decision->finding = finding;
		decision->level = level;
		decision->readable = sg_columns_are_readable(finding->reads);
		decisions = lappend(decisions, decision);
	}
	return decisions;
}

static void
count(const SgDecision *decision, const SgSource *source)
{
	const SgFinding *finding = decision->finding;

	sg_findings_count(finding, decision->level,
					  decision->readable ? finding->message :
					  finding->closed_message,
					  decision->readable ? finding->hint : NULL, source);
}

/*
 * Count all of a list of SgDecision, and only then tell the client: warnings
 * first, so that an error hides none of them.
 *
 * With explain_only nothing is executed: what would be rejected is a warning,
 * and nothing is counted.  Where findings are captured, they are neither
 * counted nor told, and the statement goes on.
 */
void
sg_deliver(List *decisions, const SgSource *source, bool explain_only)
{
	ListCell   *lc;

	if (unlikely(sg_capture != NULL))
	{
		foreach(lc, decisions)
			sg_capture(lfirst(lc), source);
		return;
	}
	if (!explain_only)
	{
		foreach(lc, decisions)
			count(lfirst(lc), source);
	}
	foreach(lc, decisions)
	{
		SgDecision *decision = lfirst(lc);

		if (decision->level == SG_LEVEL_WARNING ||
			(decision->level == SG_LEVEL_ERROR && explain_only))
			report(decision, WARNING, source->text);
	}
	foreach(lc, decisions)
	{
		SgDecision *decision = lfirst(lc);

		if (decision->level == SG_LEVEL_ERROR && !explain_only)
			report(decision, ERROR, source->text);
	}
}

/*
 * Decide on the findings about one statement, count and report them.
 */
void
sg_report(List *findings, const SgSource *source, bool explain_only)
{
	if (findings != NIL)
		sg_deliver(sg_decide(findings), source, explain_only);
}

/*
 * The statement that is being executed.
 */
void
sg_query_source(SgSource *source, QueryDesc *queryDesc)
{
	source->text = queryDesc->sourceText;
	source->location = queryDesc->plannedstmt->stmt_location;
	source->len = queryDesc->plannedstmt->stmt_len;
	source->queryid = (uint64) queryDesc->plannedstmt->queryId;
}
