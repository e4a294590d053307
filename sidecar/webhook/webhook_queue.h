/*
 * What is to be delivered, in memory: one queue per pair of endpoint and conversation, and which pair may
 * send next. No I/O.
 *
 * Rules: one message of a pair is under way at a time, in order; endpoints take turns and have their shares as
 * webhook_shares.h says, a failing endpoint has one at a time until it succeeds again, and one with a rate limit waits
 * where it had what webhook_limit.h lets out.
 *
 * A pair is parked once one of its messages had to be stored: everything that was read for it before that
 * is known to the database follows it there. It lives until its last message is released. An endpoint is remembered for
 * a while, for how it answered. Messages are made by the caller and freed by queue_release; what an event says is there
 * once, in a parcel, whatever number of endpoints gets it.
 */
#ifndef SIDECAR_WEBHOOK_QUEUE_H
#define SIDECAR_WEBHOOK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "webhook/webhook_endpoints.h"
#include "webhook/webhook_shares.h"

struct webhook_queue;
struct load;

struct pair
{
	struct entry entry; /* by id and conversation */
	struct endpoint *endpoint;
	struct message *queue, **queue_tail; /* not under way */
	struct message *active;              /* under way */
	int messages;                        /* all in memory, those being saved included */
	bool parked;
	unsigned due; /* the answer of webhook_due that its messages came with; 0: none */
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

/* What is the same for each endpoint that gets an event. */
struct parcel
{
	int references;
	bool held; /* its bytes are counted */
	size_t bytes;
	int64_t event_id;
	int64_t created_at; /* Unix seconds */
	char *id;           /* the webhook-id */
	char *type;
	char *timestamp; /* as in the body */
	char *body;
	size_t body_len;
	char text[]; /* all of these strings */
};

struct message
{
	struct message *next;       /* in its pair's queue */
	struct message *next_saved; /* in a list of messages to save */
	struct message *load_next, **load_link;
	struct pair *pair;
	struct load *load;   /* the read it came with, NULL when it was stored */
	void *owner;         /* of the request that is under way */
	struct visit *visit; /* whose owner it is counted for */
	struct slot slot;    /* while it is under way */
	struct parcel *parcel;
	int64_t delivery;         /* row in the database, 0 when its id is not known */
	int attempts;             /* before this one */
	bool stored;              /* the database has a row */
	bool listed;              /* an outcome waits to be saved */
	bool saving;              /* an outcome is on its way to the database */
	bool again;               /* was repeated at once, on a fresh connection */
	enum message_action sent; /* the action that is on its way */
	struct outcome outcome;
	uint64_t started; /* loop time of the attempt */
};

/* Keeps the parcel. */
struct message *message_make(struct parcel *parcel);
/* For one that no queue knows, or none any more. */
void message_free(struct message *message);
void parcel_let_go(struct parcel *parcel);

struct webhook_queue *queue_create(const struct webhook_limits *limits);
/* Frees everything but messages under way: their pair is NULL then, and they belong to their request. */
void queue_destroy(struct webhook_queue *queue);

/* Finds or makes an endpoint, with what is known of it now. */
struct endpoint *queue_endpoint(struct webhook_queue *queue, const struct endpoint_terms *terms);
/* Finds or makes a pair, which must get a message at once. */
struct pair *
queue_pair(struct webhook_queue *queue, struct endpoint *endpoint, const char *conversation);
struct pair *
queue_find_pair(const struct webhook_queue *queue, const char *id, const char *conversation);
struct endpoint *queue_find_endpoint(const struct webhook_queue *queue, const char *id);

/* Makes a message belong to a pair, without queueing it. */
void queue_own(struct webhook_queue *queue, struct pair *pair, struct message *message);
/* Queues an owned message for sending. */
void queue_push(struct webhook_queue *queue, struct message *message);

/* The next message that may be sent, now under way; NULL: none. now: loop time, as everywhere here. */
struct message *queue_next(struct webhook_queue *queue, uint64_t now);
/* The message is not under way any more. */
void
queue_finished(struct webhook_queue *queue, struct message *message, bool failed, uint64_t now);
/* Takes the first message that waits in a pair out of its queue; NULL: none waits. */
struct message *queue_take(struct pair *pair);

/* Keeps a pair, and its endpoint, as if it had one message more; and lets go of it again. */
void queue_retain(struct webhook_queue *queue, struct pair *pair);
void queue_drop(struct webhook_queue *queue, struct pair *pair);
/* Frees a message that is in no queue, and what only it needed. */
void queue_release(struct webhook_queue *queue, struct message *message, uint64_t now);
/* To be called a few times a second: notes who keeps us waiting, and whose rate limit lets another message out. */
void queue_tick(struct webhook_queue *queue, uint64_t now);
/* Forgets endpoints that had nothing to do for a while. */
void queue_sweep(struct webhook_queue *queue, uint64_t now);

/* The database has a row of the message from now on. */
void queue_now_stored(struct message *message);
/* How many messages that were found due may be in memory, of all endpoints. */
int queue_due_most(const struct webhook_queue *queue);
/* The endpoint, or its owner, has as many of them in memory as it may. */
bool queue_busy(const struct webhook_queue *queue, const struct endpoint *endpoint);
/* An endpoint waits for its rate limit, or has as many of them in memory as that lets out in a second. */
bool queue_is_paced(const struct endpoint *endpoint);
/* A slow endpoint's owner has as much in memory as it may, or an endpoint more than its rate limit lets out: what comes is better stored. */
bool queue_is_full(const struct webhook_queue *queue, const struct endpoint *endpoint);
/* There is as much in memory as there may be, in bytes. */
bool queue_has_no_room(const struct webhook_queue *queue);
/* There is enough in memory for those that are fast: more would only get old there. */
bool queue_is_ahead(const struct webhook_queue *queue);
void queue_each_endpoint(struct webhook_queue *queue,
						 void (*visit)(void *arg, struct entry *endpoint), void *arg);
int queue_inflight(const struct webhook_queue *queue);
int queue_messages(const struct webhook_queue *queue);

#endif
