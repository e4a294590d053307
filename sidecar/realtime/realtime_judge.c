/*
 * See realtime_internal.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/text.h"
#include "realtime/realtime_answer.h"
#include "realtime/realtime_internal.h"

#define LIMITED_MS 1000
#define LIMITED_PATIENCE 5 /* answers, that is seconds */

/* What answers mean */

bool
realtime_is_troubled(const struct realtime *realtime)
{
	return realtime->backoff.failures + realtime->slow.failures > 0;
}

static void
report_failure(struct realtime *realtime, const struct http_response *response)
{
	uint32_t failures = realtime->backoff.failures + realtime->slow.failures;
	const char *error = response->error != NULL ? response->error : "";
	const char *url = realtime_target_shown(realtime->target);
	char trouble[sizeof(realtime->trouble)];

	snprintf(trouble, sizeof(trouble), "%s answers %ld%s%s%s%s", url, response->status,
			 *error != '\0' ? ": " : "", error, *answer_hint(response) != '\0' ? ": " : "",
			 answer_hint(response));
	text_clean(realtime->trouble, sizeof(realtime->trouble), trouble, strlen(trouble), TEXT_LINE);
	/* The first one, and then ever fewer. */
	if ((failures & (failures - 1)) != 0)
		return;
	log_event(LOG_WARN, "Realtime does not accept events", "url", "%s", url, "status", "%ld",
			  response->status, "error", "%s", error, "location", "%s", response->location, "body",
			  "%.200s", response->body, "hint", "%s", answer_hint(response), "failures", "%d",
			  (int) failures, NULL);
}

static void
show_failures(struct realtime *realtime)
{
	metric_set(realtime->metrics.failures, realtime->backoff.failures + realtime->slow.failures);
}

/* Counts one more failure and returns how long to wait. */
static uint32_t
count_failure(struct realtime *realtime, struct backoff *backoff)
{
	uint32_t delay = backoff_next(backoff, backoff_random());

	show_failures(realtime);
	return delay;
}

/* Tries the same again after a while; slow: only a person can mend it. */
static void
fail(struct realtime *realtime, const struct lane *lane, const struct http_response *response,
	 bool slow, uint32_t least_ms)
{
	uint32_t delay = count_failure(realtime, slow ? &realtime->slow : &realtime->backoff);

	metric_add(realtime->metrics.broadcasts[FAILED], lane->body.count);
	report_failure(realtime, response);
	realtime_wait(realtime, delay > least_ms ? delay : least_ms);
}

/* Realtime took the request in: it is no trouble any more. */
static void
end_trouble(struct realtime *realtime)
{
	if (realtime_is_troubled(realtime))
		log_event(LOG_INFO, "Realtime accepts events again", NULL);
	backoff_reset(&realtime->backoff);
	backoff_reset(&realtime->slow);
	show_failures(realtime);
	if (realtime->losses.failures == 0)
		realtime->trouble[0] = '\0';
}

static void
accept_events(struct realtime *realtime, struct lane *lane)
{
	double now = consumer_now(realtime->consumer);

	end_trouble(realtime);
	pace_accepted(&realtime->pace, uv_now(realtime->app->loop));
	for (int i = 0; i < lane->body.count; i++)
	{
		double latency = now - (double) lane_event(lane, i).row->created_at / MICROSECONDS;

		metric_observe(realtime->metrics.latency, latency > 0 ? latency : 0);
	}
	lane_accept(lane, realtime_canary_wanted(realtime->canary));
}

static void
report_refused(struct event event, const struct http_response *response)
{
	char *name = xstrndup(log_event_name(event.row), event.row->name_length);

	log_event(LOG_ERROR, "Realtime refuses an event, which is set aside", "event_id", "%lld",
			  (long long) event.row->id, "event", "%s", name, "bytes", "%d",
			  (int) event.row->payload_length, "status", "%ld", response->status, "body", "%.200s",
			  response->body, NULL);
	free(name);
}

/* Sets messages aside for good, so that the rest goes on. */
static void
set_aside(struct realtime *realtime, struct lane *lane, const bool *flags,
		  const struct http_response *response)
{
	end_trouble(realtime);
	for (int i = 0; i < lane->body.count; i++)
	{
		if (flags[i])
			report_refused(lane_event(lane, i), response);
	}
	lane_set_aside(lane, flags);
}

static void
split(struct realtime *realtime, struct lane *lane, const struct http_response *response)
{
	static const bool flags[] = {true};

	if (!lane_split(lane))
		set_aside(realtime, lane, flags, response);
}

