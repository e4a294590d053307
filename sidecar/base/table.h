/*
 * A hash table of structs found by a text. The members embed a struct entry as their first field and belong
 * to the caller; the table owns only its copies of the keys.
 */
#ifndef SIDECAR_TABLE_H
#define SIDECAR_TABLE_H

#include <stdint.h>

struct entry
{
	struct entry *next;
	char *key;
	uint32_t hash;
};

struct table
{
	struct entry **buckets;
	uint32_t nbuckets;
	uint32_t count;
};

void table_init(struct table *table);
/* Hands every entry to destroy, without its key, and frees the table's own memory. */
void table_clear(struct table *table, void (*destroy)(struct entry *entry));

/* NULL: there is none. */
struct entry *table_find(const struct table *table, const char *key);
/* The key, which is copied, must not be in the table. */
void table_add(struct table *table, struct entry *entry, const char *key);
/* Takes an entry out and frees its key; the entry itself is the caller's. */
void table_remove(struct table *table, struct entry *entry);
/* The table must not be changed meanwhile. */
void
table_each(const struct table *table, void (*visit)(void *arg, struct entry *entry), void *arg);

#endif
