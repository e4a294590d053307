/*
 * See presence_state.h.
 */
#include "endpoint/presence_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void
presence_state_init(struct presence_state *state)
{
	memset(state, 0, sizeof(*state));
	table_init(&state->keys);
}

static void
free_meta(struct presence_meta *meta)
{
	free(meta->members);
	free(meta);
}

static void
free_key(struct entry *entry)
{
	struct presence_key *key = (struct presence_key *) entry;

	while (key->first != NULL)
	{
		struct presence_meta *next = key->first->next;

		free_meta(key->first);
		key->first = next;
	}
	free(key);
}

void
presence_state_clear(struct presence_state *state)
{
	table_clear(&state->keys, free_key);
	state->count = state->bytes = 0;
}

/* Whether a member's name is one that the server gives. */
static bool
is_reference(struct json name)
{
	char *text = json_text(name);
	bool is = text != NULL && (strcmp(text, "phx_ref") == 0 || strcmp(text, "phx_ref_prev") == 0);

	free(text);
	return is;
}

char *
presence_members(struct json payload)
{
	struct buffer out = {0};
	struct json name, value;

	if (json_type(payload) != '{')
		return NULL;
	while (json_next_member(&payload, &name, &value))
	{
		if (is_reference(name))
			continue;
		buffer_text(&out, ",");
		buffer_bytes(&out, name.start, name.len);
		buffer_text(&out, ":");
		buffer_bytes(&out, value.start, value.len);
	}
	buffer_bytes(&out, "", 1);
	return out.data;
}

size_t
presence_meta_size(const char *key, const char *members)
{
	return sizeof(struct presence_meta) + sizeof(struct presence_key) + strlen(key) +
		   strlen(members);
}

static struct presence_key *
find_or_make(struct presence_state *state, const char *name)
{
	struct presence_key *key = (struct presence_key *) table_find(&state->keys, name);

	if (key != NULL)
		return key;
	key = xcalloc(1, sizeof(*key));
	table_add(&state->keys, &key->entry, name);
	return key;
}

static void
set_ref(char *to, const char *ref)
{
	size_t len = strnlen(ref, PRESENCE_REF - 1);

	memcpy(to, ref, len);
	to[len] = '\0';
}

struct presence_meta *
presence_add(struct presence_state *state, const char *key, const char *ref, char *members)
{
	struct presence_meta *meta = xcalloc(1, sizeof(*meta));
	struct presence_meta **link;

	meta->key = find_or_make(state, key);
	set_ref(meta->ref, ref);
	meta->members = members;
	for (link = &meta->key->first; *link != NULL;)
		link = &(*link)->next;
	*link = meta;
	state->count++;
	state->bytes += presence_meta_size(key, members);
	return meta;
}

void
presence_change(struct presence_state *state, struct presence_meta *meta, const char *ref,
				char *members)
{
	state->bytes += strlen(members) - strlen(meta->members);
	free(meta->members);
	meta->members = members;
	memcpy(meta->previous, meta->ref, sizeof(meta->previous));
	set_ref(meta->ref, ref);
}

void
presence_remove(struct presence_state *state, struct presence_meta *meta)
{
	struct presence_key *key = meta->key;
	struct presence_meta **link = &key->first;

	while (*link != meta)
		link = &(*link)->next;
	*link = meta->next;
	state->count--;
	state->bytes -= presence_meta_size(key->entry.key, meta->members);
	free_meta(meta);
	if (key->first != NULL)
		return;
	table_remove(&state->keys, &key->entry);
	free(key);
}

/* References need no escapes. */
static void
print_one(struct buffer *out, const struct presence_meta *meta)
{
	buffer_text(out, "{\"phx_ref\":\"");
	buffer_text(out, meta->ref);
	if (*meta->previous != '\0')
	{
		buffer_text(out, "\",\"phx_ref_prev\":\"");
		buffer_text(out, meta->previous);
	}
	buffer_text(out, "\"");
	buffer_text(out, meta->members);
	buffer_text(out, "}");
}

static void
begin_key(struct buffer *out, const struct presence_key *key)
{
	buffer_json(out, key->entry.key);
	buffer_text(out, ":{\"metas\":[");
}

static void
print_key(void *arg, struct entry *entry)
{
	struct buffer *out = arg;
	const struct presence_key *key = (const struct presence_key *) entry;

	if (out->data[out->len - 1] != '{')
		buffer_text(out, ",");
	begin_key(out, key);
	for (const struct presence_meta *meta = key->first; meta != NULL; meta = meta->next)
	{
		if (meta != key->first)
			buffer_text(out, ",");
		print_one(out, meta);
	}
	buffer_text(out, "]}");
}

void
presence_print_state(struct buffer *out, const struct presence_state *state)
{
	buffer_text(out, "{");
	if (state != NULL)
		table_each(&state->keys, print_key, out);
	buffer_text(out, "}");
}

void
presence_print_meta(struct buffer *out, const struct presence_meta *meta)
{
	buffer_text(out, "{");
	if (meta != NULL)
	{
		begin_key(out, meta->key);
		print_one(out, meta);
		buffer_text(out, "]}");
	}
	buffer_text(out, "}");
}
