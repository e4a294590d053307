/*
 * Broadcasts by clients. A write that is not allowed is silent, as in Realtime; the database is asked at the first one
 * under a token, and its answer is kept. Who sends too much is told so in Realtime's words, and the channel is closed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "endpoint/internal.h"

#define MAX_CHECKS 30 /* of a subscription, that wait: three seconds of one user's */
#define TOO_MANY "Too many messages per second"

/* A push that waits for the database. */
struct push
{
	uint64_t socket_id;
	uint64_t subscription_id;
	int token_number;
	size_t bytes; /* that it keeps */
	struct frame frame;
	struct broadcast broadcast;
	char *event;
	char *payload;
};

static void
deliver(struct subscription *subscription, const struct frame *frame,
		const struct broadcast *broadcast)
{
	struct socket *socket = subscription->socket;

	channel_publish(socket->embedded, subscription->is_private, broadcast,
					subscription->self ? NULL : subscription);
	if (subscription->ack)
		reply_ok(socket, frame, "{}");
}

static void
answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct push *push = arg;
	struct subscription *subscription =
		subscription_find_by_id(embedded, push->socket_id, push->subscription_id);

	embedded->waiting_bytes -= push->bytes;
	if (!allowed)
		metric_add(embedded->metrics.refused_broadcasts, 1);
	if (subscription != NULL)
	{
		/* What later pushes still wait for must not be overtaken. */
		if (--subscription->checks == 0 && known &&
			push->token_number == subscription->token_number)
			subscription->may_write = allowed ? WRITE_YES : WRITE_NO;
		push->broadcast.topic = subscription->topic;
		if (allowed)
			deliver(subscription, &push->frame, &push->broadcast);
	}
	frame_free(&push->frame);
	free(push->event);
	free(push->payload);
	free(push);
}

/* Keeps a push while the database is asked; takes over the frame. */
static void
ask(struct subscription *subscription, struct frame *frame, const struct broadcast *broadcast)
{
	struct embedded *embedded = subscription->socket->embedded;
	struct push *push;

	if (subscription->checks >= MAX_CHECKS ||
		embedded->waiting_bytes + broadcast_bytes(broadcast) > MAX_WAITING_BYTES)
	{
		metric_add(embedded->metrics.refused_broadcasts, 1);
		subscription_fail(subscription, TOO_MANY, "");
		return;
	}
	push = xcalloc(1, sizeof(*push));
	push->socket_id = subscription->socket->id;
	push->subscription_id = subscription->id;
	push->token_number = subscription->token_number;
	push->frame = *frame;
	memset(frame, 0, sizeof(*frame));
	push->broadcast = *broadcast;
	push->broadcast.event = push->event = xstrdup(broadcast->event);
	push->payload = xmalloc(broadcast->payload_len + 1);
	memcpy(push->payload, broadcast->payload, broadcast->payload_len);
	push->broadcast.payload = push->payload;
	push->bytes = broadcast_bytes(broadcast);
	embedded->waiting_bytes += push->bytes;
	subscription->checks++;
	access_ask(embedded, subscription->topic, &subscription->token->jwt, true, answered, push);
}

/* Whether a broadcast says that somebody types, or (*typing false) stopped. */
static bool
is_typing(const struct broadcast *broadcast, bool *typing)
{
	struct json payload = {broadcast->payload, broadcast->payload_len};

	if (strcmp(broadcast->event, "presence.typing") != 0)
		return false;
	*typing = broadcast->payload_json && json_is_true(json_member(payload, "isTyping"));
	return true;
}

/* Whether the user may send one more now; answers the push if not. Typing that is too much is taken, and not sent. */
static bool
within_rate(struct subscription *subscription, const struct frame *frame,
			const struct broadcast *broadcast)
{
	struct socket *socket = subscription->socket;
	struct embedded *embedded = socket->embedded;
	uint64_t now = uv_now(embedded->app->loop);
	char alone[ALONE_TEXT];
	const char *user = subscription_user(subscription, alone);
	bool typing;

	if (is_typing(broadcast, &typing) &&
		!rates_typing(&embedded->rates, user, subscription->topic, typing, now))
	{
		if (subscription->ack)
			reply_ok(socket, frame, "{}");
		return false;
	}
	if (rates_messages(&embedded->rates, user, 1, now))
		return true;
	embedded_refused_rate(embedded, subscription->topic);
	subscription_fail(subscription, TOO_MANY, "");
	return false;
}

static void
send_or_ask(struct subscription *subscription, struct frame *frame,
			const struct broadcast *broadcast)
{
	struct embedded *embedded = subscription->socket->embedded;

	if (access_is_service(&subscription->token->jwt))
		deliver(subscription, frame, broadcast);
	else if (access_is_reserved(subscription->topic) ||
			 (subscription->is_private && subscription->may_write == WRITE_NO))
		metric_add(embedded->metrics.refused_broadcasts, 1);
	else if (!within_rate(subscription, frame, broadcast))
		return;
	else if (!subscription->is_private || subscription->may_write == WRITE_YES)
		deliver(subscription, frame, broadcast);
	else
		ask(subscription, frame, broadcast);
}

static void
refuse_size(struct subscription *subscription, const struct frame *frame)
{
	struct socket *socket = subscription->socket;

	metric_add(socket->embedded->metrics.refused_broadcasts, 1);
	if (subscription->ack)
		socket_send(socket,
					frame_reply(socket->serializer, frame, false, "\"payload_size_exceeded\""));
}

void
push_handle(struct subscription *subscription, struct frame *frame)
{
	struct json payload = json_member(frame->payload, "payload");
	char *event =
		frame->push ? xstrdup(frame->event) : json_text(json_member(frame->payload, "event"));
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
	if (event != NULL && payload.len > MAX_PAYLOAD)
		refuse_size(subscription, frame);
	else if (event != NULL)
		send_or_ask(subscription, frame, &broadcast);
	free(event);
}
