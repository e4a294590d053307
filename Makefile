# chat_realtime: one file builds, tests, runs and installs the extension (PGXS) and the sidecar.
# `make help` lists the targets.

EXTENSION      = chat_realtime
EXTVERSION    := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
INSTALL_SQL    = sql/$(EXTENSION)--$(EXTVERSION).sql
MODULE_big     = $(EXTENSION)
OBJS           = $(patsubst %.c,%.o,$(sort $(wildcard extension/*.c extension/*/*.c)))
# The install script: its parts by subject, in the order in which the server reads them. Tables and types come before the
# functions that name them, triggers after those they call.
SQL_PARTS      = schema $(SQL_TABLES) types $(SQL_FUNCTIONS) own_triggers installed
SQL_TABLES     = tables tables_log tables_webhooks tables_sending tables_relay
SQL_FUNCTIONS  = audit trigger_functions events callers log restore maintain columns fragments abilities counters \
	indexes triggers attach detach recount follow setup_tables channels realtime setup access rollout hints \
	status table_hints webhooks webhook_save webhook_recovered webhook_api webhook_list \
	webhook_options webhook_attempts webhook_again webhook_console webhook_origins webhook_health topic_events deleted secrets \
	wuzapi contacts merge presence replay socketio ingest ingest_changes ingest_history api messages sending conversations lists search \
	bare_ids keys limits pre_request relay update
