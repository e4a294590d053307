/*
 * What the owner's and the agent's column of a pair of tables hold for a user.
 */
#ifndef CHAT_USER_KEYS_H
#define CHAT_USER_KEYS_H

#include "postgres.h"

#include "utils/array.h"

#include "attachment.h"

/*
 * An array of texts in the current memory context: several where one user has several accounts, NULL when it has none. role:
 * CHAT_C_OWNER or CHAT_C_AGENT.
 */
extern ArrayType *chat_user_keys(ChatAttachment *attachment, ChatRole role, const char *user);

#endif
