/*
 * The realtime sink against a peer that does what the test says: which requests it sends, and which events an answer
 * finishes. The consumer, the HTTP client and the embedded endpoint are those of this file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../sidecar/config.h"
#include "../../sidecar/consumer/consumer.h"
#include "../../sidecar/endpoint/embedded.h"
#include "../../sidecar/io/http.h"
#include "../../sidecar/base/log.h"
#include "../../sidecar/base/metrics.h"
#include "../../sidecar/realtime/realtime.h"
#include "../../sidecar/realtime/realtime_queue.h"
#include "../../sidecar/io/server.h"

struct consumer
{
	int unused;
};

struct http_pool
{
	int unused;
};

/* What the sink did. */
static struct
{
	struct consumer consumer;
	struct http_pool pool;
	const struct sink *sink;
	void *sink_arg;
	http_callback callback; /* of the request under way; NULL: there is none */
	void *arg;
	char *body;
	int sent; /* requests */
	int done; /* reads */
	bool leads;
} world;

struct consumer *
consumer_create(struct app *app, const struct sink *sink, void *arg)
{
	(void) app;
	world.sink = sink;
	world.sink_arg = arg;
	return &world.consumer;
}

void
consumer_destroy(struct consumer *consumer)
{
	(void) consumer;
	world.sink->stop(world.sink_arg);
}

void
consumer_done(struct read *read)
{
	(void) read;
	world.done++;
}

double
consumer_now(const struct consumer *consumer)
{
	(void) consumer;
	return (double) time(NULL);
}

bool
consumer_leads(const struct consumer *consumer)
{
	(void) consumer;
	return world.leads;
}

struct http_pool *
http_pool_create(struct http *http, const struct http_pool_options *options)
{
	(void) http;
	(void) options;
	return &world.pool;
}

static void
answer(struct http_response response)
{
	http_callback callback = world.callback;

	world.callback = NULL;
	if (response.body == NULL)
		response.body = "";
	response.body_len = strlen(response.body);
	callback(world.arg, &response);
}

void
http_pool_destroy(struct http_pool *pool)
{
	(void) pool;
	if (world.callback != NULL)
		answer((struct http_response){.error = "shutdown"});
}

void
http_send(struct http_pool *pool, const struct http_request *request, http_callback callback,
		  void *arg)
{
	(void) pool;
	if (world.callback != NULL)
		abort();
	world.callback = callback;
	world.arg = arg;
	free(world.body);
	world.body = strndup(request->body, request->body_len);
	world.sent++;
}

int
server_embedded_port(const struct server *server)
{
	(void) server;
	abort();
}

char *
embedded_service_token(struct embedded *embedded)
{
	(void) embedded;
	abort();
}

static void
require(const char *name, bool holds)
{
	printf("%s %s\n", holds ? "ok" : "not ok", name);
	if (!holds)
		exit(1);
}

/* Writes the message of an event. */
static void
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
	row->topic_length = (uint32_t) strlen(topic);
}

/* A read of events with these ids, as the consumer has it. */
static struct read *
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

static struct log_event *
event_of(struct read *read, int i)
{
	return (struct log_event *) &read->events[i];
}

static struct read *
deliver(int first_id, int count)
{
	struct read *read = make_read(first_id, count);

	world.sink->deliver(world.sink_arg, read);
	return read;
}

static void
free_read(struct read *read)
{
	for (int i = 0; i < read->nevents; i++)
		free((char *) read->events[i].message);
	free((void *) read->events);
	free(read);
}

/* Whether the request under way carries the events of these ids and no others. */
static bool
carries(int first_id, int count)
{
	int found = 0;
	char wanted[24];

	for (const char *at = world.body; (at = strstr(at, "\"id\":\"")) != NULL; at++)
	{
		snprintf(wanted, sizeof(wanted), "\"id\":\"%d\"", first_id + found);
		if (strncmp(at, wanted, strlen(wanted)) != 0)
			return false;
		found++;
	}
	return world.callback != NULL && found == count;
}

/* Delivers one read, which is accepted. */
static void
check_accepted(const char *name, int first_id, int count)
{
	int done = world.done;
	struct read *read = deliver(first_id, count);
	bool sent = carries(first_id, count);

	answer((struct http_response){.status = 202});
	require(name, sent && world.done == done + 1 && world.callback == NULL);
	free_read(read);
}

