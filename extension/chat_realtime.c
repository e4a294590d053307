/*
 * Loading: settings and hook registration, nothing else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "keys/api_stats.h"
#include "keys/apikey.h"
#include "attachment.h"
#include "checks.h"
#include "doorbell.h"
#include "indexes.h"
#include "pending.h"
#include "settings.h"
#include "keys/shmem.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	chat_settings_init();
	chat_apikey_init();
	MarkGUCPrefixReserved("chat_realtime");

	chat_attachment_init();
	chat_indexes_init();
	chat_pending_init();
	chat_doorbell_init();
	chat_shmem_init();
	chat_api_stats_hook();
	chat_checks_init();
}
