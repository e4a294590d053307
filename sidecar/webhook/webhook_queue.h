/*
 * What is to be delivered, in memory: one queue per pair of endpoint and conversation, and which pair may
 * send next. No I/O.
 *
 * Rules: one message of a pair is under way at a time, in order; pairs of all endpoints take turns, endpoint
 * by endpoint; the total and each endpoint's share are bounded, and a failing endpoint has one at a time
 * until it succeeds again, so that it never holds up others.
 *
 * A pair is parked once one of its messages had to be stored: everything that was read for it before that
 * is known to the database follows it there. It lives until its last message is released, and so does the
 * endpoint. Messages are made by the caller and freed by queue_release.
 */
#ifndef SIDECAR_WEBHOOK_QUEUE_H
#define SIDECAR_WEBHOOK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

struct webhook_queue;
struct load;

struct endpoint
{
	struct entry entry; /* by the webhook's id */
	char *url;
	char *secret;     /* NULL: nothing is signed */
	char *old_secret; /* NULL: none is valid any more */
	int messages;     /* in memory */
	int stored;       /* of these, in the database */
	int inflight;
	int failures;          /* in a row */
	uint64_t paused_until; /* loop time */
	uint64_t succeeded_at; /* loop time */
	uint64_t next_report;  /* loop time: no line in the log about failures before */
	uint64_t report_gap;   /* ms between the last line and that; 0: there was none */
	int unreported;        /* failures since the last line */
	bool listed;
	struct pair *ready, **ready_tail; /* pairs that could send */
	struct endpoint *next_listed;
};

struct pair
{
	struct entry entry; /* by id and conversation */
	struct endpoint *endpoint;
	struct message *queue, **queue_tail; /* not under way */
	struct message *active;              /* under way */
	int messages;                        /* all in memory, those being saved included */
	bool parked;
	struct pair *next_ready;
};

enum message_action
{
	ACTION_NONE,  /* nothing to save */
	ACTION_DONE,  /* never again */
	ACTION_RETRY, /* again after delay_ms */
	ACTION_HOLD,  /* under way, ends within delay_ms */
	ACTION_STORE  /* behind others */
};

/* What is to be saved of a message, and what is with it. */
struct outcome
{
	enum message_action action;
	int status;
	int duration_ms;
	bool attempted;
	bool counted;
	int64_t delay_ms;
	int64_t pause_ms;
	const char *disable; /* static */
	char *error;         /* NULL: success */
	char *response;
};

struct message
{
	struct message *next;       /* in its pair's queue */
	struct message *next_saved; /* in a list of messages to save */
	struct message *load_next, **load_link;
	struct pair *pair;
	struct load *load; /* the read it came with, NULL when it was stored */
	void *owner;       /* of the request that is under way */
	int64_t event_id;
	int64_t delivery;         /* row in the database, 0 when its id is not known */
	int attempts;             /* before this one */
	bool stored;              /* the database has a row */
	bool listed;              /* an outcome waits to be saved */
	bool saving;              /* an outcome is on its way to the database */
	bool again;               /* was repeated at once, on a fresh connection */
	enum message_action sent; /* the action that is on its way */
	struct outcome outcome;
	int64_t created_at; /* Unix seconds */
	uint64_t started;   /* loop time of the attempt */
	char *id;           /* the webhook-id */
	char *type;
	char *timestamp; /* as in the body */
	char *body;
	size_t body_len;
	char text[]; /* all of these strings */
};

struct webhook_queue *queue_create(int max_inflight);
/* Frees everything but messages under way: their pair is NULL then, and they belong to their request. */
void queue_destroy(struct webhook_queue *queue);

/* Finds or makes an endpoint, with what is known of it now. It must get a message at once, or be dropped. */
struct endpoint *queue_endpoint(struct webhook_queue *queue, const char *id, const char *url,
								const char *secret, const char *old_secret);
struct pair *
queue_pair(struct webhook_queue *queue, struct endpoint *endpoint, const char *conversation);
struct pair *
queue_find_pair(const struct webhook_queue *queue, const char *id, const char *conversation);
const struct endpoint *queue_find_endpoint(const struct webhook_queue *queue, const char *id);

/* Makes a message belong to a pair, without queueing it. */
void queue_own(struct webhook_queue *queue, struct pair *pair, struct message *message);
/* Queues an owned message for sending. */
void queue_push(struct webhook_queue *queue, struct message *message);

/* The next message that may be sent, now under way; NULL: none. */
struct message *queue_next(struct webhook_queue *queue);
/* The message is not under way any more. */
void queue_finished(struct webhook_queue *queue, struct message *message, bool failed);
/* Takes the first message that waits in a pair out of its queue; NULL: none waits. */
struct message *queue_take(struct pair *pair);

/* Keeps a pair, and its endpoint, as if it had one message more; and lets go of it again. */
void queue_retain(struct webhook_queue *queue, struct pair *pair);
void queue_drop(struct webhook_queue *queue, struct pair *pair, uint64_t now);
/* Frees a message that is in no queue, and what only it needed. now: loop time. */
void queue_release(struct webhook_queue *queue, struct message *message, uint64_t now);

/* The database has a row of the message from now on. */
void queue_now_stored(struct message *message);
/* The endpoint has as many stored messages in memory as it may. */
bool queue_busy(const struct webhook_queue *queue, const struct endpoint *endpoint);
void queue_each_endpoint(struct webhook_queue *queue,
						 void (*visit)(void *arg, struct entry *endpoint), void *arg);
int queue_inflight(const struct webhook_queue *queue);
int queue_messages(const struct webhook_queue *queue);

#endif
