/*
 * The realtime sink against a peer that does what the test says: which requests it sends, and which events an answer
 * finishes. The HTTP client is that of this file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static void
answer_to(struct request request, struct http_response response)
{
	if (response.body == NULL)
		response.body = "";
	response.body_len = strlen(response.body);
	request.callback(request.arg, &response);
	free(request.body);
}

/* Answers the oldest batch. */
static void
answer(struct http_response response)
{
	struct request request = world.requests[0];

	if (world.inflight == 0)
		abort();
	world.inflight--;
	memmove(world.requests, world.requests + 1, sizeof(request) * (size_t) world.inflight);
	answer_to(request, response);
}

static void
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
	row->topic = message + strlen("{\"topic\":\"");
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

	realtime_sink.deliver(stand_in.sink, read);
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

/* Delivers one read, which is accepted. */
static void
check_accepted(const char *name, int first_id, int count)
{
	int done = stand_in.done;
	struct read *read = deliver(first_id, count);
	bool sent = carries(first_id, count);

	answer((struct http_response){.status = 202});
	require(name, sent && stand_in.done == done + 1 && world.inflight == 0);
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
	require("its answer finishes the events", stand_in.done == 2);
	free_read(read);
	check_accepted("the next request carries its own events", 20, 2);
}

static void
check_closed_twice(void)
{
	const struct http_response closed = {.error = "closed", .reused_connection_closed = true};
	struct read *read = deliver(30, 1);
	int done = stand_in.done;

	answer(closed);
	answer(closed);
	require("repeated at once only once", world.inflight == 0 && stand_in.done == done);
	realtime_sink.reload(stand_in.sink);
	answer(closed);
	require("each request by itself", carries(30, 1));
	answer((struct http_response){.status = 202});
	require("accepted after that", stand_in.done == done + 1);
	free_read(read);
}

static void
check_lease(struct app *app)
{
	struct read *read = deliver(40, 2);

	stand_in.leads = false;
	answer((struct http_response){.error = "closed", .reused_connection_closed = true});
	require("nothing is repeated without the lease", world.inflight == 0);
	stand_in.leads = true;
	uv_run(app->loop, UV_RUN_DEFAULT);
	require("but when it is there again", carries(40, 2));
	answer((struct http_response){.status = 202});
	free_read(read);
}

static void
check_mismatch(struct app *app)
{
	struct read *read = deliver(50, 3);
	int done = stand_in.done;

	set_message(event_of(read, 2), 53, "conversation:1");
	answer((struct http_response){.status = 202});
	require("events whose bytes were not sent are not finished",
			stand_in.done == done && world.inflight == 0);
	set_message(event_of(read, 2), 52, "conversation:1");
	uv_run(app->loop, UV_RUN_DEFAULT);
	require("but sent again", carries(50, 3));
	answer((struct http_response){.status = 202});
	require("and finished then",
			stand_in.done == done + 1 && realtime_sink.trouble(stand_in.sink) == NULL);
	free_read(read);
}

static void
check_stopped(void)
{
	struct read *forgotten = deliver(60, 2), *read;
	int done = stand_in.done;

	realtime_sink.stop(stand_in.sink);
	realtime_sink.stop(stand_in.sink);
	read = deliver(60, 3);
	require("nothing is sent beside a request that is nobody's any more",
			carries(60, 2) && stand_in.done == done);
	answer((struct http_response){.status = 202});
	require("its answer finishes nothing", carries(60, 3) && stand_in.done == done);
	answer((struct http_response){.status = 202});
	require("the next one does", stand_in.done == done + 1);
	free_read(forgotten);
	free_read(read);
}

