/*
 * A token bucket that keeps below a limit of events per second, and learns how much of it is its own: where each event
 * counts as many times as it has subscribers, a part of it. It begins with a part, adds to it slowly while nobody
 * complains and as much is wanted, and comes near the rate that was too much slower still. Times are milliseconds of
 * any clock that goes forward. No I/O.
 */
#ifndef SIDECAR_PACE_H
#define SIDECAR_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace
{
	double rate;     /* events per second; 0: no limit */
	double least;    /* tokens that the bucket has room for in any case */
	double share;    /* of the rate that is used */
	double too_much; /* share that was; 0: none is known */
	double tokens;
	bool limited; /* less than was wanted went out since the share was raised */
	uint64_t filled_at, raised_at, slowed_at;
};

/* limit: events per second, 0: none; a tenth of it is left to others. batch: events that go out together, at most. */
void pace_init(struct pace *pace, int limit, int batch, uint64_t now);

/* How many of wanted events may go out now: as many as there are tokens for. */
int pace_allows(struct pace *pace, int wanted, uint64_t now);
void pace_spend(struct pace *pace, int events);
/* Events that went out do not count: they were not taken in. */
void pace_give_back(struct pace *pace, int events);

/* When so many events, at most a batch, may go out: in so many milliseconds. */
uint64_t pace_wait_ms(const struct pace *pace, int events);

/* It was too much: a fifth less. What is heard within the time that the other side takes to count says nothing new. */
void pace_slow_down(struct pace *pace, uint64_t now);
/* It was accepted. */
void pace_accepted(struct pace *pace, uint64_t now);

#endif
