/*
 * Writing the event log.
 *
 * A ChatLog collects rows of one flush and writes them into the current partition of chat.event with the heap
 * and index access methods directly: no executor, no privileges, no triggers; chat.event is ours alone.
 * Ids are drawn as rows are added, so the caller must hold the locks of all conversations concerned.
 */
#ifndef CHAT_EVENT_LOG_H
#define CHAT_EVENT_LOG_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

typedef struct ChatLog ChatLog;

/* Most events that ride on a row: to the owner's inbox, and to the agent's. */
#define CHAT_MOST_RIDERS 2

/*
 * conversation.updated, which the event of a message caused: it is kept in that event's row of the log and has the ids
 * that follow the event's own, the owner's inbox the first, the agent's the next.
 */
typedef struct ChatRider
{
	const char *inbox;       /* topic of the owner's inbox */
	const char *agent_inbox; /* of the agent's; NULL: none */
	Datum changes;           /* jsonb, or 0 */
	const char *payload;     /* JSON object */
	int payload_length;
} ChatRider;

typedef struct ChatEvent
{
	const char *topic;
	const char *event;
	const char *owner;        /* NULL: unknown */
	const char *conversation; /* NULL: none */
	const char *webhook;      /* NULL: not for webhooks */
	Datum changes;            /* jsonb, or 0 */
	const char *rights;       /* conversation that others may join now, NULL: none */
	TimestampTz expires_at;   /* 0: never */
	const char *payload;      /* JSON object */
	int payload_length;
	const ChatRider *rider; /* NULL: none */
} ChatEvent;

extern ChatLog *chat_log_begin(void);
/*
 * Adds one event, and what rides on it, and returns its id. What the event points to is copied, but its owner, name and
 * webhook stay as they are until the log ends.
 */
extern int64 chat_log_add(ChatLog *log, const ChatEvent *event);
extern void chat_log_end(ChatLog *log);

#endif
