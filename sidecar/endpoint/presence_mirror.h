/*
 * Presences of other endpoints, as this one knows them: which endpoint has which, and what becomes of them when it is gone. No I/O.
 *
 * A presence has an id for as long as its client tracks. Its endpoint may come back under another name, with the same ids:
 * then the presence is the new name's, and nobody is told of anything.
 */
#ifndef SIDECAR_PRESENCE_MIRROR_H
#define SIDECAR_PRESENCE_MIRROR_H

#include "base/table.h"

struct shared_presence;

struct mirror_handlers
{
	/* A new presence (there is NULL) or another state of one. Answers what it is from now on; NULL: it is not there (any more). */
	void *(*put)(void *arg, void *there, const struct shared_presence *presence);
	void (*leave)(void *arg, void *there);
};

struct presence_mirror
{
	struct table presences; /* by id */
	struct table endpoints; /* by name, of those that have any */
	const struct mirror_handlers *handlers;
	void *arg;
};

void mirror_init(struct presence_mirror *mirror, const struct mirror_handlers *handlers, void *arg);
/* What an endpoint says of a presence; NULL: it left. */
void mirror_put(struct presence_mirror *mirror, const char *endpoint, const char *id,
				const struct shared_presence *presence);
/* All presences leave of endpoints whose names do not stand in the text; NULL: of all. Names contain none of each other. */
void mirror_keep(struct presence_mirror *mirror, const char *endpoints);
/* The same, of all, and the mirror's end. */
void mirror_clear(struct presence_mirror *mirror);

#endif
