/*
 * Rate limits: each bucket is a sliding window (window.h), so no period has more calls than the limit.
 *
 * The buckets live in shared memory, not in tables: a request that rolls back still counts. They are forgotten when
 * the server restarts. A name under another limit is another bucket.
 *
 * The table is a hash table of sets in two halves: keys and owners have the first for themselves, so that names callers
 * choose, which are in the second, never leave a customer's key without a bucket. A half is cut into regions, each with its
 * lock; a bucket is in one region, in any slot of two of its sets that its hash names, so that 65,536 live buckets in the
 * 131,072 slots of a half practically never meet two full sets. Only a slot whose window is empty is given to another
 * bucket. All of a region is read and written under its spinlock, which is held for a bounded number of steps.
 */
#ifndef CHAT_RATELIMIT_H
#define CHAT_RATELIMIT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/spin.h"

#include "compat.h"

#include "keys/siphash.h"
#include "keys/window.h"

#define CHAT_LIMIT_HALVES 2
#define CHAT_LIMIT_REGIONS 256 /* of a half; a power of two, as the next */
#define CHAT_LIMIT_SETS 64     /* of a region */
#define CHAT_LIMIT_WAYS 8
#define CHAT_LIMIT_SLOTS (CHAT_LIMIT_REGIONS * CHAT_LIMIT_SETS * CHAT_LIMIT_WAYS) /* of a half */

/* Whose a window is, apart from it: a look through a set reads little. */
typedef struct ChatLimitSlot
{
	ChatHash key;
	uint64 until; /* nanoseconds of the monotonic clock; before that the window limits somebody */
} ChatLimitSlot;

typedef struct ChatLimitSet
{
	ChatLimitSlot slots[CHAT_LIMIT_WAYS];
	ChatWindow windows[CHAT_LIMIT_WAYS];
} ChatLimitSet;

typedef struct ChatLimitRegion
{
	slock_t lock;
	ChatLimitSet sets[CHAT_LIMIT_SETS];
} ChatLimitRegion;

typedef struct ChatLimitTable
{
	ChatHash secret; /* key of the hash: nobody can aim at another's bucket */
	ChatLimitRegion regions[CHAT_LIMIT_HALVES][CHAT_LIMIT_REGIONS];
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
pg_noreturn extern void chat_limit_report(void);
/* Buckets that limit now, of a half: 0 keys and owners, 1 names that callers choose; out of CHAT_LIMIT_SLOTS. */
extern int64 chat_limit_used(ChatLimitTable *table, int half);
/* False for a call that is refused. Where nothing could be counted it is let through, with one warning a session. */
extern bool chat_limit_passes(const ChatLimitResult *result);
/* The result's times as SQL has them: timestamptz, and numeric seconds. */
extern Datum chat_limit_reset_at(const ChatLimitResult *result, TimestampTz now);
extern Datum chat_limit_retry_after(const ChatLimitResult *result);

#endif
