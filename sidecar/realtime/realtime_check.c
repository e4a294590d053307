/*
 * See realtime_check.h.
 */
#include "realtime/realtime_check.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "realtime/realtime_key.h"
#include "realtime/realtime_single.h"

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 15000
#define REFUSED_MS 30000 /* only a person can mend it */

struct realtime_check
{
	struct app *app;
	struct http_pool *pool;
	struct realtime_target *target;
	void (*passed_callback)(void *arg);
	void *arg;
	bool passed;
	bool inflight;
	bool other_key; /* the answer that is awaited is to another one */
	bool closing;
	struct backoff backoff;
	const char *trouble; /* static */
	uv_timer_t timer;
};

static void send_message(struct realtime_check *check);

bool
realtime_check_passed(const struct realtime_check *check)
{
	return check->passed;
}

const char *
realtime_check_trouble(const struct realtime_check *check)
{
	return check->passed ? NULL : check->trouble;
}

static void
on_timer(uv_timer_t *timer)
{
	send_message(timer->data);
}

static void
pass(struct realtime_check *check)
{
	check->passed = true;
	check->trouble = NULL;
	backoff_reset(&check->backoff);
	check->passed_callback(check->arg);
}

/* One line for each new trouble. */
static void
wait_with(struct realtime_check *check, const char *trouble, const struct http_response *response,
		  uint64_t ms)
{
	log_event(check->trouble == trouble ? LOG_DEBUG : LOG_WARN, trouble, "url", "%s",
			  realtime_target_shown(check->target), "status", "%ld", response->status, "error",
			  "%s", response->error, "body", "%.200s", response->body, NULL);
	check->trouble = trouble;
	uv_timer_start(&check->timer, on_timer, ms, 0);
}

static void
judge(struct realtime_check *check, const struct http_response *response)
{
	switch (response->status)
	{
		case 202:
			log_event(LOG_INFO, "REALTIME_KEY may send", NULL);
			pass(check);
			break;
		case 404:
			log_event(
				LOG_WARN,
				"Realtime before 2.97 does not say whether REALTIME_KEY may send: it is taken as it is",
				NULL);
			pass(check);
			break;
		case 401:
		case 403:
			wait_with(
				check,
				"REALTIME_KEY is refused, and nothing is sent: it must be the project's secret key, and REALTIME_URL lead through the gateway that knows it",
				response, REFUSED_MS);
			break;
		default:
			wait_with(check, "Realtime does not say yet whether REALTIME_KEY may send", response,
					  backoff_next(&check->backoff, backoff_random()));
			break;
	}
}

static void
on_response(void *arg, const struct http_response *response)
{
	struct realtime_check *check = arg;

	check->inflight = false;
	if (check->closing)
		return;
	if (!check->other_key)
		judge(check, response);
	else if (!check->passed)
		send_message(check);
	check->other_key = false;
}

static void
send_message(struct realtime_check *check)
{
	check->inflight = true;
	realtime_single_send(check->pool, check->target, "check", on_response, check);
}

static bool
needs_check(const struct app *app)
{
	return app->config->realtime_url != NULL && realtime_key_is_opaque(app->config->realtime_key);
}

void
realtime_check_again(struct realtime_check *check, bool other_key)
{
	if (check->passed && !other_key)
		return;
	check->passed = !needs_check(check->app);
	check->other_key = check->inflight && other_key;
	uv_timer_stop(&check->timer);
	if (!check->passed && !check->inflight)
		send_message(check);
}

struct realtime_check *
realtime_check_create(struct app *app, struct http_pool *pool, struct realtime_target *target,
					  void (*passed)(void *arg), void *arg)
{
	struct realtime_check *check = xcalloc(1, sizeof(*check));

	check->app = app;
	check->pool = pool;
	check->target = target;
	check->passed_callback = passed;
	check->arg = arg;
	check->passed = !needs_check(app);
	check->backoff = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	uv_timer_init(app->loop, &check->timer);
	check->timer.data = check;
	if (!check->passed)
		uv_timer_start(&check->timer, on_timer, 0, 0);
	return check;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
realtime_check_destroy(struct realtime_check *check)
{
	check->closing = true;
	uv_close((uv_handle_t *) &check->timer, on_closed);
}
