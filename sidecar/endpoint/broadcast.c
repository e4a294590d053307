/*
 * HTTP broadcast: the batch endpoint, and the single one, with Realtime's answers.
 *
 * A batch is all or nothing in validation, and hides what a token may not write, as Realtime does. Tokens of
 * service_role, which the sidecar has, are never asked about; those of clients send no events, see access.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "link/link_batch.h"

#include "endpoint/internal.h"

#define BLANK "{\"errors\":{\"messages\":[\"can't be blank\"]}}"
#define INVALID "{\"errors\":{\"messages\":[\"is invalid\"]}}"
#define TOO_LARGE "Payload size exceeds tenant limit"
#define TOO_MANY "{\"message\":\"You have exceeded your rate limit\"}"
#define TOO_MANY_IN_BATCH                                                                          \
	"{\"message\":\"Too many messages to broadcast, please reduce the batch size\"}"

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
	char *payload;
};

static struct reply
json_reply(int status, const char *body)
{
	return reply_text(status, "application/json; charset=utf-8", body);
}

static struct reply
bad_request(void)
{
	return reply_text(400, "text/html; charset=utf-8", "Bad Request");
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

	if (json_type(value) == 0 || json_type(value) == 'n' ||
		(text != NULL && text[strspn(text, " \t\n\v\f\r")] == '\0'))
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

/* Whether a JSON text is exactly this one. */
static bool
is_written(struct json value, const char *text)
{
	return value.len == strlen(text) && memcmp(value.start, text, value.len) == 0;
}

/* What Realtime takes for a truth, and what for one or for none given. */
static bool
is_true(struct json value)
{
	return json_is_true(value) || is_written(value, "\"1\"");
}

static bool
is_bool(struct json value)
{
	return json_type(value) == 0 || json_type(value) == 'n' || is_true(value) ||
		   is_written(value, "false") || is_written(value, "\"false\"") ||
		   is_written(value, "\"0\"") || is_written(value, "\"\"");
}

static bool
has_errors(const struct item *item)
{
	for (size_t i = 0; i < ITEM_KEYS; i++)
	{
		if (item->errors[i] != NULL)
			return true;
	}
	return false;
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
	else if (item->payload.len > MAX_PAYLOAD)
		item->errors[2] = TOO_LARGE;
	if (!is_bool(members[3]))
		item->errors[3] = "is invalid";
	item->is_private = is_true(members[3]);
	item->id = json_text(members[4]);
	if (item->id == NULL && json_type(members[4]) != 0 && json_type(members[4]) != 'n')
		item->errors[4] = "is invalid";
	if (item->id != NULL && *item->id == '\0')
	{
		free(item->id);
		item->id = NULL;
	}
	return !has_errors(item);
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
	reply.body = xmalloc(message_length(m));
	memcpy(reply.body, message_text(m), message_length(m));
	reply.body_len = message_length(m);
	message_release(m);
	return reply;
}

static struct reply
unauthorized(struct embedded *embedded)
{
	metric_add(embedded->metrics.refused_broadcasts, 1);
	return json_reply(403, "{\"message\":\"Unauthorized\"}");
}

static struct reply
answer_of(struct embedded *embedded, bool allowed, bool known)
{
	if (allowed)
		return empty_reply(202);
	return known ? unauthorized(embedded)
				 : json_reply(422, "{\"message\":\"Tenant database unavailable\"}");
}

static void
waited(void *arg, struct embedded *embedded, bool allowed, bool known)
{
	struct waiting *waiting = arg;

	embedded->waiting_bytes -= broadcast_bytes(&waiting->broadcast);
	if (allowed)
		channel_publish(embedded, true, &waiting->broadcast, NULL);
	if (waiting->request_id != 0)
		request_answer(embedded, waiting->request_id, answer_of(embedded, allowed, known));
	else if (!allowed)
		metric_add(embedded->metrics.refused_broadcasts, 1);
	free(waiting->topic);
	free(waiting->event);
	free(waiting->payload);
	free(waiting);
}

/* Asks whether a token may write a private message; sends it if so. False: too many wait. */
static bool
ask_first(struct embedded *embedded, uint64_t request_id, const struct jwt *token,
		  const struct broadcast *broadcast)
{
	struct waiting *waiting;

	if (embedded->waiting_bytes + broadcast_bytes(broadcast) > MAX_WAITING_BYTES)
		return false;
	waiting = xcalloc(1, sizeof(*waiting));
	waiting->request_id = request_id;
	waiting->broadcast = *broadcast;
	waiting->broadcast.topic = waiting->topic = xstrdup(broadcast->topic);
	waiting->broadcast.event = waiting->event = xstrdup(broadcast->event);
	waiting->payload = xmalloc(broadcast->payload_len + 1);
	memcpy(waiting->payload, broadcast->payload, broadcast->payload_len);
	waiting->broadcast.payload = waiting->payload;
	embedded->waiting_bytes += broadcast_bytes(broadcast);
	access_ask(embedded, waiting->topic, token, true, waited, waiting);
	return true;
}

