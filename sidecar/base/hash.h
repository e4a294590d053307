/*
 * FNV-1a, of 32 bits: for tables whose keys a stranger cannot choose at will, or whose chains are bounded. No I/O.
 */
#ifndef SIDECAR_HASH_H
#define SIDECAR_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_EMPTY 2166136261u

/* Goes on from a hash, HASH_EMPTY at first, with bytes. */
static inline uint32_t
hash_bytes(uint32_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) bytes[i]) * 16777619u;
	return hash;
}

static inline uint32_t
hash_text(uint32_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text));
}

#endif
