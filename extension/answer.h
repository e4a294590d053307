/*
 * Ends of the API's functions in C.
 */
#ifndef CHAT_ANSWER_H
#define CHAT_ANSWER_H

#include "postgres.h"

#include "fmgr.h"

#include "attachment.h"

/* Leaves SPI and returns the row with this key as it is now (plan: …_JSON), or NULL when it is gone. */
extern Datum chat_return_json(FunctionCallInfo fcinfo, ChatPlan plan, ChatAttachment *attachment,
							  const char *key);
/* Leaves SPI and returns NULL. */
extern Datum chat_return_null(FunctionCallInfo fcinfo);

#endif
