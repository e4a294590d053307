/*
 * Rights end when they end: a private channel's right to read is asked for again when a token is renewed, at once when the
 * log says that a conversation's rights changed, and every five minutes in any case. While the database cannot be asked a
 * channel stays, and is asked for as soon as it can.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "endpoint/internal.h"

#define MAX_CHECKS 100
#define AGAIN_MS 300000
#define A_SECOND 200 /* that are asked for again, of all sockets */
#define UNAUTHORIZED "You do not have permissions to read from this Channel topic: "
#define TOO_MANY "Too many messages per second"

/* A question that waits for the database. */
struct renewal
{
	uint64_t socket_id;
	uint64_t subscription_id;
	int token_number;
};

static void
judge(struct subscription *subscription, const struct renewal *renewal, bool allowed, bool known)
{
	subscription->checks--;
	/* Another token, or another change, is asked for by a question of its own. */
	if (renewal->token_number != subscription->token_number)
		return;
	if (!known)
	{
		subscription->rights_at = 0;
		return;
	}
	if (allowed)
		return;
	metric_add(subscription->socket->embedded->metrics.ended, 1);
	subscription_fail(subscription, UNAUTHORIZED, subscription->topic);
}

static void
answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct renewal *renewal = arg;
	struct subscription *subscription =
		subscription_find_by_id(embedded, renewal->socket_id, renewal->subscription_id);

	if (subscription != NULL)
		judge(subscription, renewal, allowed, known);
	free(renewal);
}

/* It may be gone when this returns. */
static void
ask(struct subscription *subscription)
{
	struct embedded *embedded = subscription->socket->embedded;
	struct renewal *renewal = xcalloc(1, sizeof(*renewal));

	renewal->socket_id = subscription->socket->id;
	renewal->subscription_id = subscription->id;
	renewal->token_number = subscription->token_number;
	subscription->checks++;
	subscription->rights_at = uv_now(embedded->app->loop);
	access_ask(embedded, subscription->topic, &subscription->token->jwt, false, answered, renewal);
}

void
rights_renew(struct subscription *subscription)
{
	if (subscription->checks >= MAX_CHECKS)
		subscription_fail(subscription, TOO_MANY, "");
	else
		ask(subscription);
}

static bool
is_asked_for(const struct subscription *subscription)
{
	return subscription->is_private && !access_is_service(&subscription->token->jwt);
}

/* What waits was asked for before the change, and decides nothing any more. */
static void
change(struct embedded *embedded, const char *kind, const char *conversation)
{
	char topic[MAX_TOPIC + 1];
	struct channel *channel = NULL;
	struct subscription *next;

	if ((size_t) snprintf(topic, sizeof(topic), "%s:%s", kind, conversation) < sizeof(topic))
		channel = channel_find(embedded, topic, true);
	for (struct subscription *s = channel != NULL ? channel->first : NULL; s != NULL; s = next)
	{
		next = s->next_on_channel;
		s->token_number++;
		s->may_write = WRITE_UNKNOWN;
		s->rights_at = 0;
		if (is_asked_for(s) && s->checks < MAX_CHECKS)
			ask(s);
	}
}

void
rights_changed(struct embedded *embedded, const char *conversation)
{
	refusals_forget(&embedded->refused);
	change(embedded, "conversation", conversation);
	change(embedded, "presence", conversation);
}

void
rights_tick(struct embedded *embedded)
{
	embedded->rights_left = A_SECOND;
}

void
rights_check(struct socket *socket)
{
	struct embedded *embedded = socket->embedded;
	uint64_t now = uv_now(embedded->app->loop);
	struct subscription *next;

	for (struct subscription *s = socket->subscriptions; s != NULL; s = next)
	{
		next = s->next_on_socket;
		if (embedded->rights_left == 0)
			return;
		if (!is_asked_for(s) || s->checks >= MAX_CHECKS ||
			(s->rights_at != 0 && now - s->rights_at < AGAIN_MS))
			continue;
		embedded->rights_left--;
		ask(s);
	}
}
