/*
 * See realtime_health.h.
 */
#include "realtime/realtime_health.h"

#include <string.h>

#define STEP_MS 5000
#define IN_ROW 5
#define OF_A_MINUTE 5
#define ONE_IN 100

void
realtime_health_init(struct realtime_health *health, uint64_t least_ms, uint64_t now)
{
	*health = (struct realtime_health){
		.least_ms = least_ms, .failed_at = now, .since = now, .step = now / STEP_MS};
}

/* Forgets the steps that are over for longer than a minute. */
static void
advance(struct realtime_health *health, uint64_t now)
{
	uint64_t step = now / STEP_MS;

	if (step - health->step >= HEALTH_STEPS)
		memset(health->steps, 0, sizeof(health->steps));
	else
	{
		for (uint64_t over = health->step + 1; over <= step; over++)
			memset(&health->steps[over % HEALTH_STEPS], 0, sizeof(health->steps[0]));
	}
	health->step = step;
}

void
realtime_health_accepted(struct realtime_health *health, uint64_t now)
{
	advance(health, now);
	health->steps[health->step % HEALTH_STEPS].requests++;
}

void
realtime_health_worked(struct realtime_health *health)
{
	health->worked = true;
	health->in_row = 0;
}

void
realtime_health_failed(struct realtime_health *health, uint64_t now)
{
	advance(health, now);
	health->steps[health->step % HEALTH_STEPS].requests++;
	health->steps[health->step % HEALTH_STEPS].failures++;
	health->in_row++;
	health->worked = false;
	health->failed_at = now;
}

static bool
too_many(const struct realtime_health *health)
{
	uint64_t requests = 0, failures = 0;

	for (int i = 0; i < HEALTH_STEPS; i++)
	{
		requests += health->steps[i].requests;
		failures += health->steps[i].failures;
	}
	return failures >= OF_A_MINUTE && failures * ONE_IN >= requests;
}

static bool
has_recovered(const struct realtime_health *health, uint64_t now)
{
	return health->worked && now - health->since >= health->least_ms &&
		   now - health->failed_at >= health->least_ms / 2;
}

enum realtime_state
realtime_health_now(struct realtime_health *health, uint64_t now)
{
	advance(health, now);
	if (health->state != REALTIME_FAILS && (health->in_row >= IN_ROW || too_many(health)))
	{
		health->state = REALTIME_FAILS;
		health->since = now;
	}
	else if (health->state != REALTIME_WORKS && has_recovered(health, now))
	{
		/* What it recovered from is no reason to fail again. */
		memset(health->steps, 0, sizeof(health->steps));
		health->state = REALTIME_WORKS;
	}
	return health->state;
}
