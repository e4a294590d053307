/*
 * See realtime_size.h.
 */
#include "realtime/realtime_size.h"

static int
halved(const struct batch_size *size, bool accepted)
{
	int least = accepted ? SIZE_LEAST : 1;

	if (size->now <= least)
		return size->now;
	return size->now / 2 > least ? size->now / 2 : least;
}

void
batch_size_note(struct batch_size *size, int events, uint64_t ms, bool accepted)
{
	if (ms > SIZE_LATE_MS)
		size->now = halved(size, accepted);
	else if (accepted && events >= size->now && 2 * ms <= SIZE_LATE_MS)
		size->now = 2 * size->now < size->most ? 2 * size->now : size->most;
}
