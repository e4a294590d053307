/*
 * What clients say on a WebSocket, and what they are answered: heartbeat, join, leave, token, broadcast.
 *
 * Presence (track, untrack, presence_diff) has its place here, too; until then a client that asks for it gets an empty
 * presence_state, so that it goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "embedded/internal.h"

#define MAX_CHANNELS 100
#define UNAUTHORIZED "You do not have permissions to read from this Channel topic: "

/* A join that waits for the database. */
struct join
{
	uint64_t socket_id;
	struct frame frame; /* payload is not used any more */
	struct subscription *subscription;
	bool presence;
};

/* A push that waits for the database. */
struct push
{
	uint64_t socket_id;
	char *topic;
	struct frame frame;
	struct broadcast broadcast;
	char *event;
	char *payload;
};

/* {"reason": text}, malloc'ed by message. */
static void
reply_error(struct socket *socket, const struct frame *frame, const char *reason,
			const char *detail)
{
	struct message *response = message_create(false);
	char text[512];

	snprintf(text, sizeof(text), "%s%s", reason, detail);
	message_add(response, "{\"reason\":");
	message_string(response, text);
	message_bytes(response, "}", 2);
	socket_send(socket, frame_reply(socket->serializer, frame, false,
									(const char *) response->data + MESSAGE_HEADROOM));
	message_release(response);
}

static void
reply_ok(struct socket *socket, const struct frame *frame, const char *response)
{
	socket_send(socket, frame_reply(socket->serializer, frame, true, response));
}

static struct subscription *
find_subscription(struct socket *socket, const char *topic)
{
	struct subscription *s = socket->subscriptions;

	while (s != NULL && strcmp(s->topic, topic) != 0)
		s = s->next_on_socket;
	return s;
}

static void
free_subscription(struct subscription *subscription)
{
	jwt_free(&subscription->token);
	free(subscription->topic);
	free(subscription->join_ref);
	free(subscription);
}

/* Takes a subscription off its channel and its socket. */
static void
remove_subscription(struct subscription *subscription)
{
	struct subscription **link = &subscription->socket->subscriptions;

	while (*link != subscription)
		link = &(*link)->next_on_socket;
	*link = subscription->next_on_socket;
	channel_unsubscribe(subscription->socket->embedded, subscription);
	free_subscription(subscription);
}

void
protocol_drop(struct socket *socket)
{
	while (socket->subscriptions != NULL)
		remove_subscription(socket->subscriptions);
}

/* The topic as clients write it. */
static void
full_topic(char *buf, size_t size, const char *topic)
{
	snprintf(buf, size, TOPIC_PREFIX "%s", topic);
}

/* Sends phx_close for a subscription that ends. */
static void
send_close(struct socket *socket, const struct subscription *subscription)
{
	char topic[1024];

	full_topic(topic, sizeof(topic), subscription->topic);
	socket_send(socket, frame_event(socket->serializer, subscription->join_ref,
									subscription->join_ref, topic, "phx_close", "{}"));
}

/* Ends a subscription with a system error. */
static void
fail_subscription(struct subscription *subscription, const char *text, const char *detail)
{
	struct socket *socket = subscription->socket;
	struct message *payload = message_create(false);
	char topic[1024];
	char reason[1024];

	full_topic(topic, sizeof(topic), subscription->topic);
	snprintf(reason, sizeof(reason), "%s%s", text, detail);
	message_add(payload, "{\"message\":");
	message_string(payload, reason);
	message_add(payload, ",\"status\":\"error\",\"extension\":\"system\",\"channel\":");
	message_string(payload, subscription->topic);
	message_bytes(payload, "}", 2);
	socket_send(socket, frame_event(socket->serializer, subscription->join_ref, NULL, topic,
									"system", (const char *) payload->data + MESSAGE_HEADROOM));
	message_release(payload);
	send_close(socket, subscription);
	remove_subscription(subscription);
}

