/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings: the variables behind safeguard.* parameters.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SG_GUC_H
#define SG_GUC_H

#include "own.h"

extern bool sg_enabled;
extern int	sg_max_level;		/* SgLevel */
extern bool sg_temp_tables;
extern bool sg_true_is_unqualified;
extern int	sg_max_findings;
extern SG_OWN int sg_max_rows;
extern SG_OWN int sg_max_rows_session;
extern SG_OWN int sg_expected_rows;
extern const char sg_max_rows_name[];
extern const char sg_max_rows_session_name[];
extern int	sg_overwrite_min_rows;
extern double sg_overwrite_ratio;
extern int	sg_large_table;		/* kB */
extern int	sg_max_upserts;
extern int	sg_slow_query_ms;
extern SG_OWN int sg_track_queries; /* SgTrack */
extern bool sg_track_pool;
extern int	sg_sample_interval; /* s */
extern int	sg_save_interval;	/* s */
extern int	sg_leak_after;		/* s */
extern int	sg_utilization_warning; /* per cent */
extern int	sg_utilization_critical;	/* per cent */
extern int	sg_critical_for;	/* s */
extern int	sg_failures_per_minute;
extern int	sg_timeouts_per_minute;
extern int	sg_slow_queries_per_hour;
extern int	sg_acquisition_warning_ms;
extern int	sg_max_queries;
extern int	sg_max_watched;
extern int	sg_history_size;	/* samples */
extern int	sg_rule_level[];	/* SgLevel */

extern const char *sg_level_name(SgLevel level);
extern int	sg_level_by_name(const char *name);
extern char *sg_level_names(void);
extern char *sg_rule_parameter(const char *rule);
extern void sg_guc_init(void);

#endif							/* SG_GUC_H */