# An update script: what no other script does, and the same parts as of the install script, to be run again. Tables that are
# new come before the functions that name them; what is done to those that are there, for which writers have to wait, after.
UPDATE_SQL     = sql/$(EXTENSION)--1.0--$(EXTVERSION).sql
DATA_built     = $(INSTALL_SQL) $(UPDATE_SQL)
PG_CPPFLAGS    = -Iextension -DCHAT_REALTIME_VERSION='"$(EXTVERSION)"'
PG_CFLAGS      = -Wextra -Wno-unused-parameter -Wno-sign-compare
REGRESS       ?= $(patsubst regress/sql/%.sql,%,$(sort $(wildcard regress/sql/*.sql)))
ISOLATION     ?= $(patsubst regress/specs/%.spec,%,$(sort $(wildcard regress/specs/*.spec)))
REGRESS_OPTS   = --inputdir=regress --outputdir=regress/out
ISOLATION_OPTS = --inputdir=regress --outputdir=regress/out_iso
EXTRA_CLEAN    = regress/out regress/out_iso stage

# In CI a warning is an error.
ifeq ($(CI),true)
PG_CFLAGS      += -Werror
SIDECAR_WERROR ?= -Werror
endif

# SIDECAR=no leaves the sidecar out: a database server needs only the extension.
SIDECAR       ?= yes
PG_CONFIG     ?= pg_config

# pg_config may be missing, or name files that only the server's development package has.
PGXS          := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
PG_HEADERS    := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)

ifneq ($(and $(PGXS),$(PG_HEADERS)),)

# Debian's PostgreSQL wants bitcode, for which a certain clang is needed: do without where it is missing.
CLANG_WANTED  := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(or $(CLANG_WANTED),clang)),)
override with_llvm := no
endif

include $(PGXS)

# Replaced in one step: a new session never meets a file that is missing or half written.
INSTALL_SHLIB  = $(CURDIR)/packaging/replace 755
INSTALL_DATA   = $(CURDIR)/packaging/replace 644

$(OBJS) $(OBJS:.o=.bc): $(wildcard extension/*.h extension/*/*.h) $(EXTENSION).control

$(INSTALL_SQL): $(SQL_PARTS:%=sql/%.sql) Makefile $(EXTENSION).control
	cat $(filter %.sql,$^) > $@

AGAIN          = sed -f sql/update/again.sed
$(UPDATE_SQL): $(SQL_PARTS:%=sql/%.sql) $(wildcard sql/update/*) Makefile $(EXTENSION).control
	{ cat sql/update/1.0--$(EXTVERSION).first.sql && $(AGAIN) sql/types.sql && \
	  sed -n '/^CREATE TABLE /,/;$$/p' $(SQL_TABLES:%=sql/%.sql) | $(AGAIN) && $(AGAIN) $(SQL_FUNCTIONS:%=sql/%.sql) && \
	  cat sql/update/1.0--$(EXTVERSION).tables.sql && $(AGAIN) $(SQL_TABLES:%=sql/%.sql) && \
	  cat sql/update/partitions.sql sql/update/left_over.sql && $(AGAIN) sql/own_triggers.sql; } > $@

.PHONY: extension
extension: all-lib $(DATA_built)

else

.PHONY: all install uninstall clean extension installcheck
all install extension installcheck:
	@echo "PostgreSQL's server headers were not found ($(PG_CONFIG) --pgxs):" \
	      "install postgresql-server-dev-NN (NN: the server's major version, at least 15)," \
	      "or set PG_CONFIG. 'make sidecar' builds without them;" \
	      "'make demo' and 'make test' install what is missing." >&2; exit 1
uninstall clean:

endif

ifneq ($(wildcard sidecar/sidecar.mk),)
include sidecar/sidecar.mk
ifeq ($(SIDECAR),yes)
all: sidecar
install: install-sidecar
uninstall: uninstall-sidecar
endif
clean: clean-sidecar
endif

# The Node.js that set-up puts here where Debian's is too old.
export PATH   := $(CURDIR)/.node/node_modules/.bin:$(PATH)

# demo, test and bench bring their own set-up: the programs they start call this file again, when
# pg_config and the libraries are there.
.PHONY: demo test test-plans bench torture format format-check help deb dist

# DEMO=once runs through and ends.
demo:
	@regress/lib/deps.sh demo
	@exec node examples/demo/demo.mjs $(DEMO)

# ONLY=unit, regress, isolation, e2e or the name of a file in regress/e2e runs only that part.
# SANITIZE=1: the sidecar and its unit tests with AddressSanitizer and UndefinedBehaviorSanitizer.
WITH_SANITIZERS = SIDECAR_SANITIZE=address,undefined UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	SIDECAR_BINARY=$(CURDIR)/sidecar/build/sanitized/chat-sidecar
test:
	@regress/lib/deps.sh test
	@$(if $(SANITIZE),$(WITH_SANITIZERS)) regress/run $(ONLY)

# The plans of the API's statements at full size; make test has them smaller.
test-plans:
	@regress/lib/deps.sh test
	@CONVERSATIONS=100000 MESSAGES=1000000 FILE_LIMIT=1800 regress/run plans

bench:
	@regress/lib/deps.sh test
	@exec regress/bench/run $(BENCH)

-include regress/proof.mk

# KILLS: of cores, endpoint, Realtime's stand-in and PostgreSQL (CRASHES of them); RESETS: per cent of the requests.
torture:
	@regress/lib/deps.sh test
	@KILLS=$(or $(KILLS),50) $(if $(CRASHES),CRASHES=$(CRASHES)) RESETS=$(or $(RESETS),5) regress/torture/run

# Debian packages, in packages/; what the build needs is named when it is missing.
deb:
	@packaging/debian/build

# What PGXN distributes: the tracked files of the last commit.
dist:
	@mkdir -p packages
	@git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION).0/ -o packages/$(EXTENSION)-$(EXTVERSION).0.zip HEAD
	@echo packages/$(EXTENSION)-$(EXTVERSION).0.zip

C_SOURCES = $(wildcard extension/*.[ch] extension/*/*.[ch] sidecar/*.[ch] sidecar/*/*.[ch] regress/unit/*.[ch])
CLANG_FORMAT ?= clang-format

format:
	$(CLANG_FORMAT) -i $(C_SOURCES)

format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(C_SOURCES)

help:
	@echo 'make               build the extension and the sidecar'
	@echo 'make install       install both (SIDECAR=no: only the extension; DESTDIR=… stages them)'
	@echo 'make uninstall     remove what install installed'
	@echo 'make deb           Debian packages of both, in packages/        make dist    a zip file for PGXN, there'
	@echo 'make demo          run all of it on a throw-away cluster and watch a message arrive;'
	@echo '                   DEMO=once ends by itself'
	@echo 'make test          run every test; ONLY=unit, regress, isolation, e2e or a file of regress/e2e'
	@echo '                   SANITIZE=1: with AddressSanitizer and UndefinedBehaviorSanitizer in the sidecar'
	@echo 'make bench         measure; BENCH=writes, bulk, ingest, scale, bloat, reading, instructions, calls, latency, drain, publish, webhooks, memory, endpoint, auth or backend'
	@echo 'make torture       kill cores, endpoint, Realtime and PostgreSQL under load (KILLS=50), and reset'
	@echo '                   connections to Realtime and webhooks (RESETS=5 per cent); nothing may get lost'
	@echo 'make test-matrix   build and test against PostgreSQL 15, 17 and 18 (VERSIONS="17 18"), as root'
	@echo 'make test-upgrade  pg_upgrade, dumps and logical replication from 15 to 17 (VERSIONS="18:17"), as root'
	@echo 'make test-plans    plans of the API with 1,000,000 messages and 100,000 conversations'
	@echo 'make model         check the model of doorbell and cursor with Spin (MODEL=quick: smaller bounds)'
	@echo 'make test-random   random concurrent histories, judged by recounting (HISTORIES=2000 SEED=1)'
	@echo 'make test-functions call every function as every role with hostile arguments (CALLS=50 SEED=1)'
	@echo 'make test-payloads payloads of random tables and rows, against to_jsonb (ROUNDS=60 SEED=1)'
	@echo 'make test-checks   random CHECK constraints, with and without chat_realtime.cache_checks (ROUNDS=60 SEED=1)'
	@echo 'make test-load     strangers by the thousand at the endpoint (SECONDS=20 IDLE=10000)'
	@echo 'make fuzz          fuzz what strangers send (FUZZ_SECONDS=60 FUZZ=frame)'
	@echo 'make test-undefined the extension with undefined behaviour trapped'
	@echo 'make test-valgrind the extension on a server with assertions, under Valgrind (slow)'
	@echo 'make test-address  the same with AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make test-packaging run the build steps of the Dockerfiles, and what they make, in unpacked Debians, as root'
	@echo 'make coverage      which lines the tests run, and which that handle a failure never ran (ONLY=, ADD=1)'
	@echo 'make test-caches   the same with debug_discard_caches = 1 (PARTS="writes maintenance": minutes, all: an hour)'
	@echo 'make clean         remove what was built'
	@echo 'make extension     build only the extension        make sidecar       build only the sidecar'
	@echo 'make unit          run the unit tests in C         make format-check  check the C formatting'
	@echo 'Variables: PG_CONFIG (which PostgreSQL), DESTDIR, SIDECAR, DEMO, ONLY'
