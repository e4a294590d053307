/*
 * Rows that are written but told to nobody: what a merge moves is no news.
 *
 * It holds for the rows that one statement of the extension's own writes, not for what triggers of others do meanwhile, and
 * cannot be set from outside: there is no setting for it.
 */
#ifndef CHAT_QUIET_H
#define CHAT_QUIET_H

#include "postgres.h"

/* How many triggers are running, one within the other. */
extern int chat_trigger_depth(void);
/* Calls work(arg), whose statement's own triggers find chat_is_quiet true. */
extern void chat_quietly(void (*work)(void *arg), void *arg);
extern bool chat_is_quiet(void);

#endif
