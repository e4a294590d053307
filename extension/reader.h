/*
 * Reads row versions by tid; keeps the last table and row at hand.
 */
#ifndef CHAT_READER_H
#define CHAT_READER_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "layout.h"

/* Zeroed, with context set, before first use. */
typedef struct ChatReader
{
	MemoryContext context; /* of the slot */
	Relation relation;
	ChatLayout *layout;
	TupleTableSlot *slot;
	ItemPointerData tid; /* in the slot, if the slot is not empty */
} ChatReader;

/*
 * The version at a tid of a table, or partition, that the current statement has locked. messages: it holds messages, else
 * conversations. Good until the next fetch.
 */
extern TupleTableSlot *chat_reader_fetch(ChatReader *reader, ChatAttachment *attachment, Oid relid,
										 ItemPointerData tid, bool messages);
extern void chat_reader_close(ChatReader *reader);

#endif
