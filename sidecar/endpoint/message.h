/*
 * An outgoing WebSocket message: built once, shared by all sockets that send it.
 */
#ifndef SIDECAR_MESSAGE_H
#define SIDECAR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Room in front of the text, where libwebsockets writes the frame's header. */
#define MESSAGE_HEADROOM 32

struct message
{
	int refs;
	bool binary;
	struct buffer frame; /* room for a header, then the message */
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

/* A new, empty message with one reference. */
struct message *message_create(bool binary);
struct message *message_share(struct message *message);
void message_release(struct message *message);

void message_bytes(struct message *message, const void *bytes, size_t len);
void message_add(struct message *message, const char *text);
/* Appends a text as a quoted JSON string. */
void message_string(struct message *message, const char *text);

#endif
