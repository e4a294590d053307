/*
 * Rows of tables beside a pair: of API keys and of webhooks.
 */
#ifndef CHAT_BESIDE_H
#define CHAT_BESIDE_H

#include "postgres.h"

#include "attachment.h"

/* Columns that our functions write into such a table; bit n of a variant is the n-th. */
#define CHAT_BESIDE_COLUMNS 23

/* The name of the n-th; the last one is that of the owner in a table of keys, NULL in others. Errors: those of chat_keytables_get. */
extern const char *chat_beside_column(const ChatAttachment *table, int n);

#endif
