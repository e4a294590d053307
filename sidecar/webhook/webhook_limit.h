/*
 * A rate limit of requests a minute: no minute has more, and no second more than two of its parts. Times are milliseconds of
 * any clock that goes forward. No I/O.
 */
#ifndef SIDECAR_WEBHOOK_LIMIT_H
#define SIDECAR_WEBHOOK_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: no limit. */
struct limit
{
	int per_minute; /* 0: no limit */
	double next;    /* when the next one would be on time */
};

/* Whether another request may begin. */
bool limit_allows(const struct limit *limit, uint64_t now);
/* One begins. */
void limit_take(struct limit *limit, uint64_t now);
/* How many it lets out in a second, at least 1. */
int limit_per_second(const struct limit *limit);

#endif
