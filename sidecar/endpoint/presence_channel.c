/*
 * See presence_channel.h.
 */
#include "endpoint/presence_channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"

static struct presence_state *
find_state(const struct embedded *embedded, const struct presence_place *place)
{
	char key[CHANNEL_KEY];

	return channel_key(key, place->topic, place->is_private)
			   ? (struct presence_state *) table_find(&embedded->presences.states, key)
			   : NULL;
}

const struct presence_state *
presence_at(const struct embedded *embedded, const struct presence_place *place)
{
	return find_state(embedded, place);
}

static struct presence_state *
find_or_make_state(struct embedded *embedded, const struct presence_place *place)
{
	struct presence_state *state = find_state(embedded, place);
	char key[CHANNEL_KEY];

	if (state != NULL)
		return state;
	if (!channel_key(key, place->topic, place->is_private))
		abort(); /* who calls has looked */
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

/* Sends a difference to all who hear of presence on the channel. */
static void
send_difference(struct embedded *embedded, const struct presence_place *place, const char *payload)
{
	struct channel *channel = channel_find(embedded, place->topic, place->is_private);
	struct message *shared[SERIALIZERS] = {NULL};

	for (struct subscription *s = channel ? channel->first : NULL; s != NULL;
		 s = s->next_on_channel)
	{
		enum serializer serializer = s->socket->serializer;

		if (!presence_hears(s))
			continue;
		if (presence_hears_late(s))
		{
			socket_send(s->socket, presence_print_event(serializer, s->join_ref, s->topic,
														"presence_diff", payload));
			continue;
		}
		if (shared[serializer] == NULL)
			shared[serializer] =
				presence_print_event(serializer, NULL, s->topic, "presence_diff", payload);
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
tell(struct embedded *embedded, const struct presence_place *place, struct buffer *joins,
	 struct buffer *leaves)
{
	struct buffer payload = {0};

	buffer_text(&payload, "{\"joins\":");
	buffer_bytes(&payload, joins->data, joins->len);
	buffer_text(&payload, ",\"leaves\":");
	buffer_bytes(&payload, leaves->data, leaves->len);
	buffer_bytes(&payload, "}", 2);
	send_difference(embedded, place, payload.data);
	buffer_free(&payload);
	buffer_free(joins);
	buffer_free(leaves);
}

struct presence_meta *
presence_put(struct embedded *embedded, const struct presence_place *place,
			 struct presence_meta *meta, const char *key, const char *ref, char *members)
{
	struct presence_state *state = find_or_make_state(embedded, place);
	size_t count = state->count, bytes = state->bytes;
	struct buffer joins = {0}, leaves = {0};

	presence_print_meta(&leaves, meta);
	if (meta == NULL)
		meta = presence_add(state, key, ref, members);
	else
		presence_change(state, meta, ref, members);
	presence_print_meta(&joins, meta);
	account(embedded, state, count, bytes);
	tell(embedded, place, &joins, &leaves);
	return meta;
}

void
presence_drop(struct embedded *embedded, const struct presence_place *place,
			  struct presence_meta *meta)
{
	struct presence_state *state = find_state(embedded, place);
	size_t count = state->count, bytes = state->bytes;
	struct buffer joins = {0}, leaves = {0};

	presence_print_meta(&joins, NULL);
	presence_print_meta(&leaves, meta);
	presence_remove(state, meta);
	account(embedded, state, count, bytes);
	tell(embedded, place, &joins, &leaves);
}

bool
presence_fits(const struct embedded *embedded, const struct presence_place *place,
			  const struct presence_meta *meta, const char *key, const char *members)
{
	const struct presences *all = &embedded->presences;
	const struct presence_state *state = find_state(embedded, place);
	size_t new_one = meta == NULL;
	size_t bytes = new_one ? presence_meta_size(key, members) : strlen(members);

	return (state ? state->count : 0) + new_one <= PRESENCE_MOST_HERE &&
		   (state ? state->bytes : 0) + bytes <= PRESENCE_MOST_BYTES &&
		   all->count + new_one <= PRESENCE_MOST && all->bytes + bytes <= PRESENCE_MOST_MEMORY;
}

void
presence_refused(struct embedded *embedded, const char *topic, const char *why)
{
	int times = log_pace_due(&embedded->presences.refusals, uv_now(embedded->app->loop));

	metric_add(embedded->presences.refused, 1);
	if (times > 0)
		log_event(LOG_WARN, "presence refused", "reason", "%s", why, "topic", "%s", topic, "times",
				  "%d", times, NULL);
}
