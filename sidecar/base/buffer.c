/*
 * See buffer.h.
 */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

char *
buffer_reserve(struct buffer *buffer, size_t more)
{
	if (buffer->len + more > buffer->size)
	{
		buffer->size = (buffer->len + more) * 2;
		buffer->data = xrealloc(buffer->data, buffer->size);
	}
	return buffer->data + buffer->len;
}

void
buffer_bytes(struct buffer *buffer, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	memcpy(buffer_reserve(buffer, len), bytes, len);
	buffer->len += len;
}

void
buffer_json(struct buffer *buffer, const char *text)
{
	char escape[8];

	buffer_bytes(buffer, "\"", 1);
	for (;;)
	{
		size_t plain = 0;

		while ((unsigned char) text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
			plain++;
		buffer_bytes(buffer, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char) *text++);
		buffer_bytes(buffer, escape, 6);
	}
	buffer_bytes(buffer, "\"", 1);
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

void
buffer_hex(struct buffer *buffer, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;
	char *to = buffer_reserve(buffer, 2 * len);

	for (size_t i = 0; i < len; i++)
	{
		to[2 * i] = digits[from[i] >> 4];
		to[2 * i + 1] = digits[from[i] & 15];
	}
	buffer->len += 2 * len;
}
