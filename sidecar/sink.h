/*
 * A way out of the event log: what becomes of events once they are read. A sink is one folder, with one struct sink, and
 * one line in sinks.c. Its consumer owns it: makes it, gives it what it reads, and destroys it.
 *
 * A sink has its metrics from the moment it is made, in app->metrics.
 */
#ifndef SIDECAR_SINK_H
#define SIDECAR_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "consumer/log_answer.h"

struct config;
struct consumer;
struct read;

struct sink
{
	const char *name;   /* the consumer's: "realtime", "webhooks", "socketio" */
	const char *part;   /* what /readyz calls the part that its trouble is with */
	enum log_form form; /* of the messages that it gets */
	/* Every process reads all of the log, from the present: no lease, no stored position. */
	bool follows;
	int max_rows;  /* of a read */
	int max_reads; /* read ahead at most what so many full reads hold, in events and in bytes */

	/* Whether the settings ask for it. */
	bool (*wanted)(const struct config *config);
	/* The consumer is not to be asked for anything yet. NULL: it cannot work, and has said why. */
	void *(*create)(struct app *app, struct consumer *consumer);
	/* It is stopped. While the loop still runs, its handles close; it frees itself then. */
	void (*destroy)(void *arg);

	/* The lease was obtained (again): forget everything undelivered, start afresh. NULL: nothing is left to forget. */
	void (*start)(void *arg);
	/* Events to deliver; at least one. */
	void (*deliver)(void *arg, struct read *read);
	/* The lease or the connection is gone: drop what is not in flight; reads are freed by the consumer after this returns, so forget them. Late callbacks of requests in flight must not touch them. */
	void (*stop)(void *arg);
	/* A NOTIFY on a channel that the sink listens to on its consumer's connection. Anyone may send one. NULL: it listens to none. */
	void (*heard)(void *arg, const char *channel, const char *payload);
	/* Whether something is under way that no read stands for any more; a drain waits for it. NULL: never. */
	bool (*busy)(void *arg);
	/* Whether it holds as much as it may: then nothing is read until a read is done. NULL: never. */
	bool (*full)(void *arg);

	/* Settings were read again. NULL: none of them concern it. */
	void (*reload)(void *arg);
	/* What keeps its events from arriving, and /readyz from saying 200; NULL: nothing that is known. No function: never. */
	const char *(*trouble)(const void *arg);
	/* What is not as good as it could be, and keeps nothing from being delivered; NULL: nothing. No function: never. */
	const char *(*note)(const void *arg);
	/* Asks for metrics that are kept elsewhere, as server_refresh. NULL: there are none. */
	uint64_t (*refresh_metrics)(void *arg);
};

#endif
