/*
 * See log_answer.h.
 */
#include "consumer/log_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define VERSION 1
#define HEADER_SIZE 40
#define ARMED 1
#define MORE 2
#define EVENT_SIZE 44 /* of what stands before its texts, its own length left out */
#define STATE 1
#define RIGHTS 4
#define MOST_ID 64 /* bytes of the id of a message */

/* What stands between the texts of a message. */
#define BEFORE_TOPIC "{\"topic\":\""
#define BEFORE_NAME "\",\"event\":\""
#define BEFORE_PAYLOAD "\",\"payload\":"
#define BEHIND_PAYLOAD ",\"private\":"
#define TRUE "true,"
#define FALSE "false,"
#define BEFORE_OWN_ID "\"id\":\""
#define END "\"}"
#define LENGTH(literal) (sizeof(literal) - 1)

#define BEFORE_PACKET "{\"packet\":{"

/* And of a body. */
#define BEFORE_ID "{\"id\":\""
#define BEFORE_TYPE "\",\"type\":\""
#define BEFORE_EVENT "\",\"event\":\""
#define BEFORE_TIME "\",\"timestamp\":\""
#define BEFORE_DATA "\",\"data\":"

/* What is not read yet of a piece. */
struct rest
{
	const char *at;
	size_t left;
};

static uint64_t
take_number(struct rest *rest, int size)
{
	uint64_t number = 0;

	for (int i = 0; i < size; i++)
		number = number << 8 | (unsigned char) rest->at[i];
	rest->at += size;
	rest->left -= (size_t) size;
	return number;
}

static bool
take_bytes(struct rest *rest, size_t len, const char **bytes)
{
	if (len > rest->left)
		return false;
	*bytes = rest->at;
	rest->at += len;
	rest->left -= len;
	return true;
}

static bool
take_literal(struct rest *rest, const char *literal, size_t len)
{
	const char *bytes;

	return take_bytes(rest, len, &bytes) && memcmp(bytes, literal, len) == 0;
}

/* A snapshot, which goes back to the server as a text with an end. */
static bool
take_snapshot(struct rest *rest, size_t len, char **text)
{
	const char *bytes;

	if (!take_bytes(rest, len, &bytes) || memchr(bytes, '\0', len) != NULL)
		return false;
	*text = len > 0 ? xstrndup(bytes, len) : NULL;
	return true;
}

static const char *
read_header(struct log_answer *answer, struct rest *rest, uint32_t *count)
{
	uint64_t flags;
	size_t snapshot, target;

	if (rest->left < 1 || take_number(rest, 1) != VERSION)
		return "read: its version is another";
	if (rest->left < HEADER_SIZE - 1)
		return "read: its header is cut off";
	flags = take_number(rest, 1);
	answer->armed = (flags & ARMED) != 0;
	answer->more = (flags & MORE) != 0;
	(void) take_number(rest, 2);
	*count = (uint32_t) take_number(rest, 4);
	answer->last_id = (int64_t) take_number(rest, 8);
	answer->late_id = (int64_t) take_number(rest, 8);
	answer->now = (int64_t) take_number(rest, 8);
	snapshot = take_number(rest, 4);
	target = take_number(rest, 4);
	if (!take_snapshot(rest, snapshot, &answer->snapshot) ||
		!take_snapshot(rest, target, &answer->target))
		return "read: a snapshot is cut off";
	return answer->snapshot != NULL ? NULL : "read: its position has no snapshot";
}

/* A packet, behind its topic: nobody looks into it before the server does. */
static bool
read_packet(struct log_event *event, struct rest *rest)
{
	if (!take_bytes(rest, event->conversation_length, &event->conversation) ||
		!take_bytes(rest, event->topic_length, &event->topic) || rest->left > UINT32_MAX)
		return false;
	event->name_length = event->payload_length = 0;
	event->message = rest->at;
	event->message_length = (uint32_t) rest->left;
	return take_literal(rest, BEFORE_PACKET, LENGTH(BEFORE_PACKET)) && rest->left > 0 &&
		   rest->at[rest->left - 1] == '}';
}

