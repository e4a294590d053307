/*
 * Presence on the endpoint: track and untrack, what the others are told of it, and what may not grow.
 *
 * States belong to topics and live while somebody tracks there, whether or not anybody listens; a subscription has one meta
 * at most. Who may read a private channel may track there, but on inboxes, where nobody is.
 */
#ifndef SIDECAR_PRESENCE_H
#define SIDECAR_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_pace.h"
#include "base/table.h"
#include "endpoint/json_scan.h"

#define PRESENCE_MAX_KEY 255              /* bytes */
#define PRESENCE_MAX_PAYLOAD (16 * 1024)  /* bytes of what a client tracks */
#define PRESENCE_MOST_HERE 1000           /* metas of a channel */
#define PRESENCE_MOST_BYTES (1024 * 1024) /* of them */
#define PRESENCE_MOST 50000               /* metas of all channels */
#define PRESENCE_MOST_MEMORY (32 << 20)   /* bytes of them */
#define PRESENCE_CALLS 5                  /* of a subscription, in PRESENCE_WINDOW_MS */
#define PRESENCE_WINDOW_MS 30000

struct embedded;
struct frame;
struct metric;
struct metrics;
struct presence_member;
struct subscription;

struct presences
{
	struct table states; /* by channel_key */
	size_t count;        /* metas of all */
	size_t bytes;
	struct log_pace refusals;
	struct metric *tracked;
	struct metric *refused;
	struct table present; /* users that are at a conversation, for presence_events.c */
	int telling;          /* of them that wait for the database */
	uint64_t silent_till; /* loop time: the database does not want to know */
	struct log_pace untold;
};

void presences_init(struct presences *presences);
void presences_register(struct presences *presences, struct metrics *metrics);
/* When no subscription is left. */
void presences_clear(struct presences *presences);

/* Whether a join's config.presence has a key that is too long. */
bool presence_key_is_long(struct json config);
/* What a subscription is to presence by its join's config.presence; NULL: nothing (yet). */
struct presence_member *presence_configured(struct json config);
/* Tells a new subscription who is there, if it asked for that. */
void presence_welcome(struct subscription *subscription);
/* Answers a frame of event presence; the subscription may be gone then. */
void presence_handle(struct subscription *subscription, const struct frame *frame);
/* The subscription is on no channel any more: tells the others that it left, and frees what it was to presence. */
void presence_forget(struct embedded *embedded, struct subscription *subscription);

/* presence_events.c: users who come to a conversation and go, for backends. */
struct present;
/* One more of a user's tabs tracks on a topic; NULL: there is nobody to be named, or no conversation. */
struct present *present_join(struct embedded *embedded, const char *topic, const char *user);
void present_leave(struct embedded *embedded, struct present *present);

#endif
