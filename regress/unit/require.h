/*
 * What every unit test says of what must hold: a line on stdout, and the end where it does not.
 */
#ifndef REGRESS_REQUIRE_H
#define REGRESS_REQUIRE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void
require(const char *name, bool holds)
{
	printf("%s %s\n", holds ? "ok" : "not ok", name);
	if (!holds)
		exit(1);
}

#endif
