/*
 * What every part of the sidecar shares: one process, one event loop, one struct app.
 *
 * The parts own themselves (opaque structs with create, destroy and event callbacks) and are reached
 * from here; there are no file globals. Nothing on the loop may block.
 */
#ifndef SIDECAR_APP_H
#define SIDECAR_APP_H

#include <stdbool.h>
#include <uv.h>

struct config;
struct metrics;
struct http;
struct server;
struct consumer;
struct embedded;
struct webhook;
struct hints;
struct realtime;

struct app
{
	uv_loop_t *loop;
	const struct config *config;
	struct metrics *metrics;
	struct http *http;              /* outgoing HTTP, libcurl */
	struct server *server;          /* incoming HTTP and WebSocket, libwebsockets */
	struct embedded *embedded;      /* NULL when REALTIME_URL is set */
	struct consumer *realtime;      /* delivers to Realtime */
	struct realtime *realtime_sink; /* its sink, for realtime_destroy */
	struct consumer *webhooks;      /* NULL when WEBHOOKS=off */
	struct webhook *webhook;        /* their sink, for webhook_destroy */
	struct hints *hints;            /* what the database wants mended; for /readyz */
	bool draining;                  /* SIGTERM was received */
};

#endif
