/*
 * HTTP of the endpoint: routes, tokens, arguments. Everything that a head can decide is decided before the body is read.
 */
#define _GNU_SOURCE /* memmem */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "config.h"
#include "endpoint/internal.h"
#include "endpoint/websockets.h"

#define MAX_BODY 8000000
#define ROUTE "/api/broadcast"
#define GATEWAY "/realtime/v1"

/* A broadcast, or a handshake that is accepted. */
struct request
{
	struct entry entry; /* key: id */
	uint64_t id;
	struct exchange *exchange;
	struct jwt jwt;
	char *topic; /* of the single route; NULL: a batch */
	char *event;
	bool octets;
	bool is_private;
	struct admission *admission; /* of a handshake */
};

static struct reply
plain(int status, const char *text)
{
	return reply_text(status, "text/html; charset=utf-8", text);
}

static struct reply
json(int status, const char *text)
{
	return reply_text(status, "application/json; charset=utf-8", text);
}

static bool
starts_with(struct slice slice, const char *text)
{
	return slice.len >= strlen(text) && memcmp(slice.start, text, strlen(text)) == 0;
}

static struct slice
without(struct slice slice, size_t len)
{
	return (struct slice){slice.start + len, slice.len - len};
}

static void
request_free(struct embedded *embedded, struct request *request)
{
	table_remove(&embedded->requests, &request->entry);
	jwt_free(&request->jwt);
	free(request->topic);
	free(request->event);
	if (request->admission != NULL)
		admission_free(embedded, request->admission);
	free(request);
}

static struct request *
request_create(struct embedded *embedded, struct exchange *exchange)
{
	struct request *request = xcalloc(1, sizeof(*request));
	char key[ID_TEXT];

	request->id = ++embedded->next_id;
	request->exchange = exchange;
	snprintf(key, sizeof(key), "%llu", (unsigned long long) request->id);
	table_add(&embedded->requests, &request->entry, key);
	exchange->state = request;
	return request;
}

/* The token: "Bearer <token>" of Authorization, else apikey; malloc'ed. */
static char *
token_of(const struct request_head *head)
{
	struct slice value = head->authorization;

	if (value.start == NULL)
		return slice_text(head->apikey);
	if (value.len < 7 || strncasecmp(value.start, "Bearer ", 7) != 0)
		return NULL;
	return slice_text(without(value, 7));
}

/* Two words with one blank between them. */
static bool
is_authorization(struct slice value)
{
	const char *blank = value.len > 0 ? memchr(value.start, ' ', value.len) : NULL;
	size_t first = blank != NULL ? (size_t) (blank - value.start) : 0;

	return first > 0 && first + 1 < value.len &&
		   memchr(blank + 1, ' ', value.len - first - 1) == NULL;
}

/* Realtime dies of an Authorization of another form, and says so as an error of its own. */
static struct reply
verify(struct embedded *embedded, struct request *request)
{
	struct slice authorization = request->exchange->head.authorization;
	char *token = token_of(&request->exchange->head);
	bool good =
		token != NULL && jwt_verify(token, embedded->keyring, time(NULL), &request->jwt) == NULL;

	free(token);
	if (authorization.start != NULL && !is_authorization(authorization))
		return json(500, "\"Internal Server Error\"");
	if (!good)
		return json(401, "{\"message\":\"Unauthorized\"}");
	/* Neither is a service's body read then. */
	if (embedded->pressure)
		return json(503, "{\"message\":\"The endpoint is at its memory limit\"}");
	request->exchange->trusted = access_is_service(&request->jwt);
	return (struct reply){0};
}

static bool
type_is(struct slice type, const char *text)
{
	return type.len >= strlen(text) && strncasecmp(type.start, text, strlen(text)) == 0;
}

/* An argument that is true or false; anything else would be taken for one of them by guessing. */
static bool
read_private(const struct request_head *head, bool *is_private)
{
	char *value = request_argument(head, "private");
	bool good = true;

	*is_private = value != NULL && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
	if (value != NULL && !*is_private)
		good = strcmp(value, "false") == 0 || strcmp(value, "0") == 0 || *value == '\0';
	free(value);
	return good;
}

/* Names go into texts for all who listen; who gets one that is no UTF-8 ends the connection. */
static bool
is_utf8(const char *name)
{
	size_t len = 1;

	for (; *name != '\0' && len > 0; name += len)
		len = text_character(name, 4); /* none goes beyond the NUL */
	return len > 0;
}

