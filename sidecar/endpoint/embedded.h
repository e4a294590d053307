/*
 * The Realtime-compatible endpoint: broadcast over WebSocket and HTTP on public and private topics. The delivery core
 * reaches it through HTTP only.
 */
#ifndef SIDECAR_EMBEDDED_H
#define SIDECAR_EMBEDDED_H

#include <libwebsockets.h>

#include "app.h"
#include "io/listener.h"

struct embedded;

struct embedded *embedded_create(struct app *app);
/* Starts the end: tells sockets 1012 and closes the loop handles. */
void embedded_stop(struct embedded *embedded);
/* Call when the server's connections are gone. */
void embedded_destroy(struct embedded *embedded);
/* A service_role token, good for an hour; malloc'ed. */
char *embedded_service_token(struct embedded *embedded);

/* HTTP of the endpoint; its argument is the app. */
extern const struct listener_rules embedded_rules;

/* libwebsockets' callback of WebSockets; a connection's user data is one pointer. */
int embedded_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
					  size_t len);
#endif
