/*
 * Joins, and the leaves that overtake them.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/internal.h"

#define MAX_CHANNELS 100
#define MAX_JOINS 100 /* a second */
#define UNABLE_TO_REPLAY "UnableToReplayMessages: "
#define PRIVATE_ONLY "PrivateOnly: This project only allows private channels: "
#define UNAUTHORIZED "Unauthorized: You do not have permissions to read from this Channel topic: "

/* A join that waits for the database. */
struct join
{
	struct join *next;
	struct socket *socket; /* NULL: gone */
	struct frame frame;    /* payload is not used any more */
	struct subscription *subscription;
	struct replay_wish replay;
	bool ready; /* it wants to be told that events come, which they do from the join on */
	bool left;  /* a leave came meanwhile */
	struct frame leave;
};

static void
free_join(struct join *join)
{
	struct join **link = join->socket ? &join->socket->joins : NULL;

	while (link != NULL && *link != NULL && *link != join)
		link = &(*link)->next;
	if (link != NULL && *link == join)
		*link = join->next;
	frame_free(&join->frame);
	frame_free(&join->leave);
	if (join->subscription != NULL)
	{
		/* It was on no channel: nobody has to be told. */
		presence_forget(NULL, join->subscription);
		subscription_free(join->subscription);
	}
	free(join);
}

void
join_forget(struct socket *socket)
{
	for (struct join *join = socket->joins; join != NULL; join = join->next)
		join->socket = NULL;
	socket->joins = NULL;
}

static void
refuse(struct join *join, enum refusal refusal, const char *reason, const char *detail)
{
	embedded_refused_join(join->socket->embedded, refusal, join->subscription->topic);
	delay_send(join->socket, reply_print_error(join->socket, &join->frame, reason, detail));
	if (join->left)
		delay_send(join->socket, reply_print_error(join->socket, &join->leave, UNMATCHED, ""));
}

/* A channel without private: true is another one: where events are private it would stay silent for ever. */
static bool
would_hear_nothing(const struct join *join)
{
	const struct subscription *subscription = join->subscription;

	return !subscription->is_private && access_is_ours(subscription->topic) &&
		   join->socket->embedded->app->config->realtime_private;
}

/* The subscription becomes live; one to the same topic that was there before is closed. */
static void
complete(struct join *join)
{
	struct socket *socket = join->socket;
	struct subscription *subscription = join->subscription;
	struct subscription *former = subscription_find(socket, subscription->topic);

	reply_ok(socket, &join->frame, "{\"postgres_changes\":[]}");
	if (former != NULL)
		subscription_close(former);
	subscription->id = ++socket->embedded->next_id;
	subscription->socket = socket;
	subscription->next_on_socket = socket->subscriptions;
	socket->subscriptions = subscription;
	channel_subscribe(socket->embedded, subscription);
	join->subscription = NULL;
	presence_welcome(subscription);
	if (join->ready)
		subscription_tell(subscription, "Replication connection established");
	if (!join->left)
	{
		replay_begin(subscription, &join->replay);
		return;
	}
	reply_ok(socket, &join->leave, "{}");
	subscription_close(subscription);
}

static void
answered(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct join *join = arg;

	(void) embedded;
	if (join->socket != NULL && !known)
		refuse(join, REFUSED_DATABASE, "UnableToConnectToProject: ",
			   "Realtime was unable to connect to the project database");
	else if (join->socket != NULL && !allowed)
		refuse(join, REFUSED_UNAUTHORIZED, UNAUTHORIZED, join->subscription->topic);
	else if (join->socket != NULL)
		complete(join);
	free_join(join);
}

