/*
 * What the files of the realtime sink share: realtime.c has its life and what others ask of it, realtime_send.c what goes
 * out when, realtime_judge.c what verdicts mean.
 */
#ifndef SIDECAR_REALTIME_INTERNAL_H
#define SIDECAR_REALTIME_INTERNAL_H

#include "base/backoff.h"
#include "base/pace.h"
#include "consumer/consumer.h"
#include "realtime/realtime_fallback.h"
#include "realtime/realtime_lane.h"
#include "realtime/realtime_metrics.h"
#include "realtime/realtime_transport.h"

#define LANES 2

struct realtime
{
	struct app *app;
	struct consumer *consumer;
	const struct transport *transport;
	void *transport_arg;
	struct realtime_fallback *fallback;
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
/* A batch was answered. */
void realtime_answered(void *arg, void *batch, const struct verdict *verdict);
/* Sends nothing for so long. */
void realtime_wait(struct realtime *realtime, uint64_t ms);

/* realtime_judge.c */

/* Requests fail. */
bool realtime_is_troubled(const struct realtime *realtime);
/* What a verdict means to the events of its request. */
void realtime_judge(struct realtime *realtime, struct lane *lane, const struct verdict *verdict);
/* What was accepted went through, or did not. */
void realtime_confirmed(void *arg, uint64_t serial);
void realtime_lost(void *arg, const struct verdict *why);
void realtime_limited(void *arg);
void realtime_unconfirmed(void *arg);

#endif
