/*
 * An outgoing WebSocket message: built once, shared by all sockets that send it.
 */
#ifndef SIDECAR_MESSAGE_H
#define SIDECAR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Room in front of the text, where libwebsockets writes the frame's header. */
#define MESSAGE_HEADROOM 32

struct message
{
	int refs;
	bool binary;
	size_t len;
	size_t size;
	unsigned char *data; /* the message starts at data + MESSAGE_HEADROOM */
};

/* A new, empty message with one reference. */
struct message *message_create(bool binary);
struct message *message_share(struct message *message);
void message_release(struct message *message);

void message_bytes(struct message *message, const void *bytes, size_t len);
void message_add(struct message *message, const char *text);
/* Appends a text as a quoted JSON string. */
void message_string(struct message *message, const char *text);

#endif
