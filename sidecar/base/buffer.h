/*
 * Bytes that grow. All zero: empty; freed with buffer_free. No I/O.
 */
#ifndef SIDECAR_BUFFER_H
#define SIDECAR_BUFFER_H

#include <stddef.h>
#include <string.h>

struct buffer
{
	char *data;
	size_t len;
	size_t size;
};

/* Makes room for so many more bytes; answers where they go. What is written there counts when len says so. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_bytes(struct buffer *buffer, const void *bytes, size_t len);

static inline void
buffer_text(struct buffer *buffer, const char *text)
{
	buffer_bytes(buffer, text, strlen(text));
}

/* A text as a JSON string, quotes included. The text is well-formed UTF-8. */
void buffer_json(struct buffer *buffer, const char *text);
/* Bytes as hexadecimal digits. */
void buffer_hex(struct buffer *buffer, const void *bytes, size_t len);
void buffer_free(struct buffer *buffer);

#endif
