/*
 * Loading: settings and hook registration, nothing else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "api_stats.h"
#include "attachment.h"
#include "chat_realtime.h"
#include "doorbell.h"
#include "pending.h"
#include "retention.h"
#include "shmem.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

#define DEFAULT_PREVIEW_LABELS                                                                       \
	"image=[Imagem];video=[Vídeo];audio=[Áudio];document=[Documento: %];location=[Localização];" \
	"contact=[Contato];sticker=[Figurinha];poll=[Enquete];order=[Pedido]"

int chat_notify = CHAT_NOTIFY_ADAPTIVE;
int chat_max_content_bytes = 4096;
char *chat_preview_labels = DEFAULT_PREVIEW_LABELS;
bool chat_rate_limits = true;

static const struct config_enum_entry notify_modes[] = {{"adaptive", CHAT_NOTIFY_ADAPTIVE, false},
														{"always", CHAT_NOTIFY_ALWAYS, false},
														{"off", CHAT_NOTIFY_OFF, false},
														{NULL, 0, false}};

void
_PG_init(void)
{
	DefineCustomEnumVariable(
		"chat_realtime.notify", "When a transaction that wrote events sends NOTIFY chat_realtime.",
		"adaptive: when a sidecar sleeps; always: for every event, with its payload; "
		"off: never, the sidecar polls.",
		&chat_notify, CHAT_NOTIFY_ADAPTIVE, notify_modes, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"chat_realtime.max_content_bytes", "Largest content of a message that an event carries.",
		"A longer one is cut at a character, and the event says contentTruncated.",
		&chat_max_content_bytes, 4096, 64, 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"chat_realtime.preview_labels", "What a conversation shows of media without a caption.",
		"type=label pairs separated by semicolons; % is the file's name.", &chat_preview_labels,
		DEFAULT_PREVIEW_LABELS, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(
		"chat_realtime.rate_limits", "Whether rate limits are kept.",
		"off: every call is let through, for tests and for servers without shared memory.",
		&chat_rate_limits, true, PGC_SUSET, 0, NULL, NULL, NULL);
	chat_retention_init();
	MarkGUCPrefixReserved("chat_realtime");

	chat_attachment_init();
	chat_pending_init();
	chat_doorbell_init();
	chat_shmem_init();
	chat_api_stats_hook();
}
