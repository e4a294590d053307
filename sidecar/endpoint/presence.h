/*
 * Presence on the endpoint: track and untrack, what the others are told of it, and what may not grow.
 *
 * States belong to topics and live while somebody tracks there, whether or not anybody listens; a subscription has one meta
 * at most. Those of other endpoints' clients (relay.h) are there as well. Who may read a private channel may track there, but on inboxes, where nobody is.
 */
#ifndef SIDECAR_PRESENCE_H
#define SIDECAR_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_pace.h"
#include "base/table.h"
#include "endpoint/frame.h"
#include "endpoint/json_scan.h"
#include "endpoint/presence_wire.h"

#define PRESENCE_MAX_KEY 255              /* bytes */
#define PRESENCE_MAX_PAYLOAD (16 * 1024)  /* bytes of what a client tracks */
#define PRESENCE_MOST_HERE 1000           /* metas of a channel */
#define PRESENCE_MOST_BYTES (1024 * 1024) /* of them */
#define PRESENCE_MOST 50000               /* metas of all channels */
#define PRESENCE_MOST_MEMORY (32 << 20)   /* bytes of them */
#define PRESENCE_CALLS 5                  /* of a subscription, in PRESENCE_WINDOW_MS */
#define PRESENCE_WINDOW_MS 30000

struct embedded;
struct metric;
struct metrics;
struct presence_member;
struct subscription;

struct presences
{
	struct table states; /* by channel_key */
	size_t count;        /* metas of all */
	size_t bytes;
	uint64_t last_number; /* that a presence of this endpoint got */
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
/* When no subscription is left, and the relay is gone. */
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

/* Whether a subscription is told of differences, and whether it asked for that by tracking alone: its frames carry its join_ref then. */
bool presence_hears(const struct subscription *subscription);
bool presence_hears_late(const struct subscription *subscription);
/* An event of a channel, with join_ref or, for all of its subscribers, without (NULL). */
struct message *presence_print_event(enum serializer serializer, const char *join_ref,
									 const char *topic, const char *event, const char *payload);

/* Visits what this endpoint's own clients track. A number is of one presence, for as long as it is there. */
typedef void (*presence_visit)(void *arg, uint64_t number, const struct shared_presence *presence);
void presence_each(const struct embedded *embedded, presence_visit visit, void *arg);

/* presence_events.c: users who come to a conversation and go, for backends. */
struct present;
/* One more of a user's tabs tracks on a topic, at whatever endpoint; NULL: there is nobody to be named, or no conversation. */
struct present *
present_join(struct embedded *embedded, const char *topic, const char *user, bool tells);
/* tells: otherwise it is only noted, since it is told by who knows more. */
void present_leave(struct embedded *embedded, struct present *present, bool tells);
void presents_clear(struct presences *presences);

#endif
