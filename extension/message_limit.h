/*
 * How many messages a user may write: 10 a second, of either direction, in whatever way (statements, COPY, the API).
 *
 * Counted is what a caller with claims inserts; a service caller is not limited, nor is who has no claims. One statement
 * never writes more: it is refused whole. Without shared memory, or room in it, nothing is limited, with a warning.
 */
#ifndef CHAT_MESSAGE_LIMIT_H
#define CHAT_MESSAGE_LIMIT_H

#include "postgres.h"

#include "fmgr.h"

/* Counts a row that is about to be inserted. trigger: of one statement. Errors: PT429, which PostgREST answers with 429. */
extern void chat_message_limit(FmgrInfo *trigger);

#endif
