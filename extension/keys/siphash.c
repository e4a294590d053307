/*
 * SipHash-2-4-128, after the paper of Aumasson and Bernstein; see siphash.h. Needs nothing of PostgreSQL.
 */
#include "keys/siphash.h"

typedef struct SipState
{
	uint64_t v0, v1, v2, v3;
} SipState;

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void
rounds(SipState *s, int count)
{
	while (count-- > 0)
	{
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

static inline void
absorb(SipState *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

/* Up to 7 bytes, the first one lowest. */
static inline uint64_t
little_endian(const unsigned char *bytes, size_t count)
{
	uint64_t word = 0;

	for (size_t i = 0; i < count; i++)
		word |= (uint64_t) bytes[i] << (8 * i);
	return word;
}

/* Eight of them, in one load where the machine is little endian: compilers know this form. */
static inline uint64_t
whole_word(const unsigned char *b)
{
	return (uint64_t) b[0] | (uint64_t) b[1] << 8 | (uint64_t) b[2] << 16 | (uint64_t) b[3] << 24 |
		   (uint64_t) b[4] << 32 | (uint64_t) b[5] << 40 | (uint64_t) b[6] << 48 |
		   (uint64_t) b[7] << 56;
}

static inline uint64_t
squeeze(SipState *s)
{
	rounds(s, 4);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

ChatHash
chat_siphash(const ChatHash *key, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	size_t whole = length & ~(size_t) 7;
	SipState s = {
		.v0 = key->low ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->high ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		.v2 = key->low ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->high ^ UINT64_C(0x7465646279746573),
	};
	ChatHash hash;

	for (size_t at = 0; at < whole; at += 8)
		absorb(&s, whole_word(bytes + at));
	absorb(&s, little_endian(bytes + whole, length - whole) | (uint64_t) length << 56);
	s.v2 ^= 0xee;
	hash.low = squeeze(&s);
	s.v1 ^= 0xdd;
	hash.high = squeeze(&s);
	return hash;
}
