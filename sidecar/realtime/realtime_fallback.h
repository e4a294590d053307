/*
 * Tells the database when Realtime fails and when it has recovered (chat.set_realtime_health), so that users who are on it alone
 * are served over Socket.IO meanwhile. Only whoever leads the consumer does, and under its epoch: what a process that was paused
 * says late changes nothing.
 */
#ifndef SIDECAR_REALTIME_FALLBACK_H
#define SIDECAR_REALTIME_FALLBACK_H

#include "app.h"

struct realtime_fallback;
struct consumer;

/* trouble: why nothing may be sent at all, NULL: it may; asked every second. */
struct realtime_fallback *
realtime_fallback_create(struct app *app, struct consumer *consumer,
						 const char *(*trouble)(const void *arg), const void *arg);
/* Frees itself when its timer is closed. */
void realtime_fallback_destroy(struct realtime_fallback *fallback);

/* What happens to requests; see realtime_health.h. */
void realtime_fallback_accepted(struct realtime_fallback *fallback);
void realtime_fallback_worked(struct realtime_fallback *fallback);
void realtime_fallback_failed(struct realtime_fallback *fallback);

#endif
