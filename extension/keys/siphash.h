/*
 * SipHash-2-4 with 128 bits of output: a keyed hash whose collisions cannot be found without the key.
 */
#ifndef CHAT_SIPHASH_H
#define CHAT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct ChatHash
{
	uint64_t low;
	uint64_t high;
} ChatHash;

/* key: 16 random bytes, as two numbers. */
extern ChatHash chat_siphash(const ChatHash *key, const void *data, size_t length);

#endif