static void
check_refused(void)
{
	const struct http_response blank = {.status = 422,
										.body = "{\"errors\":{\"messages\":[\"can't be blank\"]}}"};
	struct read *first = deliver(70, 1), *second;
	int done = stand_in.done;

	answer((struct http_response){.status = 400});
	require("a refused message is followed by an empty batch", carries(0, 0));
	answer(blank);
	require("then it is sent once more", carries(70, 1));
	answer((struct http_response){.status = 202});
	require("and may be accepted", stand_in.done == done + 1);
	second = deliver(71, 1);
	answer((struct http_response){.status = 400});
	require("the next one that is refused is asked about anew",
			carries(0, 0) && stand_in.done == done + 1);
	answer((struct http_response){.status = 400});
	require("where an empty batch is refused, too, it is not the message",
			stand_in.done == done + 1 && world.inflight == 0 &&
				realtime_sink.trouble(stand_in.sink) != NULL);
	realtime_sink.reload(stand_in.sink);
	answer((struct http_response){.status = 400});
	answer(blank);
	answer((struct http_response){.status = 400});
	require("else it is set aside", stand_in.done == done + 2 && world.inflight == 0);
	require("which is no trouble of Realtime", realtime_sink.trouble(stand_in.sink) == NULL);
	free_read(first);
	free_read(second);
}

static void
check_stranger(long status)
{
	struct read *read = deliver(80, 1);
	int done = stand_in.done;
	char name[80];

	answer((struct http_response){.status = status});
	snprintf(name, sizeof(name), "%ld is no acceptance, and the trouble has the URL alone", status);
	require(name, stand_in.done == done && world.inflight == 0 &&
					  strstr(realtime_sink.trouble(stand_in.sink),
							 "http://realtime:4000/api/broadcast") != NULL &&
					  strstr(realtime_sink.trouble(stand_in.sink), "password") == NULL);
	realtime_sink.reload(stand_in.sink);
	answer((struct http_response){.status = 202});
	require("accepted after that",
			stand_in.done == done + 1 && realtime_sink.trouble(stand_in.sink) == NULL);
	free_read(read);
}

/* What the requests carried of events of 2,000 topics, until all are answered. */
static int
carried(bool *ordered, int *last)
{
	int count = 0;

	*ordered = true;
	while (world.inflight > 0)
	{
		for (const char *at = world.requests[0].body; (at = strstr(at, "\"topic\":\"")) != NULL;
			 at++)
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
	int done = stand_in.done, last[2000] = {0}, count;
	bool ordered;

	realtime_sink.deliver(stand_in.sink, read);
	count = carried(&ordered, last);
	require("each of many events is sent once, those of a topic in order",
			ordered && count == 3000 && stand_in.done == done + 1);
	free_read(read);
}

/* What is of no use any more is not sent; what says no time always is. */
static void
check_expired(void)
{
	struct read *read = make_read(9001, 3);
	int done = stand_in.done;

	event_of(read, 0)->expires_at = 1;
	event_of(read, 2)->expires_at = ((int64_t) time(NULL) - 10) * 1000000;
	realtime_sink.deliver(stand_in.sink, read);
	require("what has expired is not sent", carries(9002, 1) && stand_in.done == done);
	answer((struct http_response){.status = 202});
	require("and keeps nothing back", stand_in.done == done + 1);
	free_read(read);
}

/* Rows from 2,001 on have the topics of rows from 1 on. */
static void
check_states(void)
{
	struct read *read = make_many(5001, true);
	int done = stand_in.done, last[2000] = {0}, count;
	bool ordered, newest = true;

	realtime_sink.deliver(stand_in.sink, read);
	count = carried(&ordered, last);
	for (int row = 1001; row <= 3000; row++)
		newest = newest && last[row * 7 % 2000] == 5000 + row;
	require("of many states the newest of each topic is sent, whichever share a bucket",
			ordered && newest && count == 2000 && stand_in.done == done + 1);
	free_read(read);
}

/* Topics of one lane and of another. */
static const char *
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
		free_read(read);
	}
	return topics[lane];
}

/* A read of events that go to the lanes in turn. */
static struct read *
deliver_both(int first_id, int count)
{
	const char *topics[] = {topic_of(0), topic_of(1)};
	struct read *read = make_read(first_id, count);

	for (int i = 0; i < count; i++)
		set_message(event_of(read, i), first_id + i, topics[i % 2]);
	realtime_sink.deliver(stand_in.sink, read);
	return read;
}

