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
#include "keys/ratelimit.h"
#include "result.h"
#include "keys/shmem.h"

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
	for (int half = 0; half < CHAT_LIMIT_HALVES; half++)
	{
		for (int i = 0; i < CHAT_LIMIT_REGIONS; i++)
			SpinLockInit(&table->regions[half][i].lock);
	}
}

/* Nanoseconds of a clock that never steps and is the same in all processes. */
static uint64
monotonic_now(void)
{
	struct timespec now;

	if (chat_limit_clock >= 0)
		return (uint64) (chat_limit_clock * NS_PER_SECOND);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64) now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* Where a bucket is, or may be. */
typedef struct Place
{
	ChatHash key;
	ChatLimitRegion *region;
} Place;

typedef struct Bucket
{
	ChatLimitSlot *slot; /* NULL: there is none */
	ChatWindow *window;
} Bucket;

/* The first slot of a set that has the key, or (NULL) that limits nobody. *idle: how many of those there are. */
static Bucket
look(ChatLimitSet *set, const ChatHash *key, uint64 now, int *idle)
{
	Bucket found = {NULL, NULL};

	*idle = 0;
	for (int way = CHAT_LIMIT_WAYS - 1; way >= 0; way--)
	{
		ChatLimitSlot *slot = &set->slots[way];
		bool matches = key == NULL ? slot->until <= now
								   : slot->key.low == key->low && slot->key.high == key->high;

		if (!matches)
			continue;
		(*idle)++;
		found = (Bucket){slot, &set->windows[way]};
	}
	return found;
}

/* The bucket of a key, with the region's lock held; a new one in the emptier of two sets, or none: both are full. */
static Bucket
bucket_at(const Place *place, uint64 now)
{
	ChatLimitSet *sets[2] = {&place->region->sets[place->key.low % CHAT_LIMIT_SETS],
							 &place->region->sets[place->key.high % CHAT_LIMIT_SETS]};
	Bucket found[2];
	int idle[2];

	for (int i = 0; i < 2; i++)
	{
		Bucket here = look(sets[i], &place->key, now, &idle[i]);

		if (here.slot != NULL)
			return here;
	}
	for (int i = 0; i < 2; i++)
		found[i] = look(sets[i], NULL, now, &idle[i]);
	if (idle[1] > idle[0])
		found[0] = found[1];
	if (found[0].slot != NULL)
		*found[0].slot = (ChatLimitSlot){.key = place->key};
	return found[0];
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
	uint64 now = monotonic_now();
	int64 used = 0;

	for (int i = 0; i < CHAT_LIMIT_REGIONS; i++)
	{
		ChatLimitRegion *region = &table->regions[half][i];

		SpinLockAcquire(&region->lock);
		for (int n = 0; n < CHAT_LIMIT_SETS * CHAT_LIMIT_WAYS; n++)
			used += region->sets[n / CHAT_LIMIT_WAYS].slots[n % CHAT_LIMIT_WAYS].until > now;
		SpinLockRelease(&region->lock);
	}
	return used;
}

/* Takes one call out of a bucket. */
static ChatLimitResult
take(const Place *place, const ChatLimit *limit, uint64 now)
{
	ChatLimitResult result = {.unavailable = true};
	Bucket bucket;

	SpinLockAcquire(&place->region->lock);
	bucket = bucket_at(place, now);
	if (bucket.slot != NULL)
	{
		result.unavailable = false;
		result.retry_after = chat_window_take(bucket.window, &bucket.slot->until, limit, now);
		result.remaining = limit->max_calls - bucket.window->calls;
		result.full_after = bucket.slot->until - now;
	}
	SpinLockRelease(&place->region->lock);
	result.allowed = !result.unavailable && result.retry_after == 0;
	return result;
}

/* The key of a bucket: which database, what it counts, how much, its name. */
static ChatHash
bucket_key(ChatLimitTable *table, ChatLimitKind kind, const ChatLimit *limit, const void *name,
		   size_t length)
{
	struct
	{
		Oid database;
		int32 kind;
		uint64 period;
		uint64 max_calls;
	} prefix = {MyDatabaseId, kind, limit->period, limit->max_calls};
	char small[256];
	char *buffer =
		length + sizeof(prefix) <= sizeof(small) ? small : palloc(length + sizeof(prefix));

	memcpy(buffer, &prefix, sizeof(prefix));
	memcpy(buffer + sizeof(prefix), name, length);
	return chat_siphash(&table->secret, buffer, sizeof(prefix) + length);
}

static Place
place_of(ChatLimitTable *table, ChatLimitKind kind, const ChatHash *key)
{
	bool reserved = kind == CHAT_LIMIT_KEY || kind == CHAT_LIMIT_MESSAGES;

	return (Place){*key, &table->regions[reserved ? 0 : 1][(key->low >> 32) % CHAT_LIMIT_REGIONS]};
}

ChatLimitResult
chat_limit_take(ChatLimitKind kind, const void *name, size_t length, int32 max_calls, int64 period)
{
	ChatLimit limit = {max_calls, period};
	ChatShared *shared;
	ChatHash key;
	Place place;

	if (!chat_rate_limits)
		return (ChatLimitResult){.allowed = true, .remaining = max_calls};
	shared = chat_shared();
	if (shared == NULL)
		return (ChatLimitResult){.unavailable = true};
	key = bucket_key(&shared->limits, kind, &limit, name, length);
	place = place_of(&shared->limits, kind, &key);
	return take(&place, &limit, monotonic_now());
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
	if (!result.allowed)
		chat_api_count_refusal(CHAT_BY_SERVICE, result.unavailable
													? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
													: CHAT_ERRCODE_RATE_LIMITED);
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
