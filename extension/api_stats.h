/*
 * Counters of the API, in shared memory: answers of chat.authenticate by code, and calls of the API's functions with
 * the time they took. Where there is no shared memory nothing is counted.
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
	ChatApiTimes functions[CHAT_API_FUNCTIONS];
} ChatApiStats;

extern void chat_api_stats_init(ChatApiStats *stats);
/* Hooks into the calls of SECURITY DEFINER functions, which the API's functions are. */
extern void chat_api_stats_hook(void);

extern const char *chat_auth_code_name(ChatAuthCode code);
extern void chat_api_count_code(ChatAuthCode code);
/* For functions in C, which the hook does not see. */
extern void chat_api_count_call(const char *function, instr_time start);

#endif
