/*-------------------------------------------------------------------------
 *
 * failopen.h
 *		What must not become the error of somebody else's statement.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_FAILOPEN_H
#define SG_FAILOPEN_H

extern int	sg_failure;

extern bool sg_fail_open(void (*work) (void *arg), void *arg);

/*
 * Places where a build for tests can be told to fail.  A production build has
 * neither the parameter nor the calls.
 */
#ifdef SAFEGUARD_FAULTS
extern void sg_fault(const char *place);
extern void sg_fault_init(void);
#else
#define sg_fault(place) ((void) 0)
#define sg_fault_init() ((void) 0)
#endif

#endif							/* SG_FAILOPEN_H */
