/*
 * See api_metrics.h.
 */
#include "watch/api_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"

#define MAX_SERIES 128
#define NAME_SIZE 64

const struct db_statement api_metrics_statement = {
	"api_stats", "SELECT kind, name, calls, seconds, within FROM chat.api_stats()", 0,
	"kind name calls seconds? within?", DB_ANY_ROWS};

/* What chat.api_stats counts; its rows of other kinds are left out. */
enum kind
{
	CODE,
	REQUEST,
	FUNCTION,
	BUCKETS,
	BUCKET_LIMIT,
	KINDS
};

static const char *const kinds[KINDS] = {"code", "request", "function", "buckets", "bucket_limit"};

struct series
{
	char name[NAME_SIZE];
	enum kind kind;
	struct metric *metric;
};

struct api_metrics
{
	struct metrics *metrics;
	int count;
	struct series series[MAX_SERIES];
};

struct api_metrics *
api_metrics_create(struct metrics *metrics)
{
	struct api_metrics *api = xcalloc(1, sizeof(*api));

	api->metrics = metrics;
	return api;
}

void
api_metrics_destroy(struct api_metrics *api)
{
	free(api);
}

static struct metric *
make_metric(struct metrics *metrics, const char *name, enum kind kind)
{
	static const char *const label[KINDS] = {"code", "by", "function", "for", "for"};
	const char *outcome = kind == REQUEST ? strchr(name, ' ') : NULL;
	char labels[NAME_SIZE + 32];

	/* A request has two names. */
	if (outcome != NULL)
		snprintf(labels, sizeof(labels), "by=\"%.*s\",outcome=\"%s\"", (int) (outcome - name), name,
				 outcome + 1);
	else
		snprintf(labels, sizeof(labels), "%s=\"%s\"", label[kind], name);
	switch (kind)
	{
		case FUNCTION:
			return metrics_histogram(
				metrics, "chat_api_request_seconds", labels,
				"Time that calls of the API's functions took in the database.");
		case BUCKETS:
			return metrics_gauge(metrics, "chat_api_rate_limit_buckets", labels,
								 "Rate limits that limit somebody now, by what they are for.");
		case BUCKET_LIMIT:
			return metrics_gauge(metrics, "chat_api_rate_limit_buckets_limit", labels,
								 "How many there can be; what comes beyond is refused.");
		case REQUEST:
			return metrics_counter(metrics, "chat_api_requests_total", labels,
								   "Requests to the API by who asks, and by how they ended: ok, or "
								   "a class of SQLSTATE.");
		default:
			return metrics_counter(metrics, "chat_api_authentications_total", labels,
								   "Answers of chat.authenticate, by code.");
	}
}

/* Finds or makes the series of a name; NULL: it cannot have one. */
static struct metric *
find(struct api_metrics *api, const char *name, enum kind kind)
{
	struct series *found;

	for (int i = 0; i < api->count; i++)
	{
		if (api->series[i].kind == kind && strcmp(api->series[i].name, name) == 0)
			return api->series[i].metric;
	}
	if (kind == KINDS || api->count == MAX_SERIES || strlen(name) >= NAME_SIZE ||
		strpbrk(name, "\"\\\n") != NULL)
		return NULL;
	found = &api->series[api->count++];
	strcpy(found->name, name);
	found->kind = kind;
	found->metric = make_metric(api->metrics, name, kind);
	return found->metric;
}

static enum kind
kind_of(const char *text)
{
	enum kind kind = CODE;

	while (kind < KINDS && strcmp(kinds[kind], text) != 0)
		kind++;
	return kind;
}

/* Sets a histogram from an array literal of cumulative counts; one of another length is left alone. */
static void
set_times(struct metric *metric, const char *within, uint64_t calls, double seconds)
{
	uint64_t *below = xcalloc(metrics_buckets, sizeof(*below));
	size_t count = 0;

	for (const char *at = within; *at != '\0' && *at != '}';)
	{
		char *end;
		uint64_t number = strtoull(at + 1, &end, 10);

		if (count < metrics_buckets)
			below[count] = number;
		count++;
		at = end;
	}
	if (count == metrics_buckets)
		metric_set_histogram(metric, below, calls, seconds);
	free(below);
}

void
api_metrics_take(struct api_metrics *api, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++)
	{
		enum kind kind = kind_of(PQgetvalue(result, row, 0));
		struct metric *metric = find(api, PQgetvalue(result, row, 1), kind);
		uint64_t calls = strtoull(PQgetvalue(result, row, 2), NULL, 10);

		if (metric == NULL)
			continue;
		if (kind == FUNCTION)
			set_times(metric, PQgetvalue(result, row, 4), calls,
					  strtod(PQgetvalue(result, row, 3), NULL));
		else
			metric_set(metric, (double) calls);
	}
}
