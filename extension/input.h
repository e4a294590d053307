/*
 * What callers of the API give.
 */
#ifndef CHAT_INPUT_H
#define CHAT_INPUT_H

#include "postgres.h"

#include "fmgr.h"

/* A text argument in the current memory context; NULL for SQL NULL. */
extern char *chat_text_argument(FunctionCallInfo fcinfo, int n);

#endif
