/*
 * A token bucket that keeps below a limit of events per second, and learns that the limit is lower than it
 * was said to be. Times are milliseconds of any clock that goes forward. No I/O.
 */
#ifndef SIDECAR_PACE_H
#define SIDECAR_PACE_H

#include <stdint.h>

struct pace
{
	double rate; /* events per second; 0: no limit */
	double burst;
	double share; /* of the rate that is used: less after it was too much */
	double tokens;
	uint64_t filled_at;
	uint64_t raised_at;
};

/* limit: events per second, 0: none; a tenth of it is left to others. */
void pace_init(struct pace *pace, int limit, int burst, uint64_t now);

/* How many of wanted events may go out now: as many as there are tokens for. */
int pace_allows(struct pace *pace, int wanted, uint64_t now);
void pace_spend(struct pace *pace, int events);

/* When so many events, at most a burst, may go out: in so many milliseconds. */
uint64_t pace_wait_ms(const struct pace *pace, int events);

/* It was too much. */
void pace_slow_down(struct pace *pace, uint64_t now);
/* It was accepted: comes back to the full rate in small steps. */
void pace_accepted(struct pace *pace, uint64_t now);

#endif
