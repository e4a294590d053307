/*
 * See presence.h. Answers and texts are Realtime's.
 */
#include "endpoint/presence.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "endpoint/presence_channel.h"

#define NO_MAP "Presence track payload must be a map"
#define TOO_MANY_HERE "Too many presences"

struct presence_member
{
	bool hears; /* what others do */
	bool late;  /* only since it tracked itself: Realtime's frames carry its join_ref then */
	char *key;  /* NULL: made when it is needed */
	struct presence_meta *meta; /* NULL: it does not track */
	uint64_t number;            /* of it, for other endpoints */
	struct present *present;
	int calls; /* before window_ends, loop time */
	uint64_t window_ends;
};

void
presences_init(struct presences *presences)
{
	table_init(&presences->states);
	table_init(&presences->present);
}

void
presences_register(struct presences *presences, struct metrics *metrics)
{
	presences->tracked = metrics_gauge(metrics, "chat_realtime_embedded_presences", "",
									   "Presences that are tracked on the embedded endpoint.");
	presences->refused =
		metrics_counter(metrics, "chat_realtime_embedded_refused_presences_total", "",
						"Calls of presence that the embedded endpoint refused.");
}

static void
free_state(struct entry *entry)
{
	presence_state_clear((struct presence_state *) entry);
	free(entry);
}

void
presences_clear(struct presences *presences)
{
	table_clear(&presences->states, free_state);
	presents_clear(presences);
}

bool
presence_key_is_long(struct json config)
{
	char *key = json_text(json_member(config, "key"));
	bool is_long = key != NULL && strlen(key) > PRESENCE_MAX_KEY;

	free(key);
	return is_long;
}

struct presence_member *
presence_configured(struct json config)
{
	bool enabled = json_is_true(json_member(config, "enabled"));
	char *key = json_text(json_member(config, "key"));
	struct presence_member *member;

	if (key != NULL && *key == '\0')
	{
		free(key);
		key = NULL;
	}
	if (!enabled && key == NULL)
		return NULL;
	member = xcalloc(1, sizeof(*member));
	member->hears = enabled;
	member->key = key;
	return member;
}

/* A random one, as a text; malloc'ed. */
static char *
make_key(void)
{
	unsigned char b[16];

	(void) RAND_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
					 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
					 b[13], b[14], b[15]);
}

/* 16 characters; malloc'ed. */
static char *
make_ref(void)
{
	unsigned char bytes[12];

	(void) RAND_bytes(bytes, sizeof(bytes));
	return base64_encode_url(bytes, sizeof(bytes));
}

static struct presence_place
place_of(const struct subscription *subscription)
{
	return (struct presence_place){subscription->topic, subscription->is_private};
}

/* --- hearing ---------------------------------------------------------------------------------------- */

bool
presence_hears(const struct subscription *subscription)
{
	return subscription->presence != NULL && subscription->presence->hears;
}

bool
presence_hears_late(const struct subscription *subscription)
{
	return subscription->presence->late;
}

struct message *
presence_print_event(enum serializer serializer, const char *join_ref, const char *topic,
					 const char *event, const char *payload)
{
	char *full = xasprintf(TOPIC_PREFIX "%s", topic);
	struct message *message = frame_event(serializer, join_ref, NULL, full, event, payload);

	free(full);
	return message;
}

void
presence_welcome(struct subscription *subscription)
{
	struct socket *socket = subscription->socket;
	struct presence_place place = place_of(subscription);
	struct buffer state = {0};

	if (!presence_hears(subscription))
		return;
	presence_print_state(&state, presence_at(socket->embedded, &place));
	buffer_bytes(&state, "", 1);
	/* Who joins again and again has it printed each time. */
	if (!socket->trusted)
		flow_spend(&socket->flow, state.len, uv_now(socket->embedded->app->loop));
	socket_send(socket, presence_print_event(socket->serializer, subscription->join_ref,
											 subscription->topic, "presence_state", state.data));
	buffer_free(&state);
}

/* --- changing --------------------------------------------------------------------------------------- */

/* What other endpoints are told of a subscription that tracks. */
static struct shared_presence
as_shared(const struct subscription *subscription)
{
	const struct presence_member *member = subscription->presence;

	return (struct shared_presence){
		subscription->topic, subscription->is_private,     member->key,
		member->meta->ref,   subscription->token->jwt.sub, member->meta->members};
}

static void
remove_meta(struct embedded *embedded, struct subscription *subscription)
{
	struct presence_member *member = subscription->presence;
	struct presence_place place = place_of(subscription);

	presence_drop(embedded, &place, member->meta);
	member->meta = NULL;
	relay_presence(embedded->relay, member->number, NULL);
	if (member->present != NULL)
		present_leave(embedded, member->present, true);
	member->present = NULL;
}

/* Adds or changes the subscription's meta; takes over the members. */
static void
put_meta(struct subscription *subscription, char *members)
{
	struct presence_member *member = subscription->presence;
	struct embedded *embedded = subscription->socket->embedded;
	struct presence_place place = place_of(subscription);
	struct shared_presence shared;
	char *ref = make_ref();

	if (member->meta == NULL)
		member->number = ++embedded->presences.last_number;
	member->meta = presence_put(embedded, &place, member->meta, member->key, ref, members);
	free(ref);
	shared = as_shared(subscription);
	relay_presence(embedded->relay, member->number, &shared);
	if (member->present == NULL)
		member->present =
			present_join(embedded, subscription->topic, subscription->token->jwt.sub, true);
}

