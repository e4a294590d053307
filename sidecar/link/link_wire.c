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
link_header_write(char *bytes, enum link_kind kind, uint64_t number, size_t len)
{
	struct header header = {(uint32_t) len, kind, number};

	_Static_assert(sizeof(header) == LINK_HEADER_SIZE, "nothing stands between the parts");
	memcpy(bytes, &header, sizeof(header));
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