static void
check_lanes(void)
{
	const struct http_response blank = {.status = 422,
										.body = "{\"errors\":{\"messages\":[\"can't be blank\"]}}"};
	struct read *first = deliver_both(201, 4), *second = deliver_both(205, 2);
	int done = stand_in.done, sent;

	require("a request in each lane, and no more", world.inflight == 2);
	answer((struct http_response){.status = 400});
	require("one is halved, the other is not", world.inflight == 2 && stand_in.done == done);
	answer((struct http_response){.status = 202});
	require("a read is not done before its last event in any lane", stand_in.done == done);
	for (int i = 0; i < 20 && world.inflight > 0; i++)
		answer((struct http_response){.status = 202});
	require("then it is", stand_in.done == done + 2);
	free_read(first);
	free_read(second);

	first = deliver_both(211, 2);
	answer((struct http_response){.status = 400});
	answer((struct http_response){.status = 202});
	require("a lane that asks about a message has nothing to do with the other",
			world.inflight == 1 && stand_in.done == done + 2);
	answer(blank);
	answer((struct http_response){.status = 400});
	require("its message is set aside", stand_in.done == done + 3 && world.inflight == 0);
	free_read(first);

	first = deliver_both(221, 2);
	sent = world.sent;
	answer((struct http_response){.status = 503});
	answer((struct http_response){.status = 503});
	require("an outage is that of both",
			world.inflight == 0 && realtime_sink.trouble(stand_in.sink) == NULL);
	realtime_sink.reload(stand_in.sink);
	require("and one of them finds out whether it is over",
			world.inflight == 1 && world.sent == sent + 1);
	answer((struct http_response){.status = 202});
	answer((struct http_response){.status = 202});
	require("then both go on", stand_in.done == done + 4);
	free_read(first);
}

/* Lets time pass until a canary is sent. */
static void
await_single(struct app *app)
{
	int singles = world.singles;

	while (world.singles == singles)
		uv_run(app->loop, UV_RUN_ONCE);
}

static void
check_canary(struct app *app)
{
	const struct http_response lost = {.status = 429,
									   .body = "{\"message\":\"Connection pool exhausted\"}"};
	struct read *first, *second;
	int done = stand_in.done, sent;

	first = deliver(301, 2);
	answer((struct http_response){.status = 202});
	require("what is accepted is not done", stand_in.done == done);
	await_single(app);
	second = deliver(303, 1);
	answer((struct http_response){.status = 202});
	answer_single((struct http_response){.status = 202});
	require("but when a canary that was sent after it was, too", stand_in.done == done + 1);
	await_single(app);
	answer_single(
		(struct http_response){.status = 429, .body = "{\"message\":\"Too many requests\"}"});
	require("a limit says nothing", stand_in.done == done + 1 && world.inflight == 0);
	await_single(app);
	answer_single((struct http_response){.error = "reset"});
	realtime_sink.reload(stand_in.sink);
	await_single(app);
	answer_single((struct http_response){.status = 202});
	require("and it is asked again", stand_in.done == done + 2 && world.inflight == 0);
	free_read(first);
	free_read(second);

	sent = world.sent;
	first = deliver(311, 2);
	answer((struct http_response){.status = 202});
	await_single(app);
	second = deliver(313, 1);
	answer_single(lost);
	answer((struct http_response){.status = 202});
	require("what was lost waits, and does not count",
			stand_in.done == done + 2 && world.inflight == 0 && world.sent == sent + 2 &&
				realtime_sink.trouble(stand_in.sink) != NULL);
	realtime_sink.reload(stand_in.sink);
	require("then it goes out again", carries(311, 2));
	answer((struct http_response){.status = 202});
	require("in order", carries(313, 1));
	answer((struct http_response){.status = 202});
	await_single(app);
	answer_single((struct http_response){.status = 202});
	require("and is done",
			stand_in.done == done + 4 && realtime_sink.trouble(stand_in.sink) == NULL);
	free_read(first);
	free_read(second);

	first = deliver(321, 1);
	answer((struct http_response){.status = 202});
	await_single(app);
	answer_single((struct http_response){.status = 403, .body = "{\"message\":\"Unauthorized\"}"});
	second = deliver(322, 1);
	require("a key that may not send stops all, and is told of",
			world.inflight == 0 && realtime_sink.trouble(stand_in.sink) != NULL &&
				strstr(realtime_sink.trouble(stand_in.sink), "service_role") != NULL);
	realtime_sink.reload(stand_in.sink);
	await_single(app);
	answer_single(lost);
	realtime_sink.reload(stand_in.sink);
	require("what is lost behind that goes out again", carries(321, 1));
	answer((struct http_response){.status = 202});
	answer((struct http_response){.status = 202});
	await_single(app);
	answer_single((struct http_response){.status = 404});
	require("where nobody can confirm, what is accepted is done",
			stand_in.done == done + 6 && realtime_sink.trouble(stand_in.sink) == NULL &&
				realtime_sink.note(stand_in.sink) != NULL);
	free_read(first);
	free_read(second);
	first = deliver(331, 1);
	answer((struct http_response){.status = 202});
	require("at once from then on", stand_in.done == done + 7);
	free_read(first);
}

