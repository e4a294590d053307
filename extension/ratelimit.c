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

#define TYPING_PER_SECOND 1

PG_FUNCTION_INFO_V1(chat_check_rate_limit);
PG_FUNCTION_INFO_V1(chat_limit_typing);

void
chat_limits_init(ChatLimitTable *table)
{
	if (!pg_strong_random(&table->secret, sizeof(table->secret)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	for (int i = 0; i < CHAT_LIMIT_LOCKS; i++)
		SpinLockInit(&table->locks[i]);
	for (int half = 0; half < CHAT_LIMIT_HALVES; half++)
	{
		for (int i = 0; i < CHAT_LIMIT_SLOTS; i++)
			pg_atomic_init_u64(&table->slots[half][i].tat, 0);
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

/* Where a bucket may be. */
typedef struct Place
{
	ChatHash key;
	ChatLimitSlot *half;
} Place;

/* One of the two sets a key may be in. */
static ChatLimitSlot *
set_of(const Place *place, int choice)
{
	uint64 set = (choice == 0 ? place->key.low : place->key.high) & (CHAT_LIMIT_SETS - 1);

	return &place->half[set * CHAT_LIMIT_WAYS];
}

/* The slot of a key, or NULL. *tat: its TAT, read before the key was. */
static ChatLimitSlot *
find_slot(const Place *place, uint64 *tat)
{
	for (int choice = 0; choice < 2; choice++)
	{
		ChatLimitSlot *set = set_of(place, choice);

		for (int way = 0; way < CHAT_LIMIT_WAYS; way++)
		{
			*tat = pg_atomic_read_u64(&set[way].tat);
			if (*tat == 0 || *tat == SLOT_CHANGING)
				continue;
			pg_read_barrier();
			if (set[way].key.low == place->key.low && set[way].key.high == place->key.high)
				return &set[way];
		}
	}
	return NULL;
}

/* The first slot that limits nobody, in the emptier of a key's two sets; NULL: both are full. */
static ChatLimitSlot *
find_idle(const Place *place, uint64 now, uint64 *tat)
{
	ChatLimitSlot *best = NULL;
	int best_idle = 0;

	for (int choice = 0; choice < 2; choice++)
	{
		ChatLimitSlot *set = set_of(place, choice);
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
enter(ChatLimitTable *table, const Place *place, uint64 now, uint64 first_tat)
{
	slock_t *lock = &table->locks[(place->key.low >> 32) % CHAT_LIMIT_LOCKS];
	ChatEntry result = NO_ROOM;
	ChatLimitSlot *slot;
	uint64 tat;

	SpinLockAcquire(lock);
	if (find_slot(place, &tat) != NULL)
		result = THERE_ALREADY;
	while (result == NO_ROOM && (slot = find_idle(place, now, &tat)) != NULL)
	{
		/* Only a call that used the slot since can make this fail. */
		if (!pg_atomic_compare_exchange_u64(&slot->tat, &tat, SLOT_CHANGING))
			continue;
		slot->key = place->key;
		pg_write_barrier();
		pg_atomic_write_u64(&slot->tat, first_tat);
		result = ENTERED;
	}
	SpinLockRelease(lock);
	return result;
}

void
chat_limit_report(void)
{
	(void) chat_require_shared();
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					errmsg("the table of rate limits is full"),
					errdetail("Every bucket in it is in use; %d can be.", CHAT_LIMIT_SLOTS),
					errhint("Use fewer buckets, or shorter periods.")));
}

int64
chat_limit_used(ChatLimitTable *table, int half)
{
	ChatLimitSlot *slots = table->slots[half];
	uint64 now = monotonic_now();
	int64 used = 0;

	for (int i = 0; i < CHAT_LIMIT_SLOTS; i++)
		used += pg_atomic_read_u64(&slots[i].tat) > now;
	return used;
}

typedef enum ChatVerdict
{
	LET_THROUGH,
	REFUSED,
	FULL
} ChatVerdict;

/* Takes one call out of a bucket; on return *after is the TAT if the call is let through. */
static ChatVerdict
take(ChatLimitTable *table, const Place *place, uint64 now, uint64 interval, uint64 capacity,
	 uint64 *after)
{
	for (;;)
	{
		uint64 tat;
		ChatLimitSlot *slot = find_slot(place, &tat);

		if (slot != NULL)
		{
			bool allowed;

			*after = Max(tat, now) + interval;
			allowed = *after - now <= capacity;
			if (!allowed || pg_atomic_compare_exchange_u64(&slot->tat, &tat, *after))
				return allowed ? LET_THROUGH : REFUSED;
			continue;
		}
		*after = now + interval;
		switch (enter(table, place, now, *after))
		{
			case ENTERED:
				return LET_THROUGH;
			case NO_ROOM:
				return FULL;
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

static Place
place_of(ChatLimitTable *table, ChatLimitKind kind, const void *name, size_t length)
{
	bool reserved = kind == CHAT_LIMIT_KEY || kind == CHAT_LIMIT_MESSAGES;

	return (Place){bucket_key(table, kind, name, length), table->slots[reserved ? 0 : 1]};
}

ChatLimitResult
chat_limit_take(ChatLimitKind kind, const void *name, size_t length, int32 max_calls, int64 period)
{
	ChatLimitResult result = {.allowed = true, .remaining = max_calls};
	uint64 now, interval, capacity, after;
	ChatShared *shared;
	ChatVerdict verdict;
	Place place;

	if (!chat_rate_limits)
		return result;
	shared = chat_shared();
	if (shared == NULL)
		return (ChatLimitResult){.unavailable = true};
	/* Rounded up: never more than max_calls in a period. */
	interval = (period + max_calls - 1) / max_calls;
	capacity = interval * max_calls;
	place = place_of(&shared->limits, kind, name, length);
	now = monotonic_now();
	verdict = take(&shared->limits, &place, now, interval, capacity, &after);
	if (verdict == FULL)
		return (ChatLimitResult){.unavailable = true};
	result.allowed = verdict == LET_THROUGH;
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
	if (result.unavailable)
		chat_limit_report();
	values[0] = BoolGetDatum(result.allowed);
	values[1] = Int32GetDatum(result.remaining);
	values[2] = chat_limit_reset_at(&result, GetCurrentTimestamp());
	values[3] = chat_limit_retry_after(&result);
	PG_RETURN_DATUM(chat_result_row(fcinfo, values, nulls, lengthof(values)));
}

/*
 * Limits that protect the server rather than answer a request do without where there is no shared memory, or no room in
 * it: saving a message must not depend on a server setting. Says so once.
 */
bool
chat_limit_passes(const ChatLimitResult *result)
{
	static bool warned = false;

	if (result->unavailable && !warned)
	{
		ereport(WARNING,
				(errmsg("chat_realtime keeps no limits on messages and typing"),
				 chat_shared() == NULL ? errhint("Add chat_realtime to shared_preload_libraries "
												 "and restart the server.")
									   : errdetail("The table of rate limits is full.")));
		warned = true;
	}
	return result->unavailable || result->allowed;
}

Datum
chat_limit_typing(PG_FUNCTION_ARGS)
{
	StringInfoData name;
	ChatLimitResult result;

	/* Started and stopped are counted apart: what was shown as started can always be stopped. */
	initStringInfo(&name);
	for (int i = 0; i < 2; i++)
	{
		if (!PG_ARGISNULL(i))
			appendStringInfoString(&name, text_to_cstring(PG_GETARG_TEXT_PP(i)));
		appendStringInfoChar(&name, '\0');
	}
	appendStringInfoChar(&name, !PG_ARGISNULL(2) && PG_GETARG_BOOL(2) ? '1' : '0');
	result =
		chat_limit_take(CHAT_LIMIT_TYPING, name.data, name.len, TYPING_PER_SECOND, NS_PER_SECOND);
	PG_RETURN_BOOL(chat_limit_passes(&result));
}
