/*
 * What the files of the realtime sink share: realtime.c has its life and what others ask of it, realtime_send.c what goes
 * out when, realtime_judge.c what answers mean.
 */
#ifndef SIDECAR_REALTIME_INTERNAL_H
#define SIDECAR_REALTIME_INTERNAL_H

#include "base/backoff.h"
#include "base/pace.h"
#include "consumer/consumer.h"
#include "io/http.h"
#include "realtime/realtime_canary.h"
#include "realtime/realtime_check.h"
#include "realtime/realtime_lane.h"
#include "realtime/realtime_metrics.h"
#include "realtime/realtime_target.h"

#define LANES 2

struct realtime
{
	struct app *app;
	struct consumer *consumer;
	struct http_pool *pool;
	struct realtime_target *target;
	struct realtime_check *check; /* of the key */
	struct realtime_canary *canary;
	struct pace pace;
	struct lane lanes[LANES];
	int turn; /* the lane that is asked first */
	int most; /* events of a batch */
	struct backoff backoff, slow, losses;
	char trouble[512];
	uv_timer_t timer; /* nothing is sent while it runs */
	struct realtime_metrics metrics;
};

/* realtime_send.c */

/* Sends what there is to send, if nothing has to be waited for. */
void realtime_pump(struct realtime *realtime);
/* Sends nothing for so long. */
void realtime_wait(struct realtime *realtime, uint64_t ms);

/* realtime_judge.c */

/* Requests fail. */
bool realtime_is_troubled(const struct realtime *realtime);
/* What an answer means to the events of its request. */
void
realtime_judge(struct realtime *realtime, struct lane *lane, const struct http_response *response);
/* What the canary says. */
extern const struct realtime_canary_handlers realtime_canary_handlers;

#endif
