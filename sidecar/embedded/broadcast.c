/*
 * HTTP broadcast: the batch endpoint, and the single one, with Realtime's answers.
 *
 * A batch is all or nothing in validation, and hides what a token may not write, as Realtime does. Tokens of
 * service_role, which the sidecar has, are never asked about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "embedded/internal.h"

#define BLANK "{\"errors\":{\"messages\":[\"can't be blank\"]}}"
#define INVALID "{\"errors\":{\"messages\":[\"is invalid\"]}}"

static const char *const item_keys[] = {"topic", "event", "payload", "private", "id"};
#define ITEM_KEYS (sizeof(item_keys) / sizeof(item_keys[0]))

/* One message of a batch. */
struct item
{
	char *topic;
	char *event;
	char *id;
	struct json payload;
	bool is_private;
	const char *errors[ITEM_KEYS]; /* in the order of item_keys */
};

/* A message that waits for the database: it may be written or not. */
struct waiting
{
	uint64_t request_id; /* 0: nobody waits for the answer */
	struct broadcast broadcast;
	char *topic;
	char *event;
	char *id;
	char *payload;
};

static struct reply
json_reply(int status, const char *body)
{
	return (struct reply){status, "application/json; charset=utf-8", strdup(body), strlen(body)};
}

static struct reply
plain_reply(int status, const char *body)
{
	return (struct reply){status, "text/html; charset=utf-8", strdup(body), strlen(body)};
}

static struct reply
empty_reply(int status)
{
	return (struct reply){status, NULL, NULL, 0};
}

/* A required text: its value, or what is wrong with it. */
static char *
required_text(struct json value, const char **error)
{
	char *text = json_text(value);

	if (json_type(value) == 0 || json_type(value) == 'n' || (text != NULL && *text == '\0'))
		*error = "can't be blank";
	else if (text == NULL)
		*error = "is invalid";
	if (*error != NULL)
	{
		free(text);
		return NULL;
	}
	return text;
}

static bool
is_bool(struct json value)
{
	return json_type(value) == 0 || json_type(value) == 'n' || json_is_true(value) ||
		   (value.len == 5 && memcmp(value.start, "false", 5) == 0) ||
		   (value.len == 7 && memcmp(value.start, "\"false\"", 7) == 0);
}

/* Reads one message; false: it has errors. */
static bool
read_item(struct json value, struct item *item)
{
	struct json members[ITEM_KEYS];
	char type;

	json_members(value, item_keys, ITEM_KEYS, members);
	item->topic = required_text(members[0], &item->errors[0]);
	item->event = required_text(members[1], &item->errors[1]);
	item->payload = members[2];
	type = json_type(item->payload);
	if (type != '{')
		item->errors[2] = type == 0 || type == 'n' ? "can't be blank" : "is invalid";
	if (!is_bool(members[3]))
		item->errors[3] = "is invalid";
	item->is_private = json_is_true(members[3]);
	item->id = json_text(members[4]);
	if (item->id == NULL && json_type(members[4]) != 0 && json_type(members[4]) != 'n')
		item->errors[4] = "is invalid";
	if (item->id != NULL && *item->id == '\0')
	{
		free(item->id);
		item->id = NULL;
	}
	for (size_t i = 0; i < ITEM_KEYS; i++)
	{
		if (item->errors[i] != NULL)
			return false;
	}
	return true;
}

static void
free_items(struct item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		free(items[i].topic);
		free(items[i].event);
		free(items[i].id);
	}
	free(items);
}

/* {"errors":{"messages":[{},{"payload":["is invalid"]}]}}: the position is the message's. */
static struct reply
errors_reply(const struct item *items, size_t count)
{
	struct message *m = message_create(false);
	struct reply reply = {422, "application/json; charset=utf-8", NULL, 0};

	message_add(m, "{\"errors\":{\"messages\":[");
	for (size_t i = 0; i < count; i++)
	{
		const char *separator = "";

		message_add(m, i == 0 ? "{" : ",{");
		for (int k = 0; k < (int) ITEM_KEYS; k++)
		{
			if (items[i].errors[k] == NULL)
				continue;
			message_add(m, separator);
			message_string(m, item_keys[k]);
			message_add(m, ":[");
			message_string(m, items[i].errors[k]);
			message_add(m, "]");
			separator = ",";
		}
		message_add(m, "}");
	}
	message_add(m, "]}}");
	reply.body = malloc(m->len);
	memcpy(reply.body, m->data + MESSAGE_HEADROOM, m->len);
	reply.body_len = m->len;
	message_release(m);
	return reply;
}

static void
waited(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct waiting *waiting = arg;

	if (allowed)
		channel_broadcast(embedded, true, &waiting->broadcast, NULL);
	if (waiting->request_id != 0)
		request_answer(embedded, waiting->request_id,
					   allowed ? empty_reply(202)
					   : known ? json_reply(403, "{\"message\":\"Unauthorized\"}")
							   : json_reply(422, "{\"message\":\"Tenant database unavailable\"}"));
	free(waiting->topic);
	free(waiting->event);
	free(waiting->id);
	free(waiting->payload);
	free(waiting);
}

/* Asks whether a token may write a private message; sends it if so. */
static void
ask_first(struct embedded *embedded, uint64_t request_id, const struct jwt *token,
		  const struct broadcast *broadcast)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	waiting->request_id = request_id;
	waiting->broadcast = *broadcast;
	waiting->broadcast.topic = waiting->topic = strdup(broadcast->topic);
	waiting->broadcast.event = waiting->event = strdup(broadcast->event);
	waiting->broadcast.id = waiting->id = broadcast->id ? strdup(broadcast->id) : NULL;
	waiting->payload = malloc(broadcast->payload_len + 1);
	memcpy(waiting->payload, broadcast->payload, broadcast->payload_len);
	waiting->broadcast.payload = waiting->payload;
	access_ask(embedded, waiting->topic, token->claims, true, waited, waiting);
}

