/*
 * A port that strangers connect to: HTTP/1.1, one request after another on a connection, each answered once.
 *
 * Invariants: a request's head is judged before its body is read; what is refused, or has bytes behind it, is answered
 * with "connection: close" and nothing of the connection is looked at any more; answers are written when the socket is
 * writable and nowhere else. A connection is waited for only so long, and where the port has no room left the one that
 * has kept it waiting longest makes room for a new one.
 */
#ifndef SIDECAR_LISTENER_H
#define SIDECAR_LISTENER_H

#include "app.h"
#include "io/request_head.h"

struct listener;
struct metric;

struct listener_metrics
{
	struct metric *connections;
	struct metric *refused_full;
	struct metric *refused_late;
	struct metric *refused_memory;
};

struct reply
{
	int status;       /* 0: goes on, or comes later */
	const char *type; /* static, or NULL */
	char *body;       /* malloc'ed or NULL */
	size_t body_len;
};

/* One request and its answer. */
struct exchange
{
	struct request_head head;
	const char *body;
	size_t body_len;
	bool trusted; /* the rules may say so: it never makes room, and its body counts for nothing */
	void *state;  /* the rules' own */
};

struct listener_rules
{
	const char *name;    /* of the port, in logs and metrics */
	const char *headers; /* lines of every answer, or "" */
	size_t max_body;     /* bytes; a longer one is 413 */
	/* The head is there. Status 0: read the body; 101: to be handed over by upgrade; 4xx or 5xx: refused, and closed. */
	struct reply (*begin)(void *arg, struct exchange *exchange);
	/* The request is complete. Status 0: exchange_answer comes later. */
	struct reply (*complete)(void *arg, struct exchange *exchange);
	/* Takes over the descriptor, with nothing read behind the head. NULL: begin never says 101. */
	void (*upgrade)(void *arg, struct exchange *exchange, int fd);
	/* The exchange is over, answered or not; state is freed here. NULL: nothing to do. */
	void (*end)(void *arg, struct exchange *exchange);
};

/* A socket that listens on host:port, closed on exec. -1: there is none, and stderr says why, naming the variable. */
int listener_bind(const char *variable, const char *listen);
/* The same; -1: error says why. */
int listener_try(const char *listen, char *error, size_t size);
/* Takes over such a socket. most: connections at a time. rules are static. */
struct listener *
listener_open(struct app *app, int fd, int most, const struct listener_rules *rules, void *arg);
void listener_close(struct listener *listener);
/* What listener_open registers for a port of that name. */
struct listener_metrics listener_register_metrics(struct metrics *metrics, const char *port);

struct sockaddr_storage;
/* Who asks; false: the connection is gone. */
bool exchange_peer(const struct exchange *exchange, struct sockaddr_storage *peer);
/* Answers an exchange whose complete said 0, once, before its end; takes over reply.body. */
void exchange_answer(struct exchange *exchange, struct reply reply);
struct reply reply_text(int status, const char *type, const char *body);

#endif
