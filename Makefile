# safeguard: rejects the writes that destroy data silently
#
# make                  build, for the server whose pg_config is found or given
#                       as PG_CONFIG
# make install          install it there, with safeguard-review
# make installcheck     test on a running server, preloaded or not
# make check-shared     test what needs shared memory, on a server of its own
# make check-preloaded  all regression tests, on a server of its own
# make prove-reject     shows, on a running server, that each case of what must
#                       be rejected fails with the rule off

MODULE_big = safeguard
EXTENSION = safeguard
here := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
DATA = $(sort $(notdir $(wildcard $(here)/safeguard--*.sql)))
sources = $(sort $(patsubst $(here)/%.c,%.o,$(wildcard $(here)/$(1)/*.c)))

OBJS = \
	safeguard.o \
	src/arguments.o \
	src/context.o \
	src/defaults.o \
	src/exceptions.o \
	src/extension.o \
	src/failopen.o \
	src/finding.o \
	src/guc.o \
	src/planmark.o \
	src/planner.o \
	src/registry.o \
	src/settings.o \
	src/status.o \
	src/transaction.o \
	src/upkeep.o \
	src/utility.o \
	$(call sources,src/catalog) \
	$(call sources,src/exec) \
	$(call sources,src/ddl) \
	$(call sources,src/key) \
	$(call sources,src/limit) \
	$(call sources,src/migrate) \
	$(call sources,src/query) \
	$(call sources,src/review) \
	$(call sources,src/rows) \
	$(call sources,src/rules) \
	$(call sources,src/schema) \
	$(call sources,src/stats) \
	$(call sources,src/upsert) \
	$(call sources,src/watch)

# the control file is the only home of the version
SG_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(here)/safeguard.control)

PG_CPPFLAGS = -I$(srcdir)/src -DSG_VERSION='"$(SG_VERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Werror=implicit-function-declaration

# Every file in sql/ is a test.  setup creates the extension and makes later
# sessions load the library; composite_key_schema makes the tables of a rule's
# tests; what reads shared memory is apart.
tests := $(sort $(patsubst $(here)/sql/%.sql,%,$(wildcard $(here)/sql/*.sql)))
REGRESS_FIRST = setup $(filter composite_key_schema,$(tests))
REGRESS_SHARED = audit findings incidents_shared migration_history_figures rule_conflict_target_counts rule_constraint_bypass \
	rule_destructive_ddl_counts status upsert_stats watch watch_incident watch_rights
REGRESS = $(REGRESS_FIRST) $(filter-out $(REGRESS_FIRST) $(REGRESS_SHARED),$(tests))

# Isolation tests have several sessions from the start, which a plain server
# would not guard: they get a preloaded one of their own.
ISOLATION = $(sort $(patsubst $(here)/specs/%.spec,%,$(wildcard $(here)/specs/*.spec)))
ISOLATION_OPTS = --temp-instance=./tmp_check_iso --temp-config=$(srcdir)/safeguard.conf
TAP_TESTS = $(if $(wildcard $(here)/t/*.pl),1)

SCRIPTS_built = safeguard-review

EXTRA_CLEAN = tmp_check tmp_check_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# the headers are few and small: whatever changes there, build all again
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(here)/src/*.h $(here)/src/*/*.h)

temp_regress = $(pg_regress_installcheck) --temp-instance=./tmp_check/$@ \
	--outputdir=./tmp_check/$@.out --temp-config=$(srcdir)/safeguard.conf \
	--dbname=$(CONTRIB_TESTDB)

# script/safeguard-review runs from the tree; what is installed is one file
safeguard-review: $(addprefix $(srcdir)/script/,safeguard-review review/assemble \
		review/read.awk review/arrange.awk review/locate.awk review/report.awk)
	sh $(srcdir)/script/review/assemble $< >$@.tmp
	chmod 755 $@.tmp
	mv $@.tmp $@

.PHONY: check-shared check-preloaded prove-reject
check-shared:
	mkdir -p tmp_check/$@.out
	$(temp_regress) setup $(REGRESS_SHARED)

check-preloaded:
	mkdir -p tmp_check/$@.out
	$(temp_regress) $(REGRESS) $(REGRESS_SHARED)

prove-reject:
	$(srcdir)/script/prove-reject --psql $(bindir)/psql
