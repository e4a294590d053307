/*
 * The events of a flush.
 */
#ifndef CHAT_EMIT_H
#define CHAT_EMIT_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "flush.h"

/* The user ids of a conversation's owner and of its agent, or NULL. The caller is connected to SPI. */
extern char *
chat_emit_owner(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot);
extern char *
chat_emit_agent(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot);

/* Writes all events of a flush whose conversations are locked. Returns how many conversations changed. */
extern int chat_emit_flush(ChatFlush *flush);

#endif
