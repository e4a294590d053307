/*
 * FNV-1a, of 32 bits: for tables whose keys a stranger cannot choose at will, or whose chains are bounded. No I/O.
 */
#ifndef SIDECAR_HASH_H
#define SIDECAR_HASH_H

#include <stdint.h>

#define HASH_EMPTY 2166136261u

/* Goes on from a hash, HASH_EMPTY at first, with the bytes of a text. */
static inline uint32_t
hash_text(uint32_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char) *text) * 16777619u;
	return hash;
}

#endif
