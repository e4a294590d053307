/*
 * The settings chat_realtime.*, and what one pair of tables overrides of them (chat.attachment.settings).
 */
#ifndef CHAT_SETTINGS_H
#define CHAT_SETTINGS_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef enum ChatNotifyMode
{
	CHAT_NOTIFY_OFF,
	CHAT_NOTIFY_ADAPTIVE,
	CHAT_NOTIFY_ALWAYS
} ChatNotifyMode;

typedef enum ChatSanitizeMode
{
	CHAT_SANITIZE_OFF,
	CHAT_SANITIZE_TEXT
} ChatSanitizeMode;

/* By which rules two phone numbers are one. */
typedef enum ChatPhoneRules
{
	CHAT_PHONE_RULES_NONE,
	CHAT_PHONE_RULES_BR
} ChatPhoneRules;

/* The settings that a pair of tables can override; in an override -1 or NULL means: as the setting. */
typedef struct ChatSettings
{
	int max_content_bytes; /* of an outgoing message, and of what an event carries */
	int max_media_bytes;   /* of an outgoing message */
	int sanitize;          /* ChatSanitizeMode */
	char *allowed_media_types;
	char *preview_labels;  /* "type=label;…" */
	char *reopen;          /* "status,…" */
	bool agents_read_only; /* of a pair alone: the agent of a conversation may not write */
} ChatSettings;

extern int chat_notify; /* ChatNotifyMode */
extern bool chat_check_outgoing;
extern bool chat_import; /* what is written is old history, no news */
extern bool chat_reopening;
extern int chat_phone_rules; /* ChatPhoneRules */
extern bool chat_rate_limits;
extern bool chat_cache_checks;     /* planned once a session */
extern double chat_limit_clock;    /* seconds; negative: the server's monotonic clock */
extern int chat_max_payload_bytes; /* of an event */
extern ChatSettings chat_settings;

extern void chat_settings_init(void);
/* Reads overrides; strings are in the current memory context. */
extern void chat_settings_read(ChatSettings *overrides, Jsonb *given);

/* Largest column of a message in an event, content aside. */
static inline int
chat_max_field_bytes(void)
{
	return chat_max_payload_bytes / 4;
}

/* What counts for a pair of tables. */
static inline int
chat_max_content_bytes(const ChatSettings *overrides)
{
	return overrides->max_content_bytes >= 0 ? overrides->max_content_bytes
											 : chat_settings.max_content_bytes;
}

static inline int
chat_max_media_bytes(const ChatSettings *overrides)
{
	return overrides->max_media_bytes >= 0 ? overrides->max_media_bytes
										   : chat_settings.max_media_bytes;
}

static inline bool
chat_sanitizes(const ChatSettings *overrides)
{
	int mode = overrides->sanitize >= 0 ? overrides->sanitize : chat_settings.sanitize;

	return mode == CHAT_SANITIZE_TEXT;
}

static inline const char *
chat_allowed_media_types(const ChatSettings *overrides)
{
	return overrides->allowed_media_types ? overrides->allowed_media_types
										  : chat_settings.allowed_media_types;
}

static inline const char *
chat_preview_labels(const ChatSettings *overrides)
{
	return overrides->preview_labels ? overrides->preview_labels : chat_settings.preview_labels;
}

/* Whether the triggers open conversations at all, and whether those of this status. Where they do not, the functions do. */
extern bool chat_triggers_reopen(const ChatSettings *overrides);
extern bool chat_reopens(const ChatSettings *overrides, const char *status);

#endif
