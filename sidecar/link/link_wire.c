/*
 * See link_wire.h.
 */
#include "link/link_wire.h"

#include <string.h>

struct header
{
	uint32_t len; /* of the body */
	uint32_t kind;
	uint64_t number;
};

void
link_frame_write(struct buffer *out, enum link_kind kind, uint64_t number, const void *body,
				 size_t len)
{
	struct header header = {(uint32_t) len, kind, number};

	buffer_bytes(out, &header, sizeof(header));
	buffer_bytes(out, body, len);
}

enum link_read
link_frame_read(const char *bytes, size_t len, size_t most, struct link_frame *frame, size_t *taken)
{
	struct header header;

	if (len < sizeof(header))
		return LINK_INCOMPLETE;
	memcpy(&header, bytes, sizeof(header));
	if (header.kind < LINK_SETTINGS || header.kind > LINK_METRICS ||
		header.len > most - sizeof(header))
		return LINK_BROKEN;
	if (len - sizeof(header) < header.len)
		return LINK_INCOMPLETE;
	*frame = (struct link_frame){header.kind, header.number, bytes + sizeof(header), header.len};
	*taken = sizeof(header) + header.len;
	return LINK_COMPLETE;
}

bool
link_settings_read(const struct link_frame *frame, const char **database_url,
				   const char **jwt_secret)
{
	size_t first = strnlen(frame->body, frame->len) + 1;

	if (frame->kind != LINK_SETTINGS || first >= frame->len ||
		first + strnlen(frame->body + first, frame->len - first) + 1 != frame->len)
		return false;
	*database_url = frame->body;
	*jwt_secret = frame->body + first;
	return true;
}