static void
check_closed_connection(void)
{
	const struct http_response closed = {.error = "closed", .reused_connection_closed = true};
	struct read *read = deliver(10, 3);
	int sent = world.sent;

	answer(closed);
	require("repeated at once where a used connection had been closed",
			world.sent == sent + 1 && carries(10, 3));
	answer((struct http_response){.status = 202});
	require("its answer finishes the events", world.done == 2);
	free_read(read);
	check_accepted("the next request carries its own events", 20, 2);
}

static void
check_closed_twice(struct app *app)
{
	const struct http_response closed = {.error = "closed", .reused_connection_closed = true};
	struct read *read = deliver(30, 1);
	int done = world.done;

	answer(closed);
	answer(closed);
	require("repeated at once only once", world.callback == NULL && world.done == done);
	realtime_reload(app);
	answer(closed);
	require("each request by itself", carries(30, 1));
	answer((struct http_response){.status = 202});
	require("accepted after that", world.done == done + 1);
	free_read(read);
}

static void
check_lease(struct app *app)
{
	struct read *read = deliver(40, 2);

	world.leads = false;
	answer((struct http_response){.error = "closed", .reused_connection_closed = true});
	require("nothing is repeated without the lease", world.callback == NULL);
	world.leads = true;
	uv_run(app->loop, UV_RUN_DEFAULT);
	require("but when it is there again", carries(40, 2));
	answer((struct http_response){.status = 202});
	free_read(read);
}

static void
check_mismatch(struct app *app)
{
	struct read *read = deliver(50, 3);
	int done = world.done;

	set_message(event_of(read, 2), 53, "conversation:1");
	answer((struct http_response){.status = 202});
	require("events whose bytes were not sent are not finished",
			world.done == done && world.callback == NULL);
	set_message(event_of(read, 2), 52, "conversation:1");
	uv_run(app->loop, UV_RUN_DEFAULT);
	require("but sent again", carries(50, 3));
	answer((struct http_response){.status = 202});
	require("and finished then", world.done == done + 1 && realtime_trouble(app) == NULL);
	free_read(read);
}

static void
check_stopped(void)
{
	struct read *forgotten = deliver(60, 2), *read;
	int done = world.done;

	world.sink->stop(world.sink_arg);
	world.sink->stop(world.sink_arg);
	world.sink->start(world.sink_arg);
	read = deliver(60, 3);
	require("nothing is sent beside a request that is nobody's any more",
			carries(60, 2) && world.done == done);
	answer((struct http_response){.status = 202});
	require("its answer finishes nothing", carries(60, 3) && world.done == done);
	answer((struct http_response){.status = 202});
	require("the next one does", world.done == done + 1);
	free_read(forgotten);
	free_read(read);
}

static void
check_refused(struct app *app)
{
	const struct http_response blank = {.status = 422,
										.body = "{\"errors\":{\"messages\":[\"can't be blank\"]}}"};
	struct read *first = deliver(70, 1), *second;
	int done = world.done;

	answer((struct http_response){.status = 400});
	require("a refused message is followed by an empty batch", carries(0, 0));
	answer(blank);
	require("then it is sent once more", carries(70, 1));
	answer((struct http_response){.status = 202});
	require("and may be accepted", world.done == done + 1);
	second = deliver(71, 1);
	answer((struct http_response){.status = 400});
	require("the next one that is refused is asked about anew",
			carries(0, 0) && world.done == done + 1);
	answer((struct http_response){.status = 400});
	require("where an empty batch is refused, too, it is not the message",
			world.done == done + 1 && world.callback == NULL && realtime_trouble(app) != NULL);
	realtime_reload(app);
	answer((struct http_response){.status = 400});
	answer(blank);
	answer((struct http_response){.status = 400});
	require("else it is set aside", world.done == done + 2 && world.callback == NULL);
	require("which is no trouble of Realtime", realtime_trouble(app) == NULL);
	free_read(first);
	free_read(second);
}

