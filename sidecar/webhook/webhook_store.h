/*
 * Takes what became of webhook messages to the database, in groups: one statement is under way at a time,
 * and what arrives meanwhile goes with the next one. Groups are as large as are saved in a moment, for what is asked
 * about events that come meanwhile waits behind them.
 *
 * A message may be added again while an outcome of it is on its way (it was held, and then finished): the
 * newer outcome follows in a later group. A group that failed is sent again after a second.
 */
#ifndef SIDECAR_WEBHOOK_STORE_H
#define SIDECAR_WEBHOOK_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "webhook/webhook_queue.h"

struct store;
struct db;

struct store_handlers
{
	/* The outcome of a message is safe. After any but ACTION_HOLD the store has forgotten the message. */
	void (*saved)(void *arg, struct message *message, enum message_action action);
	/* A group is done. due: another stored delivery can be sent now. */
	void (*settled)(void *arg, bool due);
};

struct store *store_create(struct app *app, const struct store_handlers *handlers, void *arg);
void
store_destroy(struct store *store); /* after store_reset; frees itself when its timer is closed */

/* From now on outcomes go there, under the epoch of the lease. */
void store_begin(struct store *store, struct db *db, uint64_t epoch);
/* Forgets every message, and frees those that are not under way. Late answers are ignored. */
void store_reset(struct store *store);

/* Adds message->outcome, whose texts become the store's. urgent: not to wait for company. */
void store_add(struct store *store, struct message *message, bool urgent);
/* Sends what there is, unless a group is under way. */
void store_flush(struct store *store);

#endif
