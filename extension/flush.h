/*
 * Settling what row triggers noted: counters, last message, events.
 */
#ifndef CHAT_FLUSH_H
#define CHAT_FLUSH_H

#include "postgres.h"

/*
 * Settles the current level's pending rows. Conversations are locked (FOR NO KEY UPDATE, or by their own UPDATE) one
 * after the other in id order before the first event id is drawn: concurrent flushes cannot deadlock on each
 * other, and ids of one conversation are in commit order. Returns how many conversations changed.
 */
extern int chat_flush_pending(void);

#endif
