/*
 * See link_wire.h.
 */
#include "link/link_wire.h"

#include <stddef.h>
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

static const size_t texts[] = {
	offsetof(struct link_settings, database_url),
	offsetof(struct link_settings, jwt_secrets),
	offsetof(struct link_settings, jwks),
	offsetof(struct link_settings, api_keys),
};
#define NTEXTS (sizeof(texts) / sizeof(texts[0]))

void
link_settings_write(struct buffer *out, const struct link_settings *settings)
{
	for (size_t i = 0; i < NTEXTS; i++)
	{
		const char *text = *(const char *const *) ((const char *) settings + texts[i]);

		buffer_bytes(out, text, strlen(text) + 1);
	}
}

bool
link_settings_read(const struct link_frame *frame, struct link_settings *settings)
{
	size_t at = 0;

	if (frame->kind != LINK_SETTINGS)
		return false;
	for (size_t i = 0; i < NTEXTS; i++)
	{
		size_t len = strnlen(frame->body + at, frame->len - at);

		if (at + len == frame->len)
			return false;
		*(const char **) ((char *) settings + texts[i]) = frame->body + at;
		at += len + 1;
	}
	return at == frame->len;
}
