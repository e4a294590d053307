/*
 * An event on its way to Realtime: one of a read of the log, so nothing is copied. No I/O.
 */
#ifndef SIDECAR_REALTIME_EVENT_H
#define SIDECAR_REALTIME_EVENT_H

#include "consumer/consumer.h"

#define MICROSECONDS 1e6

struct event
{
	struct read *read;
	const struct log_event *row; /* NULL: none */
};

/* What became of an event. */
enum event_result
{
	EVENT_OK,
	EVENT_POISONED, /* Realtime refuses it */
	EVENT_COALESCED /* a later one of the same state is there */,
	EVENT_EXPIRED /* it is of no use any more */
};

#endif
