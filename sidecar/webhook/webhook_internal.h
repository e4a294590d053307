/*
 * What the files of the webhooks sink share.
 */
#ifndef SIDECAR_WEBHOOK_INTERNAL_H
#define SIDECAR_WEBHOOK_INTERNAL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "base/log_pace.h"
#include "webhook/webhook_policy.h"
#include "webhook/webhook_queue.h"
#include "webhook/webhook_store.h"

struct read;
struct metric;
struct signer;

/* One read of the log. */
struct load
{
	struct load *next;
	struct read *read;
	struct message *messages;
	bool asked; /* who gets its events is being asked */
	int unfinished;
	uint64_t started;
};

struct webhook
{
	struct app *app;
	struct consumer *consumer;
	struct http_pool *pool;
	struct address_rules *rules;
	struct signer *signer;
	struct webhook_queue *queue;
	struct store *store;
	struct load *loads, **loads_tail;
	int nloads;
	struct message *due; /* stored messages in memory */
	bool leading;
	bool polling;
	bool more_due;             /* the last poll found something: there may be more */
	unsigned due_polls;        /* that were answered */
	struct log_pace misshapen; /* stored messages that cannot be read */
	unsigned generation;
	int64_t known_up_to; /* events up to it may have been delivered under an earlier lease */
	uint64_t polled_at, next_poll, next_count, next_addresses, next_sweep;
	uv_timer_t tick;
	struct metric *attempts[3]; /* by enum webhook_result */
	struct metric *inflight;
	struct metric *pending;
};

/* webhook.c */

/* Makes the message of an event for a pair. paused: its endpoint is, by the database. */
void webhook_take(struct webhook *webhook, struct load *load, struct pair *pair,
				  struct parcel *parcel, bool paused);
/* All messages of a load are made. */
void webhook_loaded(struct webhook *webhook, struct load *load);

/* webhook_send.c */

/* Starts what may be started. */
void webhook_dispatch(struct webhook *webhook);
/* From now on everything of the pair goes through the database, in order. */
void webhook_park(struct webhook *webhook, struct pair *pair);
/* Leaves a message that waits to the database. */
void webhook_leave(struct webhook *webhook, struct message *message);
/* The outcome of a message is in the database. */
void webhook_saved(struct webhook *webhook, struct message *message, enum message_action action);
/* Puts a message into the list of its load, or of those that were stored. */
void webhook_link(struct message **list, struct message *message);

/* webhook_due.c: what is asked of the database beside the log */

/* What goes with a statement whose answer is of no use after the lease was lost. load: what it is about, or NULL. */
void *webhook_query(struct webhook *webhook, struct load *load);
/* Unwraps it, and the load where that is asked for; NULL when it came too late. */
struct webhook *webhook_query_end(void *query, struct load **load);
/* Asks for stored deliveries that are due, as many as there is room for. */
void webhook_poll(struct webhook *webhook);
/* Asks how many deliveries are stored. */
void webhook_count(struct webhook *webhook);

#endif
