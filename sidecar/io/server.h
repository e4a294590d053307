/*
 * What strangers connect to: the port for health and metrics (HTTP_LISTEN) and, when embedded, the one of the
 * Realtime-compatible endpoint. HTTP is read by listener.c; a WebSocket is handed to libwebsockets, a guest on the
 * event loop, once its handshake is accepted.
 */
#ifndef SIDECAR_SERVER_H
#define SIDECAR_SERVER_H

#include "app.h"
#include "io/request_head.h"

struct server;

/* Answers a GET on the health port. Returns the HTTP status; *body is malloc'ed, freed by the server; *type is static. */
typedef int (*server_page)(struct app *app, const char *path, char **body, size_t *len,
						   const char **type);

/* Binds; on failure prints one line that says what to change and returns NULL (the caller exits 1). page serves /healthz, /readyz, /metrics. */
struct server *server_create(struct app *app, server_page page);
/* Starts the tear-down: closes listeners and connections (WebSockets with 1012). The loop runs on until handles are gone. */
void server_destroy(struct server *server);
/* When the loop has ended. */
void server_free(struct server *server);

/* Makes a WebSocket of a connection whose handshake, of which key is a part, is accepted; takes over the descriptor. embedded_callback hears of it before this returns. */
void server_upgrade(struct server *server, int fd, struct slice key);
/* How many WebSockets there may be: by the limit of descriptors. */
int server_most_sockets(const struct server *server);

/* The port the embedded endpoint really listens on (EMBEDDED_LISTEN may say port 0), 0 when there is none; likewise the health port. */
int server_embedded_port(const struct server *server);
int server_http_port(const struct server *server);

#endif
