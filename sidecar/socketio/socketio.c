/*
 * See socketio.h. Events wait in a queue, go out in batches, and are done when every server has answered the question behind
 * their batch (socketio_hear.c). What is known of the servers outlives a lost connection: they are waited for when it is back.
 */
#include "socketio/socketio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "socketio/socketio_internal.h"

#define READ_ROWS 1000
#define READ_AHEAD 8

void
socketio_finish(struct socketio *socketio, struct event event, enum socketio_result result)
{
	metric_add(socketio->events[result], 1);
	if (result == SOCKETIO_OK)
	{
		double latency =
			consumer_now(socketio->consumer) - (double) event.row->created_at / MICROSECONDS;

		metric_observe(socketio->latency, latency > 0 ? latency : 0);
	}
	if (--event.read->left == 0)
		consumer_done(event.read);
}

void
socketio_report(struct socketio *socketio, const char *trouble)
{
	if (strcmp(socketio->trouble, trouble) == 0)
		return;
	snprintf(socketio->trouble, sizeof(socketio->trouble), "%s", trouble);
	log_event(LOG_ERROR, "events cannot be sent to Socket.IO", "reason", "%s", trouble, NULL);
}

void
socketio_recovered(struct socketio *socketio)
{
	if (socketio->trouble[0] != '\0')
		log_event(LOG_INFO, "events are sent to Socket.IO again", NULL);
	socketio->trouble[0] = '\0';
}

static bool
is_wanted(const struct config *config)
{
	return config->socketio_channel != NULL;
}

static void
register_metrics(struct socketio *socketio, struct metrics *m)
{
	static const char *const labels[SOCKETIO_RESULTS] = {"result=\"ok\"", "result=\"coalesced\"",
														 "result=\"expired\"", "result=\"unheard\"",
														 "result=\"failed\""};

	for (int i = 0; i < SOCKETIO_RESULTS; i++)
		socketio->events[i] = metrics_counter(m, "chat_realtime_socketio_events_total", labels[i],
											  "Events for Socket.IO by what became of them.");
	socketio->attachments = metrics_counter(
		m, "chat_realtime_socketio_attachments_total", "",
		"Events that were too long for a NOTIFY, and went through the adapter's table.");
	socketio->repeated = metrics_counter(m, "chat_realtime_socketio_repeated_total", "",
										 "Events that were sent again, since a server was away.");
	socketio->servers = metrics_gauge(m, "chat_realtime_socketio_servers", "",
									  "Socket.IO servers that are heard on the adapter's channel.");
	socketio->latency = metrics_histogram(m, "chat_realtime_socketio_latency_seconds", "",
										  "From an event's row to the answer of every server.");
}

static void *
create(struct app *app, struct consumer *consumer)
{
	struct socketio *socketio = xcalloc(1, sizeof(*socketio));

	socketio->app = app;
	socketio->consumer = consumer;
	socketio->namespace = strchr(app->config->socketio_channel, '#') + 1;
	snprintf(socketio->token, sizeof(socketio->token), "%08x%08x", backoff_random(),
			 backoff_random());
	socketio->queue = realtime_queue_create();
	register_metrics(socketio, app->metrics);
	uv_timer_init(app->loop, &socketio->timer);
	socketio->timer.data = socketio;
	return socketio;
}

static void
on_start(void *arg)
{
	struct socketio *socketio = arg;

	socketio->state = SOCKETIO_LISTENING;
	socketio->most = BATCH_MOST;
	socketio->next_at = 0;
	nodes_touch(&socketio->nodes, uv_now(socketio->app->loop));
	socketio_pump(socketio);
}

static void
on_deliver(void *arg, struct read *read)
{
	struct socketio *socketio = arg;

	read->left = read->nevents;
	/* The last event keeps the read alive all the while. */
	for (int i = 0, count = read->nevents; i < count; i++)
	{
		struct event older =
			realtime_queue_push(socketio->queue, (struct event){read, &read->events[i]});

		if (older.row != NULL)
			socketio_finish(socketio, older, SOCKETIO_COALESCED);
	}
	socketio_pump(socketio);
}

static void
on_stop(void *arg)
{
	struct socketio *socketio = arg;

	realtime_queue_clear(socketio->queue);
	while (socketio->batch != NULL)
	{
		struct socketio_batch *batch = socketio->batch;

		socketio->batch = batch->next;
		free(batch);
	}
	socketio->orphans += socketio->busy;
	socketio->busy = false;
	socketio->state = SOCKETIO_OFF;
	socketio->trouble[0] = '\0';
	uv_timer_stop(&socketio->timer);
}

static void
on_heard(void *arg, const char *channel, const char *payload)
{
	struct socketio *socketio = arg;

	if (socketio->state != SOCKETIO_OFF &&
		strcmp(channel, socketio->app->config->socketio_channel) == 0)
		socketio_hear(socketio, payload);
}

static const char *
trouble(const void *arg)
{
	const struct socketio *socketio = arg;

	return socketio->trouble[0] != '\0' ? socketio->trouble : NULL;
}

static const char *
note(const void *arg)
{
	const struct socketio *socketio = arg;

	return socketio->state == SOCKETIO_SENDING && nodes_count(&socketio->nodes) == 0
			   ? "no Socket.IO server listens to SOCKETIO_CHANNEL: its events are told to nobody"
			   : NULL;
}

static void
on_closed(uv_handle_t *timer)
{
	struct socketio *socketio = timer->data;

	realtime_queue_destroy(socketio->queue);
	load_free(&socketio->load);
	free(socketio);
}

static void
destroy(void *arg)
{
	struct socketio *socketio = arg;

	on_stop(socketio);
	uv_close((uv_handle_t *) &socketio->timer, on_closed);
}

const struct sink socketio_sink = {
	.name = "socketio",
	.part = "socketio",
	.form = LOG_PACKETS,
	.max_rows = READ_ROWS,
	.max_reads = READ_AHEAD,
	.wanted = is_wanted,
	.create = create,
	.destroy = destroy,
	.start = on_start,
	.deliver = on_deliver,
	.stop = on_stop,
	.heard = on_heard,
	.trouble = trouble,
	.note = note,
};
