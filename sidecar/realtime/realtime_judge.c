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
#include "realtime/realtime_internal.h"

#define LIMITED_MS 1000
#define LIMITED_PATIENCE 5 /* answers, that is seconds */

/* What answers mean */

bool
realtime_is_troubled(const struct realtime *realtime)
{
	return realtime->backoff.failures + realtime->slow.failures > 0;
}

static const char *
where(const struct realtime *realtime)
{
	return realtime->transport->where(realtime->transport_arg);
}

static const char *
text_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static void
report_failure(struct realtime *realtime, const struct verdict *verdict)
{
	uint32_t failures = realtime->backoff.failures + realtime->slow.failures;
	const char *error = text_or_empty(verdict->error), *hint = text_or_empty(verdict->hint);
	char trouble[sizeof(realtime->trouble)], code[24];

	snprintf(code, sizeof(code), "%ld", verdict->status);
	snprintf(trouble, sizeof(trouble), "%s answers %s%s%s%s%s", where(realtime),
			 verdict->sqlstate != NULL ? verdict->sqlstate : code, *error != '\0' ? ": " : "",
			 error, *hint != '\0' ? ": " : "", hint);
	text_clean(realtime->trouble, sizeof(realtime->trouble), trouble, strlen(trouble), TEXT_LINE);
	/* The first one, and then ever fewer. */
	if ((failures & (failures - 1)) != 0)
		return;
	log_event(LOG_WARN, "Realtime does not accept events", "url", "%s", where(realtime), "status",
			  "%ld", verdict->status, "error", "%s", error, "location", "%s", verdict->location,
			  "body", "%.200s", verdict->answer, "hint", "%s", hint, "failures", "%d",
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
fail(struct realtime *realtime, const struct lane *lane, const struct verdict *verdict, bool slow)
{
	uint32_t delay = count_failure(realtime, slow ? &realtime->slow : &realtime->backoff);

	metric_add(realtime->metrics.broadcasts[FAILED], lane->body.count);
	realtime_fallback_failed(realtime->fallback);
	report_failure(realtime, verdict);
	realtime_wait(realtime, delay);
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
accept_events(struct realtime *realtime, struct lane *lane, uint64_t serial)
{
	double now = consumer_now(realtime->consumer);

	end_trouble(realtime);
	pace_accepted(&realtime->pace, uv_now(realtime->app->loop));
	for (int i = 0; i < lane->body.count; i++)
	{
		double latency = now - (double) lane_event(lane, i).row->created_at / MICROSECONDS;

		metric_observe(realtime->metrics.latency, latency > 0 ? latency : 0);
	}
	lane_accept(lane, serial);
	realtime_fallback_accepted(realtime->fallback);
	if (serial == 0)
		realtime_fallback_worked(realtime->fallback);
}

static void
report_refused(struct event event, const struct verdict *verdict)
{
	char *name = xstrndup(log_event_name(event.row), event.row->name_length);

	log_event(LOG_ERROR, "Realtime refuses an event, which is set aside", "event_id", "%lld",
			  (long long) event.row->id, "event", "%s", name, "bytes", "%d",
			  (int) event.row->payload_length, "status", "%ld", verdict->status, "error", "%s",
			  verdict->error, "body", "%.200s", verdict->answer, NULL);
	free(name);
}

/* Sets messages aside for good, so that the rest goes on. */
static void
set_aside(struct realtime *realtime, struct lane *lane, const bool *flags,
		  const struct verdict *verdict)
{
	end_trouble(realtime);
	for (int i = 0; i < lane->body.count; i++)
	{
		if (flags[i])
			report_refused(lane_event(lane, i), verdict);
	}
	lane_set_aside(lane, flags);
}

static void
split(struct realtime *realtime, struct lane *lane, const struct verdict *verdict)
{
	static const bool flags[] = {true};

	if (!lane_split(lane))
		set_aside(realtime, lane, flags, verdict);
}

/* Looks at the verdict on an empty batch, which followed a refused message. */
static void
judge_probe(struct realtime *realtime, struct lane *lane, const struct verdict *verdict)
{
	if (verdict->kind == VERDICT_WAIT)
		return;
	lane->probe = false;
	if (verdict->kind == VERDICT_ACCEPTED)
		lane->probed = true;
	else
		fail(realtime, lane, verdict, true);
}

/* What there is room for becomes known within the time that Realtime counts; a batch that finds none for longer is too large. */
static void
limit(struct realtime *realtime, struct lane *lane, const struct verdict *verdict)
{
	pace_slow_down(&realtime->pace, uv_now(realtime->app->loop));
	metric_add(realtime->metrics.broadcasts[FAILED], lane->body.count);
	(void) count_failure(realtime, &realtime->backoff);
	if (realtime->backoff.failures > LIMITED_PATIENCE)
		lane_halve(lane);
	report_failure(realtime, verdict);
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
realtime_judge(struct realtime *realtime, struct lane *lane, const struct verdict *verdict)
{
	if (lane->probe)
	{
		judge_probe(realtime, lane, verdict);
		return;
	}
	if (!lane_carries(lane))
	{
		report_mismatch(realtime, lane);
		return;
	}
	if (verdict->kind != VERDICT_ACCEPTED)
		pace_give_back(&realtime->pace, lane->body.count);
	switch (verdict->kind)
	{
		case VERDICT_ACCEPTED:
			accept_events(realtime, lane, verdict->serial);
			break;
		case VERDICT_WAIT:
			break;
		case VERDICT_VOID:
		case VERDICT_AGAIN:
			fail(realtime, lane, verdict, false);
			break;
		case VERDICT_LIMITED:
			limit(realtime, lane, verdict);
			break;
		case VERDICT_POISONED:
			set_aside(realtime, lane, verdict->refused, verdict);
			break;
		case VERDICT_SPLIT:
			split(realtime, lane, verdict);
			break;
		case VERDICT_STOP:
			fail(realtime, lane, verdict, true);
			break;
	}
	lane->probed = false;
}

/* What becomes of what was accepted */

void
realtime_confirmed(void *arg, uint64_t serial)
{
	struct realtime *realtime = arg;

	if (realtime->losses.failures > 0)
	{
		log_event(LOG_INFO, "what Realtime accepts goes through again", NULL);
		backoff_reset(&realtime->losses);
		realtime->trouble[0] = '\0';
	}
	realtime_fallback_worked(realtime->fallback);
	for (int i = 0; i < LANES; i++)
		lane_confirm(&realtime->lanes[i], serial);
	realtime_pump(realtime);
}

void
realtime_lost(void *arg, const struct verdict *why)
{
	struct realtime *realtime = arg;
	uint32_t delay = backoff_next(&realtime->losses, backoff_random());
	int failures = (int) realtime->losses.failures;

	snprintf(realtime->trouble, sizeof(realtime->trouble), "%s %s", where(realtime), why->error);
	if ((failures & (failures - 1)) == 0)
		log_event(LOG_WARN, "Realtime accepts events and loses them", "error", "%s", why->error,
				  "status", "%ld", why->status, "body", "%.200s", why->answer, "failures", "%d",
				  failures, NULL);
	realtime_fallback_failed(realtime->fallback);
	for (int i = 0; i < LANES; i++)
	{
		metric_add(realtime->metrics.broadcasts[LOST], realtime->lanes[i].accepted.events);
		lane_lose(&realtime->lanes[i]);
	}
	realtime_wait(realtime, delay);
}

void
realtime_limited(void *arg)
{
	struct realtime *realtime = arg;

	pace_slow_down(&realtime->pace, uv_now(realtime->app->loop));
}

/* Where nothing new may be read before it is, that is all that is heard of an outage. */
void
realtime_unconfirmed(void *arg)
{
	struct realtime *realtime = arg;

	realtime_fallback_failed(realtime->fallback);
}
