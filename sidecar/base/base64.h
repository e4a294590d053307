/*
 * Base64 (RFC 4648), with the standard alphabet or the one of URLs. No I/O.
 */
#ifndef SIDECAR_BASE64_H
#define SIDECAR_BASE64_H

#include <stddef.h>
#include <sys/types.h>

enum base64_alphabet
{
	BASE64_STANDARD,
	BASE64_URL
};

/* Most bytes that so many characters stand for. */
#define BASE64_DECODED_SIZE(len) ((len) / 4 * 3 + 3)

/*
 * Decodes len characters, with or without padding, into at most size bytes. Answers how many; -1: it is no such text, or
 * stands for more.
 */
ssize_t base64_decode(unsigned char *out, size_t size, const char *text, size_t len,
					  enum base64_alphabet alphabet);

/* In the alphabet of URLs, without padding, with a NUL behind it; malloc'ed. */
char *base64_encode_url(const unsigned char *data, size_t len);

#endif
