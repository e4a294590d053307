/*
 * Who is on the endpoint's channels, wherever their clients are: what changes there is told to whoever hears of presence.
 */
#ifndef SIDECAR_PRESENCE_CHANNEL_H
#define SIDECAR_PRESENCE_CHANNEL_H

#include <stdbool.h>

#include "endpoint/presence_state.h"

struct embedded;

/* Public and private channels of one name are two. */
struct presence_place
{
	const char *topic; /* up to MAX_TOPIC bytes */
	bool is_private;
};

/* NULL: nobody is there. */
const struct presence_state *
presence_at(const struct embedded *embedded, const struct presence_place *place);
/* Whether the channel, and all of them, have room for a presence with these members, in place of the meta that it has (NULL: none). */
bool presence_fits(const struct embedded *embedded, const struct presence_place *place,
				   const struct presence_meta *meta, const char *key, const char *members);
/* Adds one (meta NULL) or changes it; takes over the members. */
struct presence_meta *
presence_put(struct embedded *embedded, const struct presence_place *place,
			 struct presence_meta *meta, const char *key, const char *ref, char *members);
void presence_drop(struct embedded *embedded, const struct presence_place *place,
				   struct presence_meta *meta);
/* Counts and logs what was not done. */
void presence_refused(struct embedded *embedded, const char *topic, const char *why);

#endif