struct visit
{
	presence_visit visit;
	void *arg;
};

static void
visit_socket(void *arg, struct entry *entry)
{
	const struct visit *visit = arg;

	for (const struct subscription *s = ((struct socket *) entry)->subscriptions; s != NULL;
		 s = s->next_on_socket)
	{
		struct shared_presence shared;

		if (s->presence == NULL || s->presence->meta == NULL)
			continue;
		shared = as_shared(s);
		visit->visit(visit->arg, s->presence->number, &shared);
	}
}

void
presence_each(const struct embedded *embedded, presence_visit visit, void *arg)
{
	struct visit all = {visit, arg};

	table_each(&embedded->sockets, visit_socket, &all);
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* Who may read the channel may track there, but not on inboxes. */
static bool
may_track(const struct subscription *subscription)
{
	return access_is_service(&subscription->token->jwt) ||
		   strncmp(subscription->topic, "user:", strlen("user:")) != 0;
}

static void
answer_error(struct subscription *subscription, const struct frame *frame)
{
	struct socket *socket = subscription->socket;

	socket_send(socket, frame_reply(socket->serializer, frame, false, "{}"));
}

/* The answer comes before the difference. */
static void
track(struct subscription *subscription, const struct frame *frame, char *members)
{
	struct socket *socket = subscription->socket;
	struct presence_member *member = subscription->presence;
	struct presence_place place = place_of(subscription);

	if (member->meta != NULL && strcmp(member->meta->members, members) == 0)
	{
		reply_ok(socket, frame, "{}");
		free(members);
		return;
	}
	if (member->key == NULL)
		member->key = make_key();
	if (!presence_fits(socket->embedded, &place, member->meta, member->key, members))
	{
		presence_refused(socket->embedded, subscription->topic, TOO_MANY_HERE);
		reply_error(socket, frame, TOO_MANY_HERE, "");
		free(members);
		return;
	}
	if (!member->hears)
		member->hears = member->late = true;
	reply_ok(socket, frame, "{}");
	put_meta(subscription, members);
}

/* False: the subscription is gone. */
static bool
handle_track(struct subscription *subscription, const struct frame *frame)
{
	struct socket *socket = subscription->socket;
	struct json payload = json_member(frame->payload, "payload");
	char *members;

	if (payload.start == NULL)
		payload = (struct json){"{}", 2};
	if (!may_track(subscription))
	{
		presence_refused(socket->embedded, subscription->topic, "unauthorized");
		answer_error(subscription, frame);
	}
	else if (json_type(payload) != '{')
		reply_error(socket, frame, NO_MAP, "");
	else if (payload.len > PRESENCE_MAX_PAYLOAD)
	{
		presence_refused(socket->embedded, subscription->topic, "size");
		subscription_fail(subscription, "Track message size exceeded", "");
		return false;
	}
	else
	{
		members = presence_members(payload);
		track(subscription, frame, members);
	}
	return true;
}

static void
handle_untrack(struct subscription *subscription, const struct frame *frame)
{
	struct socket *socket = subscription->socket;

	reply_ok(socket, frame, "{}");
	if (subscription->presence->meta != NULL)
		remove_meta(socket->embedded, subscription);
}

/* Counts a call; false: it is one too many of this subscription, or of its user. */
static bool
within_limits(struct subscription *subscription, const char **why)
{
	struct presence_member *member = subscription->presence;
	struct embedded *embedded = subscription->socket->embedded;
	uint64_t now = uv_now(embedded->app->loop);
	char alone[ALONE_TEXT];

	if (now >= member->window_ends)
	{
		member->calls = 0;
		member->window_ends = now + PRESENCE_WINDOW_MS;
	}
	*why = "Client presence rate limit exceeded";
	if (++member->calls > PRESENCE_CALLS)
		return false;
	*why = "Too many presence messages per second";
	return rates_presence(&embedded->rates, subscription_user(subscription, alone), now);
}

void
presence_handle(struct subscription *subscription, const struct frame *frame)
{
	struct embedded *embedded = subscription->socket->embedded;
	char *event = json_text(json_member(frame->payload, "event"));
	const char *why;
	bool within, there = true;

	if (subscription->presence == NULL)
		subscription->presence = xcalloc(1, sizeof(*subscription->presence));
	within = within_limits(subscription, &why);
	if (event == NULL)
		reply_ok(subscription->socket, frame, "{}");
	else if (strcasecmp(event, "track") == 0)
		there = handle_track(subscription, frame);
	else if (strcasecmp(event, "untrack") == 0)
		handle_untrack(subscription, frame);
	else
		answer_error(subscription, frame);
	free(event);
	if (within || !there)
		return;
	/* It is answered and done, as by Realtime, and is the last one. */
	presence_refused(embedded, subscription->topic, why);
	subscription_fail(subscription, why, "");
}

void
presence_forget(struct embedded *embedded, struct subscription *subscription)
{
	struct presence_member *member = subscription->presence;

	if (member == NULL)
		return;
	if (member->meta != NULL)
		remove_meta(embedded, subscription);
	free(member->key);
	free(member);
	subscription->presence = NULL;
}
