/*
 * What a WebSocket still has to be sent: a ring of shared messages, written many at a time. The same bytes go to every
 * subscriber, so they are written as they are, without a copy and without libwebsockets.
 *
 * A message that went out in part must be whole before anybody else writes to the socket: whoever may is given the rest of it.
 */
#ifndef SIDECAR_OUTBOX_H
#define SIDECAR_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoint/message.h"

/* All zero: empty, without memory. */
struct outbox
{
	struct message **ring;
	uint32_t first, end; /* count up for ever; first == end: empty */
	uint32_t size;       /* a power of two */
	size_t sent;         /* bytes of the first message that are out */
	size_t bytes;        /* in the ring, sent ones of the first message included */
};

enum outbox_state
{
	OUTBOX_EMPTY,
	OUTBOX_WAITS, /* the kernel takes no more now */
	OUTBOX_BROKEN /* the connection is gone */
};

/* Takes over one reference. The message is sealed by it: nothing is added to its text after that. */
void outbox_put(struct outbox *outbox, struct message *message);
/* Writes what the kernel takes. */
enum outbox_state outbox_write(struct outbox *outbox, int fd);
/* What is missing of a message that is out in part; NULL: none is. */
const char *outbox_rest(const struct outbox *outbox, size_t *len);
/* Somebody else has taken over the rest. */
void outbox_rest_taken(struct outbox *outbox);
/* Releases what is left, and the ring. */
void outbox_clear(struct outbox *outbox);

static inline bool
outbox_is_empty(const struct outbox *outbox)
{
	return outbox->first == outbox->end;
}

#endif
