/*
 * Making a message's text inert where a client assigns it to innerHTML. Plain C: bytes in, bytes out.
 */
#ifndef CHAT_SANITIZE_H
#define CHAT_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

/* True when chat_sanitize would change nothing. */
extern bool chat_text_is_inert(const char *text, size_t length, bool utf8);
/*
 * Writes the inert form of in to out, which has room for length bytes and may be in itself; returns its length.
 * utf8: control characters of two bytes go, too. Other encodings must keep ASCII bytes to ASCII characters, as
 * all encodings of a PostgreSQL server do.
 */
extern size_t chat_sanitize(char *out, const char *in, size_t length, bool utf8);

#endif