/* Looks at the answer to an empty batch, which followed a refused message. */
static void
judge_probe(struct realtime *realtime, struct lane *lane, const struct http_response *response)
{
	lane->probe = false;
	/* Realtime says of an empty batch that messages can't be blank. */
	if (response->status == 422 || response->status == 202)
		lane->probed = true;
	else
		fail(realtime, lane, response, true, 0);
}

/* What there is room for becomes known within the time that Realtime counts; a batch that finds none for longer is too large. */
static void
limit(struct realtime *realtime, struct lane *lane, const struct http_response *response)
{
	pace_slow_down(&realtime->pace, uv_now(realtime->app->loop));
	metric_add(realtime->metrics.broadcasts[FAILED], lane->body.count);
	(void) count_failure(realtime, &realtime->backoff);
	if (realtime->backoff.failures > LIMITED_PATIENCE)
		lane_halve(lane);
	report_failure(realtime, response);
	realtime_wait(realtime, LIMITED_MS);
}

/* An answer finishes the events whose bytes its request carried, and no others: rather than guess, they are sent again. */
static void
report_mismatch(struct realtime *realtime, const struct lane *lane)
{
	static const char what[] = "an answer is not to the events that it would finish";

	strcpy(realtime->trouble, what);
	log_event(LOG_ERROR, what, "first_id", "%lld", (long long) lane->body.first_id, "last_id",
			  "%lld", (long long) lane->body.last_id, NULL);
	metric_add(realtime->metrics.broadcasts[FAILED], lane->body.count);
	realtime_wait(realtime, count_failure(realtime, &realtime->backoff));
}

void
realtime_judge(struct realtime *realtime, struct lane *lane, const struct http_response *response)
{
	bool flags[BATCH_EVENTS];
	enum answer answer;

	if (lane->probe)
	{
		judge_probe(realtime, lane, response);
		return;
	}
	if (!lane_carries(lane))
	{
		report_mismatch(realtime, lane);
		return;
	}
	answer = answer_judge(response, lane->body.count, flags);
	if (answer != ANSWER_ACCEPTED)
		pace_give_back(&realtime->pace, lane->body.count);
	switch (answer)
	{
		case ANSWER_ACCEPTED:
			accept_events(realtime, lane);
			break;
		case ANSWER_AGAIN:
			fail(realtime, lane, response, false, 0);
			break;
		case ANSWER_LIMITED:
			limit(realtime, lane, response);
			break;
		case ANSWER_POISONED:
			set_aside(realtime, lane, flags, response);
			break;
		case ANSWER_SPLIT:
			split(realtime, lane, response);
			break;
		case ANSWER_KEY:
			/* A new token may be all that is wanted. */
			fail(realtime, lane, response, !realtime_target_renew(realtime->target), 0);
			break;
		case ANSWER_REFUSED:
		case ANSWER_STRANGER:
			fail(realtime, lane, response, true, 0);
			break;
	}
	lane->probed = false;
}

/* What the canary says */

static void
on_confirmed(void *arg, uint64_t serial)
{
	struct realtime *realtime = arg;

	if (realtime->losses.failures > 0)
	{
		log_event(LOG_INFO, "what Realtime accepts goes through again", NULL);
		backoff_reset(&realtime->losses);
		realtime->trouble[0] = '\0';
	}
	for (int i = 0; i < LANES; i++)
		lane_confirm(&realtime->lanes[i], serial);
	realtime_pump(realtime);
}

static void
on_lost(void *arg, const struct http_response *response)
{
	struct realtime *realtime = arg;
	uint32_t delay = backoff_next(&realtime->losses, backoff_random());
	int failures = (int) realtime->losses.failures;

	snprintf(realtime->trouble, sizeof(realtime->trouble),
			 "%s accepts events and loses them: its database does not answer it",
			 realtime_target_shown(realtime->target));
	if ((failures & (failures - 1)) == 0)
		log_event(LOG_WARN, "Realtime accepts events and loses them", "status", "%ld",
				  response->status, "body", "%.200s", response->body, "failures", "%d", failures,
				  NULL);
	for (int i = 0; i < LANES; i++)
	{
		metric_add(realtime->metrics.broadcasts[LOST], realtime->lanes[i].accepted.events);
		lane_lose(&realtime->lanes[i]);
	}
	realtime_wait(realtime, delay);
}

static void
on_limited(void *arg)
{
	struct realtime *realtime = arg;

	pace_slow_down(&realtime->pace, uv_now(realtime->app->loop));
}

const struct realtime_canary_handlers realtime_canary_handlers = {on_confirmed, on_lost,
																  on_limited};
