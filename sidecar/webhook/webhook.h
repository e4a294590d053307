/*
 * The webhooks consumer: delivers events to the endpoints that want them, signed, in order per endpoint and
 * conversation, with retries that outlive the process.
 */
#ifndef SIDECAR_WEBHOOK_H
#define SIDECAR_WEBHOOK_H

#include "app.h"

/* NULL: WEBHOOK_ALLOW_CIDRS is damaged, or signing is not available; a log line says which. */
struct consumer *webhook_create(struct app *app);

/* Destroys the consumer and all that belongs to it; while the loop still runs, its handles close. */
void webhook_destroy(struct app *app);

#endif