void
protocol_check_tokens(struct socket *socket)
{
	int64_t now = time(NULL);
	struct subscription *next;

	for (struct subscription *s = socket->subscriptions; s != NULL; s = next)
	{
		next = s->next_on_socket;
		if (s->token.expires <= now)
			fail_subscription(s, JWT_EXPIRED " 0 seconds ago", "");
	}
}

/* --- join ----------------------------------------------------------------------------------------- */

static void
free_join(struct join *join)
{
	frame_free(&join->frame);
	if (join->subscription != NULL)
		free_subscription(join->subscription);
	free(join);
}

/* The subscription becomes live; one to the same topic that was there before is closed. */
static void
complete_join(struct socket *socket, struct join *join)
{
	struct subscription *subscription = join->subscription;
	struct subscription *former = find_subscription(socket, subscription->topic);

	reply_ok(socket, &join->frame, "{\"postgres_changes\":[]}");
	if (former != NULL)
	{
		send_close(socket, former);
		remove_subscription(former);
	}
	subscription->socket = socket;
	subscription->next_on_socket = socket->subscriptions;
	socket->subscriptions = subscription;
	channel_subscribe(socket->embedded, subscription);
	join->subscription = NULL;
	if (join->presence)
		socket_send(socket, frame_event(socket->serializer, subscription->join_ref, NULL,
										join->frame.topic, "presence_state", "{}"));
}

static void
join_answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct join *join = arg;
	struct socket *socket = socket_find(embedded, join->socket_id);

	if (socket != NULL && !known)
		reply_error(socket, &join->frame, "UnableToConnectToProject: ",
					"Realtime was unable to connect to the project database");
	else if (socket != NULL && !allowed)
		reply_error(socket, &join->frame, "Unauthorized: " UNAUTHORIZED, join->subscription->topic);
	else if (socket != NULL)
		complete_join(socket, join);
	free_join(join);
}

/* The token of a frame's payload, else the socket's; malloc'ed. */
static char *
token_of(struct socket *socket, struct json payload)
{
	char *token = json_text(json_member(payload, "access_token"));

	if (token != NULL && strncmp(token, "sb_", 3) != 0)
		return token;
	free(token);
	return strdup(socket->token);
}

/* What is wrong with a token, as channels are told it. */
static void
token_error(char *text, size_t size, const char *error, const struct jwt *jwt)
{
	if (strcmp(error, JWT_EXPIRED) == 0)
		snprintf(text, size, JWT_EXPIRED " %lld seconds ago",
				 (long long) (time(NULL) - jwt->expires));
	else
		snprintf(text, size, "%s", error);
}

static const char *
token_error_code(const char *error)
{
	if (strstr(error, "not a valid") != NULL)
		return "MalformedJWT: ";
	return strstr(error, "signature") != NULL ? "JwtSignatureError: " : "InvalidJWTToken: ";
}

/* Verifies the join's token; answers the join when it is not good. */
static bool
check_join_token(struct socket *socket, struct join *join, struct json payload)
{
	char *token = token_of(socket, payload);
	const char *error = jwt_verify(token, socket->embedded->app->config->embedded_jwt_secret,
								   time(NULL), &join->subscription->token);
	char text[128];

	free(token);
	if (error == NULL)
		return true;
	token_error(text, sizeof(text), error, &join->subscription->token);
	reply_error(socket, &join->frame, token_error_code(error), text);
	return false;
}

static int
count_subscriptions(const struct socket *socket)
{
	int count = 0;

	for (const struct subscription *s = socket->subscriptions; s != NULL; s = s->next_on_socket)
		count++;
	return count;
}

