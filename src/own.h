/*-------------------------------------------------------------------------
 *
 * own.h
 *		How variables are declared that are tested for every statement.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_OWN_H
#define SG_OWN_H

/*
 * No other library may put its own in this variable's place, so its address
 * is known when the library is linked: a test takes two instructions instead
 * of three.  An EXECUTE passes some twenty of them.
 */
#define SG_OWN	__attribute__((visibility("hidden")))

/* Is one of them there?  One test for all saves two instructions. */
static inline bool
sg_any(const void *a, const void *b, const void *c)
{
	return unlikely(((uintptr_t) a | (uintptr_t) b | (uintptr_t) c) != 0);
}

#endif							/* SG_OWN_H */
