/*
 * Rate limits by GCRA (generic cell rate algorithm): a bucket is one number, its theoretical arrival time (TAT), the
 * time at which it will be full again. A call that is let through moves it by the emission interval, period / calls.
 *
 * The buckets live in shared memory, not in tables: a request that rolls back still counts. They are forgotten when
 * the server restarts.
 *
 * The table is a hash table of sets in two halves: keys and owners have the first for themselves, so that names callers
 * choose, which are in the second, never leave a customer's key without a bucket. A key may be in any slot of two sets
 * of its half that its hash names, so that 65,536 live buckets in the 131,072 slots of a half practically never meet two
 * full sets. Rules:
 *   - A slot's TAT only grows. A bucket whose TAT is not in the future is full, the same as none: only such slots are
 *     given to another key.
 *   - Whoever gives a slot to another key first changes its TAT, by compare-exchange, to SLOT_CHANGING, then writes
 *     the key, then the new TAT. So a reader that read TAT, then the key, and whose compare-exchange of that TAT
 *     succeeds, has changed the bucket it meant.
 *   - A key is entered under the spinlock of its hash, after looking once more: it is never there twice. A call
 *     on a bucket that exists takes no lock.
 */
#ifndef CHAT_RATELIMIT_H
#define CHAT_RATELIMIT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "siphash.h"

#define CHAT_LIMIT_HALVES 2
#define CHAT_LIMIT_SETS 16384 /* of a half; a power of two */
#define CHAT_LIMIT_WAYS 8
#define CHAT_LIMIT_SLOTS (CHAT_LIMIT_SETS * CHAT_LIMIT_WAYS) /* of a half */
#define CHAT_LIMIT_LOCKS 256

typedef struct ChatLimitSlot
{
	pg_atomic_uint64 tat; /* nanoseconds of the monotonic clock; 0: never used */
	ChatHash key;
} ChatLimitSlot;

typedef struct ChatLimitTable
{
	ChatHash secret; /* key of the hash: nobody can aim at another's bucket */
	slock_t locks[CHAT_LIMIT_LOCKS];
	ChatLimitSlot slots[CHAT_LIMIT_HALVES][CHAT_LIMIT_SLOTS];
} ChatLimitTable;

/* What a bucket counts; names of different kinds never meet. */
typedef enum ChatLimitKind
{
	CHAT_LIMIT_NAMED = 1, /* chat.check_rate_limit */
	CHAT_LIMIT_KEY,       /* an API key */
	CHAT_LIMIT_MESSAGES,  /* messages that a user writes */
	CHAT_LIMIT_TYPING     /* typing of a user in a conversation */
} ChatLimitKind;

typedef struct ChatLimitResult
{
	bool allowed;
	bool
		unavailable; /* nothing was counted: no shared memory, or every slot it could have limits somebody */
	int32 remaining;   /* calls that would be let through now */
	int64 full_after;  /* ns until all calls are available again */
	int64 retry_after; /* ns until a refused call would be let through; 0: it was */
} ChatLimitResult;

/* What clients of PostgREST get as 429; other backends map it. */
#define CHAT_ERRCODE_RATE_LIMITED MAKE_SQLSTATE('P', 'T', '4', '2', '9')

extern void chat_limits_init(ChatLimitTable *table);

/* Takes one of max_calls (at least 1) per period (ns) from the bucket of this database that kind and name make up. */
extern ChatLimitResult
chat_limit_take(ChatLimitKind kind, const void *name, size_t length, int32 max_calls, int64 period);
/* Raises 55000 or 53400 with what to do about a result that is unavailable. */
extern void chat_limit_report(void) pg_attribute_noreturn();
/* Buckets that limit now, of a half: 0 keys and owners, 1 names that callers choose; out of CHAT_LIMIT_SLOTS. */
extern int64 chat_limit_used(ChatLimitTable *table, int half);
/* False for a call that is refused. Where nothing could be counted it is let through, with one warning a session. */
extern bool chat_limit_passes(const ChatLimitResult *result);
/* The result's times as SQL has them: timestamptz, and numeric seconds. */
extern Datum chat_limit_reset_at(const ChatLimitResult *result, TimestampTz now);
extern Datum chat_limit_retry_after(const ChatLimitResult *result);

#endif
