/*
 * An outgoing WebSocket message: built once, shared by all sockets that send it.
 */
#ifndef SIDECAR_MESSAGE_H
#define SIDECAR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Room in front of the text for the frame's header, of which a server's has at most 10 bytes. */
#define MESSAGE_HEADROOM 16

struct message
{
	int refs;
	bool binary;
	unsigned char header; /* its length, once the message is sealed; else 0 */
	struct buffer frame;  /* room for a header, then the message */
};

static inline const char *
message_text(const struct message *message)
{
	return message->frame.data + MESSAGE_HEADROOM;
}

static inline size_t
message_length(const struct message *message)
{
	return message->frame.len - MESSAGE_HEADROOM;
}

/* The frame as it goes out (RFC 6455, 5.2: one piece, not masked), once the message is sealed. */
static inline const char *
message_wire(const struct message *message)
{
	return message_text(message) - message->header;
}

static inline size_t
message_wire_length(const struct message *message)
{
	return message_length(message) + message->header;
}

/* Writes the frame's header in front of the text, to which nothing may be added then. */
void message_seal(struct message *message);

/* A new, empty message with one reference. */
struct message *message_create(bool binary);
struct message *message_share(struct message *message);
void message_release(struct message *message);

void message_bytes(struct message *message, const void *bytes, size_t len);
void message_add(struct message *message, const char *text);
/* Appends a text as a quoted JSON string. */
void message_string(struct message *message, const char *text);

#endif
