/*
 * The conversation's row: locking it, reading its counters, writing them.
 *
 * A row is found by its primary key and locked FOR NO KEY UPDATE in its latest version, whatever the transaction's
 * isolation level: counters are sums, so adding to the latest version is right in each. It is written with the
 * heap and index access methods directly where an UPDATE could reach nothing of the user's (triggers, CHECK constraints
 * on these columns, generated columns, expressions); otherwise by an UPDATE statement.
 */
#ifndef CHAT_CONVERSATION_H
#define CHAT_CONVERSATION_H

#include "postgres.h"

#include "layout.h"
#include "indexes.h"
#include "key.h"

typedef struct ChatCounters
{
	int64 unread;
	bool has_last;
	TimestampTz last_at;
	char *preview; /* NULL: none */
} ChatCounters;

/* The open conversations table of a flush; zeroed, with context set, before first use. */
typedef struct ChatTable
{
	MemoryContext context;
	ChatAttachment *attachment;
	Relation relation;
	ChatLayout *layout;
	TupleTableSlot *slot; /* the locked row */
	TupleTableSlot *new_slot;
	TupleTableSlot *latest; /* the one of these with the row as it is now */
	ChatIndexes *indexes;   /* opened at the first write */
} ChatTable;

/* Locks a conversation's row into table->slot; false: there is no such row (any more). */
extern bool chat_conversation_lock(ChatTable *table, ChatAttachment *attachment, ChatKey key);
extern void chat_conversation_counters(const ChatTable *table, ChatCounters *counters);
/* Writes counters of the locked row; columns the table lacks are left out. */
extern void chat_conversation_write(ChatTable *table, ChatKey key, const ChatCounters *counters);
extern void chat_conversation_close(ChatTable *table);

#endif
