/*
 * The database's clock from answers that take their time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../sidecar/io/db_clock.h"

static void
check(const char *name, double got, double wanted, double within)
{
	bool ok = fabs(got - wanted) <= within;

	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
	{
		printf("got %f, wanted %f\n", got, wanted);
		exit(1);
	}
}

int
main(void)
{
	struct db_clock clock = {0};

	check("nothing known: this machine's clock", db_clock_now(&clock), (double) time(NULL), 2);
	check("nothing known: no skew", db_clock_skew(&clock), 0, 0);
	db_clock_learn(&clock, 10, 12, 1011);
	check("the first answer: its middle", clock.ahead, 1000, 0);
	db_clock_learn(&clock, 20, 30, 1021);
	check("a slow answer that agrees changes nothing", clock.ahead, 1000, 0);
	db_clock_learn(&clock, 40, 40.2, 1040.9);
	check("a quick one that does not: as far as it must", clock.ahead, 1000.7, 1e-9);
	db_clock_learn(&clock, 50, 50.2, 1050.1);
	check("and back", clock.ahead, 1000.1, 1e-9);
	db_clock_learn(&clock, 60, 60.1, 86460);
	check("a clock that was set is believed", clock.ahead, 86399.9, 1e-9);
	clock.ahead = (double) time(NULL) - db_clock_local() - 3600;
	check("skew", db_clock_skew(&clock), 3600, 2);
	check("now", db_clock_now(&clock), (double) time(NULL) - 3600, 2);
	return 0;
}
