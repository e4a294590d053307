/*
 * What clients say on a WebSocket: heartbeat, join, leave, token, broadcast, presence.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "config.h"
#include "endpoint/internal.h"

void
protocol_drop(struct socket *socket)
{
	while (socket->subscriptions != NULL)
		subscription_remove(socket->subscriptions);
	join_forget(socket);
}

void
protocol_check_tokens(struct socket *socket)
{
	int64_t now = time(NULL);
	struct subscription *next;

	for (struct subscription *s = socket->subscriptions; s != NULL; s = next)
	{
		next = s->next_on_socket;
		if (s->token->jwt.expires <= now)
			subscription_fail(s, JWT_EXPIRED " 0 seconds ago", "");
	}
}

/* A leave that names another join is of a channel that is closed already. */
static void
handle_leave(struct socket *socket, const struct frame *frame, struct subscription *subscription)
{
	if (strcmp(frame->join_ref, "null") != 0 &&
		strcmp(frame->join_ref, subscription->join_ref) != 0)
		return;
	reply_ok(socket, frame, "{}");
	subscription_close(subscription);
}

static void
handle_token(struct socket *socket, const struct frame *frame, struct subscription *subscription)
{
	char *token = json_text(json_member(frame->payload, "access_token"));
	struct jwt jwt;
	const char *error;
	char text[128];

	if (token == NULL || strncmp(token, "sb_", 3) == 0)
	{
		free(token);
		return;
	}
	error = jwt_verify(token, socket->embedded->keyring, time(NULL), &jwt);
	free(token);
	if (error != NULL)
	{
		token_error(text, sizeof(text), error, &jwt);
		subscription_fail(subscription, text, "");
		return;
	}
	token_release(subscription->token);
	subscription->token = tokens_share(&socket->embedded->tokens, &jwt);
	subscription->token_number++;
	subscription->may_write = WRITE_UNKNOWN;
	if (subscription->is_private && !access_is_service(&subscription->token->jwt))
		rights_renew(subscription);
}

/* A frame on a topic that the socket has joined. */
static void
handle_joined(struct socket *socket, struct frame *frame, struct subscription *subscription)
{
	if (frame->push || strcmp(frame->event, "broadcast") == 0)
		push_handle(subscription, frame);
	else if (strcmp(frame->event, "phx_leave") == 0)
		handle_leave(socket, frame, subscription);
	else if (strcmp(frame->event, "access_token") == 0)
		handle_token(socket, frame, subscription);
	else if (strcmp(frame->event, "presence") == 0)
		presence_handle(subscription, frame);
	/* Realtime answers nothing to events it does not know. */
}

static void
handle(struct socket *socket, struct frame *frame)
{
	bool prefixed = strncmp(frame->topic, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) == 0;
	bool leaves = !frame->push && strcmp(frame->event, "phx_leave") == 0;
	struct subscription *subscription;

	if (strcmp(frame->topic, "phoenix") == 0 && strcmp(frame->event, "heartbeat") == 0)
	{
		reply_ok(socket, frame, "{}");
		return;
	}
	if (prefixed && !frame->push && strcmp(frame->event, "phx_join") == 0)
	{
		join_begin(socket, frame);
		return;
	}
	if (prefixed && leaves && join_leave(socket, frame))
		return;
	subscription = prefixed ? subscription_find(socket, frame->topic + strlen(TOPIC_PREFIX)) : NULL;
	if (subscription != NULL)
		handle_joined(socket, frame, subscription);
	else
		reply_unmatched(socket, frame);
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
