/*
 * See metrics.h. The metrics form one list, in which series of one name stand together; they live as long as
 * the struct metrics.
 */
#include "base/metrics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

enum kind
{
	COUNTER,
	GAUGE,
	HISTOGRAM
};

static const double bounds[] = {0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.008,
								0.015,  0.03,  0.06,   0.125, 0.25,  0.5,   1,
								2.5,    5,     10,     30,    60,    300,   1800};
#define NBOUNDS (sizeof(bounds) / sizeof(bounds[0]))
const size_t metrics_buckets = NBOUNDS;

struct metric
{
	struct metric *next;
	enum kind kind;
	char *name;
	char *labels;
	const char *help;
	double value; /* of a histogram: the sum */
	double
		before; /* of a counter that another process counts: by those that were there before it */
	uint64_t count;
	uint64_t *buckets; /* not cumulative */
};

struct metrics
{
	struct metric *first;
	struct metrics *other; /* of another process, or NULL */
};

struct metrics *
metrics_create(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	return m;
}

void
metrics_destroy(struct metrics *m)
{
	while (m->first != NULL)
	{
		struct metric *metric = m->first;

		m->first = metric->next;
		free(metric->name);
		free(metric->labels);
		free(metric->buckets);
		free(metric);
	}
	if (m->other != NULL)
		metrics_destroy(m->other);
	free(m);
}

/* Finds where a new series goes: behind the last one of its name, or at the end. */
static struct metric **
find_place(struct metrics *m, const char *name)
{
	struct metric **place = &m->first, **end = NULL;

	for (; *place != NULL; place = &(*place)->next)
	{
		if (strcmp((*place)->name, name) == 0)
			end = &(*place)->next;
	}
	return end != NULL ? end : place;
}

static struct metric *
add_metric(struct metrics *m, enum kind kind, const char *name, const char *labels,
		   const char *help)
{
	struct metric **place = find_place(m, name);
	struct metric *metric = xcalloc(1, sizeof(*metric));

	metric->kind = kind;
	metric->name = xstrdup(name);
	metric->labels = xstrdup(labels);
	metric->help = help;
	if (kind == HISTOGRAM)
		metric->buckets = xcalloc(NBOUNDS, sizeof(*metric->buckets));
	metric->next = *place;
	*place = metric;
	return metric;
}

struct metric *
metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return add_metric(m, COUNTER, name, labels, help);
}

struct metric *
metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return add_metric(m, GAUGE, name, labels, help);
}

struct metric *
metrics_histogram(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return add_metric(m, HISTOGRAM, name, labels, help);
}

void
metric_add(struct metric *metric, double by)
{
	metric->value += by;
}

void
metric_set(struct metric *metric, double value)
{
	metric->value = value;
}

void
metric_observe(struct metric *metric, double seconds)
{
	size_t i = 0;

	while (i < NBOUNDS && seconds > bounds[i])
		i++;
	if (i < NBOUNDS)
		metric->buckets[i]++;
	metric->count++;
	metric->value += seconds;
}

void
metric_set_histogram(struct metric *metric, const uint64_t *below, uint64_t count, double seconds)
{
	for (size_t i = 0; i < NBOUNDS; i++)
		metric->buckets[i] = below[i] - (i > 0 ? below[i - 1] : 0);
	metric->count = count;
	metric->value = seconds;
}

static void
render_head(FILE *out, const struct metric *metric)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};

	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
			kinds[metric->kind]);
}

static void
render_value(FILE *out, const struct metric *metric, const char *suffix, double value)
{
	if (metric->labels[0] != '\0')
		fprintf(out, "%s%s{%s} %.15g\n", metric->name, suffix, metric->labels, value);
	else
		fprintf(out, "%s%s %.15g\n", metric->name, suffix, value);
}

static void
render_histogram(FILE *out, const struct metric *metric)
{
	const char *comma = metric->labels[0] != '\0' ? "," : "";
	uint64_t below = 0;

	for (size_t i = 0; i < NBOUNDS; i++)
	{
		below += metric->buckets[i];
		fprintf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", metric->name, metric->labels, comma,
				bounds[i], (unsigned long long) below);
	}
	fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", metric->name, metric->labels, comma,
			(unsigned long long) metric->count);
	render_value(out, metric, "_sum", metric->value);
	render_value(out, metric, "_count", (double) metric->count);
}

static void
render_metric(FILE *out, const struct metric *metric)
{
	if (metric->kind == HISTOGRAM)
		render_histogram(out, metric);
	else
		render_value(out, metric, "", metric->value);
}

/* The series of a name that begin here; answers what follows. */
static const struct metric *
render_family(FILE *out, const struct metric *metric)
{
	const char *name = metric->name;

	for (; metric != NULL && strcmp(metric->name, name) == 0; metric = metric->next)
		render_metric(out, metric);
	return metric;
}

static const struct metric *
find_family(const struct metrics *m, const char *name)
{
	const struct metric *metric = m != NULL ? m->first : NULL;

	while (metric != NULL && strcmp(metric->name, name) != 0)
		metric = metric->next;
	return metric;
}

/* Families, but for those that are in another list; series of one name stand together, whoever counts them. */
static void
render(FILE *out, const struct metrics *m, const struct metrics *but)
{
	const struct metric *next;

	for (const struct metric *metric = m->first; metric != NULL; metric = next)
	{
		const struct metric *others = find_family(m->other, metric->name);

		if (find_family(but, metric->name) != NULL)
		{
			next = metric->next;
			continue;
		}
		render_head(out, metric);
		next = render_family(out, metric);
		if (others != NULL)
			(void) render_family(out, others);
	}
}

char *
metrics_render(const struct metrics *m, size_t *len)
{
	char *page = NULL;
	FILE *out = open_memstream(&page, len);

	render(out, m, NULL);
	if (m->other != NULL)
		render(out, m->other, m);
	fclose(out);
	return page;
}

void
metrics_attach(struct metrics *m, struct metrics *other)
{
	m->other = other;
}

size_t
metrics_count(const struct metrics *m)
{
	size_t count = 0;

	for (const struct metric *metric = m->first; metric != NULL; metric = metric->next)
		count++;
	return count;
}

/* With the byte behind each text, so that none goes on in the next. */
uint32_t
metrics_print(const struct metrics *m)
{
	uint32_t print = HASH_EMPTY;

	for (const struct metric *metric = m->first; metric != NULL; metric = metric->next)
	{
		const char kind = (char) metric->kind;

		print = hash_bytes(print, metric->name, strlen(metric->name) + 1);
		print = hash_bytes(print, metric->labels, strlen(metric->labels) + 1);
		print = hash_bytes(print, &kind, 1);
	}
	return print;
}

void
metrics_values(const struct metrics *m, double *values)
{
	for (const struct metric *metric = m->first; metric != NULL; metric = metric->next)
		*values++ = metric->value;
}

void
metrics_take(struct metrics *m, const double *values)
{
	for (struct metric *metric = m->first; metric != NULL; metric = metric->next)
		metric->value = metric->before + *values++;
}

void
metrics_settle(struct metrics *m)
{
	for (struct metric *metric = m->first; metric != NULL; metric = metric->next)
	{
		if (metric->kind == GAUGE)
			metric->value = 0;
		else
			metric->before = metric->value;
	}
}
