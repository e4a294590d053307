/*
 * Broadcasts on their way from one endpoint to another: what was written is what is read, cut off at every byte, and with
 * every byte of a length changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/relay_wire.h"
#include "require.h"

static bool
same(const struct broadcast *a, const struct broadcast *b)
{
	return strcmp(a->topic, b->topic) == 0 && strcmp(a->event, b->event) == 0 &&
		   (a->id == NULL) == (b->id == NULL) && (a->id == NULL || strcmp(a->id, b->id) == 0) &&
		   a->payload_len == b->payload_len &&
		   memcmp(a->payload, b->payload, a->payload_len) == 0 && a->binary == b->binary &&
		   a->payload_json == b->payload_json;
}

/* Takes all that there is of a copy of its own, so that a read beyond its end is found; how much is left. */
static size_t
take_all(const char *bytes, size_t len)
{
	char *exact = malloc(len > 0 ? len : 1);
	const char *at = exact;
	struct broadcast broadcast;
	bool is_private;

	memcpy(exact, bytes, len);
	if (relay_wire_begin(&at, &len))
	{
		while (relay_wire_take(&at, &len, &broadcast, &is_private))
			continue;
	}
	free(exact);
	return len;
}

int
main(void)
{
	const struct broadcast first = {
		.topic = "room", .event = "e", .payload = "{}", .payload_len = 2, .payload_json = true};
	const struct broadcast second = {
		.topic = "", .event = "", .id = "7", .payload = "a\0b", .payload_len = 3, .binary = true};
	struct broadcast taken;
	struct buffer out = {0};
	const char *at;
	size_t left, whole;
	bool is_private, refused = true;

	relay_wire_put(&out, true, &first);
	whole = out.len;
	require("its length", whole == 1 + relay_wire_length(&first));
	relay_wire_put(&out, false, &second);
	require("and of another", out.len == whole + relay_wire_length(&second));
	at = out.data;
	left = out.len;
	require("the version", relay_wire_begin(&at, &left));
	require("the first",
			relay_wire_take(&at, &left, &taken, &is_private) && is_private && same(&taken, &first));
	require("the second", relay_wire_take(&at, &left, &taken, &is_private) && !is_private &&
							  same(&taken, &second));
	require("no other", !relay_wire_take(&at, &left, &taken, &is_private) && left == 0);
	for (size_t len = 2; len < out.len; len++)
		refused = refused && (len == whole || take_all(out.data, len) > 0);
	require("what is cut off is not taken", refused);
	for (size_t i = 1; i < 17; i++)
	{
		out.data[i] ^= 0x41;
		refused = refused && take_all(out.data, out.len) > 0;
		out.data[i] ^= 0x41;
	}
	require("nor with another length", refused);
	out.data[0] = 2;
	at = out.data;
	left = out.len;
	require("nor another version", !relay_wire_begin(&at, &left));
	left = 0;
	require("nor nothing", !relay_wire_begin(&at, &left));
	buffer_free(&out);
	return 0;
}
