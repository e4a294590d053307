/*
 * Where this session found the rows of API keys that it accepted by their current hash: a key that comes again costs
 * neither its hash nor a walk through the index.
 *
 * A place is a hint, and decides nothing: the row is read each time, must be visible, and must have the hash. So a key
 * that is revoked, changed or moved is judged as it is now. A place names the heap's buffer as well, in which the block
 * is or is not any more: a block that VACUUM has cut off is never asked for.
 *
 * Keys themselves are not kept, but their SipHash under a secret of this session. Only tables in which a hash cannot be
 * there twice have places, and of several tables only the one that is searched first.
 */
#ifndef CHAT_KEYPLACES_H
#define CHAT_KEYPLACES_H

#include "postgres.h"

#include "storage/buf.h"
#include "storage/itemptr.h"

#include "keys/apikey.h"
#include "keys/siphash.h"

typedef struct ChatKeyPlace
{
	ChatHash key;
	char hash[CHAT_KEY_HASH_LENGTH];
	uint64 generation; /* of the tables; 0: no place */
	uint64 peppers;    /* of the peppers */
	ItemPointerData tid;
	Buffer buffer;
} ChatKeyPlace;

/* What a well-formed key is known by here. */
extern ChatHash chat_keyplaces_hash(const char *key);
/* Copies a key's place as of these tables and of the peppers as they are; false: there is none. */
extern bool chat_keyplaces_find(ChatHash key, uint64 generation, ChatKeyPlace *place);
/* Keeps one, in place of an older one. */
extern void chat_keyplaces_keep(const ChatKeyPlace *place);

#endif
