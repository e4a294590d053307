/*
 * The realtime sink: one request at a time, so that order is kept over all topics.
 *
 * A portion is what was taken from the queue together, up to the size of a batch. It is sent in one request,
 * or, while answers say that something in it is refused, in smaller ones, from its front: halved until the
 * refused message stands alone, and doubled with each success. A message that is refused alone is set aside
 * only after an empty batch was not: otherwise it is not the message that is wrong, and nothing gets lost.
 *
 * When the lease or the connection is lost the portion is forgotten; the request that is under way is not
 * ended, and nothing else is sent before its answer, which concerns nobody any more.
 */
#include "realtime/realtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/pace.h"
#include "base/text.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/http.h"
#include "realtime/realtime_answer.h"
#include "realtime/realtime_body.h"
#include "realtime/realtime_check.h"
#include "realtime/realtime_queue.h"
#include "realtime/realtime_target.h"

#define READ_ROWS 1000
#define READ_AHEAD 4
#define EMBEDDED_BATCH 500
#define REMOTE_BATCH 100
#define BODY_MAX 1000000
#define TIMEOUT_MS 15000 /* an outage of its database is answered after 7.5 s */
#define RESPONSE_MAX 65536
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 15000
#define SLOW_MIN_MS 5000 /* for what only a person can mend */
#define SLOW_MAX_MS 60000
#define LIMITED_MIN_MS 1000
#define NO_LEASE_MS 200
#define MICROSECONDS 1e6
#define TROUBLE_AFTER 3 /* failures in a row */

enum result
{
	OK,
	FAILED,
	POISONED,
	COALESCED,
	EXPIRED,
	RESULTS
};

/* What is noted of the request that is under way. All of it ends with the answer, in on_response. */
struct request
{
	bool inflight;
	bool orphaned; /* its events are forgotten */
	bool repeated; /* the one before it was sent on a connection that had been closed */
};

struct realtime
{
	struct app *app;
	struct sink sink;
	struct consumer *consumer;
	struct http_pool *pool;
	struct realtime_target *target;
	struct realtime_check *check; /* of the key */
	struct realtime_queue *queue;
	struct pace pace;
	int max_batch;

	/* the portion: events[sent_to …) are still to be accepted */
	struct event events[EMBEDDED_BATCH];
	int count, at;
	int part; /* events in the next request, at most */

	struct request request;
	struct body body; /* what the request carries, and nothing else is finished by its answer */
	bool probe;       /* the next request is to be empty; until its answer */
	bool probed;      /* an empty batch was not refused; until the next answer */

	struct backoff backoff, slow;
	char trouble[512];
	uv_timer_t timer; /* nothing is sent while it runs */
	struct metric *broadcasts[RESULTS];
	struct metric *latency, *requests, *failures;
};

static void pump(struct realtime *realtime);
static void send_part(struct realtime *realtime, int count, bool repeated);

static void
finish(struct realtime *realtime, struct event event, enum result result)
{
	metric_add(realtime->broadcasts[result], 1);
	realtime_queue_finish(realtime->queue, event);
}

/* Whether it is of no use any more. */
static bool
is_expired(struct event event, double now)
{
	return event.row->expires_at != 0 && (double) event.row->expires_at < now * MICROSECONDS;
}

/* Takes the next portion from the queue. */
static void
take_portion(struct realtime *realtime)
{
	double now = consumer_now(realtime->consumer);
	size_t bytes = 0;
	struct event event;

	realtime->count = realtime->at = 0;
	while (realtime->count < realtime->max_batch &&
		   (event = realtime_queue_peek(realtime->queue)).row != NULL)
	{
		bytes += event.row->message_length;
		if (realtime->count > 0 && bytes > BODY_MAX)
			break;
		realtime_queue_pop(realtime->queue);
		if (is_expired(event, now))
			finish(realtime, event, EXPIRED);
		else
			realtime->events[realtime->count++] = event;
	}
	if (realtime->count > 1)
		body_group(realtime->events, realtime->count);
}

static void
on_timer(uv_timer_t *timer)
{
	pump(timer->data);
}

static void
wait_ms(struct realtime *realtime, uint64_t ms)
{
	uv_timer_start(&realtime->timer, on_timer, ms, 0);
}