/* topic/events/event, each with its escapes. */
static struct reply
begin_single(struct embedded *embedded, struct request *request, struct slice path)
{
	static const char middle[] = "/events/";
	struct slice type = request->exchange->head.content_type;
	const char *events = memmem(path.start, path.len, middle, strlen(middle));
	struct reply reply;

	if (events == NULL || events == path.start || events + strlen(middle) == path.start + path.len)
		return plain(404, "Not Found");
	request->topic = slice_decoded((struct slice){path.start, events - path.start}, false);
	events += strlen(middle);
	request->event = slice_decoded((struct slice){events, path.start + path.len - events}, false);
	if (!is_utf8(request->topic) || !is_utf8(request->event))
		return plain(400, "Bad Request");
	request->octets = type_is(type, "application/octet-stream");
	if (!request->octets && type.len > 0 && !type_is(type, "application/json"))
		return json(415, "{\"error\":\"Unsupported Media Type. Use application/json or "
						 "application/octet-stream\"}");
	reply = verify(embedded, request);
	if (reply.status == 0 && !read_private(&request->exchange->head, &request->is_private))
		reply = json(422, "{\"errors\":{\"private\":[\"is invalid\"]}}");
	return reply;
}

static bool
contains(struct slice slice, const char *text)
{
	return slice.start != NULL && memmem(slice.start, slice.len, text, strlen(text)) != NULL;
}

static bool
accepts_json(struct slice accept)
{
	return accept.len == 0 || contains(accept, "json") || contains(accept, "*/*") ||
		   contains(accept, "application/*");
}

/* What is asked to see whether anybody is here; status 0: something else is asked. */
static struct reply
answer_ping(const struct request_head *head, struct slice path)
{
	bool asks = head->method == METHOD_GET || head->method == METHOD_HEAD;

	if (asks && slice_is(path, "/api/ping"))
		return json(200, "{\"message\":\"Success\"}");
	if (asks && slice_is(path, "/healthcheck"))
		return reply_text(200, "text/plain; charset=utf-8", "ok");
	return (struct reply){0};
}

static struct reply
begin_broadcast(struct embedded *embedded, struct exchange *exchange, struct slice path)
{
	struct request *request;

	if (exchange->head.method != METHOD_POST || !starts_with(path, ROUTE))
		return plain(404, "Not Found");
	path = without(path, strlen(ROUTE));
	if (path.len > 0 && *path.start != '/')
		return plain(404, "Not Found");
	if (!accepts_json(exchange->head.accept))
		return plain(406, "Not Acceptable");
	request = request_create(embedded, exchange);
	return path.len <= 1 ? verify(embedded, request)
						 : begin_single(embedded, request, without(path, 1));
}

static struct reply
begin(void *arg, struct exchange *exchange)
{
	struct embedded *embedded = ((struct app *) arg)->embedded;
	struct slice path = exchange->head.path;
	struct reply reply;

	if (exchange->head.method == METHOD_OPTIONS)
		return (struct reply){.status = 204};
	if (exchange->head.websocket &&
		(slice_is(path, "/socket/websocket") || slice_is(path, GATEWAY "/websocket")))
	{
		struct request *request = request_create(embedded, exchange);

		return socket_admit(embedded, exchange, &request->admission);
	}
	if (starts_with(path, GATEWAY "/"))
		path = without(path, strlen(GATEWAY));
	reply = answer_ping(&exchange->head, path);
	return reply.status != 0 ? reply : begin_broadcast(embedded, exchange, path);
}

static struct reply
complete(void *arg, struct exchange *exchange)
{
	struct embedded *embedded = ((struct app *) arg)->embedded;
	struct request *request = exchange->state;
	struct slice type = exchange->head.content_type;

	if (request->topic != NULL)
		return broadcast_single(embedded, request->id, &request->jwt, request->topic,
								request->event, request->octets, request->is_private,
								exchange->body, exchange->body_len);
	if (type.len == 0 || memmem(type.start, type.len, "json", 4) == NULL)
		return json(422, "{\"errors\":{\"messages\":[\"can't be blank\"]}}");
	return broadcast_batch(embedded, &request->jwt, exchange->body, exchange->body_len);
}

static void
upgrade(void *arg, struct exchange *exchange, int fd)
{
	struct app *app = arg;
	struct request *request = exchange->state;

	app->embedded->admitted = request->admission;
	request->admission = NULL;
	websockets_upgrade(app->embedded->websockets, fd, exchange->head.websocket_key);
	if (app->embedded->admitted != NULL) /* libwebsockets would not have it */
		admission_free(app->embedded, app->embedded->admitted);
	app->embedded->admitted = NULL;
	request_free(app->embedded, request);
}

static void
end(void *arg, struct exchange *exchange)
{
	if (exchange->state != NULL)
		request_free(((struct app *) arg)->embedded, exchange->state);
}

const struct listener_rules embedded_rules = {
	.name = "embedded",
	.headers =
		"access-control-allow-origin: *\r\n"
		"access-control-allow-headers: authorization, x-client-info, apikey, content-type\r\n"
		"access-control-allow-methods: GET, POST, OPTIONS\r\n",
	.max_body = MAX_BODY,
	.begin = begin,
	.complete = complete,
	.upgrade = upgrade,
	.end = end,
};

void
request_answer(struct embedded *embedded, uint64_t request_id, struct reply reply)
{
	char key[ID_TEXT];
	struct request *request;

	snprintf(key, sizeof(key), "%llu", (unsigned long long) request_id);
	request = (struct request *) table_find(&embedded->requests, key);
	if (request == NULL)
		free(reply.body);
	else
		exchange_answer(request->exchange, reply);
}