/* The token of a frame's payload, else the socket's; malloc'ed. */
static char *
token_of(struct socket *socket, struct json payload)
{
	char *token = json_text(json_member(payload, "access_token"));

	if (token == NULL)
		token = json_text(json_member(payload, "user_token")); /* of clients before 2022 */
	if (token != NULL && strncmp(token, "sb_", 3) != 0)
		return token;
	free(token);
	return xstrdup(socket->token);
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
check_token(struct join *join, struct json payload)
{
	struct socket *socket = join->socket;
	char *token = token_of(socket, payload);
	struct jwt jwt;
	const char *error = jwt_verify(token, socket->embedded->keyring, time(NULL), &jwt);
	char text[128];

	free(token);
	if (error != NULL)
	{
		token_error(text, sizeof(text), error, &jwt);
		refuse(join, REFUSED_TOKEN, token_error_code(error), text);
		return false;
	}
	join->subscription->token = tokens_share(&socket->embedded->tokens, &jwt);
	if (socket_count_user(socket, &join->subscription->token->jwt))
		return true;
	refuse(join, REFUSED_LIMIT, "ConnectionRateLimitReached: ", "Too many connected users");
	return false;
}

/* Those that wait count: nothing else bounds them. */
static bool
has_too_many(struct socket *socket, const char *topic)
{
	int count = 0;

	for (const struct subscription *s = socket->subscriptions; s != NULL; s = s->next_on_socket)
		count += strcmp(s->topic, topic) != 0;
	for (const struct join *join = socket->joins; join != NULL; join = join->next)
		count++;
	return count >= MAX_CHANNELS;
}

/* Counts a join; each asks for a look at a token, and most for one at the database. */
static bool
joins_too_often(struct socket *socket)
{
	uint64_t now = uv_now(socket->embedded->app->loop);

	if (now - socket->second >= 1000)
	{
		socket->second = now;
		socket->joins_asked = 0;
	}
	return ++socket->joins_asked > MAX_JOINS;
}

static struct subscription *
create_subscription(const struct frame *frame)
{
	struct subscription *subscription = xcalloc(1, sizeof(*subscription));
	struct json config = json_member(frame->payload, "config");
	struct json broadcast = json_member(config, "broadcast");

	subscription->topic = xstrdup(frame->topic + strlen(TOPIC_PREFIX));
	subscription->join_ref =
		xstrdup(strcmp(frame->join_ref, "null") == 0 ? frame->ref : frame->join_ref);
	subscription->is_private = json_is_true(json_member(config, "private"));
	subscription->ack = json_is_true(json_member(broadcast, "ack"));
	subscription->self = json_is_true(json_member(broadcast, "self"));
	subscription->presence = presence_configured(json_member(config, "presence"));
	return subscription;
}

static void
read_broadcast_config(struct join *join, struct json broadcast)
{
	join->replay = replay_wish_read(broadcast);
	join->ready = json_is_true(json_member(broadcast, "replication_ready"));
}

/* It would wait for ever for what never comes. */
static bool
wants_postgres_changes(struct json payload)
{
	struct json list = json_member(json_member(payload, "config"), "postgres_changes");
	struct json first;

	return json_type(list) == '[' && json_next_element(&list, &first);
}

void
join_begin(struct socket *socket, struct frame *frame)
{
	struct json payload = frame->payload;
	struct join *join = xcalloc(1, sizeof(*join));
	struct subscription *subscription = create_subscription(frame);
	const char *topic = subscription->topic;

	join->socket = socket;
	join->frame = *frame;
	memset(frame, 0, sizeof(*frame));
	join->subscription = subscription;
	read_broadcast_config(join, json_member(json_member(payload, "config"), "broadcast"));
	if (socket->embedded->pressure)
		refuse(join, REFUSED_MEMORY, "ServiceUnavailable: ", "The endpoint is at its memory limit");
	else if (*topic == '\0')
		refuse(join, REFUSED_TOPIC, "TopicNameRequired: ", "You must provide a topic name");
	else if (strlen(topic) > MAX_TOPIC)
		refuse(join, REFUSED_TOPIC, UNMATCHED, "");
	else if (presence_key_is_long(json_member(json_member(payload, "config"), "presence")))
		refuse(join, REFUSED_LIMIT,
			   "InvalidJoinPayload: ", "presence.key is longer than 255 bytes");
	else if (has_too_many(socket, topic))
		refuse(join, REFUSED_LIMIT, "ChannelRateLimitReached: ", "Too many channels");
	else if (joins_too_often(socket))
		refuse(join, REFUSED_LIMIT, "ClientJoinRateLimitReached: ", "Too many joins per second");
	else if (check_token(join, payload))
	{
		if (would_hear_nothing(join))
			refuse(join, REFUSED_PUBLIC, PRIVATE_ONLY,
				   "join with { config: { private: true } }, as a user who takes part");
		else if (wants_postgres_changes(payload))
			refuse(join, REFUSED_TOPIC, "PostgresChangesNotSupported: ",
				   "This endpoint has no Postgres Changes. Listen to broadcast instead: "
				   "channel.on('broadcast', { event: '*' }, ...)");
		else if (join->replay.kind != REPLAY_NONE && !subscription->is_private)
			refuse(join, REFUSED_TOPIC, UNABLE_TO_REPLAY,
				   "Replay is not allowed for public channels");
		else if (join->replay.kind == REPLAY_BAD)
			refuse(join, REFUSED_TOPIC, UNABLE_TO_REPLAY, "Replay params are not valid");
		else if (subscription->is_private && !access_is_service(&subscription->token->jwt))
		{
			join->next = socket->joins;
			socket->joins = join;
			access_ask(socket->embedded, topic, &subscription->token->jwt, false, answered, join);
			return;
		}
		else
			complete(join);
	}
	free_join(join);
}

bool
join_leave(struct socket *socket, struct frame *frame)
{
	struct join *join = socket->joins;

	/* The last one of the topic is the first one here. */
	while (join != NULL && strcmp(join->frame.topic, frame->topic) != 0)
		join = join->next;
	if (join == NULL || (strcmp(frame->join_ref, "null") != 0 &&
						 strcmp(frame->join_ref, join->subscription->join_ref) != 0))
		return false;
	if (!join->left)
	{
		join->left = true;
		join->leave = *frame;
		memset(frame, 0, sizeof(*frame));
	}
	return true;
}
