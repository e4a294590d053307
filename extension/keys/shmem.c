/*
 * Getting the shared memory; see shmem.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "compat.h"
#include "keys/shmem.h"

PG_FUNCTION_INFO_V1(chat_has_shared_memory);

#define SHARED_NAME "chat_realtime"

static ChatShared *shared = NULL;

static void
initialize(void *memory)
{
	ChatShared *fresh = memory;

	memset(fresh, 0, sizeof(*fresh));
	chat_limits_init(&fresh->limits);
	chat_api_stats_init(&fresh->stats);
}

#ifdef CHAT_SHMEM_ON_DEMAND

void
chat_shmem_init(void)
{
}

ChatShared *
chat_shared(void)
{
	if (shared == NULL)
		shared = chat_named_shmem(SHARED_NAME, sizeof(ChatShared), initialize);
	return shared;
}

#else

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(ChatShared)));
}

/* Runs in the postmaster, again after a crash. */
static void
startup(void)
{
	bool found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(SHARED_NAME, sizeof(ChatShared), &found);
	if (!found)
		initialize(shared);
	LWLockRelease(AddinShmemInitLock);
}

void
chat_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

ChatShared *
chat_shared(void)
{
	return shared;
}

#endif

ChatShared *
chat_require_shared(void)
{
	ChatShared *found = chat_shared();

	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("chat_realtime has no shared memory for rate limits"),
				 errhint("Add chat_realtime to shared_preload_libraries and restart the server, or "
						 "set chat_realtime.rate_limits = off.")));
	return found;
}

/* SQL: chat.has_shared_memory() */
Datum
chat_has_shared_memory(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(chat_shared() != NULL);
}
