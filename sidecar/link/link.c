/*
 * See link.h. Events go through one lane. Some batches of it are under way at a time, so that reading, printing and handing
 * over overlap; an acknowledgement is for all up to its number. What an endpoint that is gone has not acknowledged is sent
 * to the next one, in the same order.
 *
 * Every process reads the log for its own endpoint. When the connection to the database is lost, batches are forgotten, and read
 * again; acknowledgements of theirs concern nobody any more.
 */
#include "link/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/listener.h"
#include "io/server.h"
#include "link/link_batch.h"
#include "link/link_process.h"
#include "realtime/realtime_lane.h"
#include "realtime/realtime_metrics.h"

#define READ_ROWS 1000
#define READ_AHEAD 4
#define UNDER_WAY 4 /* batches */

struct link
{
	struct app *app;
	struct consumer *consumer;
	struct link_process *process;
	struct lane lane;
	uint64_t sent, acknowledged; /* numbers of batches */
	int failures;                /* endpoints that ended since one acknowledged something */
	struct realtime_metrics metrics;
};

static void pump(struct link *link);

/* An event needs no delivery any more. */
static void
on_finished(void *arg, struct event event, enum event_result result)
{
	struct link *link = arg;

	if (result == EVENT_OK)
		realtime_metrics_accepted(&link->metrics, event, consumer_now(link->consumer));
	realtime_metrics_count(&link->metrics, result);
	if (--event.read->left == 0)
		consumer_done(event.read);
}

static bool
may_send(const struct link *link)
{
	return link_process_is_up(link->process) && link->sent - link->acknowledged < UNDER_WAY &&
		   lane_waiting(&link->lane) > 0;
}

/* What is sent counts as accepted, to be confirmed by the acknowledgement. */
static void
send_batch(struct link *link, int count)
{
	lane_begin(&link->lane, count, false);
	metric_add(link->metrics.requests, 1);
	link_process_send(link->process, ++link->sent, link->lane.body.text.data,
					  link->lane.body.text.len);
	lane_end(&link->lane);
	lane_accept(&link->lane, link->sent);
}

static void
pump(struct link *link)
{
	int count;

	while (may_send(link) && (count = lane_next(&link->lane, consumer_now(link->consumer))) > 0)
		send_batch(link, count);
}

/* The process ----------------------------------------------------------------------------------- */

static void
on_up(void *arg)
{
	pump(arg);
}

static void
count_failures(struct link *link, int failures)
{
	link->failures = failures;
	metric_set(link->metrics.failures, failures);
}

static void
on_down(void *arg)
{
	struct link *link = arg;

	count_failures(link, link->failures + 1);
	metric_add(link->metrics.broadcasts[FAILED], link->lane.accepted.events);
	link->acknowledged = link->sent;
	lane_lose(&link->lane);
}

static void
on_refreshed(void *arg, uint64_t number)
{
	struct link *link = arg;

	server_refreshed(link->app->server, number);
}

static bool
on_acknowledged(void *arg, uint64_t number)
{
	struct link *link = arg;

	if (number > link->sent)
		return false;
	count_failures(link, 0);
	/* Others are of batches that were forgotten. */
	if (number > link->acknowledged)
	{
		link->acknowledged = number;
		lane_confirm(&link->lane, number);
	}
	pump(link);
	return true;
}

/* The sink -------------------------------------------------------------------------------------- */

static void
on_deliver(void *arg, struct read *read)
{
	struct link *link = arg;

	read->left = read->nevents;
	/* The last event keeps the read alive all the while. */
	for (int i = 0, count = read->nevents; i < count; i++)
		lane_push(&link->lane, (struct event){read, &read->events[i]});
	pump(link);
}

static void
on_start(void *arg)
{
	struct link *link = arg;

	link_process_follows(link->process);
}

static void
on_stop(void *arg)
{
	struct link *link = arg;

	lane_clear(&link->lane);
	link->acknowledged = link->sent;
}

static bool
is_wanted(const struct config *config)
{
	return !config_has_realtime(config);
}

static struct link *
create_on(struct app *app, struct consumer *consumer, int port)
{
	static const struct link_process_handlers handlers = {on_up, on_down, on_refreshed,
														  on_acknowledged};
	struct link *link = xcalloc(1, sizeof(*link));

	link->app = app;
	link->consumer = consumer;
	lane_init(&link->lane, &link_batch, batch_size_fixed(BATCH_EVENTS), on_finished, link);
	link->metrics = realtime_metrics_register(app->metrics);
	link->process = link_process_create(app, port, &handlers, link);
	return link;
}

static void *
create(struct app *app, struct consumer *consumer)
{
	int port = listener_bind("EMBEDDED_LISTEN", app->config->embedded_listen);

	return port >= 0 ? create_on(app, consumer, port) : NULL;
}

static void
destroy(void *arg)
{
	struct link *link = arg;

	link_process_destroy(link->process);
	lane_free(&link->lane);
	free(link);
}

static void
reload(void *arg)
{
	struct link *link = arg;

	link_process_reload(link->process);
}

static const char *
trouble(const void *arg)
{
	const struct link *link = arg;

	return link_process_trouble(link->process);
}

static uint64_t
refresh_metrics(void *arg)
{
	struct link *link = arg;

	return link_process_refresh(link->process);
}

const struct sink link_sink = {
	.name = "realtime",
	.part = "endpoint",
	.form = LOG_BROADCASTS,
	.follows = true,
	.max_rows = READ_ROWS,
	.max_reads = READ_AHEAD,
	.wanted = is_wanted,
	.create = create,
	.destroy = destroy,
	.start = on_start,
	.deliver = on_deliver,
	.stop = on_stop,
	.reload = reload,
	.trouble = trouble,
	.refresh_metrics = refresh_metrics,
};
