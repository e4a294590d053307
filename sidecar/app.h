/*
 * What every part of a process shares: one event loop, one struct app. The core and the endpoint have one each.
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
struct hints;
struct canary;

#define APP_CONSUMERS 8

struct app
{
	uv_loop_t *loop;
	const struct config *config;
	struct metrics *metrics;
	struct http *http;         /* outgoing HTTP, libcurl */
	struct server *server;     /* incoming HTTP, for health, metrics and console */
	struct embedded *embedded; /* in the endpoint's process, which has little else of this */
	struct consumer *consumers[APP_CONSUMERS]; /* one a way out; see sinks.h */
	int nconsumers;
	struct hints *hints;   /* what the database wants mended; for /readyz */
	struct canary *canary; /* listens as a client does; for /readyz */
	bool draining;         /* SIGTERM was received */
};

#endif
