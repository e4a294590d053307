/*
 * What the trigger functions share.
 */
#ifndef CHAT_TRIGGER_H
#define CHAT_TRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

#include "layout.h"
#include "key.h"

/* Checks the trigger protocol; returns the attachment that the trigger's argument names. */
extern ChatAttachment *
chat_trigger_attachment(FunctionCallInfo fcinfo, const char *name, TriggerEvent timing);
/* Id of a conversation's row. */
extern ChatKey chat_trigger_conversation(TupleTableSlot *slot, const ChatLayout *layout);

#endif
