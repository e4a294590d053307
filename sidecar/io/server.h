/*
 * The port for health, metrics and the console (HTTP_LISTEN).
 */
#ifndef SIDECAR_SERVER_H
#define SIDECAR_SERVER_H

#include "app.h"
#include "io/listener.h"

struct server;

/* Answers a GET on the health port. Returns the HTTP status; *body is malloc'ed, freed by the server; *type is static. */
typedef int (*server_page)(struct app *app, const char *path, char **body, size_t *len,
						   const char **type);

/*
 * Asks for what a page shows of another process. 0: there is nothing to wait for; else the page is made when
 * server_refreshed has said that number, or a higher one, or after a second.
 */
typedef uint64_t (*server_refresh)(struct app *app, const char *path);

/*
 * More of the port: true where a request is its own, and then *reply as listener_rules' begin has it; what comes later is
 * on a waiting_list. Its state is no other's.
 */
typedef bool (*server_part)(void *arg, struct exchange *exchange, struct reply *reply);

/* Binds; on failure prints one line that says what to change and returns NULL (the caller exits 1). page serves /healthz, /readyz, /metrics. */
struct server *server_create(struct app *app, server_page page, server_refresh refresh);
/* Asks this part before the pages. */
void server_add(struct server *server, server_part part, void *arg);
/* Closes the port and its connections. The loop runs on until handles are gone. */
void server_destroy(struct server *server);
void server_refreshed(struct server *server, uint64_t number);
/* When the loop has ended. */
void server_free(struct server *server);

#endif
