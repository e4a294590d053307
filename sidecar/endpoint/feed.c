/*
 * See feed.h. Metrics are told before the answer to each ping.
 */
#include "endpoint/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"
#include "endpoint/internal.h"
#include "link/link_pipe.h"

struct feed
{
	struct app *app;
	void (*settings)(void *arg, const struct link_settings *settings);
	void (*ended)(void *arg);
	void *arg;
	struct link_pipe *pipe;
	size_t count;
	double *values; /* of metrics */
};

static void
tell_metrics(struct feed *feed)
{
	metrics_values(feed->app->metrics, feed->values);
	link_pipe_send(feed->pipe, LINK_METRICS, 0, feed->values, feed->count * sizeof(double));
}

static bool
on_frame(void *arg, const struct link_frame *frame)
{
	struct feed *feed = arg;
	struct link_settings settings;

	switch (frame->kind)
	{
		case LINK_BATCH:
			if (!broadcast_events(feed->app->embedded, frame->body, frame->len))
				return false;
			link_pipe_send(feed->pipe, LINK_ACK, frame->number, NULL, 0);
			return true;
		case LINK_PING:
			tell_metrics(feed);
			link_pipe_send(feed->pipe, LINK_PONG, frame->number, NULL, 0);
			return true;
		case LINK_FOLLOWS:
			feed->app->embedded->fed = true;
			return true;
		case LINK_SETTINGS:
			if (!link_settings_read(frame, &settings))
				return false;
			feed->settings(feed->arg, &settings);
			return true;
		default:
			return false;
	}
}

static void
on_ended(void *arg, const char *why)
{
	struct feed *feed = arg;

	(void) why;
	feed->ended(feed->arg);
}

struct feed *
feed_create(struct app *app, int fd,
			void (*settings)(void *arg, const struct link_settings *settings),
			void (*ended)(void *arg), void *arg)
{
	static const struct link_pipe_handlers handlers = {on_frame, on_ended};
	struct feed *feed = xcalloc(1, sizeof(*feed));

	feed->app = app;
	feed->settings = settings;
	feed->ended = ended;
	feed->arg = arg;
	feed->count = metrics_count(app->metrics);
	feed->values = xcalloc(feed->count, sizeof(double));
	feed->pipe = link_pipe_create(app->loop, fd, LINK_MOST_TO_ENDPOINT, &handlers, feed);
	link_pipe_send(feed->pipe, LINK_READY, metrics_print(app->metrics), NULL, 0);
	return feed;
}

void
feed_destroy(struct feed *feed)
{
	link_pipe_destroy(feed->pipe);
	free(feed->values);
	free(feed);
}

void
feed_tell_database(struct feed *feed, bool connected)
{
	link_pipe_send(feed->pipe, LINK_DATABASE, connected, NULL, 0);
}
