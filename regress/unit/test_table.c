/*
 * The hash table: everything that went in is found, through growing, shrinking and keys in one bucket.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/base/table.h"
#include "require.h"

#define MANY 3000

struct thing
{
	struct entry entry;
	int number;
};

static int destroyed;

static const char *
key_of(int number)
{
	static char key[24];

	snprintf(key, sizeof(key), "key %d", number);
	return key;
}

/* Answers whether exactly the numbers from first on, up to MANY, are there. */
static bool
holds_from(const struct table *table, int first)
{
	for (int i = 0; i < MANY; i++)
	{
		struct thing *thing = (struct thing *) table_find(table, key_of(i));

		if (i < first ? thing != NULL : thing == NULL || thing->number != i)
			return false;
	}
	return true;
}

static void
count(void *arg, struct entry *entry)
{
	(void) entry;
	(*(int *) arg)++;
}

static void
destroy(struct entry *entry)
{
	destroyed++;
	free(entry);
}

int
main(void)
{
	struct table table;
	uint32_t fewest;
	int visited = 0;

	table_init(&table);
	fewest = table.nbuckets;
	require("nothing is in an empty table", holds_from(&table, MANY));
	for (int i = 0; i < MANY; i++)
	{
		struct thing *thing = calloc(1, sizeof(*thing));

		thing->number = i;
		table_add(&table, &thing->entry, key_of(i));
	}
	require("it has grown", table.nbuckets > fewest && table.count == MANY);
	require("everything is found", holds_from(&table, 0));
	table_each(&table, count, &visited);
	require("everything is visited", visited == MANY);
	for (int i = 0; i < MANY - 20; i++)
	{
		struct entry *entry = table_find(&table, key_of(i));

		table_remove(&table, entry);
		free(entry);
	}
	require("it has shrunk", table.nbuckets < MANY / 8 && table.count == 20);
	require("the rest is found", holds_from(&table, MANY - 20));
	table_clear(&table, destroy);
	require("what is left is handed back", destroyed == 20);
	return 0;
}
