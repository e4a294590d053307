/*
 * See presence.h. Answers and texts are Realtime's.
 */
#include "endpoint/presence.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "endpoint/presence_state.h"

#define NO_MAP "Presence track payload must be a map"
#define TOO_MANY_HERE "Too many presences"

struct presence_member
{
	bool hears; /* what others do */
	bool late;  /* only since it tracked itself: Realtime's frames carry its join_ref then */
	char *key;  /* NULL: made when it is needed */
	struct presence_meta *meta; /* NULL: it does not track */
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
free_entry(struct entry *entry)
{
	free(entry);
}

void
presences_clear(struct presences *presences)
{
	table_clear(&presences->states, free_entry);
	table_clear(&presences->present, free_entry);
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

static struct presence_state *
find_state(struct embedded *embedded, const struct subscription *subscription)
{
	char key[CHANNEL_KEY];

	return channel_key(key, subscription->topic, subscription->is_private)
			   ? (struct presence_state *) table_find(&embedded->presences.states, key)
			   : NULL;
}

static struct presence_state *
find_or_make_state(struct embedded *embedded, const struct subscription *subscription)
{
	struct presence_state *state = find_state(embedded, subscription);
	char key[CHANNEL_KEY];

	if (state != NULL)
		return state;
	if (!channel_key(key, subscription->topic, subscription->is_private))
		abort(); /* join.c refuses those */
	state = xmalloc(sizeof(*state));
	presence_state_init(state);
	table_add(&embedded->presences.states, &state->entry, key);
	return state;
}

/* Counts what a state has become, and forgets one that is empty. */
static void
account(struct embedded *embedded, struct presence_state *state, size_t count, size_t bytes)
{
	struct presences *presences = &embedded->presences;

	presences->count += state->count - count;
	presences->bytes += state->bytes - bytes;
	metric_set(presences->tracked, (double) presences->count);
	if (state->count > 0)
		return;
	table_remove(&presences->states, &state->entry);
	presence_state_clear(state);
	free(state);
}

/* --- telling ---------------------------------------------------------------------------------------- */

/* An event of the channel, with join_ref or, for all of its subscribers, without. */
static struct message *
print_event(enum serializer serializer, const char *join_ref, const char *topic, const char *event,
			const char *payload)
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
	struct buffer state = {0};

	if (subscription->presence == NULL || !subscription->presence->hears)
		return;
	presence_print_state(&state, find_state(socket->embedded, subscription));
	buffer_bytes(&state, "", 1);
	socket_send(socket, print_event(socket->serializer, subscription->join_ref, subscription->topic,
									"presence_state", state.data));
	buffer_free(&state);
}

/* Sends a difference to all who hear of presence on the subscription's topic. */
static void
send_difference(struct embedded *embedded, const struct subscription *of, const char *payload)
{
	struct channel *channel = channel_find(embedded, of->topic, of->is_private);
	struct message *shared[SERIALIZERS] = {NULL};

	for (struct subscription *s = channel ? channel->first : NULL; s != NULL;
		 s = s->next_on_channel)
	{
		enum serializer serializer = s->socket->serializer;

		if (s->presence == NULL || !s->presence->hears)
			continue;
		if (s->presence->late)
		{
			socket_send(s->socket,
						print_event(serializer, s->join_ref, s->topic, "presence_diff", payload));
			continue;
		}
		if (shared[serializer] == NULL)
			shared[serializer] = print_event(serializer, NULL, s->topic, "presence_diff", payload);
		socket_send(s->socket, message_share(shared[serializer]));
	}
	for (int i = 0; i < SERIALIZERS; i++)
	{
		if (shared[i] != NULL)
			message_release(shared[i]);
	}
}

/* joins and leaves are as presence_print_meta prints them. */
static void
tell(struct embedded *embedded, const struct subscription *of, const struct buffer *joins,
	 const struct buffer *leaves)
{
	struct buffer payload = {0};

	buffer_text(&payload, "{\"joins\":");
	buffer_bytes(&payload, joins->data, joins->len);
	buffer_text(&payload, ",\"leaves\":");
	buffer_bytes(&payload, leaves->data, leaves->len);
	buffer_bytes(&payload, "}", 2);
	send_difference(embedded, of, payload.data);
	buffer_free(&payload);
}

/* --- changing --------------------------------------------------------------------------------------- */

static void
remove_meta(struct embedded *embedded, struct subscription *subscription)
{
	struct presence_member *member = subscription->presence;
	struct presence_state *state = find_state(embedded, subscription);
	size_t count = state->count, bytes = state->bytes;
	struct buffer joins = {0}, leaves = {0};

	presence_print_meta(&joins, NULL);
	presence_print_meta(&leaves, member->meta);
	presence_remove(state, member->meta);
	member->meta = NULL;
	account(embedded, state, count, bytes);
	tell(embedded, subscription, &joins, &leaves);
	buffer_free(&joins);
	buffer_free(&leaves);
	if (member->present != NULL)
		present_leave(embedded, member->present);
	member->present = NULL;
}

/* Adds or changes the subscription's meta; takes over the members. */
static void
put_meta(struct subscription *subscription, char *members)
{
	struct presence_member *member = subscription->presence;
	struct embedded *embedded = subscription->socket->embedded;
	struct presence_state *state = find_or_make_state(embedded, subscription);
	size_t count = state->count, bytes = state->bytes;
	struct buffer joins = {0}, leaves = {0};
	char *ref = make_ref();

	presence_print_meta(&leaves, member->meta);
	if (member->meta == NULL)
		member->meta = presence_add(state, member->key, ref, members);
	else
		presence_change(state, member->meta, ref, members);
	presence_print_meta(&joins, member->meta);
	free(ref);
	account(embedded, state, count, bytes);
	tell(embedded, subscription, &joins, &leaves);
	buffer_free(&joins);
	buffer_free(&leaves);
	if (member->present == NULL)
		member->present = present_join(embedded, subscription->topic, subscription->token.sub);
}

/* Whether a channel, and all of them, have room for a meta with these members in place of the one that is there. */
static bool
has_room(const struct embedded *embedded, const struct subscription *subscription,
		 const struct presence_state *state, const char *members)
{
	const struct presences *all = &embedded->presences;
	const struct presence_member *member = subscription->presence;
	size_t new_one = member->meta == NULL;
	size_t bytes = new_one ? presence_meta_size(member->key, members) : strlen(members);

	return (state ? state->count : 0) + new_one <= PRESENCE_MOST_HERE &&
		   (state ? state->bytes : 0) + bytes <= PRESENCE_MOST_BYTES &&
		   all->count + new_one <= PRESENCE_MOST && all->bytes + bytes <= PRESENCE_MOST_MEMORY;
}

static void
refused(struct embedded *embedded, const char *topic, const char *why)
{
	int times = log_pace_due(&embedded->presences.refusals, uv_now(embedded->app->loop));

	metric_add(embedded->presences.refused, 1);
	if (times > 0)
		log_event(LOG_WARN, "presence refused", "reason", "%s", why, "topic", "%s", topic, "times",
				  "%d", times, NULL);
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* Who may read the channel may track there, but not on inboxes. */
static bool
may_track(const struct subscription *subscription)
{
	return access_is_service(&subscription->token) ||
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

	if (member->meta != NULL && strcmp(member->meta->members, members) == 0)
	{
		reply_ok(socket, frame, "{}");
		free(members);
		return;
	}
	if (member->key == NULL)
		member->key = make_key();
	if (!has_room(socket->embedded, subscription, find_state(socket->embedded, subscription),
				  members))
	{
		refused(socket->embedded, subscription->topic, TOO_MANY_HERE);
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
		refused(socket->embedded, subscription->topic, "unauthorized");
		answer_error(subscription, frame);
	}
	else if (json_type(payload) != '{')
		reply_error(socket, frame, NO_MAP, "");
	else if (payload.len > PRESENCE_MAX_PAYLOAD)
	{
		refused(socket->embedded, subscription->topic, "size");
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
	refused(embedded, subscription->topic, why);
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
