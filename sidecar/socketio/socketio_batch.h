/*
 * What goes out in one transaction: events, and behind them a question that every node answers. A node that answers has heard
 * all of the transaction, for PostgreSQL tells a listener all of it or nothing.
 * One batch is on its way at a time. No I/O.
 */
#ifndef SIDECAR_SOCKETIO_BATCH_H
#define SIDECAR_SOCKETIO_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pgarray.h"
#include "realtime/realtime_queue.h"

#define BATCH_MOST 250           /* events */
#define BATCH_BYTES (192 * 1024) /* of messages, about */

struct socketio_batch
{
	struct socketio_batch *next; /* split from it */
	uint64_t number;             /* of the question that went out with it last */
	uint64_t awaited;            /* places of nodes that have to answer it */
	uint64_t answered;           /* and of those that did */
	uint64_t sent_at;            /* loop time */
	bool sent;                   /* it is committed and not to be sent again */
	bool attached;               /* one of its events goes through the table of attachments */
	int count;
	struct event events[]; /* row NULL: done without being sent */
};

/* What a statement carries. All zero before the first use. */
struct socketio_load
{
	struct pgarray messages, bodies;
	struct buffer text, packed;
	size_t bytes;
	int attachments;
};

void load_begin(struct socketio_load *load);
/* Adds a broadcast. False: its message is no JSON. */
bool load_event(struct socketio_load *load, const char *namespace, const struct log_event *event);
void load_question(struct socketio_load *load, const char *namespace, const char *token,
				   uint64_t number);
void load_free(struct socketio_load *load);

/*
 * Takes events from the queue, at most so many and about BATCH_BYTES of them. Servers fetch an attachment while they go on, so
 * it is the last of its conversation in a batch. NULL: there are none.
 */
struct socketio_batch *batch_take(struct realtime_queue *queue, const char *namespace, int most);
/* Takes the second half of a batch's events out, into one that stands behind it. */
void batch_split(struct socketio_batch *batch);

#endif
