/*
 * Event payloads: compact JSON built from a row, always valid as jsonb.
 */
#ifndef CHAT_PAYLOAD_H
#define CHAT_PAYLOAD_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"

#include "layout.h"

/* Appends all columns of a row as one JSON object, within the limits of an event. */
extern void chat_payload_row(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot);
/* The same, whole, for answers to readers. */
extern void chat_payload_whole_row(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot);
/* Appends {id, conversationId, status, timestamp} of a message. */
extern void chat_payload_status(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot);
/* Appends {id}, of whichever the layout is of. */
extern void chat_payload_id(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot);
/* Appends what changed between two versions of a conversation: status, agent, bot. */
extern void chat_payload_changes(StringInfo buf, const char *old_status, const char *new_status,
								 bool agent, bool bot);

#endif
