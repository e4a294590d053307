/*
 * Who is on a channel: metas under their keys, what is counted of them, and how they are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/presence_state.h"
#include "require.h"

static char *
members(const char *text)
{
	struct json value;

	require(text, json_validate(text, strlen(text), &value));
	return presence_members(value);
}

static void
check_members(const char *name, const char *text, const char *wanted)
{
	char *got = members(text);

	require(name, wanted == NULL ? got == NULL : got != NULL && strcmp(got, wanted) == 0);
	free(got);
}

static void
check_printed(const char *name, struct buffer *out, const char *wanted)
{
	require(name, out->len == strlen(wanted) && memcmp(out->data, wanted, out->len) == 0);
	buffer_free(out);
}

static void
check_state(const char *name, const struct presence_state *state, const char *wanted)
{
	struct buffer out = {0};

	presence_print_state(&out, state);
	check_printed(name, &out, wanted);
}

static void
check_meta(const char *name, const struct presence_meta *meta, const char *wanted)
{
	struct buffer out = {0};

	presence_print_meta(&out, meta);
	check_printed(name, &out, wanted);
}

static void
reads_members(void)
{
	check_members("members as they are", "{ \"n\" : \"bob\", \"o\":{\"a\": [1, 2]} }",
				  ",\"n\":\"bob\",\"o\":{\"a\": [1, 2]}");
	check_members("no members", "{}", "");
	check_members("references are the server's",
				  "{\"phx_ref\":1,\"a\":2,\"phx_ref_prev\":3,\"phx\\u005fref\":4}", ",\"a\":2");
	check_members("a list", "[1]", NULL);
	check_members("a text", "\"{}\"", NULL);
	check_members("null", "null", NULL);
}

static void
keeps_tabs(void)
{
	struct presence_state state;
	struct presence_meta *one, *two, *other;
	size_t size = presence_meta_size("me", ",\"n\":1");

	presence_state_init(&state);
	check_state("nobody", &state, "{}");
	check_state("nobody ever", NULL, "{}");
	check_meta("no meta", NULL, "{}");
	one = presence_add(&state, "me", "r1", members("{\"n\":1}"));
	require("one is counted", state.count == 1 && state.bytes == size);
	two = presence_add(&state, "me", "r2", members("{}"));
	check_state("two tabs under one key, in their order", &state,
				"{\"me\":{\"metas\":[{\"phx_ref\":\"r1\",\"n\":1},{\"phx_ref\":\"r2\"}]}}");
	check_meta("one of them alone", two, "{\"me\":{\"metas\":[{\"phx_ref\":\"r2\"}]}}");
	presence_change(&state, one, "r3", members("{\"n\":200}"));
	require("bytes follow a change", state.bytes == size + 2 + presence_meta_size("me", ""));
	check_meta("a change names the reference before", one,
			   "{\"me\":{\"metas\":[{\"phx_ref\":\"r3\",\"phx_ref_prev\":\"r1\",\"n\":200}]}}");
	presence_remove(&state, one);
	check_state("the other tab stays", &state, "{\"me\":{\"metas\":[{\"phx_ref\":\"r2\"}]}}");
	other = presence_add(&state, "a \"b\"", "r4", members("{}"));
	presence_remove(&state, two);
	check_state("a key with quotes", &state,
				"{\"a \\u0022b\\u0022\":{\"metas\":[{\"phx_ref\":\"r4\"}]}}");
	presence_remove(&state, other);
	require("nothing is left", state.count == 0 && state.bytes == 0 && state.keys.count == 0);
	presence_add(&state, "me", "a reference that is too long", members("{}"));
	check_state("a reference has a bound", &state,
				"{\"me\":{\"metas\":[{\"phx_ref\":\"a reference that\"}]}}");
	presence_state_clear(&state);
}

static void
keeps_many(void)
{
	struct presence_state state;
	struct presence_meta *metas[500];

	presence_state_init(&state);
	for (int i = 0; i < 500; i++)
	{
		char key[16];

		snprintf(key, sizeof(key), "user %d", i % 100);
		metas[i] = presence_add(&state, key, "r", members("{\"a\":true}"));
	}
	require("keys of many", state.count == 500 && state.keys.count == 100);
	for (int i = 0; i < 500; i++)
		presence_remove(&state, metas[(i * 7) % 500]);
	require("all of them gone", state.count == 0 && state.bytes == 0 && state.keys.count == 0);
	presence_state_clear(&state);
}

int
main(void)
{
	reads_members();
	keeps_tabs();
	keeps_many();
	return 0;
}
