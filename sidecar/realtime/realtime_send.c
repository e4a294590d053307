/*
 * See realtime_internal.h. While something is wrong, one request at a time is under way in all lanes: it finds out whether
 * it still is.
 */
#include "base/metrics.h"
#include "realtime/realtime_internal.h"

#define NO_LEASE_MS 200

static void
on_timer(uv_timer_t *timer)
{
	realtime_pump(timer->data);
}

void
realtime_wait(struct realtime *realtime, uint64_t ms)
{
	uv_timer_start(&realtime->timer, on_timer, ms, 0);
}

/* Sends the next so many events of a lane; none: asks whether an empty batch is accepted. */
static void
send_events(struct realtime *realtime, struct lane *lane, int count, bool repeated)
{
	lane_begin(lane, count, repeated);
	lane->sent_at = uv_now(realtime->app->loop);
	realtime->transport->send(realtime->transport_arg, &lane->body, lane);
}

/* How many of a lane's events may go out now; 0: they wait for tokens, rather for half a batch than for a single one. */
static int
allowance(struct realtime *realtime, const struct lane *lane, int wanted)
{
	int waiting = lane_waiting(lane);
	int worth = waiting < realtime->most / 2 ? waiting : realtime->most / 2;
	int allowed = pace_allows(&realtime->pace, wanted, uv_now(realtime->app->loop));

	if (worth < 1)
		worth = 1;
	if (allowed == wanted || allowed >= worth)
		return allowed;
	realtime_wait(realtime, pace_wait_ms(&realtime->pace, worth));
	return 0;
}

static bool
is_waiting(const struct realtime *realtime)
{
	return uv_is_active((const uv_handle_t *) &realtime->timer) ||
		   !realtime->transport->is_ready(realtime->transport_arg);
}

static bool
any_inflight(const struct realtime *realtime)
{
	for (int i = 0; i < LANES; i++)
	{
		if (realtime->lanes[i].inflight)
			return true;
	}
	return false;
}

/* Sends what a lane has to send, if nothing has to be waited for. */
static void
pump_lane(struct realtime *realtime, struct lane *lane)
{
	int count;

	if (lane->inflight || is_waiting(realtime) ||
		(realtime_is_troubled(realtime) && any_inflight(realtime)))
		return;
	count = lane_next(lane, consumer_now(realtime->consumer));
	if (count == 0)
		return;
	if (!consumer_leads(realtime->consumer))
	{
		realtime_wait(realtime, NO_LEASE_MS);
		return;
	}
	if (lane->probe)
	{
		send_events(realtime, lane, 0, false);
		return;
	}
	count = allowance(realtime, lane, count);
	if (count == 0)
		return;
	pace_spend(&realtime->pace, count);
	send_events(realtime, lane, count, false);
}

/* The lanes take turns: where few events may go out, none goes without. */
void
realtime_pump(struct realtime *realtime)
{
	int first = realtime->turn;

	realtime->turn = (first + 1) % LANES;
	for (int i = 0; i < LANES; i++)
		pump_lane(realtime, &realtime->lanes[(first + i) % LANES]);
}

/*
 * What did not even get there says nothing about the events: they go out at once on another connection, unless the lease is in
 * doubt.
 */
void
realtime_answered(void *arg, void *batch, const struct verdict *verdict)
{
	struct realtime *realtime = arg;
	struct lane *lane = batch;
	bool is_void = verdict->kind == VERDICT_VOID && !lane->repeated;

	metric_add(realtime->metrics.requests, 1);
	lane_answered(lane, uv_now(realtime->app->loop) - lane->sent_at,
				  verdict->kind == VERDICT_ACCEPTED);
	if (!lane->orphaned && !is_void)
		realtime_judge(realtime, lane, verdict);
	else if (!lane->orphaned && consumer_leads(realtime->consumer))
	{
		send_events(realtime, lane, lane->body.count, true);
		return;
	}
	lane_end(lane);
	realtime_pump(realtime);
}
