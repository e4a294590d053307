/*
 * Conversations that were merged into others (chat.merged_conversation), and what goes with a conversation.
 */
#ifndef CHAT_MERGED_H
#define CHAT_MERGED_H

#include "postgres.h"

#include "attachment.h"
#include "key.h"

/* The id of the conversation that one (an id as events spell it) was merged into, in the current memory context, or NULL. */
extern char *chat_merged_into(const ChatAttachment *attachment, const char *id);
/* True for a conversation that was merged into another one. */
extern bool chat_is_merged(const ChatAttachment *attachment, ChatKey conversation);

/* A new conversation is nobody's past: whatever had its id before, as after TRUNCATE ... RESTART IDENTITY, is forgotten. */
extern void chat_merged_new(const ChatAttachment *attachment, ChatKey conversation);
/*
 * One is deleted: those merged into it stand for themselves again, and the pair of its contact's addresses goes where the owner
 * (a user id; NULL: not known) has no other conversation with the contact. address: of the contact, NULL for none.
 */
extern void chat_merged_gone(const ChatAttachment *attachment, ChatKey conversation,
							 const char *owner, const char *address);

#endif
