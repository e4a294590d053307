/*
 * The key by which lists of conversations are found: a column that changes seldom, so that most messages leave every
 * index of the table alone.
 *
 * A key is of one of two kinds. A bucket stands for the ten minutes that hold the last message: it stays while the
 * conversation goes on within them, and a list sorts what one bucket holds. An exact key is the time of the last message
 * itself. All buckets are below all exact keys, so each kind is a range of the index; a list takes what comes first of both.
 *
 * Only what happens now gets a bucket: of history, whose times are over, the next message changes the key in any case. And an
 * owner's bucket takes no more than so many conversations (approximately: writers do not see each other), so that a page
 * never has to sort more.
 */
#ifndef CHAT_LIST_KEY_H
#define CHAT_LIST_KEY_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "conversation.h"

/* Of a conversation without a last message: the lowest exact key. A DEFAULT of chat.setup's tables. */
#define CHAT_LIST_NEVER INT64CONST(-1000000000000000000)

/* The exact key of a last message's time; -infinity: none. */
extern int64 chat_list_key_exact(TimestampTz at);
/* The key that goes with what is to be written into the locked row; 0 for a table without such a column. */
extern int64 chat_list_key_next(ChatTable *table, const ChatCounters *counters);
/* True when the locked row's key is one that its last message can have, or the table has no such column. */
extern bool chat_list_key_fits(const ChatTable *table, const ChatCounters *counters);
/* The index on these columns of conversations, or InvalidOid. */
extern Oid chat_list_key_index(Relation relation, AttrNumber owner, AttrNumber key, AttrNumber id);

#endif