static void
send_item(struct embedded *embedded, const struct item *item, const struct jwt *token)
{
	struct broadcast broadcast = {
		.topic = item->topic,
		.event = item->event,
		.id = item->id,
		.payload = item->payload.start,
		.payload_len = item->payload.len,
		.payload_json = true,
	};

	if (item->is_private && !access_is_service(token))
		ask_first(embedded, 0, token, &broadcast);
	else
		channel_broadcast(embedded, item->is_private, &broadcast, NULL);
}

/* The messages of a batch. */
struct items
{
	struct item *list;
	size_t count;
	bool good;    /* each of them */
	bool objects; /* each of them is one */
};

static void
read_items(struct json list, struct items *items)
{
	struct json element;
	size_t room = 0;

	*items = (struct items){.good = true, .objects = true};
	while (items->objects && json_next_element(&list, &element))
	{
		if (items->count == room)
		{
			room = room == 0 ? 64 : room * 2;
			items->list = realloc(items->list, room * sizeof(*items->list));
			if (items->list == NULL)
				abort();
		}
		memset(&items->list[items->count], 0, sizeof(*items->list));
		items->objects = json_type(element) == '{';
		if (items->objects)
			items->good = read_item(element, &items->list[items->count++]) && items->good;
	}
}

static struct reply
send_items(struct embedded *embedded, const struct items *items, const struct jwt *token)
{
	if (!items->objects)
		return json_reply(422, INVALID);
	if (items->count == 0)
		return json_reply(422, BLANK);
	if (!items->good)
		return errors_reply(items->list, items->count);
	for (size_t i = 0; i < items->count; i++)
		send_item(embedded, &items->list[i], token);
	return empty_reply(202);
}

static struct reply
batch(struct embedded *embedded, const struct jwt *token, const char *body, size_t len)
{
	struct json value;
	struct json list;
	struct items items;
	struct reply reply;

	if (len == 0)
		return json_reply(422, BLANK);
	if (!json_validate(body, len, &value))
		return plain_reply(400, "Bad Request");
	list = json_member(value, "messages");
	if (json_type(list) != '[')
		return json_reply(422, list.start == NULL ? BLANK : INVALID);
	read_items(list, &items);
	reply = send_items(embedded, &items, token);
	free_items(items.list, items.count);
	return reply;
}

/* /topic/events/event, still with its URL escapes removed by the server. */
static bool
split_path(const char *path, char **topic, char **event)
{
	const char *middle = strstr(path, "/events/");

	if (middle == NULL || middle == path || middle[strlen("/events/")] == '\0')
		return false;
	*topic = strndup(path, middle - path);
	*event = strdup(middle + strlen("/events/"));
	return true;
}

static struct reply
single(struct embedded *embedded, uint64_t request_id, const struct jwt *token, const char *path,
	   const char *type, bool is_private, const char *body, size_t len)
{
	bool octets = strncmp(type, "application/octet-stream", 24) == 0;
	struct broadcast broadcast = {.binary = true, .payload_json = !octets};
	struct json value = {body, len};
	char *topic;
	char *event;
	char *wrapped = NULL;
	struct reply reply = empty_reply(202);

	if (!octets && *type != '\0' && strncmp(type, "application/json", 16) != 0)
		return json_reply(415, "{\"error\":\"Unsupported Media Type. Use application/json or "
							   "application/octet-stream\"}");
	if (!octets && !json_validate(body, len, &value))
		return plain_reply(400, "Bad Request");
	if (!split_path(path, &topic, &event))
		return plain_reply(404, "Not Found");
	if (!octets && json_type(value) != '{')
	{
		wrapped = malloc(value.len + 16);
		value.len = sprintf(wrapped, "{\"_json\":%.*s}", (int) value.len, value.start);
		value.start = wrapped;
	}
	broadcast.topic = topic;
	broadcast.event = event;
	broadcast.payload = value.start;
	broadcast.payload_len = value.len;
	if (is_private && !access_is_service(token))
	{
		reply = empty_reply(0);
		ask_first(embedded, request_id, token, &broadcast);
	}
	else
		channel_broadcast(embedded, is_private, &broadcast, NULL);
	free(topic);
	free(event);
	free(wrapped);
	return reply;
}

struct reply
broadcast_request(struct embedded *embedded, uint64_t request_id, const char *method,
				  const char *path, const char *token, const char *content_type, bool is_private,
				  const char *body, size_t len)
{
	static const char route[] = "/api/broadcast";
	struct jwt jwt;
	struct reply reply;

	if (strncmp(path, "/realtime/v1", 12) == 0)
		path += 12;
	if (strcmp(method, "OPTIONS") == 0)
		return empty_reply(204);
	if (strncmp(path, route, strlen(route)) != 0 || strcmp(method, "POST") != 0)
		return plain_reply(404, "Not Found");
	path += strlen(route);
	if (token == NULL ||
		jwt_verify(token, embedded->app->config->embedded_jwt_secret, time(NULL), &jwt) != NULL)
		return json_reply(401, "{\"message\":\"Unauthorized\"}");
	if (strcmp(path, "") == 0 || strcmp(path, "/") == 0)
		reply = strstr(content_type, "json") != NULL ? batch(embedded, &jwt, body, len)
													 : json_reply(422, BLANK);
	else if (*path == '/')
		reply = single(embedded, request_id, &jwt, path + 1, content_type, is_private, body, len);
	else
		reply = plain_reply(404, "Not Found");
	jwt_free(&jwt);
	return reply;
}
