/*
 * What listener.c (the port, its connections and their time) and connection.c (one connection) share.
 */
#ifndef SIDECAR_LISTENER_INTERNAL_H
#define SIDECAR_LISTENER_INTERNAL_H

#include "io/listener.h"
#include "base/log_pace.h"
#include "base/metrics.h"

enum connection_state
{
	READING_HEAD, /* or idle between requests */
	READING_BODY,
	WAITING,   /* for the answer */
	ANSWERING, /* until it is written */
	LINGERING, /* what still comes is thrown away, so that the answer is not lost by a reset */
	CLOSED     /* freed when the loop has let go of the handle */
};

struct connection
{
	struct connection *next; /* in the order in which they began to wait */
	struct connection *previous;
	struct listener *listener;
	uv_poll_t poll;
	int fd;
	enum connection_state state;
	uint64_t deadline; /* loop time */
	bool trusted;      /* an exchange of it was */
	char *in;          /* the head */
	size_t in_len;
	size_t in_size;
	struct exchange exchange;
	bool begun; /* exchange.end is still to be told */
	char *body;
	size_t body_size;
	size_t discarded;
	bool behind; /* bytes came behind the request */
	bool close;  /* after the answer */
	char *out;
	size_t out_len;
	size_t out_sent;
};

struct listener
{
	struct app *app;
	const struct listener_rules *rules;
	void *arg;
	int fd;
	uv_poll_t poll;
	uv_timer_t tick;
	bool paused; /* accept failed; the next tick tries again */
	bool closing;
	int handles; /* open ones of the listener itself */
	int count;
	int most;
	size_t buffered; /* bytes of bodies that are being read, but for trusted ones */
	struct connection *first;
	struct connection *last;
	struct listener_metrics metrics;
	struct log_pace full;
};

/* Takes over the descriptor. */
void connection_create(struct listener *listener, int fd);
void connection_destroy(struct connection *connection);

#endif
