/*
 * See refusals.h.
 */
#include "endpoint/refusals.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct refusal_kept
{
	struct entry entry; /* key: user, topic and right */
	struct refusal_kept *next;
	uint64_t until; /* from the first time on */
	int times;
};

void
refusals_init(struct refusals *refusals)
{
	*refusals = (struct refusals){.first = NULL};
	table_init(&refusals->table);
}

static void
forget_first(struct refusals *refusals)
{
	struct refusal_kept *first = refusals->first;

	refusals->first = first->next;
	if (refusals->first == NULL)
		refusals->last = NULL;
	table_remove(&refusals->table, &first->entry);
	free(first);
}

void
refusals_forget(struct refusals *refusals)
{
	while (refusals->first != NULL)
		forget_first(refusals);
}

void
refusals_clear(struct refusals *refusals)
{
	refusals_forget(refusals);
	table_clear(&refusals->table, NULL);
}

/* The length says where the user ends: no two of them have the same key. */
static char *
key_of(const char *user, const char *topic, bool write)
{
	return xasprintf("%zu %s %s %s", strlen(user), write ? "write" : "read", user, topic);
}

static void
forget_old(struct refusals *refusals, uint64_t now)
{
	while (refusals->first != NULL && refusals->first->until <= now)
		forget_first(refusals);
}

bool
refusals_has(struct refusals *refusals, const char *user, const char *topic, bool write,
			 uint64_t now)
{
	char *key = key_of(user, topic, write);
	struct refusal_kept *kept;

	forget_old(refusals, now);
	kept = (struct refusal_kept *) table_find(&refusals->table, key);
	free(key);
	return kept != NULL && kept->times >= REFUSALS_TIMES;
}

static struct refusal_kept *
keep(struct refusals *refusals, const char *key, uint64_t now)
{
	struct refusal_kept *kept = xcalloc(1, sizeof(*kept));

	if (refusals->table.count == REFUSALS_KEPT)
		forget_first(refusals);
	kept->until = now + REFUSALS_MS;
	table_add(&refusals->table, &kept->entry, key);
	if (refusals->last != NULL)
		refusals->last->next = kept;
	else
		refusals->first = kept;
	refusals->last = kept;
	return kept;
}

void
refusals_note(struct refusals *refusals, const char *user, const char *topic, bool write,
			  uint64_t now)
{
	char *key = key_of(user, topic, write);
	struct refusal_kept *kept;

	forget_old(refusals, now);
	kept = (struct refusal_kept *) table_find(&refusals->table, key);
	if (kept == NULL)
		kept = keep(refusals, key, now);
	kept->times++;
	free(key);
}
