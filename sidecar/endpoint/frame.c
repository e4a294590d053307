/*
 * Parsing and printing of Phoenix frames; see frame.h.
 */
#include "endpoint/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define PREFIX "realtime:"
#define TYPE_PUSH 3
#define TYPE_BROADCAST 4
#define ENCODING_JSON 1
#define PUSH_HEADER 7
#define MAX_NAME 255

/* A reference as JSON text: a string, a number, or null. */
static char *
reference(struct json value)
{
	char type = json_type(value);

	return type == 0 || type == '{' || type == '[' ? xstrdup("null")
												   : xstrndup(value.start, value.len);
}

void
frame_free(struct frame *frame)
{
	free(frame->join_ref);
	free(frame->ref);
	free(frame->topic);
	free(frame->event);
	memset(frame, 0, sizeof(*frame));
}

/* Fills a frame from its five parts; topic and event must be strings. */
static bool
fill(struct frame *frame, const struct json *part)
{
	if (part[0].len > FRAME_MAX_REFERENCE || part[1].len > FRAME_MAX_REFERENCE)
		return false;
	frame->join_ref = reference(part[0]);
	frame->ref = reference(part[1]);
	frame->topic = json_text(part[2]);
	frame->event = json_text(part[3]);
	frame->payload = part[4];
	if (frame->topic != NULL && frame->event != NULL)
		return true;
	frame_free(frame);
	return false;
}

bool
frame_parse_text(enum serializer serializer, const char *text, size_t len, struct frame *frame)
{
	static const char *const names[] = {"join_ref", "ref", "topic", "event", "payload"};
	struct json value;
	struct json part[5] = {{NULL, 0}};

	memset(frame, 0, sizeof(*frame));
	if (!json_validate(text, len, &value))
		return false;
	if (serializer == SERIALIZER_V1)
	{
		for (int i = 0; i < 5; i++)
			part[i] = json_member(value, names[i]);
	}
	else if (json_type(value) == '[')
	{
		for (int i = 0; i < 5; i++)
		{
			if (!json_next_element(&value, &part[i]))
				return false;
		}
	}
	return fill(frame, part);
}

/* A name of a binary frame as a text; quoted: as JSON text for a reference. */
static char *
name(const unsigned char **p, size_t len, bool quoted)
{
	char *text;

	if (!quoted)
		text = xstrndup((const char *) *p, len);
	else if (len == 0)
		text = xstrdup("null");
	else
	{
		text = xmalloc(len + 3);
		text[0] = '"';
		memcpy(text + 1, *p, len);
		memcpy(text + 1 + len, "\"", 2);
	}
	*p += len;
	return text;
}

/* True for valid UTF-8: what is not cannot be sent on as text. */
static bool
is_text(const char *text)
{
	struct message *m = message_create(false);
	struct json value;
	bool valid;

	message_string(m, text);
	valid = json_validate(message_text(m), message_length(m), &value);
	message_release(m);
	return valid;
}

bool
frame_parse_binary(const unsigned char *data, size_t len, struct frame *frame)
{
	const unsigned char *p = data + PUSH_HEADER;
	size_t names;
	struct json value;

	memset(frame, 0, sizeof(*frame));
	if (len < PUSH_HEADER || data[0] != TYPE_PUSH || data[6] > ENCODING_JSON)
		return false;
	names = (size_t) data[1] + data[2] + data[3] + data[4] + data[5];
	/* A text of C would end at a NUL. */
	if (len < PUSH_HEADER + names || memchr(p, '\0', names - data[5]) != NULL)
		return false;
	frame->join_ref = name(&p, data[1], true);
	frame->ref = name(&p, data[2], true);
	frame->topic = name(&p, data[3], false);
	frame->event = name(&p, data[4], false);
	p += data[5]; /* metadata */
	frame->push = true;
	frame->payload_json = data[6] == ENCODING_JSON;
	frame->payload = (struct json){(const char *) p, len - PUSH_HEADER - names};
	/* References and names go into JSON texts again: they must be valid there. */
	if (json_validate(frame->join_ref, strlen(frame->join_ref), &value) &&
		json_validate(frame->ref, strlen(frame->ref), &value) && is_text(frame->topic) &&
		is_text(frame->event) &&
		(!frame->payload_json || json_validate(frame->payload.start, frame->payload.len, &value)))
		return true;
	frame_free(frame);
	return false;
}

