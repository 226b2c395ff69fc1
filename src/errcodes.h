/*-------------------------------------------------------------------------
 *
 * errcodes.h
 *		The SQLSTATEs of safeguard, all of them.
 *
 * One for each kind of mistake, so that an application can tell them apart;
 * a rule and its doubtful twin share theirs.  Codes are never used again for
 * something else.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_ERRCODES_H
#define SG_ERRCODES_H

#include "utils/elog.h"

#define SG_ERRCODE_COMPOSITE_KEY		MAKE_SQLSTATE('S','G','0','0','1')
#define SG_ERRCODE_CONFLICT_TARGET		MAKE_SQLSTATE('S','G','0','0','2')
#define SG_ERRCODE_UPSERT_OVERWRITE		MAKE_SQLSTATE('S','G','0','0','3')
#define SG_ERRCODE_UNQUALIFIED_DML		MAKE_SQLSTATE('S','G','0','0','4')
#define SG_ERRCODE_ROW_LIMIT			MAKE_SQLSTATE('S','G','0','0','5')
#define SG_ERRCODE_OUTER_REFERENCE		MAKE_SQLSTATE('S','G','0','0','6')
#define SG_ERRCODE_UNLINKED_FROM		MAKE_SQLSTATE('S','G','0','0','7')
#define SG_ERRCODE_CONSTRAINT_BYPASS	MAKE_SQLSTATE('S','G','0','0','8')
#define SG_ERRCODE_DESTRUCTIVE_DDL		MAKE_SQLSTATE('S','G','0','0','9')
#define SG_ERRCODE_LOCK_TIMEOUT			MAKE_SQLSTATE('S','G','0','1','0')
#define SG_ERRCODE_SCOPE				MAKE_SQLSTATE('S','G','0','1','1')
#define SG_ERRCODE_CONFLICT_SILENT		MAKE_SQLSTATE('S','G','0','1','2')

#endif							/* SG_ERRCODES_H */
