/*
 * See canary_trips.h.
 */
#include "canary/canary_trips.h"

#include <string.h>

static struct canary_trip *
find(struct canary_trips *trips, uint64_t number)
{
	struct canary_trip *trip = &trips->trips[number % CANARY_TRIPS];

	return number != 0 && trip->number == number ? trip : NULL;
}

uint64_t
canary_trips_begin(struct canary_trips *trips, bool *missing)
{
	const struct canary_trip *before = find(trips, trips->last);

	*missing = before != NULL && before->arrived == 0;
	trips->missing_in_row += *missing;
	trips->last++;
	trips->trips[trips->last % CANARY_TRIPS] = (struct canary_trip){.number = trips->last};
	return trips->last;
}

void
canary_trips_forget(struct canary_trips *trips, uint64_t number)
{
	struct canary_trip *trip = find(trips, number);

	if (trip != NULL)
		trip->number = 0;
}

/* Clocks may be set, and what is known of the other one is not exact. */
static double
duration(const struct canary_trip *trip)
{
	if (trip->written == 0 || trip->arrived == 0)
		return -1;
	return trip->arrived > trip->written ? trip->arrived - trip->written : 0;
}

double
canary_trips_written(struct canary_trips *trips, uint64_t number, double at)
{
	struct canary_trip *trip = find(trips, number);

	if (trip == NULL)
		return -1;
	trip->written = at;
	return duration(trip);
}

double
canary_trips_arrived(struct canary_trips *trips, uint64_t number, double at)
{
	struct canary_trip *trip = find(trips, number);

	if (trip == NULL || trip->arrived != 0)
		return -1;
	trip->arrived = at;
	trips->missing_in_row = 0;
	return duration(trip);
}

void
canary_trips_clear(struct canary_trips *trips)
{
	memset(trips->trips, 0, sizeof(trips->trips));
	trips->missing_in_row = 0;
}
