/*
 * See presence_wire.h. Members are read as a client's are: whatever came on the way, what is printed from it is JSON.
 */
#include "endpoint/presence_wire.h"

#include <stdlib.h>
#include <string.h>

#include "endpoint/json_scan.h"
#include "endpoint/presence_state.h"

static void
print_text(struct buffer *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buffer_text(out, name);
	buffer_json(out, text);
}

void
presence_wire_print(struct buffer *out, const struct shared_presence *presence)
{
	print_text(out, "{\"topic\":", presence->topic);
	buffer_text(out, presence->is_private ? ",\"private\":true" : ",\"private\":false");
	print_text(out, ",\"key\":", presence->key);
	print_text(out, ",\"ref\":", presence->ref);
	print_text(out, ",\"user\":", presence->user);
	buffer_text(out, ",\"payload\":{");
	if (*presence->members != '\0')
		buffer_text(out, presence->members + 1); /* without the comma */
	buffer_text(out, "}}");
}

/* References are printed as they are. */
static bool
is_reference(const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	return len > 0 && len < PRESENCE_REF &&
		   strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

bool
presence_wire_read(const char *bytes, size_t len, struct shared_presence *presence)
{
	struct json all;

	if (!json_validate(bytes, len, &all))
		return false;
	*presence = (struct shared_presence){.topic = json_text(json_member(all, "topic")),
										 .is_private = json_is_true(json_member(all, "private")),
										 .key = json_text(json_member(all, "key")),
										 .ref = json_text(json_member(all, "ref")),
										 .user = json_text(json_member(all, "user")),
										 .members = presence_members(json_member(all, "payload"))};
	if (presence->topic != NULL && presence->key != NULL && is_reference(presence->ref) &&
		presence->members != NULL)
		return true;
	presence_wire_free(presence);
	return false;
}

void
presence_wire_free(struct shared_presence *presence)
{
	free((char *) presence->topic);
	free((char *) presence->key);
	free((char *) presence->ref);
	free((char *) presence->user);
	free((char *) presence->members);
}
