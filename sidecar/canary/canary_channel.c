/*
 * See canary_channel.h. Names are resolved by libuv, for libwebsockets would wait for the answer.
 */
#define _GNU_SOURCE
#include "canary/canary_channel.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/backoff.h"
#include "base/memory.h"
#include "canary/canary_frames.h"
#include "canary/canary_target.h"
#include "config.h"

#define JOIN_MS 25000 /* Realtime answers a refusal after 5 s */
#define HEARTBEAT_MS 25000
#define RENEW_MS (CANARY_TOKEN_S / 2 * 1000)

struct canary_channel
{
	struct app *app;
	struct websocket_client *client;
	const char *topic;
	struct canary_channel_handlers handlers;
	void *arg;
	struct canary_target target;
	struct websocket *websocket; /* NULL: there is none yet, or any more */
	bool joined, unanswered;
	bool over; /* the owner has been told, or wants to hear no more */
	bool resolving;
	uint64_t renew_at; /* loop time */
	char why[256];
	uv_getaddrinfo_t resolve;
	uv_timer_t timer;
};

void
canary_topic(char topic[CANARY_TOPIC_SIZE])
{
	snprintf(topic, CANARY_TOPIC_SIZE, "canary:%08x%08x", backoff_random(), backoff_random());
}

/* Its end ----------------------------------------------------------------------------------------- */

static void
on_timer_closed(uv_handle_t *timer)
{
	struct canary_channel *channel = timer->data;

	canary_target_free(&channel->target);
	free(channel);
}

/* While a name is resolved it must stay. */
static void
dispose(struct canary_channel *channel)
{
	if (!channel->resolving)
		uv_close((uv_handle_t *) &channel->timer, on_timer_closed);
}

void
canary_channel_close(struct canary_channel *channel)
{
	channel->over = true;
	uv_timer_stop(&channel->timer);
	if (channel->websocket != NULL)
		websocket_close(channel->websocket);
	channel->websocket = NULL;
	dispose(channel);
}

static void
end(struct canary_channel *channel, const char *why)
{
	channel->handlers.ended(
		channel->arg, channel->target.shown != NULL ? channel->target.shown : "Realtime", why);
	canary_channel_close(channel);
}

static void
on_failure(uv_timer_t *timer)
{
	struct canary_channel *channel = timer->data;

	end(channel, channel->why);
}

/* Tells it from the loop. */
static void
fail(struct canary_channel *channel, const char *why)
{
	snprintf(channel->why, sizeof(channel->why), "%s", why);
	uv_timer_start(&channel->timer, on_failure, 0, 0);
}

/* What is said -------------------------------------------------------------------------------------- */

/* Takes over the text. False: it has ended. */
static bool
say(struct canary_channel *channel, char *text)
{
	bool sent = websocket_send(channel->websocket, text);

	free(text);
	if (!sent)
		end(channel, "it does not read what it is sent");
	return sent;
}

void
canary_channel_push(struct canary_channel *channel, uint64_t number)
{
	(void) say(channel, canary_frame_push(channel->topic, number));
}

static bool
make_target(struct canary_channel *channel, char *error, size_t size)
{
	canary_target_free(&channel->target);
	channel->renew_at = uv_now(channel->app->loop) + RENEW_MS;
	return canary_target_make(&channel->target, channel->app->config, time(NULL), error, size);
}

/* A key that is no token is only said at the beginning. */
void
canary_channel_renew(struct canary_channel *channel)
{
	if (!make_target(channel, channel->why, sizeof(channel->why)))
		end(channel, channel->why);
	else if (channel->target.token == NULL)
		end(channel, "there is another key");
	else if (channel->joined)
		(void) say(channel, canary_frame_token(channel->topic, channel->target.token));
}