/* An id says that a message is an event of the database: only the service gives one. */
static void
send_item(struct embedded *embedded, const struct item *item, const struct jwt *token)
{
	bool service = access_is_service(token);
	struct broadcast broadcast = {
		.topic = item->topic,
		.event = item->event,
		.id = service ? item->id : NULL,
		.payload = item->payload.start,
		.payload_len = item->payload.len,
		.payload_json = true,
	};

	if (service || !item->is_private)
		channel_publish(embedded, item->is_private, &broadcast, NULL);
	else if (!ask_first(embedded, 0, token, &broadcast))
		metric_add(embedded->metrics.refused_broadcasts, 1);
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
			items->list = xrealloc(items->list, room * sizeof(*items->list));
		}
		memset(&items->list[items->count], 0, sizeof(*items->list));
		items->objects = json_type(element) == '{';
		if (items->objects)
			items->good = read_item(element, &items->list[items->count++]) && items->good;
	}
}

/* Whether one is for a public channel where only the service broadcasts. */
static bool
has_reserved(const struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
	{
		if (!items->list[i].is_private && access_is_reserved(items->list[i].topic))
			return true;
	}
	return false;
}

/* Counts messages of a request; those of tokens that name nobody are not limited. */
static bool
within_rate(struct embedded *embedded, const struct jwt *token, const char *topic, size_t count)
{
	if (access_is_service(token) || token->sub == NULL ||
		rates_messages(&embedded->rates, token->sub, count, uv_now(embedded->app->loop)))
		return true;
	embedded_refused_rate(embedded, topic);
	return false;
}

/* Those that are not for a topic of events, where nobody's would arrive. */
static size_t
count_sendable(const struct items *items)
{
	size_t count = 0;

	for (size_t i = 0; i < items->count; i++)
		count += !access_is_reserved(items->list[i].topic);
	return count;
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
	if (!access_is_service(token) && has_reserved(items))
		return unauthorized(embedded);
	if (!within_rate(embedded, token, items->list[0].topic, count_sendable(items)))
		return json_reply(429, items->count > 1 ? TOO_MANY_IN_BATCH : TOO_MANY);
	for (size_t i = 0; i < items->count; i++)
		send_item(embedded, &items->list[i], token);
	return empty_reply(202);
}

struct reply
broadcast_batch(struct embedded *embedded, const struct jwt *token, const char *body, size_t len)
{
	struct json value;
	struct json list;
	struct items items;
	struct reply reply;

	if (len == 0)
		return json_reply(422, BLANK);
	if (!json_validate(body, len, &value))
		return bad_request();
	list = json_member(value, "messages");
	if (json_type(list) != '[')
		return json_reply(422, list.start == NULL ? BLANK : INVALID);
	read_items(list, &items);
	reply = send_items(embedded, &items, token);
	free_items(items.list, items.count);
	return reply;
}

/* A text that stands in JSON, as it is. Few have anything that was escaped: then it is *made, to be freed. */
static const char *
unescape(const char *text, char **made)
{
	char *quoted;

	if (strchr(text, '\\') == NULL)
		return text;
	quoted = xasprintf("\"%s\"", text);
	*made = json_text((struct json){quoted, strlen(quoted)});
	free(quoted);
	return *made != NULL ? *made : text;
}

bool
broadcast_events(struct embedded *embedded, const char *body, size_t len)
{
	struct link_event event;

	while (link_batch_take(&body, &len, &event))
	{
		char *topic = NULL, *name = NULL;
		struct broadcast broadcast = {
			.topic = unescape(event.topic, &topic),
			.event = unescape(event.name, &name),
			.id = event.id,
			.payload = event.payload,
			.payload_len = event.payload_length,
			.payload_json = true,
		};

		if (*event.rights != '\0')
			rights_changed(embedded, event.rights);
		channel_broadcast(embedded, event.is_private, &broadcast, NULL);
		free(topic);
		free(name);
	}
	return len == 0;
}

/* {"_json": value} around what is no object, as Realtime does; malloc'ed. */
static char *
wrap(struct json *value)
{
	static const char before[] = "{\"_json\":";
	size_t len = strlen(before) + value->len + 1;
	char *wrapped = xmalloc(len);

	memcpy(wrapped, before, strlen(before));
	memcpy(wrapped + strlen(before), value->start, value->len);
	wrapped[len - 1] = '}';
	*value = (struct json){wrapped, len};
	return wrapped;
}

struct reply
broadcast_single(struct embedded *embedded, uint64_t request_id, const struct jwt *token,
				 const char *topic, const char *event, bool octets, bool is_private,
				 const char *body, size_t len)
{
	struct broadcast broadcast = {
		.topic = topic, .event = event, .binary = true, .payload_json = !octets};
	struct json value = {body != NULL ? body : "", len}; /* there may be no byte of it */
	char *wrapped = NULL;
	struct reply reply = empty_reply(202);

	if (!octets && !json_validate(body, len, &value))
		return bad_request();
	if (value.len > MAX_PAYLOAD)
		return json_reply(422, "{\"message\":\"" TOO_LARGE "\"}");
	if (!access_is_service(token) && access_is_reserved(topic))
		return unauthorized(embedded);
	if (!within_rate(embedded, token, topic, 1))
		return json_reply(429, TOO_MANY);
	if (!octets && json_type(value) != '{')
		wrapped = wrap(&value);
	broadcast.payload = value.start;
	broadcast.payload_len = value.len;
	if (access_is_service(token) || !is_private)
		channel_publish(embedded, is_private, &broadcast, NULL);
	else if (ask_first(embedded, request_id, token, &broadcast))
		reply = empty_reply(0);
	else
		reply = json_reply(429, "{\"message\":\"Too many requests\"}");
	free(wrapped);
	return reply;
}