/* How many events may go out now; 0: it waits for tokens, rather for half a batch than for a single one. */
static int
allowance(struct realtime *realtime, int wanted)
{
	uint64_t now = uv_now(realtime->app->loop);
	int waiting = wanted + realtime_queue_count(realtime->queue);
	int worth = waiting < realtime->max_batch / 2 ? waiting : realtime->max_batch / 2;
	int allowed = pace_allows(&realtime->pace, wanted, now);

	if (worth < 1)
		worth = 1;
	if (allowed == wanted || allowed >= worth)
		return allowed;
	wait_ms(realtime, pace_wait_ms(&realtime->pace, worth));
	return 0;
}

/* Sends what there is to send, if nothing is under way and nothing has to be waited for. */
static void
pump(struct realtime *realtime)
{
	int wanted, allowed;

	if (realtime->request.inflight || uv_is_active((uv_handle_t *) &realtime->timer) ||
		!realtime_check_passed(realtime->check))
		return;
	while (realtime->at == realtime->count && realtime_queue_count(realtime->queue) > 0)
		take_portion(realtime);
	wanted = realtime->count - realtime->at;
	if (wanted == 0)
		return;
	if (!consumer_leads(realtime->consumer))
	{
		wait_ms(realtime, NO_LEASE_MS);
		return;
	}
	if (wanted > realtime->part)
		wanted = realtime->part;
	allowed = realtime->probe ? 0 : allowance(realtime, wanted);
	if (allowed > 0 || realtime->probe)
		send_part(realtime, allowed, false);
}

/* What answers mean */

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
	metric_set(realtime->failures, realtime->backoff.failures + realtime->slow.failures);
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
fail(struct realtime *realtime, const struct http_response *response, bool slow, uint32_t least_ms)
{
	uint32_t delay = count_failure(realtime, slow ? &realtime->slow : &realtime->backoff);

	metric_add(realtime->broadcasts[FAILED], realtime->body.count);
	report_failure(realtime, response);
	wait_ms(realtime, delay > least_ms ? delay : least_ms);
}

/* Realtime took the request in: it is no trouble any more. */
static void
end_trouble(struct realtime *realtime)
{
	if (realtime->backoff.failures + realtime->slow.failures > 0)
		log_event(LOG_INFO, "Realtime accepts events again", NULL);
	backoff_reset(&realtime->backoff);
	backoff_reset(&realtime->slow);
	show_failures(realtime);
	realtime->trouble[0] = '\0';
}

static void
accept_part(struct realtime *realtime)
{
	double now = consumer_now(realtime->consumer);

	end_trouble(realtime);
	pace_accepted(&realtime->pace, uv_now(realtime->app->loop));
	pace_spend(&realtime->pace, realtime->body.count);
	for (int i = 0; i < realtime->body.count; i++)
	{
		struct event event = realtime->events[realtime->at++];
		double latency = now - (double) event.row->created_at / MICROSECONDS;

		metric_observe(realtime->latency, latency > 0 ? latency : 0);
		finish(realtime, event, OK);
	}
	realtime->part =
		2 * realtime->part < realtime->max_batch ? 2 * realtime->part : realtime->max_batch;
}

/* Sets a message aside for good: the rest must go on. */
static void
set_aside(struct realtime *realtime, struct event event, const struct http_response *response)
{
	char *name = xstrndup(log_event_name(event.row), event.row->name_length);

	log_event(LOG_ERROR, "Realtime refuses an event, which is set aside", "event_id", "%lld",
			  (long long) event.row->id, "event", "%s", name, "bytes", "%d",
			  (int) event.row->payload_length, "status", "%ld", response->status, "body", "%.200s",
			  response->body, NULL);
	free(name);
	finish(realtime, event, POISONED);
}

/* Sets aside the flagged messages of the request; the others are sent again. */
static void
set_flagged_aside(struct realtime *realtime, const bool *flags,
				  const struct http_response *response)
{
	int kept = realtime->at + realtime->body.count;

	end_trouble(realtime);
	for (int i = realtime->body.count - 1; i >= 0; i--)
	{
		struct event event = realtime->events[realtime->at + i];

		if (flags[i])
			set_aside(realtime, event, response);
		else
			realtime->events[--kept] = event;
	}
	realtime->at = kept;
}

/* Something in the request is refused: halves it, or deals with the one message that is left. */
static void
split(struct realtime *realtime, const struct http_response *response, bool probed)
{
	if (realtime->body.count > 1)
		realtime->part = realtime->body.count / 2;
	else if (probed)
	{
		end_trouble(realtime);
		set_aside(realtime, realtime->events[realtime->at++], response);
	}
	else
		realtime->probe = true;
}

