/*
 * The table of rate limits; its rules are in ratelimit.h.
 */
#include "postgres.h"

#include <time.h>

#include "access/detoast.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "settings.h"
#include "compat.h"
#include "ratelimit.h"
#include "result.h"
#include "shmem.h"

#define SLOT_CHANGING PG_UINT64_MAX
#define NS_PER_SECOND INT64CONST(1000000000)

#define MAX_BUCKET_BYTES 255
#define MAX_CALLS 1000000000
#define MIN_PERIOD_US 1000.0
#define MAX_PERIOD_US (31.0 * USECS_PER_DAY)

#define MESSAGES_PER_SECOND 10
#define TYPING_PER_SECOND 1

/* What clients of PostgREST get as 429; other backends map it. */
#define ERRCODE_RATE_LIMITED MAKE_SQLSTATE('P', 'T', '4', '2', '9')

PG_FUNCTION_INFO_V1(chat_check_rate_limit);
PG_FUNCTION_INFO_V1(chat_limit_messages);
PG_FUNCTION_INFO_V1(chat_limit_typing);

void
chat_limits_init(ChatLimitTable *table)
{
	if (!pg_strong_random(&table->secret, sizeof(table->secret)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	for (int i = 0; i < CHAT_LIMIT_LOCKS; i++)
		SpinLockInit(&table->locks[i]);
	for (int set = 0; set < CHAT_LIMIT_SETS; set++)
	{
		for (int way = 0; way < CHAT_LIMIT_WAYS; way++)
			pg_atomic_init_u64(&table->slots[set][way].tat, 0);
	}
}

/* Nanoseconds of a clock that never steps and is the same in all processes. */
static uint64
monotonic_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64) now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* One of the two sets a key may be in. */
static ChatLimitSlot *
set_of(ChatLimitTable *table, const ChatHash *key, int choice)
{
	return table->slots[(choice == 0 ? key->low : key->high) & (CHAT_LIMIT_SETS - 1)];
}

/* The slot of a key, or NULL. *tat: its TAT, read before the key was. */
static ChatLimitSlot *
find_slot(ChatLimitTable *table, const ChatHash *key, uint64 *tat)
{
	for (int choice = 0; choice < 2; choice++)
	{
		ChatLimitSlot *set = set_of(table, key, choice);

		for (int way = 0; way < CHAT_LIMIT_WAYS; way++)
		{
			*tat = pg_atomic_read_u64(&set[way].tat);
			if (*tat == 0 || *tat == SLOT_CHANGING)
				continue;
			pg_read_barrier();
			if (set[way].key.low == key->low && set[way].key.high == key->high)
				return &set[way];
		}
	}
	return NULL;
}

/* The first slot that limits nobody, in the emptier of a key's two sets; NULL: both are full. */
static ChatLimitSlot *
find_idle(ChatLimitTable *table, const ChatHash *key, uint64 now, uint64 *tat)
{
	ChatLimitSlot *best = NULL;
	int best_idle = 0;

	for (int choice = 0; choice < 2; choice++)
	{
		ChatLimitSlot *set = set_of(table, key, choice);
		ChatLimitSlot *first = NULL;
		uint64 first_tat = 0;
		int idle = 0;

		for (int way = CHAT_LIMIT_WAYS - 1; way >= 0; way--)
		{
			uint64 here = pg_atomic_read_u64(&set[way].tat);

			if (here > now)
				continue;
			idle++;
			first = &set[way];
			first_tat = here;
		}
		if (idle > best_idle)
		{
			best = first;
			best_idle = idle;
			*tat = first_tat;
		}
	}
	return best;
}

typedef enum ChatEntry
{
	ENTERED,
	THERE_ALREADY,
	NO_ROOM
} ChatEntry;

/* Enters a key with its first TAT. */
static ChatEntry
enter(ChatLimitTable *table, const ChatHash *key, uint64 now, uint64 first_tat)
{
	slock_t *lock = &table->locks[(key->low >> 32) % CHAT_LIMIT_LOCKS];
	ChatEntry result = NO_ROOM;
	ChatLimitSlot *slot;
	uint64 tat;

	SpinLockAcquire(lock);
	if (find_slot(table, key, &tat) != NULL)
		result = THERE_ALREADY;
	while (result == NO_ROOM && (slot = find_idle(table, key, now, &tat)) != NULL)
	{
		/* Only a call that used the slot since can make this fail. */
		if (!pg_atomic_compare_exchange_u64(&slot->tat, &tat, SLOT_CHANGING))
			continue;
		slot->key = *key;
		pg_write_barrier();
		pg_atomic_write_u64(&slot->tat, first_tat);
		result = ENTERED;
	}
	SpinLockRelease(lock);
	return result;
}

static void
report_full(void)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the table of rate limits is full"),
		 errdetail("Every bucket in it is in use; %d can be.", CHAT_LIMIT_SETS * CHAT_LIMIT_WAYS),
		 errhint("Use fewer buckets, or shorter periods.")));
}