/* Takes over the frame. */
static void
handle_join(struct socket *socket, struct frame *frame)
{
	struct json config = json_member(frame->payload, "config");
	struct json broadcast = json_member(config, "broadcast");
	struct json payload = frame->payload;
	struct join *join = calloc(1, sizeof(*join));
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	const char *topic = frame->topic + strlen(TOPIC_PREFIX);

	join->socket_id = socket->id;
	join->frame = *frame;
	memset(frame, 0, sizeof(*frame));
	join->subscription = subscription;
	join->presence = json_is_true(json_member(json_member(config, "presence"), "enabled"));
	subscription->topic = strdup(topic);
	subscription->join_ref =
		strdup(strcmp(join->frame.join_ref, "null") == 0 ? join->frame.ref : join->frame.join_ref);
	subscription->is_private = json_is_true(json_member(config, "private"));
	subscription->ack = json_is_true(json_member(broadcast, "ack"));
	subscription->self = json_is_true(json_member(broadcast, "self"));
	if (*topic == '\0')
		reply_error(socket, &join->frame, "TopicNameRequired: ", "You must provide a topic name");
	else if (count_subscriptions(socket) >= MAX_CHANNELS &&
			 find_subscription(socket, topic) == NULL)
		reply_error(socket, &join->frame, "ChannelRateLimitReached: ", "Too many channels");
	else if (check_join_token(socket, join, payload))
	{
		if (subscription->is_private && !access_is_service(&subscription->token))
		{
			access_ask(socket->embedded, topic, subscription->token.claims, false, join_answered,
					   join);
			return;
		}
		complete_join(socket, join);
	}
	free_join(join);
}

static void
handle_leave(struct socket *socket, const struct frame *frame, struct subscription *subscription)
{
	reply_ok(socket, frame, "{}");
	send_close(socket, subscription);
	remove_subscription(subscription);
}

/* --- token ---------------------------------------------------------------------------------------- */

static void
token_answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct push *asked = arg;
	struct socket *socket = socket_find(embedded, asked->socket_id);
	struct subscription *subscription = socket ? find_subscription(socket, asked->topic) : NULL;

	if (subscription != NULL && known && !allowed)
		fail_subscription(subscription, UNAUTHORIZED, asked->topic);
	free(asked->topic);
	free(asked);
}

/* A new token: a private channel's right to read is asked for again. */
static void
handle_token(struct socket *socket, const struct frame *frame, struct subscription *subscription)
{
	char *token = json_text(json_member(frame->payload, "access_token"));
	struct jwt jwt;
	const char *error;
	struct push *asked;
	char text[128];

	if (token == NULL || strncmp(token, "sb_", 3) == 0)
	{
		free(token);
		return;
	}
	error = jwt_verify(token, socket->embedded->app->config->embedded_jwt_secret, time(NULL), &jwt);
	free(token);
	if (error != NULL)
	{
		token_error(text, sizeof(text), error, &jwt);
		fail_subscription(subscription, text, "");
		return;
	}
	jwt_free(&subscription->token);
	subscription->token = jwt;
	subscription->may_write = false;
	if (!subscription->is_private || access_is_service(&jwt))
		return;
	asked = calloc(1, sizeof(*asked));
	asked->socket_id = socket->id;
	asked->topic = strdup(subscription->topic);
	access_ask(socket->embedded, subscription->topic, jwt.claims, false, token_answered, asked);
}

/* --- push ----------------------------------------------------------------------------------------- */

static void
deliver(struct subscription *subscription, const struct frame *frame,
		const struct broadcast *broadcast)
{
	struct socket *socket = subscription->socket;

	channel_broadcast(socket->embedded, subscription->is_private, broadcast,
					  subscription->self ? NULL : subscription);
	if (subscription->ack)
		reply_ok(socket, frame, "{}");
}

/* A write that is not allowed is silent. */
static void
push_answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct push *push = arg;
	struct socket *socket = socket_find(embedded, push->socket_id);
	struct subscription *subscription = socket ? find_subscription(socket, push->topic) : NULL;

	if (subscription != NULL)
	{
		if (--subscription->checks == 0)
			subscription->may_write = known && allowed;
		if (allowed)
			deliver(subscription, &push->frame, &push->broadcast);
	}
	frame_free(&push->frame);
	free(push->topic);
	free(push->event);
	free(push->payload);
	free(push);
}

