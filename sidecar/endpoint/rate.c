/*
 * See rate.h.
 */
#include "endpoint/rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define PERIOD_MS 1000

/* The times of the last calls that passed, the oldest at next. */
struct window
{
	struct entry entry; /* key: what is counted */
	struct window *idle;
	uint64_t latest;
	uint32_t most;
	uint32_t next;
	uint64_t until[]; /* when each is over; 0: there was none */
};

struct sweep
{
	uint64_t now;
	struct window *idle;
};

void
rates_init(struct rates *rates)
{
	table_init(&rates->windows);
}

static void
forget(struct entry *entry)
{
	free(entry);
}

void
rates_clear(struct rates *rates)
{
	table_clear(&rates->windows, forget);
}

static void
find_idle(void *arg, struct entry *entry)
{
	struct sweep *sweep = arg;
	struct window *window = (struct window *) entry;

	if (window->latest > sweep->now)
		return;
	window->idle = sweep->idle;
	sweep->idle = window;
}

void
rates_sweep(struct rates *rates, uint64_t now)
{
	struct sweep sweep = {now, NULL};

	table_each(&rates->windows, find_idle, &sweep);
	while (sweep.idle != NULL)
	{
		struct window *window = sweep.idle;

		sweep.idle = window->idle;
		table_remove(&rates->windows, &window->entry);
		free(window);
	}
}

static struct window *
find_or_make(struct rates *rates, const char *key, uint32_t most)
{
	struct window *window = (struct window *) table_find(&rates->windows, key);

	if (window != NULL)
		return window;
	window = xcalloc(1, sizeof(*window) + most * sizeof(window->until[0]));
	window->most = most;
	table_add(&rates->windows, &window->entry, key);
	return window;
}

static bool
take(struct rates *rates, const char *key, uint32_t most, uint64_t count, uint64_t now)
{
	struct window *window;

	if (count > most)
		return false;
	window = find_or_make(rates, key, most);
	/* The last of those that would be overwritten is over when all of them are. */
	if (count > 0 && window->until[(window->next + count - 1) % most] > now)
		return false;
	for (uint64_t i = 0; i < count; i++)
	{
		window->latest = window->until[window->next] = now + PERIOD_MS;
		window->next = (window->next + 1) % most;
	}
	return true;
}

/* Keys of different windows are never the same, whatever the user is called. */
static bool
take_of_user(struct rates *rates, const char *what, const char *user, uint32_t most, uint64_t count,
			 uint64_t now)
{
	char *key = xasprintf("%s %s", what, user);
	bool taken = take(rates, key, most, count, now);

	free(key);
	return taken;
}

bool
rates_messages(struct rates *rates, const char *user, uint64_t count, uint64_t now)
{
	return take_of_user(rates, "messages", user, RATE_MESSAGES, count, now);
}

bool
rates_typing(struct rates *rates, const char *user, const char *topic, bool typing, uint64_t now)
{
	/* The length says where the user ends: no two of them have the same key. */
	size_t size = strlen(user) + strlen(topic) + 32;
	char *key = xmalloc(size);
	bool taken;

	snprintf(key, size, "%zu typing %d %s %s", strlen(user), typing, user, topic);
	taken = take(rates, key, 1, 1, now);
	free(key);
	return taken;
}

bool
rates_presence(struct rates *rates, const char *user, uint64_t now)
{
	return take_of_user(rates, "presence", user, RATE_PRESENCE, 1, now);
}
