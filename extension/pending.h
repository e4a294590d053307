/*
 * What row triggers note and the statement trigger settles.
 *
 * Rows are kept in the order they came, with the nesting level (subtransaction) that noted them; levels never
 * decrease along the array. A subtransaction's abort drops its rows, its commit hands them to the parent, and
 * a flush takes only rows of the current level: what an inner statement would settle for an outer one could be
 * rolled back with the inner. Row contents are not copied: a row version's tid is enough, since a version
 * of a running transaction stays in its table.
 */
#ifndef CHAT_PENDING_H
#define CHAT_PENDING_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#include "events.h"
#include "key.h"

/* What happened to a row: a bit for each event that it causes (CHAT_EVENT_BIT), and above them: */
#define CHAT_IS_CANDIDATE 0x01000000 /* inserted: may be the newest message, at time */
#define CHAT_WAS_NEWEST 0x02000000   /* changed or gone: may have been the newest, at time */
#define CHAT_RECOUNT 0x04000000      /* recompute counters and last message */
#define CHAT_NEW_AGENT                                                                             \
	0x08000000                 /* assigned, to or from an agent: the inboxes of both get a copy */
#define CHAT_RIGHTS 0x10000000 /* who may join may have changed: owner, agent, existence */

#define CHAT_OPENS                                                                                 \
	0x20000000 /* new of the contact: opens the conversation where it is the last message */

/* What an update of a conversation changed; in TopTransactionContext. */
typedef struct ChatChanges
{
	char *json;      /* of status, agent and bot; see chat_payload_changes */
	bool had_agent;  /* it was taken from one: */
	Datum old_agent; /* what the column held */
} ChatChanges;

typedef struct ChatPending
{
	int level;
	int32 attachment;
	ChatKey conversation;
	Oid relid;           /* table or partition of the row */
	ItemPointerData tid; /* row version that payloads are made from */
	int16 unread;        /* change of the unread count */
	uint32 flags;
	TimestampTz time;     /* the message's time */
	ChatKey message;      /* its id; only of rows of partitions */
	ChatChanges *changes; /* conversations: of status, agent or bot, else NULL */
} ChatPending;

extern void chat_pending_init(void);
/* A new row of the current level, zeroed but for level. */
extern ChatPending *chat_pending_add(void);
/* The current level's newest row, or NULL. */
extern ChatPending *chat_pending_last(void);
/* Takes the current level's rows out; they are copied into the caller's memory. */
extern ChatPending *chat_pending_take(int *count);

/* Remembers, until the end of the transaction, who owned a conversation that is being deleted. */
extern void chat_pending_deleted(int32 attachment, ChatKey conversation, const char *owner);
extern const char *chat_pending_deleted_owner(int32 attachment, ChatKey conversation);

/* Remembers, until the end of the transaction, that messages came before their conversation. */
extern void chat_pending_awaited(int32 attachment, ChatKey conversation);
extern bool chat_pending_is_awaited(int32 attachment, ChatKey conversation);

/* Remembers, until the end of the transaction, that a conversation has got this id: what is noted of it is recounted. */
extern void chat_pending_renamed(int32 attachment, ChatKey conversation);
extern bool chat_pending_is_renamed(int32 attachment, ChatKey conversation);

/* Remembers, until the end of the transaction, that it wrote the status of a conversation. */
extern void chat_pending_status_written(int32 attachment, ChatKey conversation);
extern bool chat_pending_is_status_written(int32 attachment, ChatKey conversation);

#endif
