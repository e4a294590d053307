/*
 * What the database has refused a moment ago: who asks again and again need not be asked for again. Not at the first time: a right
 * may have come meanwhile. Bounded; refusals are forgotten after a second, and all are when anybody's rights change. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_REFUSALS_H
#define SIDECAR_ENDPOINT_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

#define REFUSALS_MS 1000
#define REFUSALS_TIMES 3
#define REFUSALS_KEPT 4096

struct refusal_kept;

struct refusals
{
	struct table table;
	struct refusal_kept *first, *last; /* the oldest first */
};

void refusals_init(struct refusals *refusals);
/* Frees what it holds. */
void refusals_clear(struct refusals *refusals);
/* Forgets all of them: somebody's rights have changed. */
void refusals_forget(struct refusals *refusals);
/* now: milliseconds. */
void refusals_note(struct refusals *refusals, const char *user, const char *topic, bool write,
				   uint64_t now);
/* Whether it was refused so often that it is so again. */
bool refusals_has(struct refusals *refusals, const char *user, const char *topic, bool write,
				  uint64_t now);

#endif
