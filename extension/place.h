/*
 * Which pair of tables a call of the API is about, and whether its caller may.
 */
#ifndef CHAT_PLACE_H
#define CHAT_PLACE_H

#include "postgres.h"

#include "attachment.h"

/*
 * The user whose rows a call is about, in the current memory context; NULL for a service caller that names none: every row.
 * Errors: 42501 for a caller that is nobody, or not the owner it names.
 */
extern char *chat_caller_scope(char *owner);
/* Error 42501 when agents only read the pair's conversations. For a caller who is a conversation's agent alone. */
extern void chat_require_agents_write(const ChatAttachment *attachment);
/* Error 55000 when there is nothing that a function of the API could be about. */
extern void chat_require_attached(void);
/*
 * Refuses an id (argument name) that is NULL (22004), or that no attached table could have (22P02); 55000 when none is attached.
 */
extern void chat_require_id(const char *name, const char *id, bool known);
/* True when a text can be a value of a key column, so that reading it does not raise; false: or there is no such column. */
extern bool chat_key_fits(Oid relid, const char *column, const char *value);

/* What chat_place_lock finds. */
typedef struct ChatPlace
{
	ChatAttachment *attachment; /* NULL: there is no such conversation of the user's */
	char *id;                   /* of the conversation that is locked */
	char *status;
	char *agent;   /* what the agent's column holds, when that is the user */
	bool as_agent; /* the user does not own it */
	char *
		route; /* JSON: by which of the owner's numbers it is answered; NULL where that is not kept */
} ChatPlace;

/*
 * Locks the conversation of this id that the user (NULL: anybody) owns or is assigned to. Callers are connected to SPI. Errors:
 * those of chat_require_id, 42501 for an agent that may not write.
 */
extern ChatPlace chat_place_lock(char *id, char *user);
/* The same, but of the one that it was merged into, where what comes for it goes. */
extern ChatPlace chat_place_lock_followed(char *id, char *user);
/* The same of the conversation of a message; the attachment, or NULL. */
extern ChatAttachment *chat_place_lock_of(char *message, char *user);
/* Key of the message with a WhatsApp id in a conversation, or NULL. Callers are connected to SPI. */
extern char *
chat_place_message(ChatAttachment *attachment, const char *conversation, const char *external);

#endif
