/*
 * See link_batch.h. Before the texts of an event stand their lengths, each with the byte of its end.
 */
#include "link/link_batch.h"

#include <string.h>

struct header
{
	uint32_t topic, name, id, rights, payload;
	uint32_t is_private;
};

static char *
put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

static void
write_event(struct buffer *text, const struct log_event *row)
{
	uint32_t rights_length = row->rights ? row->conversation_length : 0;
	struct header header = {row->topic_length + 1, row->name_length + 1,    row->id_length + 1,
							rights_length + 1,     row->payload_length + 1, row->is_private};
	size_t len = sizeof(header) + header.topic + header.name + header.id + header.rights +
				 (size_t) header.payload;
	char *at = buffer_reserve(text, len);

	memcpy(at, &header, sizeof(header));
	at = put(at + sizeof(header), log_event_topic(row), row->topic_length);
	at = put(at, log_event_name(row), row->name_length);
	at = put(at, log_event_id(row), row->id_length);
	at = put(at, row->conversation, rights_length);
	put(at, log_event_payload(row), row->payload_length);
	text->len += len;
}

static void
write_events(struct buffer *text, const struct event *events, int count)
{
	for (int i = 0; i < count; i++)
		write_event(text, events[i].row);
}

const struct body_form link_batch = {NULL, write_events};

/* A text with its end, which is in its length. */
static const char *
take_text(const char **at, size_t *left, uint32_t len)
{
	const char *text = *at;

	if (len == 0 || len > *left || text[len - 1] != '\0')
		return NULL;
	*at += len;
	*left -= len;
	return text;
}

bool
link_batch_take(const char **at, size_t *left, struct link_event *event)
{
	const char *next = *at;
	size_t rest = *left;
	struct header header;

	if (rest < sizeof(header))
		return false;
	memcpy(&header, next, sizeof(header));
	next += sizeof(header);
	rest -= sizeof(header);
	event->topic = take_text(&next, &rest, header.topic);
	event->name = take_text(&next, &rest, header.name);
	event->id = take_text(&next, &rest, header.id);
	event->rights = take_text(&next, &rest, header.rights);
	event->payload = take_text(&next, &rest, header.payload);
	if (event->topic == NULL || event->name == NULL || event->id == NULL || event->rights == NULL ||
		event->payload == NULL)
		return false;
	event->payload_length = header.payload - 1;
	event->is_private = header.is_private != 0;
	*at = next;
	*left = rest;
	return true;
}
