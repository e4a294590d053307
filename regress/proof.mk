# What proves the rest: other versions of PostgreSQL, a model of the protocol, random histories, fuzzing. Included by
# the Makefile.

.PHONY: test-matrix

# VERSIONS="17 18": which majors.
test-matrix:
	@exec regress/matrix/run $(VERSIONS)
