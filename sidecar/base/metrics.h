/*
 * Counters and histograms in Prometheus' text format. Modules register their series once and keep the
 * pointer; increments are plain stores on the one loop.
 */
#ifndef SIDECAR_METRICS_H
#define SIDECAR_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include "app.h"

struct metrics;
struct metric;

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics);

/* labels: "result=\"ok\"" or "". Series of one name must be registered one after another. */
struct metric *
metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help);
struct metric *
metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help);
struct metric *metrics_histogram(struct metrics *m, const char *name, const char *labels,
								 const char *help); /* latency buckets, seconds */

void metric_add(struct metric *metric, double by);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double seconds);
/* Takes over a histogram that was counted elsewhere, with the same buckets: below has metrics_buckets numbers. */
void
metric_set_histogram(struct metric *metric, const uint64_t *below, uint64_t count, double seconds);
extern const size_t metrics_buckets;

/*
 * Metrics of another process, which registers the same series in the same order as were registered in other (no
 * histograms): m's page shows them, too. m frees it.
 */
void metrics_attach(struct metrics *m, struct metrics *other);
size_t metrics_count(const struct metrics *m);
/* Of the names, labels and kinds of all series in their order: where two processes have the same, they register the same. */
uint32_t metrics_print(const struct metrics *m);
/* All values, in the order of the page. */
void metrics_values(const struct metrics *m, double *values);
/* Takes over what metrics_values said there, in a process that began when metrics_settle was called here. */
void metrics_take(struct metrics *m, const double *values);
/* The other process has ended: its counters go on from where they are, and its gauges are 0. */
void metrics_settle(struct metrics *m);

/* The page; malloc'ed, *len bytes. */
char *metrics_render(const struct metrics *m, size_t *len);

#endif
