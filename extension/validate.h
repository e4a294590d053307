/*
 * Rule R6: what a message may be, and a conversation's status.
 */
#ifndef CHAT_VALIDATE_H
#define CHAT_VALIDATE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "layout.h"

/* Types of a message where the table has no rule of its own; ends with NULL. */
extern const char *const chat_message_types[];
/* Likewise of the other words. */
extern const char *const chat_directions[];
extern const char *const chat_senders[];
extern const char *const chat_conversation_statuses[];

/*
 * Refuses a row that breaks a rule: errors of class 22 or 23 with the column's name. Of an update (old_slot not
 * NULL) only what it changes is looked at, so that rows from before can still be updated.
 */
extern void
chat_validate_message(const ChatAttachment *attachment, const ChatLayout *layout, Relation relation,
					  TupleTableSlot *old_slot, TupleTableSlot *new_slot);
/* The same of a conversation. */
extern void chat_validate_conversation(const ChatLayout *layout, Relation relation,
									   TupleTableSlot *old_slot, TupleTableSlot *new_slot);

#endif
