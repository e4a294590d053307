/*
 * Remembering rows of API keys; see keyplaces.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "keys/keyplaces.h"

#define PLACES 256

typedef struct Places
{
	ChatHash secret;
	ChatKeyPlace places[PLACES];
} Places;

static Places *places = NULL;

static void
make_places(void)
{
	Places *made = MemoryContextAllocZero(TopMemoryContext, sizeof(Places));

	if (!pg_strong_random(&made->secret, sizeof(made->secret)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	places = made;
}

ChatHash
chat_keyplaces_hash(const char *key)
{
	if (places == NULL)
		make_places();
	return chat_siphash(&places->secret, key, CHAT_KEY_LENGTH);
}

bool
chat_keyplaces_find(ChatHash key, uint64 generation, ChatKeyPlace *place)
{
	*place = places->places[key.low % PLACES];
	return ((place->key.low ^ key.low) | (place->key.high ^ key.high)) == 0 &&
		   place->generation == generation && place->peppers == chat_key_peppers;
}

void
chat_keyplaces_keep(const ChatKeyPlace *place)
{
	places->places[place->key.low % PLACES] = *place;
}