/* Looks at the answer to an empty batch, which followed a refused message. */
static void
judge_probe(struct realtime *realtime, const struct http_response *response)
{
	realtime->probe = false;
	/* Realtime says of an empty batch that messages can't be blank. */
	if (response->status == 422 || response->status == 202)
		realtime->probed = true;
	else
		fail(realtime, response, true, 0);
}

static void
limit(struct realtime *realtime, const struct http_response *response)
{
	pace_slow_down(&realtime->pace, uv_now(realtime->app->loop));
	if (realtime->body.count > 1)
		realtime->part = realtime->body.count / 2;
	fail(realtime, response, false, LIMITED_MIN_MS);
}

/* An answer finishes the events whose bytes its request carried, and no others: rather than guess, they are sent again. */
static void
report_mismatch(struct realtime *realtime)
{
	static const char what[] = "an answer is not to the events that it would finish";

	strcpy(realtime->trouble, what);
	log_event(LOG_ERROR, what, "first_id", "%lld", (long long) realtime->body.first_id, "last_id",
			  "%lld", (long long) realtime->body.last_id, NULL);
	metric_add(realtime->broadcasts[FAILED], realtime->body.count);
	wait_ms(realtime, count_failure(realtime, &realtime->backoff));
}

static void
judge(struct realtime *realtime, const struct http_response *response)
{
	const bool probed = realtime->probed;
	bool flags[EMBEDDED_BATCH];

	realtime->probed = false;
	if (!body_carries(&realtime->body, realtime->events + realtime->at,
					  realtime->count - realtime->at))
	{
		report_mismatch(realtime);
		return;
	}
	switch (answer_judge(response, realtime->body.count, flags))
	{
		case ANSWER_ACCEPTED:
			accept_part(realtime);
			break;
		case ANSWER_AGAIN:
			fail(realtime, response, false, 0);
			break;
		case ANSWER_LIMITED:
			limit(realtime, response);
			break;
		case ANSWER_POISONED:
			set_flagged_aside(realtime, flags, response);
			break;
		case ANSWER_SPLIT:
			split(realtime, response, probed);
			break;
		case ANSWER_KEY:
			/* A new token may be all that is wanted. */
			fail(realtime, response, !realtime_target_renew(realtime->target), 0);
			break;
		case ANSWER_REFUSED:
		case ANSWER_STRANGER:
			fail(realtime, response, true, 0);
			break;
	}
}

/*
 * Realtime ended an idle connection just as it was used, which says nothing about the events: they go out at once on
 * another one, unless the lease is in doubt.
 */
static void
repeat(struct realtime *realtime)
{
	if (consumer_leads(realtime->consumer))
		send_part(realtime, realtime->body.count, true);
}

static void
on_response(void *arg, const struct http_response *response)
{
	struct realtime *realtime = arg;
	const struct request request = realtime->request;

	realtime->request = (struct request){.inflight = false};
	metric_add(realtime->requests, 1);
	if (!request.orphaned)
	{
		if (response->reused_connection_closed && !request.repeated)
			repeat(realtime);
		else if (realtime->probe)
			judge_probe(realtime, response);
		else
			judge(realtime, response);
	}
	pump(realtime);
}

/* Sends the next so many events; none: asks whether an empty batch is accepted. */
static void
send_part(struct realtime *realtime, int count, bool repeated)
{
	struct http_request request = {
		.method = "POST",
		.url = realtime_target_url(realtime->target),
		.headers = realtime_target_headers(realtime->target),
		.timeout_ms = TIMEOUT_MS,
		.max_response = RESPONSE_MAX,
	};

	body_write(&realtime->body, realtime->events + realtime->at, count);
	request.body = realtime->body.text.data;
	request.body_len = realtime->body.text.len;
	realtime->request = (struct request){.inflight = true, .repeated = repeated};
	http_send(realtime->pool, &request, on_response, realtime);
}

/* The sink */

static void
on_start(void *arg)
{
	struct realtime *realtime = arg;

	realtime->part = realtime->max_batch;
}

static void
on_deliver(void *arg, struct read *read)
{
	struct realtime *realtime = arg;
	int replaced = realtime_queue_push(realtime->queue, read);

	metric_add(realtime->broadcasts[COALESCED], replaced);
	pump(realtime);
}

static void
on_stop(void *arg)
{
	struct realtime *realtime = arg;

	realtime_queue_clear(realtime->queue);
	realtime->count = realtime->at = 0;
	realtime->request.orphaned = realtime->request.inflight;
	realtime->probe = realtime->probed = false;
}

