/*
 * The database's clock as it can be told from here: ages are those of rows, so they are reckoned by the clock that
 * wrote them, however wrong the one of this machine is. No I/O but reading clocks.
 */
#ifndef SIDECAR_DB_CLOCK_H
#define SIDECAR_DB_CLOCK_H

#include <stdbool.h>

/* Seconds. */
struct db_clock
{
	bool known;
	double ahead; /* of the local clock */
};

/* Seconds of a local clock that nobody sets, and that goes on while the machine sleeps. */
double db_clock_local(void);

/* The database said what time it was, between these two moments of the local clock. */
void db_clock_learn(struct db_clock *clock, double sent, double received, double said);

/* Unix seconds; by this machine's clock while nothing is known. */
double db_clock_now(const struct db_clock *clock);

/* How far this machine's clock is ahead of the database's; 0 while nothing is known. */
double db_clock_skew(const struct db_clock *clock);

#endif
