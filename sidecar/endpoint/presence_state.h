/*
 * Who is on a channel: under each key the metas of those who track with it, such as the tabs of one user. Pure.
 *
 * A meta is what a client tracked, with a reference of the server's in front; a client's own members of that name are left out,
 * since others tell metas apart by them.
 */
#ifndef SIDECAR_PRESENCE_STATE_H
#define SIDECAR_PRESENCE_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/table.h"
#include "endpoint/json_scan.h"

#define PRESENCE_REF 17 /* of a reference's text, with its NUL */

struct presence_key;

struct presence_meta
{
	struct presence_meta *next; /* of the key, in the order in which they came */
	struct presence_key *key;
	char ref[PRESENCE_REF];
	char previous[PRESENCE_REF]; /* the reference before the last update; "": there was none */
	char *members;               /* ,"name":value for each */
};

struct presence_key
{
	struct entry entry; /* key: as clients know it */
	struct presence_meta *first;
};

/* Of one channel. */
struct presence_state
{
	struct entry entry; /* the owner's, to find it by */
	struct table keys;
	size_t count; /* metas */
	size_t bytes; /* what they hold, with what it takes to keep them */
};

void presence_state_init(struct presence_state *state);
/* Forgets whoever is left. */
void presence_state_clear(struct presence_state *state);

/* The members of what a client tracks, in the form of presence_meta; malloc'ed, NULL: it is no object. */
char *presence_members(struct json payload);
/* Bytes that a meta adds to its state. */
size_t presence_meta_size(const char *key, const char *members);

/* Both take over the members. ref: shorter than PRESENCE_REF. */
struct presence_meta *
presence_add(struct presence_state *state, const char *key, const char *ref, char *members);
void presence_change(struct presence_state *state, struct presence_meta *meta, const char *ref,
					 char *members);
void presence_remove(struct presence_state *state, struct presence_meta *meta);

/* {"key":{"metas":[…]},…} of all; NULL: of nobody. */
void presence_print_state(struct buffer *out, const struct presence_state *state);
/* The same of one meta alone; NULL: of none. */
void presence_print_meta(struct buffer *out, const struct presence_meta *meta);

#endif
