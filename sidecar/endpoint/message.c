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
