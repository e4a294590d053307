/*
 * Presences of other endpoints: on their way, whole, cut off and changed; whose they are, and what is told when their endpoint
 * comes back under another name, or never.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/presence_mirror.h"
#include "../../sidecar/endpoint/presence_wire.h"
#include "require.h"

/* --- on the way ------------------------------------------------------------------------------------- */

static bool
same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool
comes_back(const struct shared_presence *sent)
{
	struct buffer out = {0};
	struct shared_presence got;
	bool same;

	presence_wire_print(&out, sent);
	same = presence_wire_read(out.data, out.len, &got) && same_text(sent->topic, got.topic) &&
		   sent->is_private == got.is_private && same_text(sent->key, got.key) &&
		   same_text(sent->ref, got.ref) && same_text(sent->user, got.user) &&
		   same_text(sent->members, got.members);
	if (same)
		presence_wire_free(&got);
	buffer_free(&out);
	return same;
}

/* Whether a text is refused; read from a copy of its own, so that a read beyond its end is found. */
static bool
refused(const char *text, size_t len)
{
	char *exact = malloc(len > 0 ? len : 1);
	struct shared_presence got;
	bool is;

	memcpy(exact, text, len);
	is = !presence_wire_read(exact, len, &got);
	if (!is)
		presence_wire_free(&got);
	free(exact);
	return is;
}

static void
travels(void)
{
	const struct shared_presence full = {"room \"1\"", true, "ann",
										 "abc-_09",    "u",  ",\"a\":[1],\"b\":\"}\""};
	const struct shared_presence bare = {"", false, "", "r", NULL, ""};
	struct buffer out = {0};
	bool all = true;

	require("all of it comes back", comes_back(&full));
	require("so does the least", comes_back(&bare));
	presence_wire_print(&out, &full);
	for (size_t len = 0; len < out.len; len++)
		all = all && refused(out.data, len);
	require("what is cut off is refused", all);
	buffer_free(&out);
#define REFUSED(name, text) require(name, refused(text, strlen(text)))
	REFUSED("no key", "{\"topic\":\"t\",\"ref\":\"r\",\"payload\":{}}");
	REFUSED("no payload", "{\"topic\":\"t\",\"key\":\"k\",\"ref\":\"r\"}");
	REFUSED("a payload that is none",
			"{\"topic\":\"t\",\"key\":\"k\",\"ref\":\"r\",\"payload\":[]}");
	REFUSED("a reference with a quote",
			"{\"topic\":\"t\",\"key\":\"k\",\"ref\":\"a\\\"b\",\"payload\":{}}");
	REFUSED("a reference that is too long",
			"{\"topic\":\"t\",\"key\":\"k\",\"ref\":\"aaaaaaaaaaaaaaaaa\",\"payload\":{}}");
	REFUSED("no object", "[]");
}

/* --- whose they are --------------------------------------------------------------------------------- */

struct seen
{
	int puts, leaves;
	bool full;
};

static int places[8];

static void *
put(void *arg, void *there, const struct shared_presence *presence)
{
	struct seen *seen = arg;

	if (seen->full)
	{
		seen->leaves += there != NULL;
		return NULL;
	}
	seen->puts++;
	return there != NULL ? there : &places[*presence->key - 'a'];
}

static void
leave(void *arg, void *there)
{
	struct seen *seen = arg;

	(void) there;
	seen->leaves++;
}

static const struct mirror_handlers handlers = {put, leave};

static void
says(struct presence_mirror *mirror, const char *endpoint, const char *id)
{
	const struct shared_presence presence = {"t", false, id, "r", NULL, ""};

	mirror_put(mirror, endpoint, id, &presence);
}

static void
keeps(void)
{
	struct seen seen = {0};
	struct presence_mirror mirror;

	mirror_init(&mirror, &handlers, &seen);
	mirror_put(&mirror, "one", "x", NULL);
	require("who was never there does not leave", seen.leaves == 0 && mirror.endpoints.count == 0);
	says(&mirror, "one", "a");
	says(&mirror, "one", "b");
	says(&mirror, "two", "c");
	require("three of two", mirror.presences.count == 3 && mirror.endpoints.count == 2);
	mirror_keep(&mirror, "{one,two}");
	require("nobody leaves while both are there", seen.leaves == 0);
	says(&mirror, "three", "a");
	mirror_keep(&mirror, "{three,two}");
	require("what came back under another name stays, the rest of the old one leaves",
			seen.leaves == 1 && mirror.presences.count == 2 &&
				table_find(&mirror.presences, "a") != NULL);
	mirror_put(&mirror, "two", "a", NULL);
	require("whoever says it, it left", seen.leaves == 2 && mirror.endpoints.count == 1);
	seen.full = true;
	says(&mirror, "two", "d");
	require("without room it is not there", mirror.presences.count == 1 && seen.leaves == 2);
	says(&mirror, "two", "c");
	require("nor is one that grew",
			mirror.presences.count == 0 && mirror.endpoints.count == 0 && seen.leaves == 3);
	seen.full = false;
	for (char id[2] = "a"; *id < 'i'; ++*id)
		says(&mirror, *id % 2 ? "one" : "two", id);
	mirror_keep(&mirror, "{}");
	require("of nobody nothing stays",
			mirror.presences.count == 0 && mirror.endpoints.count == 0 && seen.leaves == 11);
	says(&mirror, "one", "a");
	mirror_clear(&mirror);
	require("all at once", seen.leaves == 12 && mirror.presences.count == 0);
}

int
main(void)
{
	travels();
	keeps();
	return 0;
}
