/*
 * The body of a request. Messages are copied as the bytes they are. No I/O.
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

/* What a body is. */
struct body_form
{
	/* Puts the events of a batch in another order, that of each topic kept; NULL: it does not matter. */
	void (*arrange)(struct event *events, int count);
	void (*write)(struct buffer *text, const struct event *events, int count);
};

/* {"messages":[…]}, as /api/broadcast takes it, with those of a topic together. */
extern const struct body_form body_broadcast;

/* Writes events over what the body was. */
void
body_write(struct body *body, const struct body_form *form, const struct event *events, int count);

/* Whether the body carries the first of these events, and as many as it says. */
bool body_carries(const struct body *body, const struct event *events, int count);

#endif
