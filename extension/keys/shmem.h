/*
 * The memory that all backends of the server share: the table of rate limits and the counters of the API.
 *
 * PostgreSQL 17 and later give it out on first use. Before, it must be reserved while the server starts:
 * where the library is not in shared_preload_libraries there is none.
 */
#ifndef CHAT_SHMEM_H
#define CHAT_SHMEM_H

#include "postgres.h"

#include "keys/api_stats.h"
#include "keys/ratelimit.h"

typedef struct ChatShared
{
	ChatLimitTable limits;
	ChatApiStats stats;
} ChatShared;

extern void chat_shmem_init(void);

/* NULL: there is none. */
extern ChatShared *chat_shared(void);
/* Error 55000, with the hint what to set, when there is none. */
extern ChatShared *chat_require_shared(void);

#endif
