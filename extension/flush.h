/*
 * Settling what row triggers noted: counters, last message, events.
 */
#ifndef CHAT_FLUSH_H
#define CHAT_FLUSH_H

#include "postgres.h"

#include "conversation.h"
#include "pending.h"
#include "reader.h"

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
	bool opens;   /* the candidate is new of the contact; after the flush: and the last message */
	bool recheck; /* the newest message may have changed or gone */
	TimestampTz recheck_time;
	bool recount;
	bool has_messages; /* not only rows of the conversation itself */
	int carrier;       /* row whose event takes conversation.updated along, -1: none */
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
	int keyed;            /* conversations of which only the list key was written: nobody is told */
	ChatReader messages;
	ChatReader conversation_rows;
	ChatTable table;
} ChatFlush;

/*
 * Settles the current level's pending rows. Conversations are locked (FOR NO KEY UPDATE, or by their own UPDATE) one
 * after the other in id order before the first event id is drawn: concurrent flushes cannot deadlock on each
 * other, and ids of one conversation are in commit order. Returns how many conversations changed.
 */
extern int chat_flush_pending(void);

#endif
