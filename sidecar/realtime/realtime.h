/*
 * The realtime sink: delivers events to Realtime as batches of broadcasts.
 */
#ifndef SIDECAR_REALTIME_H
#define SIDECAR_REALTIME_H

#include "sink.h"

extern const struct sink realtime_sink;

#endif
