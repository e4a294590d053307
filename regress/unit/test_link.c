/*
 * The sink that hands events to the endpoint's process: what is under way, what an acknowledgement finishes, what the next
 * endpoint gets again. The process is that of this file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../sidecar/base/metrics.h"
#include "../../sidecar/config.h"
#include "../../sidecar/io/listener.h"
#include "../../sidecar/io/server.h"
#include "../../sidecar/link/link.h"
#include "../../sidecar/link/link_batch.h"
#include "../../sidecar/link/link_process.h"
#include "stand_in.h"
#include "require.h"

struct link_process
{
	int unused;
};

static struct
{
	struct link_process process;
	struct link_process_handlers handlers;
	void *arg;
	bool up;
	bool follows; /* it was told so */
	int sent;     /* batches */
	uint64_t number;
	struct buffer body; /* of the last one */
} world;

int
listener_bind(const char *variable, const char *listen)
{
	(void) variable;
	(void) listen;
	return 7;
}

void
server_refreshed(struct server *server, uint64_t number)
{
	(void) server;
	(void) number;
}

struct link_process *
link_process_create(struct app *app, int port, const struct link_process_handlers *handlers,
					void *arg)
{
	(void) app;
	(void) port;
	world.handlers = *handlers;
	world.arg = arg;
	return &world.process;
}

void
link_process_destroy(struct link_process *process)
{
	(void) process;
}

bool
link_process_is_up(const struct link_process *process)
{
	(void) process;
	return world.up;
}

const char *
link_process_trouble(const struct link_process *process)
{
	(void) process;
	return NULL;
}

void
link_process_follows(struct link_process *process)
{
	(void) process;
	world.follows = true;
}

void
link_process_send(struct link_process *process, uint64_t number, const char *body, size_t len)
{
	(void) process;
	world.body.len = 0;
	buffer_bytes(&world.body, body, len);
	world.number = number;
	world.sent++;
}

uint64_t
link_process_refresh(struct link_process *process)
{
	(void) process;
	return 0;
}

void
link_process_reload(struct link_process *process)
{
	(void) process;
}

/* A read of one event, as the consumer has it. expires_at: microseconds since 1970; 0: never. */
static struct read *
deliver(int id, int64_t expires_at)
{
	struct read *read = calloc(1, sizeof(*read));
	struct log_event *event = calloc(1, sizeof(*event));
	char *message;

	if (asprintf(&message,
				 "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"private\":true,\"id\":\"%d\"}",
				 id) < 0)
		abort();
	*event = (struct log_event){.id = id,
								.expires_at = expires_at,
								.is_private = true,
								.conversation = "1",
								.conversation_length = 1,
								.message = message,
								.message_length = (uint32_t) strlen(message),
								.topic = message + strlen("{\"topic\":\""),
								.topic_length = 1,
								.name_length = 1,
								.id_length = 1,
								.payload_length = 2};
	read->events = event;
	read->nevents = 1;
	link_sink.deliver(stand_in.sink, read);
	return read;
}

static void
free_read(struct read *read)
{
	free((char *) read->events[0].message);
	free((void *) read->events);
	free(read);
}

static bool
last_is(int id)
{
	const char *at = world.body.data;
	size_t left = world.body.len;
	struct link_event event;
	bool found = false;

	while (link_batch_take(&at, &left, &event))
		found = found || atoi(event.id) == id;
	return found && left == 0;
}

static bool
acknowledge(uint64_t number)
{
	return world.handlers.acknowledged(world.arg, number);
}

static void
come_up(void)
{
	world.up = true;
	world.handlers.up(world.arg);
}

static void
check_window(struct read **reads)
{
	reads[0] = deliver(1, 0);
	require("nothing is sent before the endpoint serves", world.sent == 0);
	come_up();
	require("then what waits is", world.sent == 1 && last_is(1));
	for (int i = 1; i < 6; i++)
		reads[i] = deliver(i + 1, 0);
	require("a few batches are under way, and no more", world.sent == 4 && last_is(4));
	require("what was never sent is not acknowledged", !acknowledge(world.number + 1));
	require("an acknowledgement is for all before it",
			acknowledge(2) && stand_in.done == 2 && world.sent == 5);
	require("what waited goes together", last_is(5) && last_is(6));
	require("one that comes twice does nothing", acknowledge(2) && stand_in.done == 2);
}

static void
check_again(void)
{
	int sent = world.sent;

	world.up = false;
	world.handlers.down(world.arg);
	come_up();
	require("the next endpoint gets what was not acknowledged, in order",
			world.sent == sent + 3 && last_is(5) && last_is(6));
	require("and finishes it", acknowledge(world.number) && stand_in.done == 6);
}

static void
check_stopped(struct read **reads)
{
	int done = stand_in.done, sent = world.sent;

	reads[6] = deliver(7, 0);
	link_sink.stop(stand_in.sink);
	require("what was forgotten is finished by no acknowledgement",
			acknowledge(world.number) && stand_in.done == done);
	reads[7] = deliver(8, 1);
	require("what has expired is finished unsent",
			world.sent == sent + 1 && stand_in.done == done + 1);
}

int
main(void)
{
	struct config config = {.realtime_private = true};
	uv_loop_t loop;
	struct app app = {.loop = &loop, .config = &config, .metrics = metrics_create()};
	struct read *reads[8];

	uv_loop_init(&loop);
	stand_in.sink = link_sink.create(&app, &stand_in);
	require("it begins", stand_in.sink != NULL);
	require("without a lease", link_sink.follows);
	require("nobody is let in before the log is read", !world.follows);
	link_sink.start(stand_in.sink);
	require("then the endpoint is told", world.follows);
	check_window(reads);
	check_again();
	check_stopped(reads);
	link_sink.destroy(stand_in.sink);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	for (int i = 0; i < 8; i++)
		free_read(reads[i]);
	metrics_destroy(app.metrics);
	buffer_free(&world.body);
	return 0;
}
