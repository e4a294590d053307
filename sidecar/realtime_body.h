/*
 * The body of a broadcast. Payloads are copied as the bytes they are. No I/O.
 */
#ifndef SIDECAR_REALTIME_BODY_H
#define SIDECAR_REALTIME_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "realtime_queue.h"

/* A growing buffer. Zero it before its first use; free data when done with it. */
struct body
{
	char *data;
	size_t len, size;
};

/*
 * Brings events of one topic together, in the order they have, topics in the order they first occur: for each
 * private topic of a batch Realtime asks its database anew.
 */
void body_group(struct event *events, int count);

/* Writes {"messages":[…]} over what the body was. */
void body_write(struct body *body, const struct event *events, int count, bool private);

#endif
