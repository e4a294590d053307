/*
 * The Realtime-compatible endpoint: broadcast over WebSocket and HTTP on public and private topics. Events of the
 * database come from the core, over the link.
 */
#ifndef SIDECAR_EMBEDDED_H
#define SIDECAR_EMBEDDED_H

#include <libwebsockets.h>

#include "app.h"
#include "io/listener.h"

struct embedded;

/* NULL: it cannot work, and has said why. */
struct embedded *embedded_create(struct app *app);
/* All that an endpoint registers, its port's included, in the same order: for the process that shows them. */
void embedded_register_metrics(struct metrics *metrics);
/* Starts the end: tells sockets 1012 and closes them and the loop handles. */
void embedded_stop(struct embedded *embedded);
/* When the loop has ended. */
void embedded_destroy(struct embedded *embedded);

/* HTTP of the endpoint; its argument is the app. */
extern const struct listener_rules embedded_rules;

/* libwebsockets' callback of WebSockets; a connection's user data is one pointer. */
int embedded_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
					  size_t len);
#endif
