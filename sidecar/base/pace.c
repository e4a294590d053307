/*
 * See pace.h. What the constants are for: Realtime averages over a minute in twelve steps of 5 s, and closes the channels
 * of subscribers where the average passes its limit. A share that grows faster than the average can follow, or that
 * swings, does that to them.
 */
#include "base/pace.h"

#define USED_SHARE 0.9
#define FIRST_SHARE (1.0 / 3)
#define BUCKET_MS 1000
#define SLOWER 0.8
#define COUNTED_MS 5000
#define RAISE_EVERY_MS 1000
#define RAISE_BY 0.005
#define NEAR 0.9 /* of what was too much */
#define RAISE_NEAR_BY 0.0005
#define BEYOND 1.05 /* it is too much no more */

void
pace_init(struct pace *pace, int limit, int batch, uint64_t now)
{
	*pace = (struct pace){
		.rate = limit * USED_SHARE,
		.least = batch,
		.share = FIRST_SHARE,
		.tokens = batch,
		.filled_at = now,
		.raised_at = now,
	};
}

static void
fill(struct pace *pace, uint64_t now)
{
	double most = pace->rate * pace->share * BUCKET_MS / 1000;

	pace->tokens += pace->rate * pace->share * (double) (now - pace->filled_at) / 1000;
	if (most < pace->least)
		most = pace->least;
	if (pace->tokens > most)
		pace->tokens = most;
	pace->filled_at = now;
}

int
pace_allows(struct pace *pace, int wanted, uint64_t now)
{
	if (pace->rate == 0)
		return wanted;
	fill(pace, now);
	if (pace->tokens >= wanted)
		return wanted;
	pace->limited = true;
	return pace->tokens > 0 ? (int) pace->tokens : 0;
}

void
pace_spend(struct pace *pace, int events)
{
	if (pace->rate != 0)
		pace->tokens -= events;
}

void
pace_give_back(struct pace *pace, int events)
{
	pace_spend(pace, -events);
}

uint64_t
pace_wait_ms(const struct pace *pace, int events)
{
	double missing = (events < pace->least ? events : pace->least) - pace->tokens;

	if (pace->rate == 0 || missing <= 0)
		return 0;
	return (uint64_t) (missing / (pace->rate * pace->share) * 1000) + 1;
}

void
pace_slow_down(struct pace *pace, uint64_t now)
{
	if (pace->slowed_at != 0 && now - pace->slowed_at < COUNTED_MS)
		return;
	pace->slowed_at = pace->raised_at = now;
	pace->too_much = pace->share;
	pace->share *= SLOWER;
}

void
pace_accepted(struct pace *pace, uint64_t now)
{
	bool near = pace->too_much != 0 && pace->share > pace->too_much * NEAR;

	if (!pace->limited || now - pace->raised_at < RAISE_EVERY_MS)
		return;
	pace->raised_at = now;
	pace->limited = false;
	if (near && pace->share > pace->too_much * BEYOND)
		pace->too_much = 0;
	pace->share += near ? RAISE_NEAR_BY : RAISE_BY;
	if (pace->share > 1)
		pace->share = 1;
}
