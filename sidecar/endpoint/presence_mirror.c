/*
 * See presence_mirror.h.
 */
#include "endpoint/presence_mirror.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct mirrored
{
	struct entry entry; /* key: id */
	struct mirrored_endpoint *endpoint;
	struct mirrored *next, **link; /* of the endpoint */
	void *there;
};

struct mirrored_endpoint
{
	struct entry entry; /* key: name */
	struct mirrored *first;
};

void
mirror_init(struct presence_mirror *mirror, const struct mirror_handlers *handlers, void *arg)
{
	table_init(&mirror->presences);
	table_init(&mirror->endpoints);
	mirror->handlers = handlers;
	mirror->arg = arg;
}

/* Puts one into its endpoint's list. */
static void
own(struct presence_mirror *mirror, struct mirrored *mirrored, const char *name)
{
	struct mirrored_endpoint *endpoint =
		(struct mirrored_endpoint *) table_find(&mirror->endpoints, name);

	if (endpoint == NULL)
	{
		endpoint = xcalloc(1, sizeof(*endpoint));
		table_add(&mirror->endpoints, &endpoint->entry, name);
	}
	mirrored->endpoint = endpoint;
	mirrored->next = endpoint->first;
	mirrored->link = &endpoint->first;
	if (mirrored->next != NULL)
		mirrored->next->link = &mirrored->next;
	endpoint->first = mirrored;
}

/* Takes it out; an endpoint that has none is forgotten. */
static void
disown(struct presence_mirror *mirror, struct mirrored *mirrored)
{
	struct mirrored_endpoint *endpoint = mirrored->endpoint;

	*mirrored->link = mirrored->next;
	if (mirrored->next != NULL)
		mirrored->next->link = mirrored->link;
	if (endpoint->first != NULL)
		return;
	table_remove(&mirror->endpoints, &endpoint->entry);
	free(endpoint);
}

static void
forget(struct presence_mirror *mirror, struct mirrored *mirrored)
{
	void *there = mirrored->there;

	disown(mirror, mirrored);
	table_remove(&mirror->presences, &mirrored->entry);
	free(mirrored);
	if (there != NULL)
		mirror->handlers->leave(mirror->arg, there);
}

void
mirror_put(struct presence_mirror *mirror, const char *endpoint, const char *id,
		   const struct shared_presence *presence)
{
	struct mirrored *mirrored = (struct mirrored *) table_find(&mirror->presences, id);

	if (presence == NULL)
	{
		if (mirrored != NULL)
			forget(mirror, mirrored);
		return;
	}
	if (mirrored == NULL)
	{
		mirrored = xcalloc(1, sizeof(*mirrored));
		table_add(&mirror->presences, &mirrored->entry, id);
		own(mirror, mirrored, endpoint);
	}
	else if (strcmp(mirrored->endpoint->entry.key, endpoint) != 0)
	{
		disown(mirror, mirrored);
		own(mirror, mirrored, endpoint);
	}
	mirrored->there = mirror->handlers->put(mirror->arg, mirrored->there, presence);
	if (mirrored->there == NULL)
		forget(mirror, mirrored);
}

static void
forget_endpoint(struct presence_mirror *mirror, struct mirrored_endpoint *endpoint)
{
	/* The endpoint goes with its last one. */
	for (struct mirrored *mirrored = endpoint->first, *next; mirrored != NULL; mirrored = next)
	{
		next = mirrored->next;
		forget(mirror, mirrored);
	}
}

struct search
{
	const char *kept; /* NULL: none */
	struct entry *found;
};

static void
look(void *arg, struct entry *entry)
{
	struct search *search = arg;

	if (search->kept == NULL || strstr(search->kept, entry->key) == NULL)
		search->found = entry;
}

void
mirror_keep(struct presence_mirror *mirror, const char *endpoints)
{
	struct search search = {endpoints, NULL};

	while (table_each(&mirror->endpoints, look, &search), search.found != NULL)
	{
		forget_endpoint(mirror, (struct mirrored_endpoint *) search.found);
		search.found = NULL;
	}
}

void
mirror_clear(struct presence_mirror *mirror)
{
	mirror_keep(mirror, NULL);
	table_clear(&mirror->presences, NULL);
	table_clear(&mirror->endpoints, NULL);
}
