/*
 * Building and sharing outgoing messages; see message.h.
 */
#include "endpoint/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message *
message_create(bool binary)
{
	struct message *message = calloc(1, sizeof(*message));

	message->refs = 1;
	message->binary = binary;
	message->size = 256;
	message->data = malloc(MESSAGE_HEADROOM + message->size);
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
	free(message->data);
	free(message);
}

void
message_bytes(struct message *message, const void *bytes, size_t len)
{
	if (message->len + len > message->size)
	{
		message->size = (message->len + len) * 2;
		message->data = realloc(message->data, MESSAGE_HEADROOM + message->size);
	}
	if (len > 0)
		memcpy(message->data + MESSAGE_HEADROOM + message->len, bytes, len);
	message->len += len;
}

void
message_add(struct message *message, const char *text)
{
	message_bytes(message, text, strlen(text));
}

void
message_string(struct message *message, const char *text)
{
	char escape[8];

	message_add(message, "\"");
	for (;;)
	{
		size_t plain = 0;

		while ((unsigned char) text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
			plain++;
		message_bytes(message, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char) *text++);
		message_add(message, escape);
	}
	message_add(message, "\"");
}
