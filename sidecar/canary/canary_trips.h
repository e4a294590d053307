/*
 * How long the canary's events are under way, and which are missing. An event has a number; one that is not there when the
 * next one is written is missing, and counts as such until one arrives. No I/O; times are seconds of the clock that wrote the
 * events.
 */
#ifndef SIDECAR_CANARY_TRIPS_H
#define SIDECAR_CANARY_TRIPS_H

#include <stdbool.h>
#include <stdint.h>

#define CANARY_TRIPS                                                                               \
	8 /* that are remembered; an event that comes later than so many others is not known any more */

struct canary_trip
{
	uint64_t number; /* 0: none */
	double written;  /* 0: not known yet */
	double arrived;  /* 0: it has not */
};

struct canary_trips
{
	struct canary_trip trips[CANARY_TRIPS];
	uint64_t last; /* number */
	uint32_t missing_in_row;
};

/* The number of a new event; *missing: whether the one before it is. */
uint64_t canary_trips_begin(struct canary_trips *trips, bool *missing);
/* It was not written: nothing will arrive. */
void canary_trips_forget(struct canary_trips *trips, uint64_t number);

/* It is known when it was written; it arrived. Seconds that it took, once both are known and the first time; else -1. */
double canary_trips_written(struct canary_trips *trips, uint64_t number, double at);
double canary_trips_arrived(struct canary_trips *trips, uint64_t number, double at);

/* Those under way are nobody's any more, and what is missing is forgotten. Numbers go on. */
void canary_trips_clear(struct canary_trips *trips);

#endif
