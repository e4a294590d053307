/*
 * How many events a batch has, by how long answers take. What a batch costs is for Realtime's database to say: some
 * milliseconds for each private topic in it, more where it is busy, and one that takes too long is given up and sent again
 * as it was. So a full batch that is answered soon enough for twice as many is followed by twice as many, and a late answer
 * halves. An answer that is late and good halves to a part only: where it is the way that is long, small batches would
 * take as long and carry nothing. No I/O.
 */
#ifndef SIDECAR_REALTIME_SIZE_H
#define SIDECAR_REALTIME_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_LATE_MS 1000
#define SIZE_FIRST 100
#define SIZE_LEAST 50 /* that late answers leave, if they are good */

struct batch_size
{
	int most, now; /* events */
};

/* One that does not change. */
static inline struct batch_size
batch_size_fixed(int most)
{
	return (struct batch_size){most, most};
}

/* One that begins small. */
static inline struct batch_size
batch_size_adapted(int most)
{
	return (struct batch_size){most, most < SIZE_FIRST ? most : SIZE_FIRST};
}

/* A batch of so many events was answered after so many milliseconds; accepted: and taken in. */
void batch_size_note(struct batch_size *size, int events, uint64_t ms, bool accepted);

#endif
