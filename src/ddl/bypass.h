/*-------------------------------------------------------------------------
 *
 * bypass.h
 *		The parts of constraint_bypass that are found at commands.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_BYPASS_H
#define SG_BYPASS_H

#include "ddl/ddl.h"

/* ---------------- bypass_role.c ---------------- */

extern bool sg_bypass_role_wants(const Node *stmt);
extern void sg_bypass_role_before(SgUtility *utility);
extern void sg_bypass_role_done(SgUtility *utility);

/* A constraint that may leave rows unchecked. */
typedef struct SgConstraint
{
	Oid			relid;			/* InvalidOid: of a domain */
	Oid			domain;
	bool		validated;
	bool		enforced;
	bool		inherited;		/* follows from that of another table */
	bool		alone;			/* children of the table do not get it */
	char		name[NAMEDATALEN];
} SgConstraint;

/* ---------------- bypass_trigger.c ---------------- */

extern bool sg_bypass_trigger_fires(char enabled);
extern void sg_bypass_trigger_note(SgUtility *utility, Oid trigger);
extern void sg_bypass_trigger_altered(SgUtility *utility, Oid trigger);
extern void sg_bypass_trigger_done(SgUtility *utility);

/* ---------------- bypass_constraint.c ---------------- */

extern void sg_bypass_constraint_made(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_altered(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_dropped(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_report(SgUtility *utility,
										const SgConstraint *state);
extern void sg_bypass_constraint_done(SgUtility *utility);

#endif							/* SG_BYPASS_H */
