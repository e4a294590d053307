/*
 * See realtime_metrics.h.
 */
#include "realtime/realtime_metrics.h"

struct realtime_metrics
realtime_metrics_register(struct metrics *m)
{
	static const char *const labels[RESULTS] = {"result=\"ok\"",       "result=\"failed\"",
												"result=\"poisoned\"", "result=\"coalesced\"",
												"result=\"expired\"",  "result=\"lost\""};
	struct realtime_metrics of;

	for (int i = 0; i < RESULTS; i++)
		of.broadcasts[i] = metrics_counter(m, "chat_realtime_broadcasts_total", labels[i],
										   "Events for Realtime by what became of them.");
	of.requests =
		metrics_counter(m, "chat_realtime_broadcast_requests_total", "", "Requests to Realtime.");
	of.failures = metrics_gauge(m, "chat_realtime_broadcast_failures_in_a_row", "",
								"Requests to Realtime that failed since one was accepted.");
	of.latency = metrics_histogram(m, "chat_realtime_delivery_latency_seconds", "",
								   "From an event's row to its acceptance by Realtime.");
	return of;
}

void
realtime_metrics_count(const struct realtime_metrics *of, enum event_result result)
{
	static const enum result results[] = {[EVENT_OK] = OK,
										  [EVENT_POISONED] = POISONED,
										  [EVENT_COALESCED] = COALESCED,
										  [EVENT_EXPIRED] = EXPIRED};

	metric_add(of->broadcasts[results[result]], 1);
}

void
realtime_metrics_accepted(const struct realtime_metrics *of, struct event event, double now)
{
	double latency = now - (double) event.row->created_at / MICROSECONDS;

	metric_observe(of->latency, latency > 0 ? latency : 0);
}
