/*
 * Building and sharing outgoing messages; see message.h.
 */
#include "endpoint/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct message *
message_create(bool binary)
{
	struct message *message = xcalloc(1, sizeof(*message));

	message->refs = 1;
	message->binary = binary;
	buffer_reserve(&message->frame, MESSAGE_HEADROOM + 224);
	message->frame.len = MESSAGE_HEADROOM;
	return message;
}

struct message *
message_share(struct message *message)
{
	message->refs++;
	return message;
}

void
message_release(struct message *message)
{
	if (--message->refs > 0)
		return;
	buffer_free(&message->frame);
	free(message);
}

void
message_bytes(struct message *message, const void *bytes, size_t len)
{
	buffer_bytes(&message->frame, bytes, len);
}

void
message_add(struct message *message, const char *text)
{
	message_bytes(message, text, strlen(text));
}

void
message_string(struct message *message, const char *text)
{
	buffer_json(&message->frame, text);
}

void
message_seal(struct message *message)
{
	size_t len = message_length(message);
	unsigned char *header;

	if (message->header != 0)
		return;
	message->header = len < 126 ? 2 : len < 65536 ? 4 : 10;
	header = (unsigned char *) message_wire(message);
	header[0] = message->binary ? 0x82 : 0x81;
	if (message->header == 2)
	{
		header[1] = (unsigned char) len;
		return;
	}
	header[1] = message->header == 4 ? 126 : 127;
	for (int i = message->header - 1; i > 1; i--, len >>= 8)
		header[i] = (unsigned char) len;
}
