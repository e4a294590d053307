/*
 * See stats.h. A standby asks as well, so that every process can be watched. While the database does not answer, ages
 * grow from what it said last: an event that nobody can ask for may be waiting all the while.
 */
#include "watch/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"
#include "consumer/consumer.h"
#include "io/db.h"
#include "sink.h"
#include "sinks.h"
#include "watch/api_metrics.h"
#include "watch/gauges.h"

#define EVERY_MS 10000
#define FIRST_MS 1000
#define MAX_CONSUMERS 8
#define NAME_SIZE 64

struct consumer_stats
{
	char name[NAME_SIZE];
	struct metric *lag, *oldest;
	double age; /* of the last answer */
};

struct stats
{
	struct app *app;
	uv_timer_t timer;
	bool asking;
	struct db *db; /* that is asked */
	int count;
	struct consumer_stats consumers[MAX_CONSUMERS];
	struct api_metrics *api;
	struct gauges *gauges;
	uint64_t answered_at; /* loop time; at first, of the start */
};

static const struct db_statement statement = {
	"sidecar_stats", "SELECT consumer, lag, oldest_seconds FROM chat.sidecar_stats()", 0,
	"consumer lag oldest_seconds", DB_ANY_ROWS};

/* Finds or makes a consumer's series; NULL: there are too many. */
static struct consumer_stats *
find(struct stats *stats, const char *name)
{
	struct consumer_stats *found;
	char labels[NAME_SIZE + 16];

	for (int i = 0; i < stats->count; i++)
	{
		if (strcmp(stats->consumers[i].name, name) == 0)
			return &stats->consumers[i];
	}
	if (stats->count == MAX_CONSUMERS || strlen(name) >= NAME_SIZE ||
		strpbrk(name, "\"\\\n") != NULL)
		return NULL;
	found = &stats->consumers[stats->count++];
	strcpy(found->name, name);
	snprintf(labels, sizeof(labels), "consumer=\"%s\"", name);
	found->lag = metrics_gauge(stats->app->metrics, "chat_realtime_consumer_lag_events", labels,
							   "Event ids that a consumer is behind.");
	found->oldest = metrics_gauge(stats->app->metrics, "chat_realtime_oldest_undelivered_seconds",
								  labels, "Age of the oldest event that a consumer has not done.");
	return found;
}

static void
on_gauges(void *arg, PGresult *result)
{
	struct stats *stats = arg;

	if (result != NULL)
		gauges_take(stats->gauges, result);
}

static void
on_api_answer(void *arg, PGresult *result)
{
	struct stats *stats = arg;

	stats->asking = false;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		api_metrics_take(stats->api, result);
}

static void
set_consumer(struct consumer_stats *consumer, double lag, double age)
{
	consumer->age = age;
	metric_set(consumer->lag, lag);
	metric_set(consumer->oldest, age);
}

/* What is delivered without a lease has no position in the database: it is known here. */
static void
set_own(struct stats *stats, const struct consumer *consumer)
{
	struct consumer_stats *own = find(stats, consumer_sink(consumer)->name);
	double since, unfinished;

	if (own == NULL || !consumer_follows(consumer) || !consumer_leads(consumer))
		return;
	unfinished = (double) consumer_unfinished(consumer, &since);
	set_consumer(own, unfinished, since > 0 ? consumer_now(consumer) - since : 0);
}

static void
on_answer(void *arg, PGresult *result)
{
	struct stats *stats = arg;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		stats->asking = false;
		return;
	}
	db_query(stats->db, &gauges_statement, NULL, on_gauges, stats);
	stats->answered_at = uv_now(stats->app->loop);
	db_query(stats->db, &api_metrics_statement, NULL, on_api_answer, stats);
	/* One that is disabled is not among them any more. */
	for (int i = 0; i < stats->count; i++)
		set_consumer(&stats->consumers[i], 0, 0);
	for (int row = 0; row < PQntuples(result); row++)
	{
		struct consumer_stats *consumer = find(stats, PQgetvalue(result, row, 0));

		if (consumer == NULL)
			continue;
		set_consumer(consumer, strtod(PQgetvalue(result, row, 1), NULL),
					 strtod(PQgetvalue(result, row, 2), NULL));
	}
	for (int i = 0; i < stats->app->nconsumers; i++)
		set_own(stats, stats->app->consumers[i]);
}

static void
let_grow(struct stats *stats)
{
	double since = (double) (uv_now(stats->app->loop) - stats->answered_at) / 1000;

	for (int i = 0; i < stats->count; i++)
		metric_set(stats->consumers[i].oldest, stats->consumers[i].age + since);
}

static void
on_timer(uv_timer_t *timer)
{
	struct stats *stats = timer->data;

	/* An answer that is late by a whole round has not come. */
	if (uv_now(stats->app->loop) - stats->answered_at > EVERY_MS + FIRST_MS)
		let_grow(stats);
	if (stats->asking || (stats->db = sinks_db(stats->app)) == NULL)
		return;
	stats->asking = true;
	db_query(stats->db, &statement, NULL, on_answer, stats);
}

struct stats *
stats_create(struct app *app)
{
	struct stats *stats = xcalloc(1, sizeof(*stats));

	stats->app = app;
	stats->api = api_metrics_create(app->metrics);
	stats->gauges = gauges_create(app->metrics);
	stats->answered_at = uv_now(app->loop);
	/* Those that this process delivers are there from the start, whether the database is or not. */
	for (int i = 0; i < app->nconsumers; i++)
		(void) find(stats, consumer_sink(app->consumers[i])->name);
	uv_timer_init(app->loop, &stats->timer);
	stats->timer.data = stats;
	uv_timer_start(&stats->timer, on_timer, FIRST_MS, EVERY_MS);
	return stats;
}

static void
on_closed(uv_handle_t *timer)
{
	struct stats *stats = timer->data;

	api_metrics_destroy(stats->api);
	gauges_destroy(stats->gauges);
	free(stats);
}

void
stats_destroy(struct stats *stats)
{
	uv_close((uv_handle_t *) &stats->timer, on_closed);
}
