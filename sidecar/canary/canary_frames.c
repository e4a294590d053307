/*
 * See canary_frames.h.
 *
 * Texts are arrays [join_ref, ref, topic, event, payload]. What was sent alone or from the database comes in binary: the
 * kind 4, a byte each for the lengths of topic, event and meta, one for the encoding (1: JSON), then these three and the payload.
 */
#include "canary/canary_frames.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define PREFIX "realtime:"
#define EVENT "canary"
#define JOIN_REF "1"
#define HEARTBEAT_REF "2"
#define TOKEN_REF "3"
#define PUSH_REF "4"
#define BINARY_HEAD 5
#define BINARY_BROADCAST 4
#define BINARY_JSON 1

/* Writing ----------------------------------------------------------------------------------------- */

static char *
print(json_t *frame)
{
	char *text = frame != NULL ? json_dumps(frame, JSON_COMPACT) : NULL;

	if (text == NULL)
		memory_gone("a frame");
	json_decref(frame);
	return text;
}

char *
canary_frame_join(const char *topic, bool is_private, const char *token)
{
	return print(json_pack("[s,s,s+,s,{s:{s:{s:b,s:b},s:{s:b},s:[],s:b},s:s*}]", JOIN_REF, JOIN_REF,
						   PREFIX, topic, "phx_join", "config", "broadcast", "ack", 0, "self", 1,
						   "presence", "enabled", 0, "postgres_changes", "private", is_private,
						   "access_token", token));
}

char *
canary_frame_heartbeat(void)
{
	return print(json_pack("[n,s,s,s,{}]", HEARTBEAT_REF, "phoenix", "heartbeat"));
}

char *
canary_frame_token(const char *topic, const char *token)
{
	return print(json_pack("[s,s,s+,s,{s:s}]", JOIN_REF, TOKEN_REF, PREFIX, topic, "access_token",
						   "access_token", token));
}

char *
canary_frame_push(const char *topic, uint64_t number)
{
	return print(json_pack("[s,s,s+,s,{s:s,s:s,s:{s:I}}]", JOIN_REF, PUSH_REF, PREFIX, topic,
						   "broadcast", "type", "broadcast", "event", EVENT, "payload", "number",
						   (json_int_t) number));
}

/* Reading ----------------------------------------------------------------------------------------- */

static bool
is(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static void
take_reason(struct canary_frame *frame, const json_t *reason)
{
	if (json_is_string(reason))
		text_clean(frame->reason, sizeof(frame->reason), json_string_value(reason),
				   json_string_length(reason), TEXT_LINE);
}

static void
take_number(struct canary_frame *frame, const json_t *payload)
{
	const json_t *number = json_object_get(payload, "number");

	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return;
	frame->message = CANARY_EVENT;
	frame->number = (uint64_t) json_integer_value(number);
}

static void
take_reply(struct canary_frame *frame, const json_t *ref, const json_t *payload)
{
	bool ok = is(json_object_get(payload, "status"), "ok");

	if (is(ref, HEARTBEAT_REF))
		frame->message = CANARY_BEATS;
	if (!is(ref, JOIN_REF))
		return;
	frame->message = ok ? CANARY_JOINED : CANARY_REFUSED;
	if (!ok)
		take_reason(frame, json_object_get(json_object_get(payload, "response"), "reason"));
}

/* A message to our topic that is no reply. */
static void
take_message(struct canary_frame *frame, const json_t *event, const json_t *payload)
{
	if (is(event, "broadcast"))
	{
		if (is(json_object_get(payload, "event"), EVENT))
			take_number(frame, json_object_get(payload, "payload"));
	}
	else if (is(event, "phx_close") || is(event, "phx_error"))
		frame->message = CANARY_CLOSED;
	else if (is(event, "system") && is(json_object_get(payload, "status"), "error"))
	{
		frame->message = CANARY_CLOSED;
		take_reason(frame, json_object_get(payload, "message"));
	}
}

static bool
is_ours(const json_t *value, const char *topic)
{
	const char *text = json_string_value(value);

	return text != NULL && strncmp(text, PREFIX, strlen(PREFIX)) == 0 &&
		   strcmp(text + strlen(PREFIX), topic) == 0;
}

static void
read_text(struct canary_frame *frame, const char *topic, const json_t *array)
{
	const json_t *ref = json_array_get(array, 1), *event = json_array_get(array, 3);
	const json_t *payload = json_array_get(array, 4);

	if (json_array_size(array) != 5)
		return;
	if (is(json_array_get(array, 2), "phoenix") || is_ours(json_array_get(array, 2), topic))
	{
		if (is(event, "phx_reply"))
			take_reply(frame, ref, payload);
		else if (is_ours(json_array_get(array, 2), topic))
			take_message(frame, event, payload);
	}
}

static void
read_binary(struct canary_frame *frame, const char *topic, const char *bytes, size_t len)
{
	const unsigned char *head = (const unsigned char *) bytes;
	size_t topic_len, event_len, before;
	json_t *payload;

	if (len < BINARY_HEAD || head[0] != BINARY_BROADCAST || head[4] != BINARY_JSON)
		return;
	topic_len = head[1];
	event_len = head[2];
	before = BINARY_HEAD + topic_len + event_len + head[3];
	if (len < before || topic_len != strlen(PREFIX) + strlen(topic) ||
		memcmp(bytes + BINARY_HEAD, PREFIX, strlen(PREFIX)) != 0 ||
		memcmp(bytes + BINARY_HEAD + strlen(PREFIX), topic, strlen(topic)) != 0 ||
		event_len != strlen(EVENT) ||
		memcmp(bytes + BINARY_HEAD + topic_len, EVENT, event_len) != 0)
		return;
	payload = json_loadb(bytes + before, len - before, 0, NULL);
	take_number(frame, payload);
	json_decref(payload);
}

void
canary_frame_read(struct canary_frame *frame, const char *topic, const char *bytes, size_t len,
				  bool binary)
{
	json_t *array;

	frame->message = CANARY_NOTHING;
	frame->number = 0;
	frame->reason[0] = '\0';
	if (binary)
	{
		read_binary(frame, topic, bytes, len);
		return;
	}
	array = json_loadb(bytes, len, 0, NULL);
	read_text(frame, topic, array);
	json_decref(array);
}
