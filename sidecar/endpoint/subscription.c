/*
 * Subscriptions of a socket: finding, ending.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint/internal.h"

struct subscription *
subscription_find(struct socket *socket, const char *topic)
{
	struct subscription *s = socket->subscriptions;

	while (s != NULL && strcmp(s->topic, topic) != 0)
		s = s->next_on_socket;
	return s;
}

struct subscription *
subscription_find_by_id(struct embedded *embedded, uint64_t socket_id, uint64_t id)
{
	struct socket *socket = socket_find(embedded, socket_id);
	struct subscription *s = socket ? socket->subscriptions : NULL;

	while (s != NULL && s->id != id)
		s = s->next_on_socket;
	return s;
}

const char *
subscription_user(const struct subscription *subscription, char alone[ALONE_TEXT])
{
	if (subscription->token->jwt.sub != NULL)
		return subscription->token->jwt.sub;
	snprintf(alone, ALONE_TEXT, "socket %llu", (unsigned long long) subscription->socket->id);
	return alone;
}

void
subscription_free(struct subscription *subscription)
{
	replay_free(subscription->replay);
	token_release(subscription->token);
	free(subscription->topic);
	free(subscription->join_ref);
	free(subscription);
}

void
subscription_remove(struct subscription *subscription)
{
	struct subscription **link = &subscription->socket->subscriptions;

	while (*link != subscription)
		link = &(*link)->next_on_socket;
	*link = subscription->next_on_socket;
	channel_unsubscribe(subscription->socket->embedded, subscription);
	presence_forget(subscription->socket->embedded, subscription);
	subscription_free(subscription);
}

/* Sends an event of the channel, under the topic as clients write it. */
static void
send_event(const struct subscription *subscription, const char *ref, const char *event,
		   const char *payload)
{
	struct socket *socket = subscription->socket;
	struct message *topic = message_create(false);

	message_add(topic, TOPIC_PREFIX);
	message_bytes(topic, subscription->topic, strlen(subscription->topic) + 1);
	socket_send(socket, frame_event(socket->serializer, subscription->join_ref, ref,
									message_text(topic), event, payload));
	message_release(topic);
}

void
subscription_close(struct subscription *subscription)
{
	send_event(subscription, subscription->join_ref, "phx_close", "{}");
	subscription_remove(subscription);
}

static void
send_system(const struct subscription *subscription, const char *status, const char *text,
			const char *detail)
{
	struct message *reason = message_create(false);
	struct message *payload = message_create(false);

	message_add(reason, text);
	message_bytes(reason, detail, strlen(detail) + 1);
	message_add(payload, "{\"message\":");
	message_string(payload, message_text(reason));
	message_add(payload, ",\"status\":");
	message_string(payload, status);
	message_add(payload, ",\"extension\":\"system\",\"channel\":");
	message_string(payload, subscription->topic);
	message_bytes(payload, "}", 2);
	send_event(subscription, NULL, "system", message_text(payload));
	message_release(reason);
	message_release(payload);
}

void
subscription_tell(struct subscription *subscription, const char *text)
{
	send_system(subscription, "ok", text, "");
}

void
subscription_fail(struct subscription *subscription, const char *text, const char *detail)
{
	send_system(subscription, "error", text, detail);
	subscription_close(subscription);
}

void
token_error(char *text, size_t size, const char *error, const struct jwt *jwt)
{
	if (strcmp(error, JWT_EXPIRED) == 0)
		snprintf(text, size, JWT_EXPIRED " %lld seconds ago",
				 (long long) (time(NULL) - jwt->expires));
	else
		snprintf(text, size, "%s", error);
}
