/*
 * The realtime sink with events of many topics: their order, what of them is sent at all, and lanes that know nothing of each other.
 */
#define _GNU_SOURCE
#include <time.h>

#include "realtime_peer.h"

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

int
main(void)
{
	uv_loop_t loop;
	struct app app = {0};

	start_sink(&loop, &app, false);
	check_many();
	check_states();
	check_expired();
	check_lanes();
	end_sink(&app);
	return 0;
}