/* Takes one call out of a bucket; on return *after is the TAT if the call is let through. */
static bool
take(ChatLimitTable *table, const ChatHash *key, uint64 now, uint64 interval, uint64 capacity,
	 uint64 *after)
{
	for (;;)
	{
		uint64 tat;
		ChatLimitSlot *slot = find_slot(table, key, &tat);

		if (slot != NULL)
		{
			bool allowed;

			*after = Max(tat, now) + interval;
			allowed = *after - now <= capacity;
			if (!allowed || pg_atomic_compare_exchange_u64(&slot->tat, &tat, *after))
				return allowed;
			continue;
		}
		*after = now + interval;
		switch (enter(table, key, now, *after))
		{
			case ENTERED:
				return true;
			case NO_ROOM:
				report_full();
				break;
			case THERE_ALREADY:
				break;
		}
	}
}

/* The key of a bucket: which database, what it counts, its name. */
static ChatHash
bucket_key(ChatLimitTable *table, ChatLimitKind kind, const void *name, size_t length)
{
	struct
	{
		Oid database;
		int32 kind;
	} prefix = {MyDatabaseId, kind};
	char small[256];
	char *buffer =
		length + sizeof(prefix) <= sizeof(small) ? small : palloc(length + sizeof(prefix));

	memcpy(buffer, &prefix, sizeof(prefix));
	memcpy(buffer + sizeof(prefix), name, length);
	return chat_siphash(&table->secret, buffer, sizeof(prefix) + length);
}

ChatLimitResult
chat_limit_take(ChatLimitKind kind, const void *name, size_t length, int32 max_calls, int64 period)
{
	ChatLimitResult result = {.allowed = true, .remaining = max_calls};
	uint64 now, interval, capacity, after;
	ChatLimitTable *table;
	ChatHash key;

	if (!chat_rate_limits)
		return result;
	table = &chat_require_shared()->limits;
	/* Rounded up: never more than max_calls in a period. */
	interval = (period + max_calls - 1) / max_calls;
	capacity = interval * max_calls;
	key = bucket_key(table, kind, name, length);
	now = monotonic_now();
	result.allowed = take(table, &key, now, interval, capacity, &after);
	if (!result.allowed)
	{
		result.retry_after = after - now - capacity;
		after -= interval;
	}
	result.full_after = after - now;
	result.remaining = result.full_after < capacity ? (capacity - result.full_after) / interval : 0;
	return result;
}

Datum
chat_limit_reset_at(const ChatLimitResult *result, TimestampTz now)
{
	return TimestampTzGetDatum(now + (result->full_after + 999) / 1000);
}

Datum
chat_limit_retry_after(const ChatLimitResult *result)
{
	/* Whole milliseconds, rounded up: whoever waits this long is let through. */
	return NumericGetDatum(int64_div_fast_to_numeric((result->retry_after + 999999) / 1000000, 3));
}

/* An interval in nanoseconds; error 22023 unless it is from 1 ms to 31 days. */
static int64
period_of(const Interval *interval)
{
	double us = interval->time + (double) interval->day * USECS_PER_DAY +
				(double) interval->month * DAYS_PER_MONTH * USECS_PER_DAY;

	if (!(us >= MIN_PERIOD_US && us <= MAX_PERIOD_US))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("per must be from 1 millisecond to 31 days")));
	return (int64) us * 1000;
}

