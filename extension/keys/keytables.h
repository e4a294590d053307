/*
 * What this backend knows of the attached tables of API keys (chat.attachment.api_keys) and of their columns.
 *
 * Invalidation only counts; the next chat_keytables_get reads them anew. What it replaces lives on until the end of the
 * transaction: a trigger of such a table that calls chat.authenticate must not take away the plan that fires it.
 */
#ifndef CHAT_KEYTABLES_H
#define CHAT_KEYTABLES_H

#include "postgres.h"

#include "executor/spi.h"

#include "attachment.h"

/* Roles of columns. */
typedef enum ChatKeyColumn
{
	CHAT_K_ID,
	CHAT_K_OWNER,
	CHAT_K_NAME,
	CHAT_K_HASH,
	CHAT_K_PREFIX,
	CHAT_K_SCOPES,
	/* what a table may lack: attribute number 0 */
	CHAT_K_RATE_LIMIT,
	CHAT_K_ACTIVE,
	CHAT_K_LAST_USED,
	CHAT_K_EXPIRES,
	CHAT_K_CREATED,
	CHAT_K_UPDATED,
	CHAT_K_REPLACED_BY,
	CHAT_K_COLUMNS
} ChatKeyColumn;

typedef struct ChatKeyTable
{
	Oid relid;
	int32 pair;   /* the first row of chat.attachment that names it */
	Oid index;    /* on the hash; invalid: there is none, and the table is read through */
	bool certain; /* a hash is there once, in a heap: see keyplaces.h */
	char *name;   /* qualified and quoted */
	AttrNumber column[CHAT_K_COLUMNS];
	char *column_name[CHAT_K_COLUMNS]; /* NULL: the table has none */
	ChatUserMapping owner;             /* how the owner column leads to a user id */
	Oid owner_type;
	Oid owner_output;
	SPIPlanPtr find_owner; /* kept by who uses it; NULL until then */
	SPIPlanPtr touch;      /* as above */
} ChatKeyTable;

/* The tables as they were in one generation, each once, in the order of their oids. */
typedef struct ChatKeyTables
{
	uint64 generation;
	MemoryContext context;
	int count;
	ChatKeyTable tables[FLEXIBLE_ARRAY_MEMBER];
} ChatKeyTables;

/* Errors: 42804 for a column of another type, 42P01 for a mapping to a table that is gone. */
extern ChatKeyTables *chat_keytables_get(void);
/* The table of keys that has this oid, or NULL, as long as chat_keytables_get gives the same. Errors: as there. */
extern const ChatKeyTable *chat_keytables_find(Oid relid);
/* Whether they are still as they were read; certain only under a table's lock, and of that table. */
extern bool chat_keytables_hold(const ChatKeyTables *tables);

#endif