/* Nothing of an id must be escaped. */
static bool
take_id(struct rest *rest, uint32_t *length)
{
	size_t n = 0;

	while (n < rest->left && rest->at[n] != '"' && rest->at[n] != '\\')
		n++;
	*length = (uint32_t) n;
	rest->at += n;
	rest->left -= n;
	return n > 0 && n < MOST_ID;
}

/* Whether it is private, its id, and the end of its message. */
static bool
read_end(struct log_event *event, struct rest *rest)
{
	event->is_private = rest->left > 0 && *rest->at == 't';
	return (event->is_private ? take_literal(rest, TRUE, LENGTH(TRUE))
							  : take_literal(rest, FALSE, LENGTH(FALSE))) &&
		   take_literal(rest, BEFORE_OWN_ID, LENGTH(BEFORE_OWN_ID)) &&
		   take_id(rest, &event->id_length) && take_literal(rest, END, LENGTH(END)) &&
		   rest->left == 0;
}

/* The texts of an event, of which nothing else may be left. */
static bool
read_texts(struct log_event *event, struct rest *rest)
{
	const char *bytes;

	if (!take_bytes(rest, event->conversation_length, &event->conversation))
		return false;
	event->message = rest->at;
	if (rest->left > UINT32_MAX)
		return false;
	event->message_length = (uint32_t) rest->left;
	return take_literal(rest, BEFORE_TOPIC, LENGTH(BEFORE_TOPIC)) &&
		   take_bytes(rest, event->topic_length, &event->topic) &&
		   take_literal(rest, BEFORE_NAME, LENGTH(BEFORE_NAME)) &&
		   take_bytes(rest, event->name_length, &bytes) &&
		   take_literal(rest, BEFORE_PAYLOAD, LENGTH(BEFORE_PAYLOAD)) &&
		   take_bytes(rest, event->payload_length, &bytes) &&
		   take_literal(rest, BEHIND_PAYLOAD, LENGTH(BEHIND_PAYLOAD)) && read_end(event, rest);
}

/* What of a body stands before its data. */
static bool
take_body(struct log_event *event, struct rest *rest)
{
	const char *type, *name, *bytes;

	if (rest->left > UINT32_MAX)
		return false;
	event->message = rest->at;
	event->message_length = (uint32_t) rest->left;
	return take_literal(rest, BEFORE_ID, LENGTH(BEFORE_ID)) && take_id(rest, &event->id_length) &&
		   take_literal(rest, BEFORE_TYPE, LENGTH(BEFORE_TYPE)) &&
		   take_bytes(rest, event->name_length, &type) &&
		   take_literal(rest, BEFORE_EVENT, LENGTH(BEFORE_EVENT)) &&
		   take_bytes(rest, event->name_length, &name) &&
		   memcmp(type, name, event->name_length) == 0 &&
		   take_literal(rest, BEFORE_TIME, LENGTH(BEFORE_TIME)) &&
		   take_bytes(rest, LOG_TIME_LENGTH, &bytes) &&
		   take_literal(rest, BEFORE_DATA, LENGTH(BEFORE_DATA));
}

/* The same of a body, and of the owner before it. */
static bool
read_body(struct log_event *event, struct rest *rest)
{
	const char *bytes;

	event->owner_length = event->topic_length;
	event->topic_length = 0;
	return take_bytes(rest, event->conversation_length, &event->conversation) &&
		   take_bytes(rest, event->owner_length, &event->owner) && take_body(event, rest) &&
		   take_bytes(rest, event->payload_length, &bytes) && rest->left == 1 && *rest->at == '}';
}

bool
log_body_read(struct log_event *event, const char *body, size_t len, size_t type_length)
{
	struct rest rest = {body, len};

	*event = (struct log_event){.name_length = (uint32_t) type_length};
	if (!take_body(event, &rest) || rest.left < 2 || rest.at[rest.left - 1] != '}')
		return false;
	event->payload_length = (uint32_t) rest.left - 1;
	return true;
}

