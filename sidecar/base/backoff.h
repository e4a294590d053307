/*
 * When to try again: exponential back-off with jitter. No I/O but backoff_random.
 */
#ifndef SIDECAR_BACKOFF_H
#define SIDECAR_BACKOFF_H

#include <stdint.h>

struct backoff
{
	uint32_t min_ms;
	uint32_t max_ms;
	uint32_t failures; /* in a row */
};

/*
 * Counts a failure and returns how long to wait: min_ms doubled with each failure up to max_ms, of which the
 * half is left to chance (random: any 32 bits), so that those who failed together do not come back together.
 */
uint32_t backoff_next(struct backoff *backoff, uint32_t random);

/* It worked: the next failure waits shortly again. */
void backoff_reset(struct backoff *backoff);

/* 32 bits for the jitter. */
uint32_t backoff_random(void);

#endif
