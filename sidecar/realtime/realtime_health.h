/*
 * Whether Realtime fails, so that users who are on it alone are better served another way, and whether it has recovered.
 * No I/O; times are milliseconds of any clock that goes forward.
 *
 * It fails after five failures in a row, or where five and one in a hundred of a minute's requests did. It has recovered when it
 * has failed for the least time, when there was no failure for the half of that, and when something went through since: what
 * fails now and then stays failed, and users are not sent back and forth.
 */
#ifndef SIDECAR_REALTIME_HEALTH_H
#define SIDECAR_REALTIME_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_STEPS 12 /* of a minute */

enum realtime_state
{
	REALTIME_UNKNOWN, /* whoever looked before may have said either */
	REALTIME_WORKS,
	REALTIME_FAILS
};

struct realtime_health
{
	uint64_t least_ms; /* that it stays failed */
	enum realtime_state state;
	bool worked;     /* since the last failure */
	uint32_t in_row; /* failures */
	uint64_t failed_at, since;
	uint64_t step; /* the present one, of those since 0 */
	struct
	{
		uint32_t requests, failures;
	} steps[HEALTH_STEPS];
};

/* Nothing is known yet: that it works becomes known as a recovery does. */
void realtime_health_init(struct realtime_health *health, uint64_t least_ms, uint64_t now);

/* A request was accepted. */
void realtime_health_accepted(struct realtime_health *health, uint64_t now);
/* What was accepted went through. */
void realtime_health_worked(struct realtime_health *health);
/* A request failed, or what was accepted was lost, or nothing may be sent. */
void realtime_health_failed(struct realtime_health *health, uint64_t now);

/* As of now; to be asked every second or so. */
enum realtime_state realtime_health_now(struct realtime_health *health, uint64_t now);

#endif