/* Keeps a push while the database is asked; takes over the frame. */
static void
ask_to_push(struct subscription *subscription, struct frame *frame,
			const struct broadcast *broadcast)
{
	struct push *push = calloc(1, sizeof(*push));

	push->socket_id = subscription->socket->id;
	push->topic = strdup(subscription->topic);
	push->frame = *frame;
	memset(frame, 0, sizeof(*frame));
	push->broadcast = *broadcast;
	push->broadcast.topic = push->topic;
	push->broadcast.event = push->event = strdup(broadcast->event);
	push->payload = malloc(broadcast->payload_len + 1);
	memcpy(push->payload, broadcast->payload, broadcast->payload_len);
	push->broadcast.payload = push->payload;
	subscription->checks++;
	access_ask(subscription->socket->embedded, push->topic, subscription->token.claims, true,
			   push_answered, push);
}

static void
push(struct subscription *subscription, struct frame *frame, const struct broadcast *broadcast)
{
	bool free_to_write = !subscription->is_private || access_is_service(&subscription->token) ||
						 (subscription->may_write && subscription->checks == 0);

	if (free_to_write)
		deliver(subscription, frame, broadcast);
	else
		ask_to_push(subscription, frame, broadcast);
}

static void
handle_push(struct subscription *subscription, struct frame *frame)
{
	struct json payload = json_member(frame->payload, "payload");
	char *event =
		frame->push ? strdup(frame->event) : json_text(json_member(frame->payload, "event"));
	struct broadcast broadcast = {
		.topic = subscription->topic, .event = event, .payload_json = true};

	if (frame->push)
	{
		payload = frame->payload;
		broadcast.binary = true;
		broadcast.payload_json = frame->payload_json;
	}
	else if (payload.start == NULL)
		payload = (struct json){"{}", 2};
	broadcast.payload = payload.start;
	broadcast.payload_len = payload.len;
	if (event != NULL)
		push(subscription, frame, &broadcast);
	free(event);
}

/* --- frames --------------------------------------------------------------------------------------- */

/* A frame on a topic that the socket has joined. */
static void
handle_joined(struct socket *socket, struct frame *frame, struct subscription *subscription)
{
	if (frame->push || strcmp(frame->event, "broadcast") == 0)
		handle_push(subscription, frame);
	else if (strcmp(frame->event, "phx_leave") == 0)
		handle_leave(socket, frame, subscription);
	else if (strcmp(frame->event, "access_token") == 0)
		handle_token(socket, frame, subscription);
	else if (strcmp(frame->event, "presence") == 0)
		reply_ok(socket, frame, "{}");
	/* Realtime answers nothing to events it does not know. */
}

static void
handle(struct socket *socket, struct frame *frame)
{
	bool prefixed = strncmp(frame->topic, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) == 0;
	struct subscription *subscription =
		prefixed ? find_subscription(socket, frame->topic + strlen(TOPIC_PREFIX)) : NULL;

	if (strcmp(frame->topic, "phoenix") == 0 && strcmp(frame->event, "heartbeat") == 0)
		reply_ok(socket, frame, "{}");
	else if (prefixed && !frame->push && strcmp(frame->event, "phx_join") == 0)
		handle_join(socket, frame);
	else if (subscription != NULL)
		handle_joined(socket, frame, subscription);
	else
		socket_send(socket, frame_reply(socket->serializer, frame, false,
										"{\"reason\":\"unmatched topic\"}"));
}

bool
protocol_frame(struct socket *socket, const unsigned char *data, size_t len, bool binary)
{
	struct frame frame;
	bool good = binary
					? socket->serializer == SERIALIZER_V2 && frame_parse_binary(data, len, &frame)
					: frame_parse_text(socket->serializer, (const char *) data, len, &frame);

	if (!good)
		return false;
	handle(socket, &frame);
	frame_free(&frame);
	return true;
}
