/*
 * The webhooks sink: delivers events to the endpoints that want them, signed, in order per endpoint and
 * conversation, with retries that outlive the process.
 */
#ifndef SIDECAR_WEBHOOK_H
#define SIDECAR_WEBHOOK_H

#include "sink.h"

/* It cannot be made where WEBHOOK_ALLOW_CIDRS is damaged, or signing is not available; a log line says which. */
extern const struct sink webhook_sink;

#endif
