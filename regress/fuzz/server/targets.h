/*
 * What is fuzzed inside a server.
 */
#ifndef FUZZ_TARGETS_H
#define FUZZ_TARGETS_H

#include "postgres.h"

typedef struct FuzzTarget
{
	const char *name;
	/* Ends the process when something is wrong; errors of SQL are answers. */
	void (*run)(const char *data, size_t size);
} FuzzTarget;

/* Error when there is none of that name. */
extern const FuzzTarget *fuzz_target(const char *name);

#endif
