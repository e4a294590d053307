/*
 * The body of a broadcast. Messages are copied as the bytes they are. No I/O.
 */
#ifndef SIDECAR_REALTIME_BODY_H
#define SIDECAR_REALTIME_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "realtime/realtime_event.h"

/* What is sent, and which events' bytes are in it. All zero before its first use. */
struct body
{
	struct buffer text;
	int count; /* of the events; 0: a batch without any */
	int64_t first_id, last_id;
};

/*
 * Brings events of one topic together, in the order they have, topics in the order they first occur: for each
 * private topic of a batch Realtime asks its database anew.
 */
void body_group(struct event *events, int count);

/* Writes {"messages":[…]} over what the body was. */
void body_write(struct body *body, const struct event *events, int count);

/* Whether the body carries the first of these events, and as many as it says. */
bool body_carries(const struct body *body, const struct event *events, int count);

#endif
