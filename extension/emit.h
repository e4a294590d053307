/*
 * The events of a flush, and the rows they are made from.
 */
#ifndef CHAT_EMIT_H
#define CHAT_EMIT_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "layout.h"
#include "conversation.h"
#include "pending.h"

/* Reads row versions by tid; keeps the last table and row at hand. */
typedef struct ChatReader
{
	MemoryContext context; /* of the slot */
	Relation relation;
	ChatLayout *layout;
	TupleTableSlot *slot;
	ItemPointerData tid; /* in the slot, if the slot is not empty */
} ChatReader;

/* One conversation of a flush: the sum of its pending rows, and what became of it. */
typedef struct ChatConversation
{
	ChatAttachment *attachment;
	ChatKey key;
	/* sum */
	int64 unread;
	int candidate; /* row that may be the newest message, -1: none */
	TimestampTz candidate_time;
	bool tie;     /* several rows have candidate_time */
	bool recheck; /* the newest message may have changed or gone */
	TimestampTz recheck_time;
	bool recount;
	bool has_messages; /* not only rows of the conversation itself */
	/* outcome */
	bool changed;        /* counters or last message were written */
	ItemPointerData tid; /* the row's version after the flush */
	const char *owner;   /* user id */
	const char *agent;   /* user id */
} ChatConversation;

typedef struct ChatFlush
{
	ChatPending *rows; /* in order of arrival */
	int nrows;
	ChatConversation *conversations; /* in id order */
	int nconversations;
	int *conversation_of; /* row → conversation */
	ChatReader reader;
	ChatTable table;
} ChatFlush;

extern TupleTableSlot *chat_reader_fetch(ChatReader *reader, ChatAttachment *attachment, Oid relid,
										 ItemPointerData tid, bool messages);
extern void chat_reader_close(ChatReader *reader);

/* The user ids of a conversation's owner and of its agent, or NULL. The caller is connected to SPI. */
extern char *
chat_emit_owner(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot);
extern char *
chat_emit_agent(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot);

/* Writes all events of a flush whose conversations are locked. Returns how many conversations changed. */
extern int chat_emit_flush(ChatFlush *flush);

#endif
