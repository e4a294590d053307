/*
 * Events that wait for Realtime, in the order they were read.
 *
 * An event that is a state is dropped, while it waits, as soon as a later one of the same conversation and topic is
 * pushed. No I/O.
 */
#ifndef SIDECAR_REALTIME_QUEUE_H
#define SIDECAR_REALTIME_QUEUE_H

#include "realtime/realtime_event.h"

struct realtime_queue;

struct realtime_queue *realtime_queue_create(void);
void realtime_queue_destroy(struct realtime_queue *queue);

/* Adds an event; answers the one that it replaces, or row NULL. */
struct event realtime_queue_push(struct realtime_queue *queue, struct event event);

/* The first event, or row NULL when there is none; it stays until it is popped. */
struct event realtime_queue_peek(struct realtime_queue *queue);
void realtime_queue_pop(struct realtime_queue *queue);
int realtime_queue_count(const struct realtime_queue *queue);

/* Forgets all events. */
void realtime_queue_clear(struct realtime_queue *queue);

#endif