static void
on_heartbeat(uv_timer_t *timer)
{
	struct canary_channel *channel = timer->data;

	if (channel->unanswered)
	{
		end(channel, "a heartbeat was not answered");
		return;
	}
	channel->unanswered = true;
	if (say(channel, canary_frame_heartbeat()) && channel->target.expires &&
		uv_now(channel->app->loop) >= channel->renew_at)
		canary_channel_renew(channel);
}

/* What is heard --------------------------------------------------------------------------------------- */

static void
on_opened(void *arg)
{
	struct canary_channel *channel = arg;

	(void) say(channel, canary_frame_join(channel->topic, channel->app->config->realtime_private,
										  channel->target.token));
}

static void
take_join(struct canary_channel *channel)
{
	if (channel->joined)
		return;
	channel->joined = true;
	uv_timer_start(&channel->timer, on_heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
	channel->handlers.joined(channel->arg);
}

static void
on_received(void *arg, const char *message, size_t len, bool binary)
{
	struct canary_channel *channel = arg;
	struct canary_frame frame;

	canary_frame_read(&frame, channel->topic, message, len, binary);
	switch (frame.message)
	{
		case CANARY_NOTHING:
			break;
		case CANARY_JOINED:
			take_join(channel);
			break;
		case CANARY_BEATS:
			channel->unanswered = false;
			break;
		case CANARY_EVENT:
			if (channel->joined)
				channel->handlers.heard(channel->arg, frame.number);
			break;
		case CANARY_REFUSED:
			end(channel, frame.reason[0] != '\0' ? frame.reason : "the channel is refused");
			break;
		case CANARY_CLOSED:
			end(channel, frame.reason[0] != '\0' ? frame.reason : "the channel was closed");
			break;
	}
}

static void
on_closed(void *arg, const char *why)
{
	struct canary_channel *channel = arg;

	channel->websocket = NULL;
	end(channel, why);
}

/* Its beginning ---------------------------------------------------------------------------------------- */

static void
on_late(uv_timer_t *timer)
{
	end(timer->data, "the join is not answered");
}

static void
connect_to(struct canary_channel *channel, const struct addrinfo *found)
{
	static const struct websocket_handlers handlers = {on_opened, on_received, on_closed};
	char address[NI_MAXHOST];
	struct websocket_target target = {.address = address,
									  .port = channel->target.port,
									  .tls = channel->target.tls,
									  .host = channel->target.host,
									  .path = channel->target.path};

	if (getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0,
					NI_NUMERICHOST) != 0)
		fail(channel, "its host has no address");
	else
		channel->websocket = websocket_open(channel->client, &target, &handlers, channel);
}

static void
on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
	struct canary_channel *channel = resolve->data;

	channel->resolving = false;
	if (channel->over)
		dispose(channel);
	else if (status < 0 || found == NULL)
		fail(channel, "its host cannot be resolved");
	else
		connect_to(channel, found);
	uv_freeaddrinfo(found);
}

static void
resolve(struct canary_channel *channel)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	channel->resolve.data = channel;
	channel->resolving = uv_getaddrinfo(channel->app->loop, &channel->resolve, on_resolved,
										channel->target.name, NULL, &hints) == 0;
	if (!channel->resolving)
		fail(channel, "its host cannot be resolved");
}

struct canary_channel *
canary_channel_open(struct app *app, struct websocket_client *client, const char *topic,
					const struct canary_channel_handlers *handlers, void *arg)
{
	struct canary_channel *channel = xcalloc(1, sizeof(*channel));

	channel->app = app;
	channel->client = client;
	channel->topic = topic;
	channel->handlers = *handlers;
	channel->arg = arg;
	uv_timer_init(app->loop, &channel->timer);
	channel->timer.data = channel;
	if (!make_target(channel, channel->why, sizeof(channel->why)))
	{
		uv_timer_start(&channel->timer, on_failure, 0, 0);
		return channel;
	}
	uv_timer_start(&channel->timer, on_late, JOIN_MS, 0);
	resolve(channel);
	return channel;
}
