/*
 * For lines that a stranger can cause: one a minute, which says how many times it happened.
 */
#ifndef SIDECAR_LOG_PACE_H
#define SIDECAR_LOG_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_PACE_MS 60000

struct log_pace
{
	uint64_t since; /* loop time of the last line */
	int untold;
	bool begun;
};

/* Notes one more time. 0: no line now; else how many times a line tells of. */
static inline int
log_pace_due(struct log_pace *pace, uint64_t now)
{
	int times = ++pace->untold;

	if (pace->begun && now - pace->since < LOG_PACE_MS)
		return 0;
	pace->begun = true;
	pace->since = now;
	pace->untold = 0;
	return times;
}

#endif
