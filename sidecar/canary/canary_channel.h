/*
 * A private channel of one's own at Realtime, over WebSocket: joined, kept alive and its token renewed. When it ends, for
 * whatever reason, its owner may open another one.
 */
#ifndef SIDECAR_CANARY_CHANNEL_H
#define SIDECAR_CANARY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "io/websocket.h"

#define CANARY_TOPIC_SIZE 24 /* "canary:" and 16 hexadecimal digits, with a NUL */

struct canary_channel;

struct canary_channel_handlers
{
	void (*joined)(void *arg);
	/* An event arrived. */
	void (*heard)(void *arg, uint64_t number);
	/* It is gone, and frees itself. where and why are good until this returns. */
	void (*ended)(void *arg, const char *where, const char *why);
};

/* A topic that nobody can guess. */
void canary_topic(char topic[CANARY_TOPIC_SIZE]);

/* Begins to join, at the place that the settings name; the handlers are called later, from the loop. */
struct canary_channel *
canary_channel_open(struct app *app, struct websocket_client *client, const char *topic,
					const struct canary_channel_handlers *handlers, void *arg);
/* Sends an event that comes back, once it is joined. */
void canary_channel_push(struct canary_channel *channel, uint64_t number);
/* There may be another key. */
void canary_channel_renew(struct canary_channel *channel);
/* No handler is called any more; it frees itself. */
void canary_channel_close(struct canary_channel *channel);

#endif
