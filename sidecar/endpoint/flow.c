/*
 * See flow.h.
 */
#include "endpoint/flow.h"

#define THOUSAND 1000

/* What comes back in so many milliseconds. */
static int64_t
less(int64_t used, int64_t a_second, uint64_t ms)
{
	/* After so long nothing is left. */
	if (ms > 60 * THOUSAND || used < a_second * (int64_t) ms)
		return 0;
	return used - a_second * (int64_t) ms;
}

static void
let_come_back(struct flow *flow, uint64_t now)
{
	flow->frames = less(flow->frames, FLOW_FRAMES, now - flow->at);
	flow->bytes = less(flow->bytes, FLOW_BYTES, now - flow->at);
	flow->at = now;
}

void
flow_spend(struct flow *flow, size_t bytes, uint64_t now)
{
	let_come_back(flow, now);
	flow->bytes += (int64_t) bytes * THOUSAND;
}

bool
flow_take(struct flow *flow, size_t bytes, uint64_t now)
{
	let_come_back(flow, now);
	if (flow->frames + THOUSAND > (int64_t) FLOW_FRAMES_AT_ONCE * THOUSAND ||
		flow->bytes + (int64_t) bytes * THOUSAND > (int64_t) FLOW_BYTES_AT_ONCE * THOUSAND)
		return false;
	flow->frames += THOUSAND;
	flow->bytes += (int64_t) bytes * THOUSAND;
	return true;
}

bool
flow_is_stubborn(struct flow *flow, uint64_t now)
{
	if (flow->too_much_at == 0 || now - flow->too_much_at > FLOW_PATIENCE_MS / 2)
		flow->too_much_since = now;
	flow->too_much_at = now;
	return now - flow->too_much_since > FLOW_PATIENCE_MS;
}
