/*
 * Finding the row of an API key, under the extension's own authority: no privilege and no policy is checked.
 */
#ifndef CHAT_KEYFIND_H
#define CHAT_KEYFIND_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/uuid.h"

#include "keys/apikey.h"
#include "keys/keytables.h"

/* What a row says of its key. */
typedef struct ChatKeyFacts
{
	ChatKeyTable *table;
	char hash[CHAT_KEY_HASH_LENGTH + 1]; /* what it is to be stored under */
	bool old_hash;                       /* it is not: the pepper has changed */
	pg_uuid_t id;
	Datum owner;       /* text; 0: nobody */
	ArrayType *scopes; /* NULL: none */
	int32 rate_limit;
	bool active;
	TimestampTz expires_at;
	bool has_last_used; /* or has no column for it */
	TimestampTz last_used_at;
} ChatKeyFacts;

/* Finds a well-formed key by its hash, and by the one that the pepper before gave; false: nobody has it. */
extern bool chat_keyfind(const char *key, ChatKeyFacts *facts);

#endif
