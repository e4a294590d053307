/*
 * Looking for bytes that are rare in text, eight at a time. Plain C.
 */
#ifndef CHAT_WORDS_H
#define CHAT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHAT_WORD_BYTES sizeof(uint64_t)
#define CHAT_IN_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static inline uint64_t
chat_word(const char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* True when a byte is below the limit, which is at most 128: only there a byte's top bit comes from subtracting. */
static inline bool
chat_word_has_below(uint64_t word, unsigned char limit)
{
	return ((word - CHAT_IN_EACH_BYTE(limit)) & ~word & CHAT_IN_EACH_BYTE(0x80)) != 0;
}

static inline bool
chat_word_has(uint64_t word, unsigned char byte)
{
	return chat_word_has_below(word ^ CHAT_IN_EACH_BYTE(byte), 1);
}

#endif
