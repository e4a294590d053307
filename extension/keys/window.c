/*
 * Sliding windows; see window.h.
 */
#include "keys/window.h"

#include <string.h>

#define TICKS 60000 /* of a period; a gap holds a few more */
#define MOST_TICKS UINT16_MAX

/* How a limit is kept. */
typedef struct Measure
{
	uint64_t tick;       /* nanoseconds */
	uint32_t life;       /* ticks after which a call has certainly left */
	uint32_t group_size; /* calls */
} Measure;

static Measure
measure_of(const ChatLimit *limit)
{
	Measure m;

	m.tick = (limit->period + TICKS - 1) / TICKS;
	/* Both times are rounded down: one tick more. */
	m.life = (limit->period + m.tick - 1) / m.tick + 1;
	m.group_size = (limit->max_calls - 1) / WINDOW_GROUPS + 1;
	return m;
}

/* Forgets the groups that have left; age: ticks since the last call. */
static void
forget(ChatWindow *window, const Measure *m, uint32_t age)
{
	while (window->groups > 1 && age + window->span >= m->life)
	{
		window->oldest = (window->oldest + 1) % WINDOW_GROUPS;
		window->groups--;
		window->calls -= m->group_size;
		window->span -= window->gaps[window->oldest];
	}
}

/* Counts a call so many ticks after the last one. */
static void
add(ChatWindow *window, const Measure *m, uint32_t age)
{
	uint16_t *gap;
	uint32_t longer;

	if (window->groups == 0 || window->newest == m->group_size)
	{
		window->gaps[(window->oldest + window->groups) % WINDOW_GROUPS] = 0;
		window->groups++;
		window->newest = 0;
	}
	window->newest++;
	window->calls++;
	if (window->groups == 1)
		return;
	gap = &window->gaps[(window->oldest + window->groups - 1) % WINDOW_GROUPS];
	longer = age < (uint32_t) (MOST_TICKS - *gap) ? age : (uint32_t) (MOST_TICKS - *gap);
	*gap += longer;
	window->span += longer;
}

uint64_t
chat_window_take(ChatWindow *window, uint64_t *until, const ChatLimit *limit, uint64_t now)
{
	Measure m = measure_of(limit);
	uint64_t tick = now / m.tick;
	uint64_t last = tick;

	if (*until <= now)
		memset(window, 0, sizeof(*window));
	else
		last = *until / m.tick - m.life;
	if (tick < last)
		tick = last;
	forget(window, &m, tick - last);
	if (window->calls >= limit->max_calls)
		return (last + m.life - window->span) * m.tick - now;
	add(window, &m, tick - last);
	*until = (tick + m.life) * m.tick;
	return 0;
}
