/*
 * Statuses of a message: pending < sent < delivered < read, and failed.
 */
#ifndef CHAT_STATUS_H
#define CHAT_STATUS_H

#include "postgres.h"

extern bool chat_status_known(const char *status);
/*
 * Rule R3: forward only; failed is reached from pending or sent and left for sent, delivered or read. SQL NULL comes
 * before all others.
 */
extern bool chat_status_step_allowed(const char *old_status, const char *new_status);

#endif