/* An argument that must be given. */
static void
require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", name)));
}

/* A bucket's name, detoasted only when it is short enough. */
static text *
bucket_name(FunctionCallInfo fcinfo)
{
	Size length;

	require_argument(fcinfo, 0, "bucket");
	length = toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ;
	if (length < 1 || length > MAX_BUCKET_BYTES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("bucket must be from 1 to %d bytes long", MAX_BUCKET_BYTES)));
	return PG_GETARG_TEXT_PP(0);
}

Datum
chat_check_rate_limit(PG_FUNCTION_ARGS)
{
	text *bucket = bucket_name(fcinfo);
	ChatLimitResult result;
	int32 max_requests;
	Datum values[4];
	bool nulls[4] = {false};

	require_argument(fcinfo, 1, "max_requests");
	require_argument(fcinfo, 2, "per");
	max_requests = PG_GETARG_INT32(1);
	if (max_requests < 1 || max_requests > MAX_CALLS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_requests must be from 1 to %d", MAX_CALLS)));
	result = chat_limit_take(CHAT_LIMIT_NAMED, VARDATA_ANY(bucket), VARSIZE_ANY_EXHDR(bucket),
							 max_requests, period_of(PG_GETARG_INTERVAL_P(2)));
	values[0] = BoolGetDatum(result.allowed);
	values[1] = Int32GetDatum(result.remaining);
	values[2] = chat_limit_reset_at(&result, GetCurrentTimestamp());
	values[3] = chat_limit_retry_after(&result);
	PG_RETURN_DATUM(chat_result_row(fcinfo, values, nulls, lengthof(values)));
}

/*
 * Limits that protect the server rather than answer a request do without where there is no shared memory: saving a
 * message must not depend on a server setting. Says so once.
 */
static bool
limits_can_be_kept(void)
{
	static bool warned = false;

	if (!chat_rate_limits)
		return false;
	if (chat_shared() != NULL)
		return true;
	if (!warned)
		ereport(WARNING,
				(errmsg("chat_realtime keeps no limits on messages and typing"),
				 errhint("Add chat_realtime to shared_preload_libraries and restart the server.")));
	warned = true;
	return false;
}

Datum
chat_limit_messages(PG_FUNCTION_ARGS)
{
	text *owner;
	ChatLimitResult result;

	require_argument(fcinfo, 0, "owner");
	if (!limits_can_be_kept())
		PG_RETURN_VOID();
	owner = PG_GETARG_TEXT_PP(0);
	result = chat_limit_take(CHAT_LIMIT_MESSAGES, VARDATA_ANY(owner), VARSIZE_ANY_EXHDR(owner),
							 MESSAGES_PER_SECOND, NS_PER_SECOND);
	if (!result.allowed)
		ereport(ERROR, (errcode(ERRCODE_RATE_LIMITED), errmsg("rate limit exceeded"),
						errdetail("One owner may send %d messages a second.", MESSAGES_PER_SECOND),
						errhint("Try again after %.3f seconds.", result.retry_after / 1e9)));
	PG_RETURN_VOID();
}

Datum
chat_limit_typing(PG_FUNCTION_ARGS)
{
	StringInfoData name;

	if (!limits_can_be_kept())
		PG_RETURN_BOOL(true);
	/* Started and stopped are counted apart: what was shown as started can always be stopped. */
	initStringInfo(&name);
	for (int i = 0; i < 2; i++)
	{
		if (!PG_ARGISNULL(i))
			appendStringInfoString(&name, text_to_cstring(PG_GETARG_TEXT_PP(i)));
		appendStringInfoChar(&name, '\0');
	}
	appendStringInfoChar(&name, !PG_ARGISNULL(2) && PG_GETARG_BOOL(2) ? '1' : '0');
	PG_RETURN_BOOL(
		chat_limit_take(CHAT_LIMIT_TYPING, name.data, name.len, TYPING_PER_SECOND, NS_PER_SECOND)
			.allowed);
}
