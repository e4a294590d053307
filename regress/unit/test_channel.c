/*
 * Channels and who is on them: whoever leaves, in whatever order, the others hear what is broadcast, the newest first. What a socket
 * is sent ends here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/memory.h"
#include "../../sidecar/endpoint/internal.h"
#include "require.h"

#define MOST 64
#define ORDERS 6

static struct app app;
static struct embedded embedded = {.app = &app};

/* The sockets that were sent the last broadcast, in order. */
static struct
{
	struct socket *sockets[MOST];
	int count;
} heard;

void
socket_send(struct socket *socket, struct message *message)
{
	if (heard.count == MOST)
		abort();
	heard.sockets[heard.count++] = socket;
	message_release(message);
}

bool
replay_keeps(struct replay *replay, const struct broadcast *broadcast, struct message *message)
{
	(void) replay;
	(void) broadcast;
	(void) message;
	return true;
}

void
relay_send(struct relay *relay, bool is_private, const struct broadcast *broadcast)
{
	(void) relay;
	(void) is_private;
	(void) broadcast;
}

/* What a channel should have, the newest first. */
struct model
{
	struct subscription *members[MOST];
	int count;
};

static struct subscription *
join(const char *topic, bool is_private)
{
	struct subscription *subscription = xcalloc(1, sizeof(*subscription));

	subscription->topic = xstrdup(topic);
	subscription->is_private = is_private;
	subscription->socket = xcalloc(1, sizeof(*subscription->socket));
	subscription->socket->serializer = SERIALIZER_V2;
	channel_subscribe(&embedded, subscription);
	return subscription;
}

static void
leave(struct subscription *subscription)
{
	channel_unsubscribe(&embedded, subscription);
	free(subscription->socket);
	free(subscription->topic);
	free(subscription);
}

static void
add(struct model *model)
{
	memmove(model->members + 1, model->members, (size_t) model->count * sizeof(*model->members));
	model->members[0] = join("room", false);
	model->count++;
}

static void
drop(struct model *model, int which)
{
	leave(model->members[which]);
	model->count--;
	memmove(model->members + which, model->members + which + 1,
			(size_t) (model->count - which) * sizeof(*model->members));
}

static void
say(const char *topic, bool is_private, const struct subscription *except)
{
	struct broadcast broadcast = {
		.topic = topic, .event = "said", .payload = "{}", .payload_len = 2, .payload_json = true};

	heard.count = 0;
	channel_broadcast(&embedded, is_private, &broadcast, except);
}

/* Whether exactly those hear who should, in order, but for one. */
static bool
all_hear(const struct model *model, int except)
{
	int at = 0;

	say("room", false, except >= 0 ? model->members[except] : NULL);
	for (int i = 0; i < model->count; i++)
	{
		if (i == except)
			continue;
		if (at == heard.count || heard.sockets[at++] != model->members[i]->socket)
			return false;
	}
	return at == heard.count;
}

/* Whose turn it is of so many: the newest, the oldest, the second, the last but one, the middle, anybody. */
static int
next(int order, int count)
{
	switch (order)
	{
		case 0:
			return 0;
		case 1:
			return count - 1;
		case 2:
			return count > 1 ? 1 : 0;
		case 3:
			return count > 1 ? count - 2 : 0;
		case 4:
			return count / 2;
		default:
			return rand() % count;
	}
}

static void
check_leaving(void)
{
	bool good = true, gone = true;

	for (int order = 0; order < ORDERS; order++)
	{
		struct model model = {.count = 0};

		while (model.count < MOST)
			add(&model);
		good = good && all_hear(&model, -1) && all_hear(&model, 0) && all_hear(&model, MOST - 1);
		while (model.count > 0)
		{
			drop(&model, next(order, model.count));
			good = good && all_hear(&model, -1);
		}
		gone = gone && channel_find(&embedded, "room", false) == NULL;
	}
	require("whoever leaves, the others hear, the newest first", good);
	require("the channel goes with the last", gone && embedded.channels.count == 0);
}

static void
check_coming_and_going(void)
{
	struct model model = {.count = 0};
	bool good = true;

	for (int i = 0; i < 5000 && good; i++)
	{
		if (model.count < MOST && (model.count == 0 || rand() % 2 == 0))
			add(&model);
		else
			drop(&model, rand() % model.count);
		good = all_hear(&model, model.count > 0 ? rand() % model.count : -1);
	}
	require("so it is while others come", good);
	while (model.count > 0)
		drop(&model, 0);
	require("and nothing is left", embedded.channels.count == 0);
}

static void
check_apart(void)
{
	struct subscription *public = join("room", false), *private = join("room", true);
	struct subscription *other = join("hall", false);

	say("room", true, NULL);
	require("a private channel is another one than the public one of its name",
			heard.count == 1 && heard.sockets[0] == private->socket);
	leave(private);
	say("room", true, NULL);
	require("nobody is on it any more", heard.count == 0);
	say("room", false, NULL);
	require("the public one goes on", heard.count == 1 && heard.sockets[0] == public->socket);
	leave(public);
	leave(other);
	require("all are gone", embedded.channels.count == 0);
}

int
main(void)
{
	uv_loop_t loop;

	uv_loop_init(&loop);
	app.loop = &loop;
	app.metrics = metrics_create();
	embedded.metrics.messages = metrics_counter(app.metrics, "messages", "", "Messages.");
	embedded.metrics.deliveries = metrics_counter(app.metrics, "deliveries", "", "Deliveries.");
	table_init(&embedded.channels);
	check_leaving();
	check_coming_and_going();
	check_apart();
	table_clear(&embedded.channels, NULL);
	metrics_destroy(app.metrics);
	uv_loop_close(&loop);
	return 0;
}