void
realtime_reload(struct app *app)
{
	struct realtime *realtime = app->realtime_sink;

	realtime_check_again(realtime->check, realtime_target_renew(realtime->target));
	uv_timer_stop(&realtime->timer);
	pump(realtime);
}

const char *
realtime_trouble(const struct app *app)
{
	const struct realtime *realtime = app->realtime_sink;

	if (!realtime_check_passed(realtime->check))
		return realtime_check_trouble(realtime->check);
	if (realtime->slow.failures > 0 || realtime->backoff.failures >= TROUBLE_AFTER)
		return realtime->trouble;
	return NULL;
}

static void
register_metrics(struct realtime *realtime, struct metrics *m)
{
	static const char *const labels[RESULTS] = {"result=\"ok\"", "result=\"failed\"",
												"result=\"poisoned\"", "result=\"coalesced\"",
												"result=\"expired\""};

	for (int i = 0; i < RESULTS; i++)
		realtime->broadcasts[i] = metrics_counter(m, "chat_realtime_broadcasts_total", labels[i],
												  "Events for Realtime by what became of them.");
	realtime->requests =
		metrics_counter(m, "chat_realtime_broadcast_requests_total", "", "Requests to Realtime.");
	realtime->failures = metrics_gauge(m, "chat_realtime_broadcast_failures_in_a_row", "",
									   "Requests to Realtime that failed since one was accepted.");
	realtime->latency = metrics_histogram(m, "chat_realtime_delivery_latency_seconds", "",
										  "From an event's row to its acceptance by Realtime.");
}

/* A batch above the tenant's limit can never succeed, and half of it leaves room for what else there is. */
static int
batch_size(const struct config *config)
{
	int limit = config->realtime_max_events_per_second;

	if (config->realtime_url == NULL)
		return EMBEDDED_BATCH;
	if (limit == 0 || limit / 2 > REMOTE_BATCH)
		return REMOTE_BATCH;
	return limit > 1 ? limit / 2 : 1;
}

static void
on_key_passed(void *arg)
{
	pump(arg);
}

static struct realtime *
create_realtime(struct app *app)
{
	const struct http_pool_options options = {
		.max_connections = 2, .max_per_host = 2, .allow_http = true};
	struct realtime *realtime = xcalloc(1, sizeof(*realtime));

	realtime->app = app;
	realtime->max_batch = realtime->part = batch_size(app->config);
	realtime->target = realtime_target_create(app);
	realtime->queue = realtime_queue_create();
	realtime->pool = http_pool_create(app->http, &options);
	realtime->check =
		realtime_check_create(app, realtime->pool, realtime->target, on_key_passed, realtime);
	realtime->backoff = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	realtime->slow = (struct backoff){SLOW_MIN_MS, SLOW_MAX_MS, 0};
	pace_init(&realtime->pace, app->config->realtime_max_events_per_second, realtime->max_batch,
			  uv_now(app->loop));
	register_metrics(realtime, app->metrics);
	uv_timer_init(app->loop, &realtime->timer);
	realtime->timer.data = realtime;
	return realtime;
}

struct consumer *
realtime_create(struct app *app)
{
	struct realtime *realtime = create_realtime(app);

	realtime->sink = (struct sink){
		.name = "realtime",
		.private_messages = app->config->realtime_private,
		.max_rows = READ_ROWS,
		.max_reads = READ_AHEAD,
		.start = on_start,
		.deliver = on_deliver,
		.stop = on_stop,
	};
	realtime->consumer = consumer_create(app, &realtime->sink, realtime);
	app->realtime_sink = realtime;
	return realtime->consumer;
}

static void
on_closed(uv_handle_t *timer)
{
	struct realtime *realtime = timer->data;

	realtime_queue_destroy(realtime->queue);
	realtime_target_destroy(realtime->target);
	buffer_free(&realtime->body.text);
	free(realtime);
}

void
realtime_destroy(struct app *app)
{
	struct realtime *realtime = app->realtime_sink;

	consumer_destroy(realtime->consumer);
	/* The answer that this ends is nobody's. */
	realtime->request.orphaned = true;
	realtime_check_destroy(realtime->check);
	http_pool_destroy(realtime->pool);
	uv_close((uv_handle_t *) &realtime->timer, on_closed);
	app->realtime_sink = NULL;
	app->realtime = NULL;
}
