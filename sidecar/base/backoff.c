/*
 * See backoff.h. A struct backoff belongs to its user and holds nothing to be freed.
 */
#include "base/backoff.h"

#include <stdlib.h>
#include <sys/random.h>

uint32_t
backoff_next(struct backoff *backoff, uint32_t random)
{
	uint64_t limit = backoff->min_ms;

	for (uint32_t i = 0; i < backoff->failures && limit < backoff->max_ms; i++)
		limit *= 2;
	if (limit > backoff->max_ms)
		limit = backoff->max_ms;
	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	return (uint32_t) (limit / 2 + random % (limit / 2 + 1));
}

void
backoff_reset(struct backoff *backoff)
{
	backoff->failures = 0;
}

uint32_t
backoff_random(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		return (uint32_t) rand();
	return bits;
}
