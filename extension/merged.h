/*
 * Conversations that were merged into others (chat.merged_conversation).
 */
#ifndef CHAT_MERGED_H
#define CHAT_MERGED_H

#include "postgres.h"

#include "attachment.h"
#include "key.h"

/* True for a conversation that was merged into another one. */
extern bool chat_is_merged(const ChatAttachment *attachment, ChatKey conversation);

#endif
