/*
 * Roles that a column of an attached table can have, each one row of the table in roles.c.
 */
#ifndef CHAT_ROLES_H
#define CHAT_ROLES_H

#include "postgres.h"

/* Conversations' come first. */
typedef enum ChatRole
{
	/* conversations */
	CHAT_C_ID,
	CHAT_C_OWNER,
	CHAT_C_AGENT,
	CHAT_C_BOT,
	CHAT_C_JID,
	CHAT_C_NAME,
	CHAT_C_AVATAR,
	CHAT_C_STATUS,
	CHAT_C_MUTED,
	CHAT_C_INBOX,
	CHAT_C_METADATA,
	CHAT_C_UNREAD,
	CHAT_C_LAST_AT,
	CHAT_C_PREVIEW,
	CHAT_C_LIST_KEY, /* list_key.h */
	CHAT_C_CREATED,
	CHAT_C_UPDATED,
	/* messages */
	CHAT_M_ID,
	CHAT_M_CONVERSATION,
	CHAT_M_EXTERNAL,
	CHAT_M_DIRECTION,
	CHAT_M_STATUS,
	CHAT_M_TYPE,
	CHAT_M_CONTENT,
	CHAT_M_METADATA,
	CHAT_M_TIME,
	CHAT_M_CREATED,
	CHAT_M_UPDATED,
	CHAT_M_STATUS_UPDATED,
	CHAT_M_PRIVATE,
	CHAT_M_DELETED,
	CHAT_M_EDITED,
	CHAT_M_SENDER_TYPE,
	CHAT_M_AGENT,
	CHAT_M_BOT,
	CHAT_M_REPLY_TO,
	CHAT_M_MEDIA_URL,
	CHAT_M_MIME,
	CHAT_M_FILENAME,
	CHAT_M_SIZE,
	CHAT_M_DURATION,
	CHAT_ROLES
} ChatRole;

#define CHAT_ESSENTIAL 1 /* without it a pair of tables cannot be followed */
#define CHAT_WRITTEN 2   /* the triggers write it */
#define CHAT_API 4       /* only functions of the API look at it */

typedef struct ChatRoleInfo
{
	const char *name; /* in chat.attachment.columns */
	const char
		*json; /* the key that clients know it by; NULL: the column's own name in camelCase */
	const char *
		candidates; /* names under which attach looks for the column, as an array; NULL: the primary key */
	const char *kind; /* of its type; see chat.type_is_of_kind */
	int flags;
} ChatRoleInfo;

extern const ChatRoleInfo chat_roles[CHAT_ROLES];

/* The role's name in chat.attachment.columns. */
static inline const char *
chat_role_name(ChatRole role)
{
	return chat_roles[role].name;
}

/* True for a role of a message's column, false for a conversation's. */
static inline bool
chat_role_is_message(ChatRole role)
{
	return role >= CHAT_M_ID;
}

/* The role of that name, or CHAT_ROLES. */
extern ChatRole chat_role_named(const char *name, size_t length);

#endif
