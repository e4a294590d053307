/*
 * What is counted of events on their way to clients, whoever takes them: Realtime, or the embedded endpoint.
 */
#ifndef SIDECAR_REALTIME_METRICS_H
#define SIDECAR_REALTIME_METRICS_H

#include "base/metrics.h"
#include "realtime/realtime_event.h"

enum result
{
	OK,
	FAILED, /* an attempt */
	POISONED,
	COALESCED,
	EXPIRED,
	LOST, /* after it was accepted */
	RESULTS
};

struct realtime_metrics
{
	struct metric *broadcasts[RESULTS];
	struct metric *latency, *requests, *failures;
};

struct realtime_metrics realtime_metrics_register(struct metrics *metrics);
/* Counts what became of an event. */
void realtime_metrics_count(const struct realtime_metrics *of, enum event_result result);
/* An event was accepted. now: the database's time, Unix seconds. */
void realtime_metrics_accepted(const struct realtime_metrics *of, struct event event, double now);

#endif
