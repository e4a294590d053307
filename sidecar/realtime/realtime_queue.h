/*
 * Events that wait for Realtime, in the order they were read. An event is a row of a batch, so nothing is
 * copied; a batch is done when its last event is finished.
 *
 * conversation.updated is a state: one that waits is dropped as soon as a later one of the same conversation
 * and topic is pushed.
 */
#ifndef SIDECAR_REALTIME_QUEUE_H
#define SIDECAR_REALTIME_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "consumer/consumer.h"

/* Columns of the read. */
enum
{
	EVENT_ID,
	EVENT_TOPIC,
	EVENT_NAME,
	EVENT_CONVERSATION,
	EVENT_CREATED_AT,
	EVENT_EXPIRED,
	EVENT_PAYLOAD
};

struct realtime_queue;
struct realtime_load;

struct event
{
	struct realtime_load *load;
	int row;
};

struct realtime_queue *realtime_queue_create(void);
void realtime_queue_destroy(struct realtime_queue *queue);

/* Adds a batch with at least one event; answers how many events it replaced. */
int realtime_queue_push(struct realtime_queue *queue, struct batch *batch);

/* The first event, or row 0 when there is none; it stays until it is popped. */
struct event realtime_queue_peek(struct realtime_queue *queue);
void realtime_queue_pop(struct realtime_queue *queue);
int realtime_queue_count(const struct realtime_queue *queue);

/* Nothing is to be done for a popped event any more. */
void realtime_queue_finish(struct realtime_queue *queue, struct event event);

/* Forgets all events, popped ones included, and their batches. */
void realtime_queue_clear(struct realtime_queue *queue);

const char *event_text(struct event event, int column);
int event_length(struct event event, int column);

#endif
