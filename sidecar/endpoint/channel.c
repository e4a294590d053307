/*
 * Topics and who hears them. A message is printed once per serializer and shared by all sockets.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "endpoint/internal.h"

bool
channel_key(char key[CHANNEL_KEY], const char *topic, bool is_private)
{
	size_t len = strlen(topic);

	if (len > MAX_TOPIC)
		return false;
	key[0] = is_private ? 'p' : 'o';
	memcpy(key + 1, topic, len + 1);
	return true;
}

struct channel *
channel_find(struct embedded *embedded, const char *topic, bool is_private)
{
	char key[CHANNEL_KEY];

	return channel_key(key, topic, is_private)
			   ? (struct channel *) table_find(&embedded->channels, key)
			   : NULL;
}

/* Of a topic that somebody joins, and nobody has. */
static struct channel *
create_channel(struct embedded *embedded, const char *topic, bool is_private)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));
	char key[CHANNEL_KEY];

	if (!channel_key(key, topic, is_private))
		abort(); /* join.c refuses those */
	table_add(&embedded->channels, &channel->entry, key);
	return channel;
}

void
channel_subscribe(struct embedded *embedded, struct subscription *subscription)
{
	struct channel *channel = channel_find(embedded, subscription->topic, subscription->is_private);

	if (channel == NULL)
		channel = create_channel(embedded, subscription->topic, subscription->is_private);
	subscription->rights_at = uv_now(embedded->app->loop);
	subscription->channel = channel;
	subscription->next_on_channel = channel->first;
	subscription->link_on_channel = &channel->first;
	if (channel->first != NULL)
		channel->first->link_on_channel = &subscription->next_on_channel;
	channel->first = subscription;
}

void
channel_unsubscribe(struct embedded *embedded, struct subscription *subscription)
{
	struct channel *channel = subscription->channel;

	*subscription->link_on_channel = subscription->next_on_channel;
	if (subscription->next_on_channel != NULL)
		subscription->next_on_channel->link_on_channel = subscription->link_on_channel;
	subscription->channel = NULL;
	if (channel->first != NULL)
		return;
	table_remove(&embedded->channels, &channel->entry);
	free(channel);
}

void
channel_broadcast(struct embedded *embedded, bool is_private, const struct broadcast *broadcast,
				  const struct subscription *except)
{
	struct channel *channel = channel_find(embedded, broadcast->topic, is_private);
	struct message *messages[SERIALIZERS] = {NULL};
	bool printed[SERIALIZERS] = {false};

	metric_add(embedded->metrics.messages, 1);
	if (channel == NULL)
		return;
	for (struct subscription *s = channel->first; s != NULL; s = s->next_on_channel)
	{
		enum serializer serializer = s->socket->serializer;

		if (s == except)
			continue;
		if (!printed[serializer])
		{
			messages[serializer] = frame_broadcast(serializer, broadcast);
			printed[serializer] = true;
		}
		if (messages[serializer] == NULL)
			continue;
		if (s->replay != NULL && replay_keeps(s->replay, broadcast, messages[serializer]))
			continue;
		socket_send(s->socket, message_share(messages[serializer]));
		metric_add(embedded->metrics.deliveries, 1);
	}
	for (int i = 0; i < SERIALIZERS; i++)
	{
		if (messages[i] != NULL)
			message_release(messages[i]);
	}
}

void
channel_publish(struct embedded *embedded, bool is_private, const struct broadcast *broadcast,
				const struct subscription *except)
{
	channel_broadcast(embedded, is_private, broadcast, except);
	relay_send(embedded->relay, is_private, broadcast);
}
