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

/* ---------------- bypass_trigger.c ---------------- */

extern void sg_bypass_trigger_altered(SgUtility *utility, Oid trigger);
extern void sg_bypass_trigger_done(SgUtility *utility);

/* ---------------- bypass_constraint.c ---------------- */

extern void sg_bypass_constraint_made(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_altered(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_dropped(SgUtility *utility, Oid constraint);
extern void sg_bypass_constraint_done(SgUtility *utility);

#endif							/* SG_BYPASS_H */
