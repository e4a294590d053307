/*
 * See relay_wire.h. Before the texts of a broadcast stand their lengths, in network byte order: each text has an end, which
 * counts, and the payload has none.
 */
#include "endpoint/relay_wire.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define VERSION '\1'
#define PRIVATE 1
#define BINARY 2
#define JSON 4

struct header
{
	uint32_t topic, event, id, payload; /* id: 0, there is none */
	uint32_t flags;
};

static size_t
id_length(const struct broadcast *broadcast)
{
	return broadcast->id != NULL ? strlen(broadcast->id) + 1 : 0;
}

size_t
relay_wire_length(const struct broadcast *broadcast)
{
	return sizeof(struct header) + strlen(broadcast->topic) + strlen(broadcast->event) + 2 +
		   id_length(broadcast) + broadcast->payload_len;
}

void
relay_wire_put(struct buffer *out, bool is_private, const struct broadcast *broadcast)
{
	size_t topic = strlen(broadcast->topic) + 1, event = strlen(broadcast->event) + 1;
	struct header header = {htonl((uint32_t) topic), htonl((uint32_t) event),
							htonl((uint32_t) id_length(broadcast)),
							htonl((uint32_t) broadcast->payload_len),
							htonl((is_private ? PRIVATE : 0) | (broadcast->binary ? BINARY : 0) |
								  (broadcast->payload_json ? JSON : 0))};

	if (out->len == 0)
		buffer_bytes(out, (const char[]){VERSION}, 1);
	buffer_bytes(out, &header, sizeof(header));
	buffer_bytes(out, broadcast->topic, topic);
	buffer_bytes(out, broadcast->event, event);
	if (broadcast->id != NULL)
		buffer_bytes(out, broadcast->id, id_length(broadcast));
	buffer_bytes(out, broadcast->payload, broadcast->payload_len);
}

bool
relay_wire_begin(const char **at, size_t *left)
{
	if (*left == 0 || **at != VERSION)
		return false;
	++*at;
	--*left;
	return true;
}

static const char *
take(const char **at, size_t *left, size_t len)
{
	const char *bytes = *at;

	if (len > *left)
		return NULL;
	*at += len;
	*left -= len;
	return bytes;
}

static const char *
take_text(const char **at, size_t *left, size_t len)
{
	const char *text = take(at, left, len);

	return text != NULL && len > 0 && text[len - 1] == '\0' ? text : NULL;
}

bool
relay_wire_take(const char **at, size_t *left, struct broadcast *broadcast, bool *is_private)
{
	const char *next = *at;
	size_t rest = *left;
	struct header header;
	uint32_t flags;

	if (rest < sizeof(header))
		return false;
	memcpy(&header, take(&next, &rest, sizeof(header)), sizeof(header));
	flags = ntohl(header.flags);
	*broadcast = (struct broadcast){.binary = (flags & BINARY) != 0,
									.payload_json = (flags & JSON) != 0,
									.payload_len = ntohl(header.payload)};
	broadcast->topic = take_text(&next, &rest, ntohl(header.topic));
	broadcast->event = take_text(&next, &rest, ntohl(header.event));
	if (header.id != 0)
		broadcast->id = take_text(&next, &rest, ntohl(header.id));
	broadcast->payload = take(&next, &rest, broadcast->payload_len);
	if (broadcast->topic == NULL || broadcast->event == NULL || broadcast->payload == NULL ||
		(header.id != 0 && broadcast->id == NULL))
		return false;
	*is_private = (flags & PRIVATE) != 0;
	*at = next;
	*left = rest;
	return true;
}
