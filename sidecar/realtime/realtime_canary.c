/*
 * See realtime_canary.h.
 */
#include "realtime/realtime_canary.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "realtime/realtime_answer.h"
#include "realtime/realtime_single.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 15000

enum result
{
	OK,
	LOST,
	LIMITED,
	FAILED,
	RESULTS
};

struct realtime_canary
{
	struct app *app;
	struct http_pool *pool;
	struct realtime_target *target;
	struct pace *pace;
	struct realtime_canary_handlers handlers;
	void *arg;
	uint64_t every_ms;
	bool used; /* what is accepted needs to be confirmed */
	bool deaf;
	uint64_t wanted, sent, confirmed; /* serials */
	bool inflight, closing;
	uint64_t next_at; /* loop time: none is sent before */
	struct backoff backoff;
	const char *trouble; /* static */
	uv_timer_t timer;
	struct metric *results[RESULTS], *deafness;
};

static void on_response(void *arg, const struct http_response *response);

static void
send_canary(struct realtime_canary *canary)
{
	canary->inflight = true;
	canary->sent = canary->wanted;
	canary->next_at = uv_now(canary->app->loop) + canary->every_ms;
	pace_spend(canary->pace, 1);
	realtime_single_send(canary->pool, canary->target, "canary", on_response, canary);
}

static void
on_timer(uv_timer_t *timer)
{
	struct realtime_canary *canary = timer->data;

	if (!canary->inflight && canary->confirmed < canary->wanted)
		send_canary(canary);
}

/* Sends one as soon as it may be, if one is wanted. From the loop: the caller has not noted its serial yet. */
static void
plan(struct realtime_canary *canary)
{
	uint64_t now = uv_now(canary->app->loop);

	if (!canary->inflight && canary->confirmed < canary->wanted && !canary->closing)
		uv_timer_start(&canary->timer, on_timer, canary->next_at > now ? canary->next_at - now : 0,
					   0);
}

uint64_t
realtime_canary_wanted(struct realtime_canary *canary)
{
	if (!canary->used)
		return 0;
	canary->wanted++;
	plan(canary);
	return canary->wanted;
}

static void
confirm(struct realtime_canary *canary, uint64_t serial)
{
	canary->confirmed = serial;
	canary->trouble = NULL;
	backoff_reset(&canary->backoff);
	canary->handlers.confirmed(canary->arg, serial);
}

static void
give_up(struct realtime_canary *canary)
{
	canary->used = false;
	canary->deaf = true;
	metric_set(canary->deafness, 1);
	log_event(LOG_WARN,
			  "Realtime before 2.97 cannot confirm what it accepts: events count as delivered then",
			  NULL);
	confirm(canary, canary->wanted);
}

static void
wait_longer(struct realtime_canary *canary)
{
	uint64_t delay = backoff_next(&canary->backoff, backoff_random());

	if (canary->next_at < uv_now(canary->app->loop) + delay)
		canary->next_at = uv_now(canary->app->loop) + delay;
}

static void
refuse(struct realtime_canary *canary, const struct http_response *response)
{
	static const char what[] =
		"REALTIME_KEY may not send private messages, and nothing is sent: its role must be service_role";

	log_event(canary->trouble == what ? LOG_DEBUG : LOG_ERROR, what, "status", "%ld",
			  response->status, "body", "%.200s", response->body, NULL);
	canary->trouble = what;
	wait_longer(canary);
}

static void
judge(struct realtime_canary *canary, const struct http_response *response)
{
	enum confirmation confirmation = answer_confirms(response);

	switch (confirmation)
	{
		case CONFIRMED:
			metric_add(canary->results[OK], 1);
			confirm(canary, canary->sent);
			break;
		case CONFIRMED_LOST:
			metric_add(canary->results[LOST], 1);
			wait_longer(canary);
			/* All of it will be accepted anew, which a refusal must not keep from being tried. */
			canary->confirmed = canary->wanted;
			canary->trouble = NULL;
			canary->handlers.lost(canary->arg, response);
			break;
		case CONFIRMS_NOTHING:
			give_up(canary);
			break;
		case CONFIRMS_LATER:
			metric_add(canary->results[response->status == 429 ? LIMITED : FAILED], 1);
			wait_longer(canary);
			if (response->status == 429)
				canary->handlers.limited(canary->arg);
			else
				canary->handlers.failed(canary->arg);
			break;
		case CONFIRMATION_REFUSED:
			metric_add(canary->results[FAILED], 1);
			refuse(canary, response);
			break;
	}
}

static void
on_response(void *arg, const struct http_response *response)
{
	struct realtime_canary *canary = arg;

	canary->inflight = false;
	if (canary->closing)
		return;
	judge(canary, response);
	plan(canary);
}

void
realtime_canary_again(struct realtime_canary *canary)
{
	canary->next_at = 0;
	plan(canary);
}

const char *
realtime_canary_trouble(const struct realtime_canary *canary)
{
	return canary->trouble;
}

bool
realtime_canary_is_deaf(const struct realtime_canary *canary)
{
	return canary->deaf;
}

static void
register_metrics(struct realtime_canary *canary, struct metrics *m)
{
	static const char *const labels[RESULTS] = {"result=\"ok\"", "result=\"lost\"",
												"result=\"limited\"", "result=\"failed\""};

	for (int i = 0; i < RESULTS; i++)
		canary->results[i] =
			metrics_counter(m, "chat_realtime_canaries_total", labels[i],
							"Messages that ask Realtime whether what it accepted went through.");
	canary->deafness = metrics_gauge(m, "chat_realtime_unconfirmed", "",
									 "1: this Realtime cannot confirm what it accepts.");
}

struct realtime_canary *
realtime_canary_create(struct app *app, struct http_pool *pool, struct realtime_target *target,
					   struct pace *pace, uint64_t every_ms,
					   const struct realtime_canary_handlers *handlers, void *arg)
{
	struct realtime_canary *canary = xcalloc(1, sizeof(*canary));

	canary->app = app;
	canary->pool = pool;
	canary->target = target;
	canary->pace = pace;
	canary->every_ms = every_ms;
	canary->handlers = *handlers;
	canary->arg = arg;
	canary->used = app->config->realtime_url != NULL && app->config->realtime_private;
	canary->backoff = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	register_metrics(canary, app->metrics);
	uv_timer_init(app->loop, &canary->timer);
	canary->timer.data = canary;
	return canary;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
realtime_canary_destroy(struct realtime_canary *canary)
{
	canary->closing = true;
	uv_close((uv_handle_t *) &canary->timer, on_closed);
}
