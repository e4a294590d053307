/*
 * The events, one row of a table each: what triggers note, what a flush tells, what SQL knows of them
 * (chat.event_kinds).
 *
 * A new event is a row here and in events.c, and the place that notes or tells it.
 */
#ifndef CHAT_EVENTS_H
#define CHAT_EVENTS_H

#include "postgres.h"

/* Noted rows keep a bit for each kind that rows cause (see pending.h). */
typedef enum ChatEventKind
{
	/* Caused by rows of messages; those of one row are told in this order. */
	CHAT_EVENT_MESSAGE_RECEIVED,
	CHAT_EVENT_MESSAGE_SENT,
	CHAT_EVENT_MESSAGE_UPDATED,
	CHAT_EVENT_MESSAGE_STATUS,
	CHAT_EVENT_MESSAGE_DELETED,
	/* Caused by rows of conversations, likewise. */
	CHAT_EVENT_CONVERSATION_DELETED,
	CHAT_EVENT_CONVERSATION_NEW,
	CHAT_EVENT_CONVERSATION_UPDATED,
	CHAT_EVENT_CONVERSATION_ASSIGNED,
	/* Told by functions, and by the reader for webhooks. */
	CHAT_EVENT_CONVERSATION_CLOSED,
	CHAT_EVENT_CONVERSATION_MERGED,
	CHAT_EVENT_PRESENCE_JOIN,
	CHAT_EVENT_PRESENCE_LEAVE,
	CHAT_EVENT_PRESENCE_TYPING,
	CHAT_EVENT_WEBHOOK_DISABLED,
	CHAT_EVENT_WEBHOOK_RECOVERED,
	CHAT_EVENT_PROVIDER_CHANGED,
	CHAT_EVENT_KINDS
} ChatEventKind;

#define CHAT_FIRST_MESSAGE_EVENT CHAT_EVENT_MESSAGE_RECEIVED
#define CHAT_LAST_MESSAGE_EVENT CHAT_EVENT_MESSAGE_DELETED
#define CHAT_FIRST_CONVERSATION_EVENT CHAT_EVENT_CONVERSATION_DELETED
#define CHAT_LAST_CONVERSATION_EVENT CHAT_EVENT_CONVERSATION_ASSIGNED

/* Sets of kinds as bits. */
#define CHAT_EVENT_BIT(kind) ((uint32) 1 << (kind))
#define CHAT_EVENT_BITS(first, last) (CHAT_EVENT_BIT((last) + 1) - CHAT_EVENT_BIT(first))
#define CHAT_MESSAGE_EVENTS CHAT_EVENT_BITS(CHAT_FIRST_MESSAGE_EVENT, CHAT_LAST_MESSAGE_EVENT)
#define CHAT_MESSAGE_NEW                                                                           \
	(CHAT_EVENT_BIT(CHAT_EVENT_MESSAGE_RECEIVED) | CHAT_EVENT_BIT(CHAT_EVENT_MESSAGE_SENT))
#define CHAT_CONVERSATION_EVENTS                                                                   \
	CHAT_EVENT_BITS(CHAT_FIRST_CONVERSATION_EVENT, CHAT_LAST_CONVERSATION_EVENT)

typedef enum ChatTopicKind
{
	CHAT_TOPIC_CONVERSATION,
	CHAT_TOPIC_INBOX, /* of a user */
	CHAT_TOPIC_PRESENCE
} ChatTopicKind;

/* What a payload is made of. */
typedef enum ChatEventPayload
{
	CHAT_PAYLOAD_ROW,    /* the whole row */
	CHAT_PAYLOAD_STATUS, /* {id, conversationId, status, timestamp} */
	CHAT_PAYLOAD_ID,     /* {id} */
	CHAT_PAYLOAD_GIVEN   /* by the function that tells it */
} ChatEventPayload;

typedef struct ChatEventRow
{
	const char *name;    /* as clients hear it */
	const char *webhook; /* as webhooks get it; NULL: none does */
	ChatTopicKind topic;
	ChatEventPayload payload;
	bool state;  /* a later one says all that an earlier one of the same conversation said */
	int seconds; /* after which it is not delivered any more; 0: always delivered */
	const char *when;
} ChatEventRow;

/* By kind. */
extern const ChatEventRow chat_events[CHAT_EVENT_KINDS];

/* Whether an event of this name is a state; false for a name that none has. */
extern bool chat_event_is_state(const char *name);

/* The topic of a kind for a conversation or user, in the current memory context. */
extern char *chat_topic(ChatTopicKind kind, const char *id);

#endif
