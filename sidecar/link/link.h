/*
 * The realtime sink where there is no REALTIME_URL: events go to the endpoint, which is a process of its own, as
 * batches of broadcasts over a pair of sockets. A batch is done when the endpoint has queued it for every subscriber.
 */
#ifndef SIDECAR_LINK_H
#define SIDECAR_LINK_H

#include "sink.h"

/* Binds EMBEDDED_LISTEN and starts the endpoint; where the port cannot be had, stderr says why. */
extern const struct sink link_sink;

#endif
