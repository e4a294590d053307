/*
 * Sliding windows against a log of every call: no period ever has more calls than the limit, a call is refused only where
 * the log says so (but for the rounding that window.h tells), and who waits as long as told passes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/keys/window.c"
#include "require.h"

#define CALLS 20000
#define ROUNDS 400
#define MS 1000000ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)

static uint64_t state = 88172645463325252u;
static uint64_t passed[2 * CALLS]; /* when each call passed */
static size_t count;

static uint64_t
next_random(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* Calls of the log that are younger than so many nanoseconds. */
static size_t
younger(uint64_t now, uint64_t age)
{
	size_t found = 0;

	while (found < count && now - passed[count - 1 - found] < age)
		found++;
	return found;
}

/* What a call would be told, of a copy. */
static uint64_t
wait_of(ChatWindow window, uint64_t until, const ChatLimit *limit, uint64_t now)
{
	return chat_window_take(&window, &until, limit, now);
}

/* One call; false: it broke a promise. */
static int
call(ChatWindow *window, uint64_t *until, const ChatLimit *limit, uint64_t now)
{
	Measure m = measure_of(limit);
	ChatWindow before = *window;
	uint64_t until_before = *until;
	uint64_t wait = chat_window_take(window, until, limit, now);

	if (wait == 0)
	{
		passed[count++] = now;
		return younger(now, limit->period) <= limit->max_calls && *until >= now + limit->period &&
			   *until <= now + limit->period + 2 * m.tick && window->calls <= limit->max_calls;
	}
	if (younger(now, limit->period + 2 * m.tick) + m.group_size - 1 < limit->max_calls)
		return 0;
	return wait_of(before, until_before, limit, now + wait - 1) > 0 &&
		   wait_of(before, until_before, limit, now + wait) == 0;
}

/* Bursts, steady calls, pauses, in any mixture. */
static int
random_calls(void)
{
	static const uint64_t periods[] = {MS, 50 * MS, SECOND, MINUTE, 31 * 24 * 60 * MINUTE};
	ChatLimit limit = {1 + next_random(next_random(2) ? 60 : 2000), periods[next_random(5)]};
	ChatWindow window = {0};
	uint64_t until = 0;
	uint64_t now = 1 + next_random(MINUTE);
	int good = 1;

	count = 0;
	for (int i = 0; i < CALLS && good; i++)
	{
		good = call(&window, &until, &limit, now);
		switch (next_random(8))
		{
			case 0:
				now += next_random(limit.period * 2 / limit.max_calls + 1);
				break;
			case 1:
				now += next_random(200) == 0 ? next_random(3 * limit.period) : 1;
				break;
			case 2:
				now += limit.period / limit.max_calls;
				break;
			default:
				now += next_random(4) ? 0 : next_random(limit.period / limit.max_calls + 1);
		}
	}
	return good;
}

/* The most calls that passed within one period, when as many come as can: in one go, then every so often. */
static size_t
worst(uint32_t max_calls, uint64_t period, uint64_t every)
{
	ChatLimit limit = {max_calls, period};
	ChatWindow window = {0};
	uint64_t until = 0;
	size_t most = 0;

	count = 0;
	for (uint64_t now = 7 * SECOND; now < 7 * SECOND + 5 * period; now += every)
	{
		while (chat_window_take(&window, &until, &limit, now) == 0)
			passed[count++] = now;
		if (younger(now, period) > most)
			most = younger(now, period);
	}
	return most;
}

/* Of calls at a steady pace, how many pass. */
static size_t
steady(uint32_t max_calls, uint64_t period, uint64_t every, size_t calls)
{
	ChatLimit limit = {max_calls, period};
	ChatWindow window = {0};
	uint64_t until = 0;
	size_t let_through = 0;

	for (size_t i = 0; i < calls; i++)
		let_through += chat_window_take(&window, &until, &limit, SECOND + i * every) == 0;
	return let_through;
}

int
main(void)
{
	ChatLimit once = {1, SECOND};
	ChatWindow window = {0};
	uint64_t until = 0;
	int good = 1;

	for (int i = 0; i < ROUNDS && good; i++)
		good = random_calls();
	require("random calls, as the log of all of them says", good);
	require("10 a second: the worst second has 10", worst(10, SECOND, MS) == 10);
	require("60 a minute: the worst minute has 60", worst(60, MINUTE, 10 * MS) == 60);
	require("100 a minute: the worst minute has 100", worst(100, MINUTE, 10 * MS) == 100);
	require("5,000 a minute", worst(5000, MINUTE, SECOND) <= 5000);
	require("10 a second at that pace all pass",
			steady(10, SECOND, SECOND / 10 + SECOND / 1000, 1000) == 1000);
	require("99 a minute of 100 all pass", steady(100, MINUTE, MINUTE / 99 + MS, 1000) == 1000);
	require("98 per cent of any limit all pass",
			steady(5000, MINUTE, MINUTE / 4900 + 1, 20000) == 20000);
	require("the largest limit",
			steady(1000000000, MS, 1, 100000) == 100000); /* as if all of it came at once */
	require("a first call passes", chat_window_take(&window, &until, &once, 5 * SECOND) == 0);
	require("a clock that lags behind the last call waits no shorter",
			chat_window_take(&window, &until, &once, 4 * SECOND) >= 2 * SECOND);
	return 0;
}
