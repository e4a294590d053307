/*
 * The realtime sink where canaries confirm what was accepted.
 */
#define _GNU_SOURCE
#include "realtime_peer.h"

/* Lets time pass until a canary is sent. */
static void
await_single(struct app *app)
{
	int singles = world.singles;

	while (world.singles == singles)
		uv_run(app->loop, UV_RUN_ONCE);
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

int
main(void)
{
	uv_loop_t loop;
	struct app app = {0};

	start_sink(&loop, &app, true);
	check_canary_stopped(&app);
	check_canary_doubt(&app);
	check_canary(&app);
	end_sink(&app);
	return 0;
}
