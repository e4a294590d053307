/*
 * When Realtime counts as failing, and when as recovered. Time is the test's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/realtime/realtime_health.h"
#include "require.h"

#define LEAST_MS 120000

static struct realtime_health health;
static uint64_t now;

static void
begin(void)
{
	now = 3600000;
	realtime_health_init(&health, LEAST_MS, now);
}

/* So many requests, one each so many milliseconds. */
static void
work(int count, int every_ms)
{
	for (int i = 0; i < count; i++)
	{
		now += every_ms;
		realtime_health_accepted(&health, now);
		realtime_health_worked(&health);
		(void) realtime_health_now(&health, now);
	}
}

static void
fail(int count, int every_ms)
{
	for (int i = 0; i < count; i++)
	{
		now += every_ms;
		realtime_health_failed(&health, now);
	}
}

static bool
fails(void)
{
	return realtime_health_now(&health, now) == REALTIME_FAILS;
}

static void
test_in_row(void)
{
	begin();
	require("health: without news it does not fail", !fails());
	fail(4, 1000);
	require("health: four failures in a row are not enough", !fails());
	work(1, 1000);
	require("health: one success between them", !fails());
	begin();
	fail(5, 600000);
	require("health: five in a row, however slowly they come", fails());
	/* What was accepted and is not known to have gone through is no success. */
	begin();
	for (int i = 0; i < 5; i++)
	{
		now += 20000;
		realtime_health_accepted(&health, now);
		realtime_health_failed(&health, now);
	}
	require("health: accepted and lost, five times", fails());
}

static void
test_of_a_minute(void)
{
	bool failed = false;

	begin();
	for (int i = 0; i < 4; i++)
	{
		fail(1, 1);
		work(10, 100);
	}
	require("health: four of a minute's requests may fail", !fails());
	fail(1, 1);
	work(1, 1);
	require("health: five, one in a hundred or more", fails());
	begin();
	for (int i = 0; i < 8; i++)
	{
		work(1000, 5);
		fail(1, 1);
	}
	require("health: fewer than one in a hundred", !fails());
	begin();
	for (int i = 0; i < 100; i++)
	{
		work(1, 14000);
		fail(1, 2000);
		failed = failed || fails();
	}
	require("health: what is older than a minute does not count", !failed);
	now += 10ULL * 3600000;
	require("health: nor what was before a long pause", !fails());
}

static void
test_recovery(void)
{
	bool failed = true;

	begin();
	fail(5, 1000);
	require("health: it fails", fails());
	work(100, 1000);
	require("health: it stays failed for the least time", fails());
	work(30, 1000);
	require("health: then it has recovered", !fails());
	fail(4, 10);
	require("health: failures of before do not count again", !fails());
	fail(1, 10);
	require("health: new ones do", fails());
	/* Now and then it works. */
	for (int i = 0; i < 20; i++)
	{
		work(10, 5000);
		fail(1, 1);
		failed = failed && fails();
	}
	require("health: what fails once a minute does not recover", failed);
	now += LEAST_MS;
	require("health: without a success it does not, either", fails());
	work(1, 1);
	require("health: with one it does", !fails());
}

static void
test_unknown(void)
{
	begin();
	now += LEAST_MS;
	require("health: silence says nothing", realtime_health_now(&health, now) == REALTIME_UNKNOWN);
	work(1, 1);
	require("health: one success does, once the least time is over",
			realtime_health_now(&health, now) == REALTIME_WORKS);
	begin();
	work(100, 1000);
	require("health: before that none", realtime_health_now(&health, now) == REALTIME_UNKNOWN);
}

int
main(void)
{
	test_in_row();
	test_of_a_minute();
	test_recovery();
	test_unknown();
	return 0;
}