struct message *
frame_event(enum serializer serializer, const char *join_ref, const char *ref, const char *topic,
			const char *event, const char *payload)
{
	struct message *m = message_create(false);

	if (serializer == SERIALIZER_V1)
	{
		message_add(m, "{\"ref\":");
		message_add(m, ref ? ref : "null");
		message_add(m, ",\"event\":");
		message_string(m, event);
		message_add(m, ",\"topic\":");
		message_string(m, topic);
		message_add(m, ",\"payload\":");
		message_add(m, payload);
		message_add(m, "}");
		return m;
	}
	message_add(m, "[");
	message_add(m, join_ref ? join_ref : "null");
	message_add(m, ",");
	message_add(m, ref ? ref : "null");
	message_add(m, ",");
	message_string(m, topic);
	message_add(m, ",");
	message_string(m, event);
	message_add(m, ",");
	message_add(m, payload);
	message_add(m, "]");
	return m;
}

struct message *
frame_reply(enum serializer serializer, const struct frame *to, bool ok, const char *response)
{
	struct message *payload = message_create(false);
	struct message *m;

	message_add(payload,
				ok ? "{\"status\":\"ok\",\"response\":" : "{\"status\":\"error\",\"response\":");
	message_add(payload, response);
	message_bytes(payload, "}", 2);
	m = frame_event(serializer, to->join_ref, to->ref, to->topic, "phx_reply",
					message_text(payload));
	message_release(payload);
	return m;
}

/* {"event":…,"meta":{"id":…},"payload":…,"type":"broadcast"} */
static void
add_broadcast_payload(struct message *m, const struct broadcast *broadcast, bool replayed)
{
	message_add(m, "{\"event\":");
	message_string(m, broadcast->event);
	if (broadcast->id != NULL)
	{
		message_add(m, ",\"meta\":{\"id\":");
		message_string(m, broadcast->id);
		message_add(m, replayed ? ",\"replayed\":true}" : "}");
	}
	message_add(m, ",\"payload\":");
	message_bytes(m, broadcast->payload, broadcast->payload_len);
	message_add(m, ",\"type\":\"broadcast\"}");
}

static struct message *
text_broadcast(enum serializer serializer, const struct broadcast *broadcast, const char *topic)
{
	struct message *m = message_create(false);

	message_add(m, serializer == SERIALIZER_V1 ? "{\"ref\":null,\"event\":\"broadcast\",\"topic\":"
											   : "[null,null,");
	message_string(m, topic);
	message_add(m, serializer == SERIALIZER_V1 ? ",\"payload\":" : ",\"broadcast\",");
	add_broadcast_payload(m, broadcast, false);
	message_add(m, serializer == SERIALIZER_V1 ? "}" : "]");
	return m;
}

struct message *
frame_replay(enum serializer serializer, const char *join_ref, const struct broadcast *broadcast)
{
	char *topic = xasprintf(PREFIX "%s", broadcast->topic);
	struct message *payload = message_create(false);
	struct message *m;

	add_broadcast_payload(payload, broadcast, true);
	message_bytes(payload, "", 1);
	m = frame_event(serializer, join_ref, NULL, topic, "broadcast", message_text(payload));
	message_release(payload);
	free(topic);
	return m;
}

/* Type 4: lengths of topic, event and metadata, the encoding, then the three parts. */
static struct message *
binary_broadcast(const struct broadcast *broadcast, const char *topic)
{
	unsigned char header[] = {TYPE_BROADCAST, strlen(topic), strlen(broadcast->event), 0,
							  broadcast->payload_json ? ENCODING_JSON : 0};
	struct message *m = message_create(true);

	message_bytes(m, header, sizeof(header));
	message_add(m, topic);
	message_add(m, broadcast->event);
	message_bytes(m, broadcast->payload, broadcast->payload_len);
	return m;
}

struct message *
frame_broadcast(enum serializer serializer, const struct broadcast *broadcast)
{
	size_t size = strlen(PREFIX) + strlen(broadcast->topic) + 1;
	char *topic = xmalloc(size);
	struct message *m = NULL;

	memcpy(topic, PREFIX, strlen(PREFIX));
	memcpy(topic + strlen(PREFIX), broadcast->topic, size - strlen(PREFIX));
	if (!broadcast->payload_json && serializer == SERIALIZER_V1)
		m = NULL;
	else if (broadcast->binary && serializer == SERIALIZER_V2 && strlen(topic) <= MAX_NAME &&
			 strlen(broadcast->event) <= MAX_NAME)
		m = binary_broadcast(broadcast, topic);
	else if (broadcast->payload_json)
		m = text_broadcast(serializer, broadcast, topic);
	free(topic);
	return m;
}
