/*
 * The pace against a server that counts as Realtime does: each event once, and once more for each subscriber; the average
 * over a minute in twelve steps. It refuses a batch for which that has no room, and closes the channels of subscribers
 * where it passes the limit. An hour passes in no time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/base/pace.h"
#include "require.h"

#define STEPS 12
#define STEP_MS 5000

struct server
{
	int limit, subscribers;
	int counts[STEPS], steps;
	uint64_t ends; /* of the step */
	int counted;   /* in it */
	double average;
	int closed;
};

static void
end_step(struct server *server)
{
	int sum = 0, known = server->steps + 1 < STEPS ? server->steps + 1 : STEPS;

	server->counts[server->steps++ % STEPS] = server->counted;
	server->counted = 0;
	server->ends += STEP_MS;
	for (int i = 0; i < known; i++)
		sum += server->counts[i];
	server->average = (double) sum / known / (STEP_MS / 1000);
	server->closed += server->average > server->limit;
}

static bool
takes(struct server *server, int events, bool single)
{
	if (single ? server->average >= server->limit : server->average + events > server->limit)
		return false;
	server->counted += single ? 1 : events * (1 + server->subscribers);
	return true;
}

/* Events a second that are taken in an hour, as many as there is room for being written. */
static double
run(int limit, int subscribers, struct server *server)
{
	int batch = limit / 10, canary_ms = 250, taken = 0;
	uint64_t wait = 0, canary = 0, now;
	struct pace pace;

	*server = (struct server){.limit = limit, .subscribers = subscribers, .ends = STEP_MS};
	pace_init(&pace, limit, batch, 1);
	for (now = 1; now < 3600 * 1000; now += 5)
	{
		int events;

		if (now >= server->ends)
			end_step(server);
		if (now >= canary)
		{
			pace_spend(&pace, 1);
			if (!takes(server, 1, true))
				pace_slow_down(&pace, now);
			canary = now + (uint64_t) canary_ms;
		}
		if (now < wait)
			continue;
		events = pace_allows(&pace, batch, now);
		if (events < batch / 2 || events == 0)
			continue;
		if (takes(server, events, false))
		{
			pace_spend(&pace, events);
			pace_accepted(&pace, now);
			taken += events;
		}
		else
		{
			pace_slow_down(&pace, now);
			wait = now + 1000;
		}
	}
	return taken / 3600.0;
}

static void
check(int limit, int subscribers, double least, bool gentle)
{
	struct server server;
	double taken = run(limit, subscribers, &server);
	char name[160];

	snprintf(name, sizeof(name),
			 "limit %d, %d subscribers: %.1f events/s, at least %.0f, channels closed %d times",
			 limit, subscribers, taken, least, server.closed);
	require(name, taken >= least && (!gentle || server.closed == 0));
}

static void
check_tokens(void)
{
	struct pace pace;

	pace_init(&pace, 0, 10, 1);
	require("no limit", pace_allows(&pace, 500, 1) == 500 && pace_wait_ms(&pace, 500) == 0);
	pace_init(&pace, 90, 9, 1);
	require("a batch at first", pace_allows(&pace, 20, 1) == 9);
	pace_spend(&pace, 9);
	require("then nothing", pace_allows(&pace, 1, 1) == 0 && pace_wait_ms(&pace, 9) > 0);
	require("but later", pace_allows(&pace, 9, 1 + pace_wait_ms(&pace, 9)) == 9);
	pace_spend(&pace, 9);
	pace_give_back(&pace, 9);
	require("and at once where it was not taken in", pace_allows(&pace, 9, 400) == 9);
	pace_spend(&pace, 30);
	require("debts are paid first", pace_allows(&pace, 1, 500) == 0);
}

int
main(void)
{
	check_tokens();
	check(100, 0, 80, true);
	check(100, 1, 40, true);
	check(100, 2, 27, true);
	check(1000, 1, 400, true);
	/* How many there are nobody can know: what is left is the server's, not lost. */
	check(100, 9, 7, false);
	return 0;
}
