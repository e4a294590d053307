/*
 * Events that wait for Realtime, in the order they were read. An event is one of a read of the log, so nothing is
 * copied; a read is done when its last event is finished.
 *
 * An event that is a state is dropped, while it waits, as soon as a later one of the same conversation and topic is
 * pushed.
 */
#ifndef SIDECAR_REALTIME_QUEUE_H
#define SIDECAR_REALTIME_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "consumer/consumer.h"

struct realtime_queue;
struct realtime_load;

struct event
{
	struct realtime_load *load;
	const struct log_event *row; /* NULL: none */
};

struct realtime_queue *realtime_queue_create(void);
void realtime_queue_destroy(struct realtime_queue *queue);

/* Adds a read with at least one event; answers how many events it replaced. */
int realtime_queue_push(struct realtime_queue *queue, struct read *read);

/* The first event, or row NULL when there is none; it stays until it is popped. */
struct event realtime_queue_peek(struct realtime_queue *queue);
void realtime_queue_pop(struct realtime_queue *queue);
int realtime_queue_count(const struct realtime_queue *queue);

/* Nothing is to be done for a popped event any more. */
void realtime_queue_finish(struct realtime_queue *queue, struct event event);

/* Forgets all events, popped ones included, and their reads. */
void realtime_queue_clear(struct realtime_queue *queue);

#endif
