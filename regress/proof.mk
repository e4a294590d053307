# What proves the rest: other versions of PostgreSQL, a model of the protocol, random histories, fuzzing. Included by
# the Makefile.

.PHONY: test-matrix test-upgrade model test-random test-functions test-payloads test-checks test-load fuzz test-undefined test-valgrind test-address test-caches coverage

# VERSIONS="17 18:15,17": which majors, and upgrades to them from which.
test-matrix:
	@regress/lib/deps.sh test
	@exec regress/matrix/run $(VERSIONS)

test-upgrade:
	@regress/lib/deps.sh test
	@PARTS= exec regress/matrix/run $(or $(VERSIONS),17:15)

# MODEL=quick: smaller bounds.
model:
	@exec regress/model/run $(MODEL)

# HISTORIES: how many. SEED: of the first one; a failure prints its own. MODELS="design partitioned live": of which tables.
test-random:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@HISTORIES="$(HISTORIES)" SEED="$(SEED)" node regress/random/histories.mjs

# CALLS: per function and role. SEED.
test-functions:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@CALLS="$(CALLS)" SEED="$(SEED)" node regress/random/functions.mjs

# ROUNDS: pairs of tables. SEED.
test-payloads:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@ROUNDS="$(ROUNDS)" SEED="$(SEED)" node regress/random/payloads.mjs

# ROUNDS: pairs of tables; STEPS: of each. SEED.
test-checks:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@ROUNDS="$(ROUNDS)" STEPS="$(STEPS)" SEED="$(SEED)" node regress/random/checks.mjs

# SECONDS: of each part. ONLY: parts with that in their name. IDLE: sockets of the first part.
test-load:
	@regress/lib/deps.sh test
	@$(MAKE) -s all
	@SECONDS="$(or $(SECONDS),20)" IDLE="$(or $(IDLE),10000)" ONLY="$(ONLY)" node regress/load/run.mjs

# FUZZ_SECONDS: each target's time.
fuzz:
	@regress/lib/deps.sh test
	@exec regress/fuzz/run $(FUZZ)

# Undefined behaviour in the extension ends the backend, and with it the test.
UNDEFINED = -fsanitize=undefined -fno-sanitize=alignment -fsanitize-undefined-trap-on-error
test-undefined:
	@regress/lib/deps.sh test
	@$(MAKE) -s clean
	@COPT="$(UNDEFINED)" SIDECAR=no regress/run regress isolation && \
	COPT="$(UNDEFINED)" node regress/random/wuzapi.mjs && \
	COPT="$(UNDEFINED)" HISTORIES=20 node regress/random/histories.mjs; \
	status=$$?; $(MAKE) -s clean; exit $$status

# On a server with assertions that tells Valgrind, or AddressSanitizer and UndefinedBehaviorSanitizer, what its memory is;
# built once from Debian's sources. PARTS="suites wuzapi payloads checks histories functions": what to run.
# test-caches: with all that a session knows of tables forgotten at each look at a catalog. PARTS="writes setup maintenance suites histories",
# ONE_IN.
test-valgrind test-address test-caches:
	@regress/lib/deps.sh test
	@exec regress/checked/run $(@:test-%=%)

# The build steps of packaging's Dockerfiles in unpacked Debians, and what they make, running.
test-packaging:
	@regress/lib/deps.sh test
	@exec node regress/packaging/run.mjs

# ONLY="unit regress webhook-down": parts of make test to count, unit, regress, isolation and e2e unless named. ADD=1: to what
# earlier runs have counted.
coverage:
	@regress/lib/deps.sh test
	@ADD="$(ADD)" exec regress/coverage/run $(ONLY)
