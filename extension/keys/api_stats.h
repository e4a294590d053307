/*
 * Counters of the API, in shared memory: answers of chat.authenticate by code, requests by caller and outcome, and calls
 * of the API's functions with the time they took. Where there is no shared memory nothing is counted.
 *
 * A request is counted once: it is the outermost call of an API function, whatever that calls in turn, or what
 * chat.authenticate or chat.check_rate_limit refused, so that no call comes. The outcome is ok, or the class of the SQLSTATE
 * that ended it; 401 counts as 28, 403 as 42, 429 as PT, 503 as 53.
 */
#ifndef CHAT_API_STATS_H
#define CHAT_API_STATS_H

#include "postgres.h"

#include "port/atomics.h"
#include "portability/instr_time.h"

/* In the order of the checks. */
typedef enum ChatAuthCode
{
	CHAT_AUTH_OK,
	CHAT_AUTH_MISSING,
	CHAT_AUTH_INVALID_FORMAT,
	CHAT_AUTH_INVALID,
	CHAT_AUTH_EXPIRED,
	CHAT_AUTH_SCOPES,
	CHAT_AUTH_RATE_LIMIT,
	CHAT_AUTH_UNAVAILABLE,
	CHAT_AUTH_CODES
} ChatAuthCode;

/* Who asks: a key, a user with a token, or a backend that did not say. */
typedef enum ChatApiCaller
{
	CHAT_BY_KEY,
	CHAT_BY_JWT,
	CHAT_BY_SERVICE,
	CHAT_API_CALLERS
} ChatApiCaller;

#define CHAT_API_OUTCOMES 13  /* ok, classes of SQLSTATE, and other */
#define CHAT_API_FUNCTIONS 48 /* at most */
#define CHAT_API_BOUNDS 21

typedef struct ChatApiTimes
{
	pg_atomic_uint64 calls;
	pg_atomic_uint64 nanoseconds;
	pg_atomic_uint64 within[CHAT_API_BOUNDS]; /* calls by the smallest bound they kept */
} ChatApiTimes;

typedef struct ChatApiStats
{
	pg_atomic_uint64 codes[CHAT_AUTH_CODES];
	pg_atomic_uint64 requests[CHAT_API_CALLERS][CHAT_API_OUTCOMES];
	ChatApiTimes functions[CHAT_API_FUNCTIONS];
} ChatApiStats;

extern void chat_api_stats_init(ChatApiStats *stats);
/* Hooks into the calls of SECURITY DEFINER functions, which the API's functions are. */
extern void chat_api_stats_hook(void);

extern const char *chat_auth_code_name(ChatAuthCode code);
extern void chat_api_count_code(ChatAuthCode code);
/* Counts a request that was refused before a function was called. by: when chat.request_by did not say. */
extern void chat_api_count_refusal(ChatApiCaller by, int sqlstate);
/* For functions in C, which the hook does not see. */
extern void chat_api_count_call(const char *function, instr_time start);

#endif
