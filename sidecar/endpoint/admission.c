/*
 * Handshakes: who gets a WebSocket, and for whom it counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/internal.h"

#define MOST_OF_USER 100
#define TOO_MANY_USERS "Too many connected users"

static struct reply
refuse(int status, const char *error)
{
	char text[160];

	snprintf(text, sizeof(text), "{\"error\":\"%s\"}", error);
	return reply_text(status, "application/json; charset=utf-8", text);
}

static bool
version_ok(const struct request_head *head, enum serializer *serializer)
{
	char *version = request_argument(head, "vsn");
	bool ok = version == NULL || strcmp(version, "1.0.0") == 0 || strcmp(version, "2.0.0") == 0;

	*serializer = version != NULL && strcmp(version, "2.0.0") == 0 ? SERIALIZER_V2 : SERIALIZER_V1;
	free(version);
	return ok;
}

/* As many WebSockets as there are descriptors for. */
static struct reply
refuse_full(struct embedded *embedded)
{
	int times = log_pace_due(&embedded->full, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.refused_sockets, 1);
	if (times > 0)
		log_event(LOG_WARN, "no room for more WebSockets", "most", "%d", embedded->most_sockets,
				  "times", "%d", times, NULL);
	return refuse(429, TOO_MANY_USERS);
}

static struct reply
refuse_for_memory(struct embedded *embedded)
{
	metric_add(embedded->metrics.refused_memory, 1);
	return refuse(503, "The endpoint is at its memory limit");
}

static struct reply
refuse_token(struct embedded *embedded, const char *error)
{
	int times = log_pace_due(&embedded->handshakes, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.refused_handshakes, 1);
	if (times > 0)
		log_event(LOG_WARN, "WebSocket refused", "reason", "%s", error, "times", "%d", times, NULL);
	return refuse(401, error);
}

void
admission_free(struct embedded *embedded, struct admission *admission)
{
	seats_give(&embedded->seats, admission->address);
	seats_give(&embedded->seats, admission->user);
	free(admission->token);
	free(admission);
}

/* The seats of an address and of users are of one table. */
#define ADDRESS_SEAT "address "
#define USER_SEAT "user "

/* False: the address has as many sockets as it may. */
static bool
take_address(struct embedded *embedded, const struct exchange *exchange, struct seat **seat)
{
	struct sockaddr_storage peer;
	char who[sizeof(ADDRESS_SEAT) + VISITOR_SIZE] = ADDRESS_SEAT;

	if (!exchange_peer(exchange, &peer) ||
		!visitor_address(embedded->proxies, (struct sockaddr *) &peer, exchange->head.forwarded_for,
						 who + strlen(ADDRESS_SEAT)))
		return true;
	*seat = seats_take(&embedded->seats, who, embedded->app->config->embedded_max_per_address);
	return *seat != NULL;
}

/* The same of a token's user. The anon key is one token for all, and nobody's. */
static bool
take_user(struct embedded *embedded, const struct jwt *token, struct seat **seat)
{
	char *who;

	if (token->sub == NULL || strcmp(token->role, "authenticated") != 0)
		return true;
	who = xasprintf(USER_SEAT "%s", token->sub);
	/* One that it has already is its own. */
	if (*seat == NULL || strcmp((*seat)->entry.key, who) != 0)
	{
		struct seat *taken = seats_take(&embedded->seats, who, MOST_OF_USER);

		if (taken != NULL)
			seats_give(&embedded->seats, *seat);
		*seat = taken != NULL ? taken : *seat;
		free(who);
		return taken != NULL;
	}
	free(who);
	return true;
}

bool
socket_count_user(struct socket *socket, const struct jwt *token)
{
	socket->trusted = socket->trusted || access_is_service(token);
	return take_user(socket->embedded, token, &socket->user_seat);
}

static struct reply
refuse_crowd(struct embedded *embedded, const char *whose)
{
	int times = log_pace_due(&embedded->crowded, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.refused_crowds, 1);
	if (times > 0)
		log_event(LOG_WARN, "an address or a user has as many WebSockets as it may", "whose", "%s",
				  whose, "times", "%d", times, NULL);
	return refuse(429, TOO_MANY_USERS);
}

/* Takes the token over. */
static struct reply
admit(struct embedded *embedded, const struct exchange *exchange, struct admission *admission)
{
	struct jwt jwt;
	const char *error = jwt_verify(admission->token, embedded->keyring, time(NULL), &jwt);
	struct reply reply = {.status = 101};

	if (error != NULL)
		reply = refuse_token(embedded, error);
	else if (embedded->pressure)
		reply = refuse_for_memory(embedded);
	else if ((int) embedded->sockets.count >= embedded->most_sockets)
		reply = refuse_full(embedded);
	else if (!take_address(embedded, exchange, &admission->address))
		reply = refuse_crowd(embedded, "address");
	else if (!take_user(embedded, &jwt, &admission->user))
		reply = refuse_crowd(embedded, "user");
	jwt_free(&jwt);
	return reply;
}

struct reply
socket_admit(struct embedded *embedded, const struct exchange *exchange,
			 struct admission **admission)
{
	const struct request_head *head = &exchange->head;
	struct admission *made = xcalloc(1, sizeof(*made));
	struct reply reply;

	made->token = slice_text(head->x_api_key);
	if (made->token == NULL)
		made->token = request_argument(head, "apikey");
	if (!version_ok(head, &made->serializer))
		reply = refuse(403, "Unsupported serializer version");
	else if (made->token == NULL)
		reply = refuse_token(embedded, "API key is missing");
	else
		reply = admit(embedded, exchange, made);
	if (reply.status == 101)
		*admission = made;
	else
		admission_free(embedded, made);
	return reply;
}
