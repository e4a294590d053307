/*
 * The realtime sink: events go out in lanes, by a hash of their topic, with one request at a time in each. Lanes share
 * what is the server's: its limit, its outages, its key.
 *
 * When the lease or the connection is lost events are forgotten; a request that is under way is not ended, and its lane
 * sends nothing else before its answer, which concerns nobody any more.
 */
#include "realtime/realtime.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "realtime/realtime_internal.h"

#define READ_ROWS 1000
#define READ_AHEAD 4
#define LIMIT_SHARE 10 /* what a batch may be of the limit: one of so many */
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 15000
#define SLOW_MIN_MS 5000 /* for what only a person can mend */
#define SLOW_MAX_MS 60000
#define TROUBLE_AFTER 3 /* failures in a row */

/* An event needs no delivery any more. */
static void
on_finished(void *arg, struct event event, enum event_result result)
{
	struct realtime *realtime = arg;

	realtime_metrics_count(&realtime->metrics, result);
	if (--event.read->left == 0)
		consumer_done(event.read);
}

static struct lane *
lane_of(struct realtime *realtime, const struct log_event *row)
{
	uint32_t hash = hash_bytes(HASH_EMPTY, log_event_topic(row), row->topic_length);

	/* Of FNV's bits the high ones are the good ones. */
	return &realtime->lanes[(hash >> 16) % LANES];
}

static void
on_deliver(void *arg, struct read *read)
{
	struct realtime *realtime = arg;

	read->left = read->nevents;
	/* The last event keeps the read alive all the while. */
	for (int i = 0, count = read->nevents; i < count; i++)
		lane_push(lane_of(realtime, &read->events[i]), (struct event){read, &read->events[i]});
	realtime_pump(realtime);
}

static void
on_stop(void *arg)
{
	struct realtime *realtime = arg;

	for (int i = 0; i < LANES; i++)
		lane_clear(&realtime->lanes[i]);
}

/* Tries at once what waits for somebody to mend it. */
static void
reload(void *arg)
{
	struct realtime *realtime = arg;

	realtime->transport->reload(realtime->transport_arg);
	uv_timer_stop(&realtime->timer);
	realtime_pump(realtime);
}

static const char *
trouble(const void *arg)
{
	const struct realtime *realtime = arg;
	const char *why;

	/* A standby does not deliver, so it has nothing to say about Realtime. */
	if (!consumer_leads(realtime->consumer))
		return NULL;
	if ((why = realtime->transport->trouble(realtime->transport_arg)) != NULL)
		return why;
	if (realtime->slow.failures > 0 || realtime->backoff.failures >= TROUBLE_AFTER ||
		realtime->losses.failures > 0)
		return realtime->trouble;
	return NULL;
}

/* What users may be served another way for. That nobody is there to be told anything is none of it. */
static const char *
failure(const void *arg)
{
	const struct realtime *realtime = arg;
	const struct transport *transport = realtime->transport;

	if (transport->is_deserted != NULL && transport->is_deserted(realtime->transport_arg))
		return NULL;
	return transport->trouble(realtime->transport_arg);
}

static const char *
note(const void *arg)
{
	const struct realtime *realtime = arg;

	return realtime->transport->note != NULL ? realtime->transport->note(realtime->transport_arg)
											 : NULL;
}

/*
 * Realtime refuses a batch for which its average has no room: the smaller it is, the more of the limit can be used, and
 * one above the limit never gets in.
 */
static int
batch_size(const struct config *config)
{
	int most = config->realtime_max_events_per_second / LIMIT_SHARE;

	if (config->realtime_max_events_per_second == 0 || most > BATCH_EVENTS)
		return BATCH_EVENTS;
	return most > 1 ? most : 1;
}

static void
on_ready(void *arg)
{
	realtime_pump(arg);
}

static double
database_time(void *arg)
{
	const struct realtime *realtime = arg;

	return consumer_now(realtime->consumer);
}

static bool
is_wanted(const struct config *config)
{
	return config_has_realtime(config);
}

static const struct transport *
find_transport(const struct config *config)
{
	return config_inserts(config) ? &database_transport : &http_transport;
}

static void *
create(struct app *app, struct consumer *consumer)
{
	static const struct transport_handlers handlers = {
		realtime_answered,    realtime_confirmed, realtime_lost, realtime_limited,
		realtime_unconfirmed, on_ready,           database_time};
	struct realtime *realtime = xcalloc(1, sizeof(*realtime));

	realtime->app = app;
	realtime->consumer = consumer;
	realtime->most = batch_size(app->config);
	for (int i = 0; i < LANES; i++)
		lane_init(&realtime->lanes[i], &body_broadcast, batch_size_adapted(realtime->most),
				  on_finished, realtime);
	realtime->backoff = realtime->losses = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	realtime->slow = (struct backoff){SLOW_MIN_MS, SLOW_MAX_MS, 0};
	pace_init(&realtime->pace, app->config->realtime_max_events_per_second, realtime->most,
			  uv_now(app->loop));
	realtime->transport = find_transport(app->config);
	realtime->transport_arg =
		realtime->transport->create(app, LANES, &realtime->pace, &handlers, realtime);
	realtime->fallback = realtime_fallback_create(app, consumer, failure, realtime);
	realtime->metrics = realtime_metrics_register(app->metrics);
	uv_timer_init(app->loop, &realtime->timer);
	realtime->timer.data = realtime;
	return realtime;
}

static void
on_closed(uv_handle_t *timer)
{
	struct realtime *realtime = timer->data;

	for (int i = 0; i < LANES; i++)
		lane_free(&realtime->lanes[i]);
	free(realtime);
}

static void
destroy(void *arg)
{
	struct realtime *realtime = arg;

	/* The answers that this ends are nobody's. */
	on_stop(realtime);
	realtime_fallback_destroy(realtime->fallback);
	realtime->transport->destroy(realtime->transport_arg);
	uv_close((uv_handle_t *) &realtime->timer, on_closed);
}

const struct sink realtime_sink = {
	.name = "realtime",
	.part = "realtime",
	.form = LOG_BROADCASTS,
	.max_rows = READ_ROWS,
	.max_reads = READ_AHEAD,
	.wanted = is_wanted,
	.create = create,
	.destroy = destroy,
	.deliver = on_deliver,
	.stop = on_stop,
	.reload = reload,
	.trouble = trouble,
	.note = note,
};
