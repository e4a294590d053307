/*
 * How much a socket may send: 200 frames and 1 MB a second, of which what was not used of the last seconds may come at
 * once, up to 400 frames and one frame of the greatest length. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_FLOW_H
#define SIDECAR_ENDPOINT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_FRAMES 200 /* a second */
#define FLOW_FRAMES_AT_ONCE 400
#define FLOW_BYTES 1000000 /* a second */
#define FLOW_BYTES_AT_ONCE 5000000
#define FLOW_PATIENCE_MS 2000

/* All zero: nothing was sent yet. */
struct flow
{
	uint64_t at;                          /* milliseconds */
	int64_t frames;                       /* thousandths of what was used and has not come back */
	int64_t bytes;                        /* the same, of bytes */
	uint64_t too_much_since, too_much_at; /* 0: never */
};

/* Counts a frame; false: it is too much, and is not counted. now: milliseconds. */
bool flow_take(struct flow *flow, size_t bytes, uint64_t now);
/* Counts what it had others send to it, whether there is room or not: what comes next may be too much. */
void flow_spend(struct flow *flow, size_t bytes, uint64_t now);
/* One was too much: whether that goes on for FLOW_PATIENCE_MS already, without a pause of half of that. */
bool flow_is_stubborn(struct flow *flow, uint64_t now);

#endif
