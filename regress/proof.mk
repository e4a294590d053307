# What proves the rest: other versions of PostgreSQL, a model of the protocol, random histories, fuzzing. Included by
# the Makefile.

.PHONY: test-matrix model test-random test-functions fuzz test-undefined

# VERSIONS="17 18": which majors.
test-matrix:
	@exec regress/matrix/run $(VERSIONS)

# MODEL=quick: smaller bounds.
model:
	@exec regress/model/run $(MODEL)

# HISTORIES: how many. SEED: of the first one; a failure prints its own.
test-random:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@HISTORIES="$(HISTORIES)" SEED="$(SEED)" node regress/random/histories.mjs

# CALLS: per function and role. SEED.
test-functions:
	@regress/lib/deps.sh test
	@$(MAKE) -s extension
	@CALLS="$(CALLS)" SEED="$(SEED)" node regress/random/functions.mjs

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
