/*
 * See pace.h.
 */
#include "base/pace.h"

#define USED_SHARE 0.9
#define LEAST_SHARE (1.0 / 64)
#define RAISE_EVERY_MS 1000
#define RAISE_BY 1.1

void
pace_init(struct pace *pace, int limit, int burst, uint64_t now)
{
	pace->rate = limit * USED_SHARE;
	pace->burst = burst;
	pace->share = 1;
	pace->tokens = burst;
	pace->filled_at = pace->raised_at = now;
}

static void
fill(struct pace *pace, uint64_t now)
{
	pace->tokens += pace->rate * pace->share * (double) (now - pace->filled_at) / 1000;
	if (pace->tokens > pace->burst)
		pace->tokens = pace->burst;
	pace->filled_at = now;
}

int
pace_allows(struct pace *pace, int wanted, uint64_t now)
{
	if (pace->rate == 0)
		return wanted;
	fill(pace, now);
	return pace->tokens < wanted ? (int) pace->tokens : wanted;
}

void
pace_spend(struct pace *pace, int events)
{
	if (pace->rate != 0)
		pace->tokens -= events;
}

uint64_t
pace_wait_ms(const struct pace *pace, int events)
{
	double missing = (events < pace->burst ? events : pace->burst) - pace->tokens;

	if (pace->rate == 0 || missing <= 0)
		return 0;
	return (uint64_t) (missing / (pace->rate * pace->share) * 1000) + 1;
}

void
pace_slow_down(struct pace *pace, uint64_t now)
{
	pace->share /= 2;
	if (pace->share < LEAST_SHARE)
		pace->share = LEAST_SHARE;
	pace->raised_at = now;
}

void
pace_accepted(struct pace *pace, uint64_t now)
{
	if (now - pace->raised_at < RAISE_EVERY_MS)
		return;
	pace->raised_at = now;
	pace->share *= RAISE_BY;
	if (pace->share > 1)
		pace->share = 1;
}
