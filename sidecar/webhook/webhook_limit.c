/*
 * Each request moves the time at which the next one would be on time; one may come up to a second early. So that a minute
 * has no more than its number with that second's worth, the steps are those of 61 seconds.
 */
#include "webhook/webhook_limit.h"

#define SPAN_MS 61000.0
#define EARLY_MS 1000.0

static double
step(const struct limit *limit)
{
	return SPAN_MS / limit->per_minute;
}

static double
early(const struct limit *limit)
{
	return step(limit) < EARLY_MS ? EARLY_MS - step(limit) : 0;
}

bool
limit_allows(const struct limit *limit, uint64_t now)
{
	return limit->per_minute == 0 || limit->next - early(limit) <= (double) now;
}

void
limit_take(struct limit *limit, uint64_t now)
{
	if (limit->per_minute == 0)
		return;
	if (limit->next < (double) now)
		limit->next = (double) now;
	limit->next += step(limit);
}

int
limit_per_second(const struct limit *limit)
{
	return limit->per_minute > 60 ? limit->per_minute / 60 : 1;
}
