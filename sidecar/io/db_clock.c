/*
 * See db_clock.h. An answer bounds how far the database's clock is ahead: what is known moves only as far as it must,
 * so that slow answers say little and do no harm.
 */
#include "io/db_clock.h"

#include <time.h>

static double
seconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

double
db_clock_local(void)
{
	return seconds(CLOCK_BOOTTIME);
}

void
db_clock_learn(struct db_clock *clock, double sent, double received, double said)
{
	double least = said - received, most = said - sent;

	if (!clock->known)
		clock->ahead = (least + most) / 2;
	else if (clock->ahead < least)
		clock->ahead = least;
	else if (clock->ahead > most)
		clock->ahead = most;
	clock->known = true;
}

double
db_clock_now(const struct db_clock *clock)
{
	return clock->known ? db_clock_local() + clock->ahead : seconds(CLOCK_REALTIME);
}

double
db_clock_skew(const struct db_clock *clock)
{
	return clock->known ? seconds(CLOCK_REALTIME) - db_clock_now(clock) : 0;
}
