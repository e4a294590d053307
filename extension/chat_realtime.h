/*
 * Settings of the extension, and what its parts share.
 */
#ifndef CHAT_REALTIME_H
#define CHAT_REALTIME_H

#include "postgres.h"

typedef enum ChatNotifyMode
{
	CHAT_NOTIFY_OFF,
	CHAT_NOTIFY_ADAPTIVE,
	CHAT_NOTIFY_ALWAYS
} ChatNotifyMode;

extern int chat_notify;            /* ChatNotifyMode */
extern int chat_max_content_bytes; /* what an event carries of a content at most */
extern char *chat_preview_labels;  /* "type=label;…" */
extern bool chat_rate_limits;

#endif
