/*
 * A WebSocket to a server, by libwebsockets on the event loop. What arrives is bounded: a message above WEBSOCKET_MAX bytes
 * ends it, in one frame or many, and so does a handshake that goes elsewhere, has a long header or takes too long.
 */
#ifndef SIDECAR_WEBSOCKET_H
#define SIDECAR_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "app.h"

#define WEBSOCKET_MAX 16384 /* bytes of a message */
#define WEBSOCKET_PATH 2000 /* bytes of a path with its query; libwebsockets cuts longer ones off */

struct websocket_client;
struct websocket;

struct websocket_target
{
	const char *address; /* numeric: names block the loop */
	int port;
	bool tls;
	const char *host; /* with TLS also the name that the certificate must have */
	const char *path;
};

struct websocket_handlers
{
	void (*opened)(void *arg);
	/* A message, with a NUL behind it. */
	void (*received)(void *arg, const char *message, size_t len, bool binary);
	/* It is gone, or could not be opened; not to be closed any more. why is good until this returns, and may be the server's own words. */
	void (*closed)(void *arg, const char *why);
};

/* NULL: libwebsockets does not work here, and stderr says what is missing. */
struct websocket_client *websocket_client_create(struct app *app);
/* Takes it off the loop, which runs on until its handles are gone; its WebSockets are closed before. */
void websocket_client_close(struct websocket_client *client);
/* When the loop has ended. */
void websocket_client_free(struct websocket_client *client);

/* Begins to connect; the handlers are called later, from the loop. */
struct websocket *
websocket_open(struct websocket_client *client, const struct websocket_target *target,
			   const struct websocket_handlers *handlers, void *arg);
/* Sends a text, which is copied; once it is opened. False: what was sent before has not gone out. */
bool websocket_send(struct websocket *websocket, const char *text);
/* Ends it; no handler is called any more. */
void websocket_close(struct websocket *websocket);

#endif
