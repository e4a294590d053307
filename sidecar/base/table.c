/*
 * Chained hashing with a power of two of buckets, about one entry a bucket.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"

#define FEWEST_BUCKETS 64

static void
table_resize(struct table *table, uint32_t nbuckets)
{
	struct entry **buckets = xcalloc(nbuckets, sizeof(*buckets));

	for (uint32_t i = 0; i < table->nbuckets; i++)
	{
		while (table->buckets[i] != NULL)
		{
			struct entry *entry = table->buckets[i];

			table->buckets[i] = entry->next;
			entry->next = buckets[entry->hash & (nbuckets - 1)];
			buckets[entry->hash & (nbuckets - 1)] = entry;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->nbuckets = nbuckets;
}

struct entry *
table_find(const struct table *table, const char *key)
{
	uint32_t hash = hash_text(HASH_EMPTY, key);
	struct entry *entry = table->buckets[hash & (table->nbuckets - 1)];

	while (entry != NULL && (entry->hash != hash || strcmp(entry->key, key) != 0))
		entry = entry->next;
	return entry;
}

void
table_add(struct table *table, struct entry *entry, const char *key)
{
	struct entry **bucket;

	if (table->count >= table->nbuckets)
		table_resize(table, table->nbuckets * 2);
	entry->key = xstrdup(key);
	entry->hash = hash_text(HASH_EMPTY, key);
	bucket = &table->buckets[entry->hash & (table->nbuckets - 1)];
	entry->next = *bucket;
	*bucket = entry;
	table->count++;
}

void
table_remove(struct table *table, struct entry *entry)
{
	struct entry **link = &table->buckets[entry->hash & (table->nbuckets - 1)];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	free(entry->key);
	table->count--;
	if (table->nbuckets > FEWEST_BUCKETS && table->count < table->nbuckets / 8)
		table_resize(table, table->nbuckets / 2);
}

void
table_init(struct table *table)
{
	memset(table, 0, sizeof(*table));
	table_resize(table, FEWEST_BUCKETS);
}

void
table_each(const struct table *table, void (*visit)(void *arg, struct entry *entry), void *arg)
{
	for (uint32_t i = 0; i < table->nbuckets; i++)
	{
		for (struct entry *entry = table->buckets[i]; entry != NULL; entry = entry->next)
			visit(arg, entry);
	}
}

void
table_clear(struct table *table, void (*destroy)(struct entry *entry))
{
	for (uint32_t i = 0; i < table->nbuckets; i++)
	{
		while (table->buckets[i] != NULL)
		{
			struct entry *entry = table->buckets[i];

			table->buckets[i] = entry->next;
			free(entry->key);
			destroy(entry);
		}
	}
	free(table->buckets);
	memset(table, 0, sizeof(*table));
}
