/*
 * A 202 of Realtime to a batch is no delivery: where its database is gone it takes batches in and drops them. One private
 * message alone is answered by what became of it. So it is sent as a canary behind what was accepted: where it goes
 * through, so did what went before it.
 *
 * One canary at a time is under way: at once when none was for a while, and each says something about all that was
 * accepted before it was sent.
 */
#ifndef SIDECAR_REALTIME_CANARY_H
#define SIDECAR_REALTIME_CANARY_H

#include "app.h"
#include "base/pace.h"
#include "io/http.h"
#include "realtime/realtime_target.h"

struct realtime_canary;

struct realtime_canary_handlers
{
	/* What was accepted up to this serial went through. */
	void (*confirmed)(void *arg, uint64_t serial);
	/* What was accepted did not go through. */
	void (*lost)(void *arg, const struct http_response *response);
	/* Too much was sent, this is no news of what was accepted. */
	void (*limited)(void *arg);
	/* It got no answer that says anything; another one is sent later. */
	void (*failed)(void *arg);
};

/* every_ms: between two of them, at least. What they cost is taken from pace. */
struct realtime_canary *
realtime_canary_create(struct app *app, struct http_pool *pool, struct realtime_target *target,
					   struct pace *pace, uint64_t every_ms,
					   const struct realtime_canary_handlers *handlers, void *arg);
/* Before the pool is destroyed; frees itself when its timer is closed. */
void realtime_canary_destroy(struct realtime_canary *canary);

/*
 * Something was accepted: answers the serial that will confirm it; 0: it needs none, for messages are public or it is not
 * Supabase Realtime, or one that cannot confirm.
 */
uint64_t realtime_canary_wanted(struct realtime_canary *canary);

/* Tries again at once, if the last one was refused or failed. */
void realtime_canary_again(struct realtime_canary *canary);

/* Why nothing may be sent: the key may not send private messages. NULL: it may, or nothing is known. Static. */
const char *realtime_canary_trouble(const struct realtime_canary *canary);
/* Whether this Realtime turned out to be one that cannot confirm. */
bool realtime_canary_is_deaf(const struct realtime_canary *canary);

#endif
