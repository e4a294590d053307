/*
 * Conversations that were merged into others (chat.merged_conversation).
 */
#ifndef CHAT_MERGED_H
#define CHAT_MERGED_H

#include "postgres.h"

#include "attachment.h"
#include "key.h"

/* The id of the conversation that one was merged into, in the current memory context, or NULL. */
extern char *chat_merged_into(const ChatAttachment *attachment, const char *key);
/* True for a conversation that was merged into another one. */
extern bool chat_is_merged(const ChatAttachment *attachment, ChatKey conversation);

#endif
