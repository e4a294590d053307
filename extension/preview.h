/*
 * What a conversation shows of a message.
 */
#ifndef CHAT_PREVIEW_H
#define CHAT_PREVIEW_H

#include "postgres.h"

/*
 * The first characters of the content, or a label for media without any; never NULL. labels: as in
 * chat_realtime.preview_labels; the others NULL where the message has none.
 */
extern char *
chat_preview(const char *labels, const char *type, const char *content, const char *filename);

#endif
