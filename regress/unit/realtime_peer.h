/*
 * Realtime as the realtime sink finds it, for tests of that sink: a peer that answers what the test says. The HTTP client is that of
 * this file.
 */
#ifndef REGRESS_REALTIME_PEER_H
#define REGRESS_REALTIME_PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/config.h"
#include "../../sidecar/io/http.h"
#include "../../sidecar/base/log.h"
#include "../../sidecar/base/metrics.h"
#include "../../sidecar/realtime/realtime.h"
#include "../../sidecar/realtime/realtime_queue.h"
#include "stand_in.h"

struct http_pool
{
	int unused;
};

/* What the sink did. */
static struct
{
	struct http_pool pool;
	struct request
	{
		http_callback callback;
		void *arg;
		char *body;
	} requests[8]; /* batches under way, the oldest first */
	int inflight;
	struct request single; /* the canary under way */
	int sent, singles;     /* requests */
} world;

struct http_pool *
http_pool_create(struct http *http, const struct http_pool_options *options)
{
	(void) http;
	(void) options;
	return &world.pool;
}

static inline void
answer_to(struct request request, struct http_response response)
{
	if (response.body == NULL)
		response.body = "";
	response.body_len = strlen(response.body);
	request.callback(request.arg, &response);
	free(request.body);
}

/* Answers the oldest batch. */
static inline void
answer(struct http_response response)
{
	struct request request = world.requests[0];

	if (world.inflight == 0)
		abort();
	world.inflight--;
	memmove(world.requests, world.requests + 1, sizeof(request) * (size_t) world.inflight);
	answer_to(request, response);
}

static inline void
answer_single(struct http_response response)
{
	struct request request = world.single;

	world.single.callback = NULL;
	answer_to(request, response);
}

void
http_pool_destroy(struct http_pool *pool)
{
	(void) pool;
	while (world.inflight > 0)
		answer((struct http_response){.error = "shutdown"});
	if (world.single.callback != NULL)
		answer_single((struct http_response){.error = "shutdown"});
}

void
http_send(struct http_pool *pool, const struct http_request *request, http_callback callback,
		  void *arg)
{
	struct request sent = {callback, arg, strndup(request->body, request->body_len)};

	(void) pool;
	if (strstr(request->url, "/events/") != NULL)
	{
		if (world.single.callback != NULL)
			abort();
		world.single = sent;
		world.singles++;
		return;
	}
	if (world.inflight == 8)
		abort();
	world.requests[world.inflight++] = sent;
	world.sent++;
}

static inline void
require(const char *name, bool holds)
{
	printf("%s %s\n", holds ? "ok" : "not ok", name);
	if (!holds)
		exit(1);
}

/* Writes the message of an event. */
static inline void
set_message(struct log_event *row, int64_t id, const char *topic)
{
	char *message;
	int len = asprintf(&message,
					   "{\"topic\":\"%s\",\"event\":\"e\",\"payload\":{},\"private\":true,"
					   "\"id\":\"%lld\"}",
					   topic, (long long) id);

	if (len < 0)
		abort();
	free((char *) row->message);
	row->id = id;
	row->message = message;
	row->message_length = (uint32_t) len;
	row->topic = message + strlen("{\"topic\":\"");
	row->topic_length = (uint32_t) strlen(topic);
}

/* A read of events with these ids, as the consumer has it. */
static inline struct read *
make_read(int first_id, int count)
{
	struct read *read = calloc(1, sizeof(*read));
	struct log_event *events = calloc((size_t) count, sizeof(*events));

	read->events = events;
	read->nevents = count;
	for (int i = 0; i < count; i++)
	{
		events[i] = (struct log_event){
			.conversation = "1", .conversation_length = 1, .name_length = 1, .payload_length = 2};
		set_message(&events[i], first_id + i, "conversation:1");
	}
	return read;
}

static inline struct log_event *
event_of(struct read *read, int i)
{
	return (struct log_event *) &read->events[i];
}

static inline struct read *
deliver(int first_id, int count)
{
	struct read *read = make_read(first_id, count);

	realtime_sink.deliver(stand_in.sink, read);
	return read;
}

static inline void
free_read(struct read *read)
{
	for (int i = 0; i < read->nevents; i++)
		free((char *) read->events[i].message);
	free((void *) read->events);
	free(read);
}

/* Whether the request under way carries the events of these ids and no others. */
static inline bool
carries(int first_id, int count)
{
	int found = 0;
	char wanted[24];

	if (world.inflight == 0)
		return false;
	for (const char *at = world.requests[0].body; (at = strstr(at, "\"id\":\"")) != NULL; at++)
	{
		snprintf(wanted, sizeof(wanted), "\"id\":\"%d\"", first_id + found);
		if (strncmp(at, wanted, strlen(wanted)) != 0)
			return false;
		found++;
	}
	return found == count;
}

/* Topics of one lane and of another. */
static inline const char *
topic_of(int lane)
{
	static char topics[2][32];
	static bool known;

	for (int i = 1; !known; i++)
	{
		struct read *read = make_read(1, 2);

		snprintf(topics[0], sizeof(topics[0]), "conversation:%d", 1);
		snprintf(topics[1], sizeof(topics[1]), "conversation:%d", i + 1);
		set_message(event_of(read, 0), 1, topics[0]);
		set_message(event_of(read, 1), 2, topics[1]);
		realtime_sink.deliver(stand_in.sink, read);
		known = world.inflight == 2;
		while (world.inflight > 0)
			answer((struct http_response){.status = 202});
		realtime_sink.stop(stand_in.sink); /* it waits for no confirmation */
		free_read(read);
	}
	return topics[lane];
}

/* A read of events that go to the lanes in turn. */
static inline struct read *
deliver_both(int first_id, int count)
{
	const char *topics[] = {topic_of(0), topic_of(1)};
	struct read *read = make_read(first_id, count);

	for (int i = 0; i < count; i++)
		set_message(event_of(read, i), first_id + i, topics[i % 2]);
	realtime_sink.deliver(stand_in.sink, read);
	return read;
}

/* The sink at a peer; is_private: it sends canaries, which confirm what was accepted. */
static inline void
start_sink(uv_loop_t *loop, struct app *app, bool is_private)
{
	static struct config config = {.realtime_url = (char *) "http://user:password@realtime:4000/",
								   .realtime_transport = (char *) "http",
								   .realtime_key = (char *) "key"};

	log_setup(true, (enum log_level)(LOG_ERROR + 1));
	uv_loop_init(loop);
	config.realtime_private = is_private;
	app->loop = loop;
	app->config = &config;
	app->metrics = metrics_create();
	stand_in.leads = true;
	stand_in.sink = realtime_sink.create(app, &stand_in);
}

/* Ends it while a request is under way. */
static inline void
end_sink(struct app *app)
{
	struct read *last = deliver(90, 1);
	int done = stand_in.done;

	realtime_sink.destroy(stand_in.sink);
	require("a request under way at the end finishes nothing",
			world.inflight == 0 && stand_in.done == done);
	uv_run(app->loop, UV_RUN_DEFAULT);
	require("and nothing is left of the sink", uv_loop_close(app->loop) == 0);
	free_read(last);
	metrics_destroy(app->metrics);
}

#endif