static void
check_stranger(struct app *app, long status)
{
	struct read *read = deliver(80, 1);
	int done = world.done;
	char name[80];

	answer((struct http_response){.status = status});
	snprintf(name, sizeof(name), "%ld is no acceptance, and the trouble has the URL alone", status);
	require(name, world.done == done && world.callback == NULL &&
					  strstr(realtime_trouble(app), "http://realtime:4000/api/broadcast") != NULL &&
					  strstr(realtime_trouble(app), "password") == NULL);
	realtime_reload(app);
	answer((struct http_response){.status = 202});
	require("accepted after that", world.done == done + 1 && realtime_trouble(app) == NULL);
	free_read(read);
}

/* What the requests carried of events of 2,000 topics, until all are answered. */
static int
carried(bool *ordered, int *last)
{
	int count = 0;

	*ordered = true;
	while (world.callback != NULL)
	{
		for (const char *at = world.body; (at = strstr(at, "\"topic\":\"")) != NULL; at++)
		{
			int number = atoi(at + strlen("\"topic\":\"conversation:"));
			int id = atoi(strstr(at, "\"id\":\"") + 6);

			*ordered = *ordered && last[number] < id;
			last[number] = id;
			count++;
		}
		answer((struct http_response){.status = 202});
	}
	return count;
}

/* A read of 3,000 events of 2,000 topics, so many that some share a bucket. */
static struct read *
make_many(int first_id, bool states)
{
	struct read *read = make_read(first_id, 3000);
	char topic[32];

	for (int row = 1; row <= 3000; row++)
	{
		struct log_event *event = event_of(read, row - 1);

		snprintf(topic, sizeof(topic), "conversation:%d", row * 7 % 2000);
		set_message(event, event->id, topic);
		event->state = states;
	}
	return read;
}

/* More events than the queue has room for at first. */
static void
check_many(void)
{
	struct read *read = make_many(1001, false);
	int done = world.done, last[2000] = {0}, count;
	bool ordered;

	world.sink->deliver(world.sink_arg, read);
	count = carried(&ordered, last);
	require("each of many events is sent once, those of a topic in order",
			ordered && count == 3000 && world.done == done + 1);
	free_read(read);
}

/* What is of no use any more is not sent; what says no time always is. */
static void
check_expired(void)
{
	struct read *read = make_read(9001, 3);
	int done = world.done;

	event_of(read, 0)->expires_at = 1;
	event_of(read, 2)->expires_at = ((int64_t) time(NULL) - 10) * 1000000;
	world.sink->deliver(world.sink_arg, read);
	require("what has expired is not sent", carries(9002, 1) && world.done == done);
	answer((struct http_response){.status = 202});
	require("and keeps nothing back", world.done == done + 1);
	free_read(read);
}

/* Rows from 2,001 on have the topics of rows from 1 on. */
static void
check_states(void)
{
	struct read *read = make_many(5001, true);
	int done = world.done, last[2000] = {0}, count;
	bool ordered, newest = true;

	world.sink->deliver(world.sink_arg, read);
	count = carried(&ordered, last);
	for (int row = 1001; row <= 3000; row++)
		newest = newest && last[row * 7 % 2000] == 5000 + row;
	require("of many states the newest of each topic is sent, whichever share a bucket",
			ordered && newest && count == 2000 && world.done == done + 1);
	free_read(read);
}

int
main(void)
{
	uv_loop_t loop;
	struct config config = {.realtime_url = (char *) "http://user:password@realtime:4000/",
							.realtime_key = (char *) "key",
							.realtime_private = true};
	struct app app = {.loop = &loop, .config = &config};
	struct read *last;

	log_setup(true, (enum log_level)(LOG_ERROR + 1));
	uv_loop_init(&loop);
	app.metrics = metrics_create();
	world.leads = true;
	app.realtime = realtime_create(&app);
	world.sink->start(world.sink_arg);

	check_accepted("an accepted request finishes its events", 1, 3);
	check_closed_connection();
	check_closed_twice(&app);
	check_lease(&app);
	check_mismatch(&app);
	check_stopped();
	check_refused(&app);
	check_stranger(&app, 200);
	check_stranger(&app, 204);
	check_stranger(&app, 301);
	check_many();
	check_states();
	check_expired();

	last = deliver(90, 1);
	realtime_destroy(&app);
	require("a request under way at the end finishes nothing", world.callback == NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	require("and nothing is left of the sink", uv_loop_close(&loop) == 0);
	free_read(last);
	free(world.body);
	metrics_destroy(app.metrics);
	return 0;
}
