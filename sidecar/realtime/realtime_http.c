/*
 * The transport over HTTP: batches go to /api/broadcast. Their answers are taken for what they say of the request; whether
 * what is accepted goes through is asked by canaries.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "config.h"
#include "io/http.h"
#include "realtime/realtime_answer.h"
#include "realtime/realtime_canary.h"
#include "realtime/realtime_check.h"
#include "realtime/realtime_lane.h"
#include "realtime/realtime_target.h"
#include "realtime/realtime_transport.h"

#define TIMEOUT_MS 15000 /* an outage of its database is answered after 7.5 s */
#define RESPONSE_MAX 65536
#define CANARY_MS 250
#define CANARY_SHARE 10 /* of what goes out one of so many may be a canary */

struct http_transport
{
	struct app *app;
	struct transport_handlers handlers;
	void *arg;
	struct http_pool *pool;
	struct realtime_target *target;
	struct realtime_check *check; /* of the key */
	struct realtime_canary *canary;
};

/* A batch under way. */
struct exchange
{
	struct http_transport *http;
	void *batch;
	int count;
};

/* Answers ---------------------------------------------------------------------------------------- */

static enum verdict_kind
judge_key(struct http_transport *http)
{
	/* A new token may be all that is wanted. */
	return realtime_target_renew(http->target) ? VERDICT_AGAIN : VERDICT_STOP;
}

static void
answer_batch(struct http_transport *http, const struct exchange *exchange,
			 const struct http_response *response)
{
	bool refused[BATCH_EVENTS];
	struct verdict verdict = answer_judge(response, exchange->count, refused);

	if (answer_refuses_key(response))
		verdict.kind = judge_key(http);
	if (verdict.kind == VERDICT_ACCEPTED && exchange->count > 0)
		verdict.serial = realtime_canary_wanted(http->canary);
	http->handlers.answered(http->arg, exchange->batch, &verdict);
}

static void
on_response(void *arg, const struct http_response *response)
{
	struct exchange exchange = *(struct exchange *) arg;

	free(arg);
	answer_batch(exchange.http, &exchange, response);
}

static void
send_body(void *transport, const struct body *body, void *batch)
{
	struct http_transport *http = transport;
	struct http_request request = {
		.method = "POST",
		.url = realtime_target_url(http->target),
		.headers = realtime_target_headers(http->target),
		.body = body->text.data,
		.body_len = body->text.len,
		.timeout_ms = TIMEOUT_MS,
		.max_response = RESPONSE_MAX,
	};
	struct exchange *exchange = xmalloc(sizeof(*exchange));

	*exchange = (struct exchange){http, batch, body->count};
	http_send(http->pool, &request, on_response, exchange);
}

/* The canary ------------------------------------------------------------------------------------- */

static void
on_confirmed(void *arg, uint64_t serial)
{
	struct http_transport *http = arg;

	http->handlers.confirmed(http->arg, serial);
}

static void
on_lost(void *arg, const struct http_response *response)
{
	struct http_transport *http = arg;
	const struct verdict why = {
		.status = response->status,
		.error = "accepts events and loses them: its database does not answer it",
		.answer = response->body};

	http->handlers.lost(http->arg, &why);
}

static void
on_limited(void *arg)
{
	struct http_transport *http = arg;

	http->handlers.limited(http->arg);
}

static void
on_failed(void *arg)
{
	struct http_transport *http = arg;

	http->handlers.unconfirmed(http->arg);
}

static void
on_key_passed(void *arg)
{
	struct http_transport *http = arg;

	http->handlers.ready(http->arg);
}

/* Few enough that events, of which each canary costs one, have most of the limit. */
static uint64_t
canary_interval(const struct config *config)
{
	int limit = config->realtime_max_events_per_second;

	if (limit == 0 || limit * CANARY_MS >= CANARY_SHARE * 1000)
		return CANARY_MS;
	return CANARY_SHARE * 1000 / (uint64_t) limit;
}

/* The transport ---------------------------------------------------------------------------------- */

static bool
is_ready(const void *transport)
{
	const struct http_transport *http = transport;

	return realtime_check_passed(http->check) && realtime_canary_trouble(http->canary) == NULL;
}

static const char *
trouble(const void *transport)
{
	const struct http_transport *http = transport;

	if (!realtime_check_passed(http->check))
		return realtime_check_trouble(http->check);
	return realtime_canary_trouble(http->canary);
}

static const char *
note(const void *transport)
{
	const struct http_transport *http = transport;

	if (!realtime_canary_is_deaf(http->canary))
		return NULL;
	return "Realtime before 2.97 cannot confirm what it accepts: events count as delivered then";
}

static void
reload(void *transport)
{
	struct http_transport *http = transport;

	realtime_check_again(http->check, realtime_target_renew(http->target));
	realtime_canary_again(http->canary);
}

static const char *
where(const void *transport)
{
	const struct http_transport *http = transport;

	return realtime_target_shown(http->target);
}

static void *
create(struct app *app, int most, struct pace *pace, const struct transport_handlers *handlers,
	   void *arg)
{
	static const struct realtime_canary_handlers canary_handlers = {on_confirmed, on_lost,
																	on_limited, on_failed};
	const struct http_pool_options options = {
		.max_connections = most + 1, .max_per_host = most + 1, .allow_http = true};
	struct http_transport *http = xcalloc(1, sizeof(*http));

	http->app = app;
	http->handlers = *handlers;
	http->arg = arg;
	http->target = realtime_target_create(app);
	http->pool = http_pool_create(app->http, &options);
	http->check = realtime_check_create(app, http->pool, http->target, on_key_passed, http);
	http->canary = realtime_canary_create(app, http->pool, http->target, pace,
										  canary_interval(app->config), &canary_handlers, http);
	return http;
}

/* The pool calls back all that is under way, so that nothing speaks of it any more. */
static void
destroy(void *transport)
{
	struct http_transport *http = transport;

	realtime_check_destroy(http->check);
	realtime_canary_destroy(http->canary);
	http_pool_destroy(http->pool);
	realtime_target_destroy(http->target);
	free(http);
}

const struct transport http_transport = {
	.name = "http",
	.create = create,
	.destroy = destroy,
	.send = send_body,
	.is_ready = is_ready,
	.trouble = trouble,
	.note = note,
	.reload = reload,
	.where = where,
};