/* What is under way while a canary finds out that what was accepted is lost. */
static void
check_canary_doubt(struct app *app)
{
	const struct http_response lost = {.status = 422,
									   .body = "{\"message\":\"Tenant database unavailable\"}"};
	struct read *read = deliver_both(411, 2);
	int done = stand_in.done, sent = world.sent;

	answer((struct http_response){.status = 202});
	await_single(app);
	answer_single(lost);
	answer((struct http_response){.status = 202});
	realtime_sink.reload(stand_in.sink);
	require("what is accepted then may be lost, too, and goes out again",
			world.inflight == 2 && world.sent == sent + 2 && stand_in.done == done);
	answer((struct http_response){.status = 202});
	answer((struct http_response){.status = 202});
	await_single(app);
	answer_single((struct http_response){.status = 202});
	require("until a canary that was sent after it says otherwise", stand_in.done == done + 1);
	free_read(read);
}

/* Everything that is accepted and not confirmed is read again by the next leader. */
static void
check_canary_stopped(struct app *app)
{
	struct read *read = deliver(401, 2);
	int done = stand_in.done;

	answer((struct http_response){.status = 202});
	await_single(app);
	realtime_sink.stop(stand_in.sink);
	answer_single((struct http_response){.status = 202});
	require("a canary of an earlier lease finishes nothing", stand_in.done == done);
	free_read(read);
}

int
main(void)
{
	uv_loop_t loop;
	struct config config = {.realtime_url = (char *) "http://user:password@realtime:4000/",
							.realtime_transport = (char *) "http",
							.realtime_key = (char *) "key",
							.realtime_private = false};
	struct app app = {.loop = &loop, .config = &config};
	struct read *last;

	log_setup(true, (enum log_level)(LOG_ERROR + 1));
	uv_loop_init(&loop);
	app.metrics = metrics_create();
	stand_in.leads = true;
	stand_in.sink = realtime_sink.create(&app, &stand_in);

	check_accepted("an accepted request finishes its events", 1, 3);
	check_closed_connection();
	check_closed_twice();
	check_lease(&app);
	check_mismatch(&app);
	check_stopped();
	check_refused();
	check_stranger(200);
	check_stranger(204);
	check_stranger(301);
	check_many();
	check_states();
	check_expired();

	check_lanes();

	last = deliver(90, 1);
	realtime_sink.destroy(stand_in.sink);
	require("a request under way at the end finishes nothing", world.inflight == 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	free_read(last);

	config.realtime_private = true;
	stand_in.sink = realtime_sink.create(&app, &stand_in);
	check_canary_stopped(&app);
	check_canary_doubt(&app);
	check_canary(&app);
	last = deliver(91, 1);
	realtime_sink.destroy(stand_in.sink);
	uv_run(&loop, UV_RUN_DEFAULT);
	require("and nothing is left of the sink", uv_loop_close(&loop) == 0);
	free_read(last);
	metrics_destroy(app.metrics);
	return 0;
}
