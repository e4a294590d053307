/*
 * The realtime sink: which requests it sends, and which events an answer finishes.
 */
#define _GNU_SOURCE
#include "realtime_peer.h"

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

int
main(void)
{
	uv_loop_t loop;
	struct app app = {0};

	start_sink(&loop, &app, false);
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
	end_sink(&app);
	return 0;
}