static bool
read_event(struct log_event *event, enum log_form form, struct rest *rest)
{
	struct rest own;
	uint64_t flags;

	if (rest->left < 4)
		return false;
	own.left = take_number(rest, 4);
	if (own.left < EVENT_SIZE || !take_bytes(rest, own.left, &own.at))
		return false;
	event->id = (int64_t) take_number(&own, 8);
	event->created_at = (int64_t) take_number(&own, 8);
	event->expires_at = (int64_t) take_number(&own, 8);
	flags = take_number(&own, 4);
	event->state = (flags & STATE) != 0;
	event->rights = (flags & RIGHTS) != 0;
	event->conversation_length = (uint32_t) take_number(&own, 4);
	event->topic_length = (uint32_t) take_number(&own, 4);
	event->name_length = (uint32_t) take_number(&own, 4);
	event->payload_length = (uint32_t) take_number(&own, 4);
	event->owner = event->topic = NULL;
	event->is_private = false;
	event->owner_length = event->id_length = 0;
	switch (form)
	{
		case LOG_BODIES:
			return read_body(event, &own);
		case LOG_PACKETS:
			return read_packet(event, &own);
		default:
			return read_texts(event, &own);
	}
}

static struct rest
piece_of(const PGresult *rows, int row)
{
	return (struct rest){PQgetvalue(rows, row, 0), (size_t) PQgetlength(rows, row, 0)};
}

/* As many events as were promised, and no more than what has come has room for. */
static bool
make_room(struct log_answer *answer, const PGresult *rows, uint32_t count)
{
	size_t bytes = 0;

	for (int row = 0; row < PQntuples(rows); row++)
		bytes += piece_of(rows, row).left;
	if (count > bytes / (EVENT_SIZE + 4))
		return false;
	answer->events = xmalloc(count * sizeof(*answer->events));
	return true;
}

static const char *
read_events(struct log_answer *answer, enum log_form form, const PGresult *rows, struct rest first,
			uint32_t count)
{
	if (!make_room(answer, rows, count))
		return "read: events are missing";
	for (int row = 0; row < PQntuples(rows); row++)
	{
		struct rest rest = row == 0 ? first : piece_of(rows, row);

		while (rest.left > 0)
		{
			if ((uint32_t) answer->nevents == count)
				return "read: there are more events than it says";
			if (!read_event(&answer->events[answer->nevents], form, &rest))
				return "read: an event is misshapen";
			answer->nevents++;
		}
	}
	return (uint32_t) answer->nevents == count ? NULL : "read: events are missing";
}

bool
log_answer_read(struct log_answer *answer, enum log_form form, const PGresult *rows,
				const char **why)
{
	struct rest rest;
	uint32_t count;

	memset(answer, 0, sizeof(*answer));
	*why = "read: no answer";
	if (PQntuples(rows) > 0)
	{
		rest = piece_of(rows, 0);
		*why = read_header(answer, &rest, &count);
		if (*why == NULL)
			*why = read_events(answer, form, rows, rest, count);
	}
	if (*why != NULL)
		log_answer_clear(answer);
	return *why == NULL;
}

void
log_answer_clear(struct log_answer *answer)
{
	free(answer->snapshot);
	free(answer->target);
	free(answer->events);
	memset(answer, 0, sizeof(*answer));
}

const char *
log_event_topic(const struct log_event *event)
{
	return event->topic;
}

const char *
log_event_name(const struct log_event *event)
{
	return log_event_topic(event) + event->topic_length + LENGTH(BEFORE_NAME);
}

const char *
log_event_payload(const struct log_event *event)
{
	return log_event_name(event) + event->name_length + LENGTH(BEFORE_PAYLOAD);
}

const char *
log_event_id(const struct log_event *event)
{
	return log_event_payload(event) + event->payload_length + LENGTH(BEHIND_PAYLOAD) +
		   (event->is_private ? LENGTH(TRUE) : LENGTH(FALSE)) + LENGTH(BEFORE_OWN_ID);
}

const char *
log_body_id(const struct log_event *event)
{
	return event->message + LENGTH(BEFORE_ID);
}

const char *
log_body_type(const struct log_event *event)
{
	return log_body_id(event) + event->id_length + LENGTH(BEFORE_TYPE);
}

const char *
log_body_time(const struct log_event *event)
{
	return log_body_type(event) + 2 * event->name_length + LENGTH(BEFORE_EVENT) +
		   LENGTH(BEFORE_TIME);
}
