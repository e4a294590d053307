/*
 * See canary.h.
 */
#include "canary/canary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "canary/canary_channel.h"
#include "canary/canary_trips.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/db.h"
#include "io/db_error.h"
#include "sinks.h"

#define TICK_MS 500
#define EVERY_MS 10000 /* an event */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define NUMBER_SIZE 24

enum result
{
	ARRIVED,
	MISSING,
	RESULTS
};

struct canary
{
	struct app *app;
	struct websocket_client *client;
	struct canary_channel *channel;
	char topic[CANARY_TOPIC_SIZE];
	bool joined;
	struct canary_trips trips;
	uint64_t next_try, next_event; /* loop time */
	struct backoff backoff;
	char deaf[512];    /* why it is not joined; "": it is, or nothing is known */
	char missing[256]; /* what is missing; "": nothing */
	bool unwritten;    /* the last event could not be written */
	uv_timer_t timer;
	struct metric *latency, *results[RESULTS], *listens;
};

/* An event that is being written. */
struct writing
{
	struct canary *canary;
	uint64_t number;
};

static const struct db_statement write_statement = {
	"send_canary", "SELECT chat.send_canary($1, $2::pg_catalog.int8) AS written", 2, "written",
	DB_ONE_ROW};

/* Trips -------------------------------------------------------------------------------------------- */

static struct consumer *
consumer_of(const struct canary *canary)
{
	return sinks_consumer(canary->app, "realtime");
}

/* seconds: below 0, there is nothing to note. */
static void
note_trip(struct canary *canary, double seconds)
{
	if (seconds < 0)
		return;
	metric_add(canary->results[ARRIVED], 1);
	metric_observe(canary->latency, seconds);
}

static void
on_heard(void *arg, uint64_t number)
{
	struct canary *canary = arg;

	note_trip(canary,
			  canary_trips_arrived(&canary->trips, number, consumer_now(consumer_of(canary))));
	if (canary->trips.missing_in_row == 0 && canary->missing[0] != '\0')
	{
		canary->missing[0] = '\0';
		log_event(LOG_INFO, "the canary's events arrive again", NULL);
	}
}

static void
note_missing(struct canary *canary)
{
	metric_add(canary->results[MISSING], 1);
	if (canary->missing[0] == '\0')
		log_event(LOG_WARN, "an event of the canary's has not arrived at its client", "number",
				  "%lld", (long long) canary->trips.last - 1, NULL);
	snprintf(canary->missing, sizeof(canary->missing),
			 "events do not reach clients: the canary's own, of the last %d s, %s not arrived",
			 (int) canary->trips.missing_in_row * EVERY_MS / 1000,
			 canary->trips.missing_in_row > 1 ? "have" : "has");
}

/* Its rights, or its function, may be of an earlier version. */
static void
note_unwritten(struct canary *canary, const PGresult *result)
{
	struct db_error error;

	db_error_of_result(result, &error);
	log_event(canary->unwritten ? LOG_DEBUG : LOG_WARN, "the canary's event cannot be written",
			  "error", "%s", error.text, "hint", "%s",
			  strcmp(error.sqlstate, "42501") == 0
				  ? "call chat.grant_sidecar for the sidecar's role again"
				  : error.hint,
			  NULL);
	canary->unwritten = true;
}

static void
on_written(void *arg, PGresult *result)
{
	struct writing writing = *(struct writing *) arg;
	struct canary *canary = writing.canary;

	free(arg);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		canary->unwritten = false;
		note_trip(canary, canary_trips_written(&canary->trips, writing.number,
											   strtod(PQgetvalue(result, 0, 0), NULL)));
		return;
	}
	canary_trips_forget(&canary->trips, writing.number);
	if (result != NULL)
		note_unwritten(canary, result);
}

static void
write_event(struct canary *canary, struct consumer *consumer)
{
	struct writing *writing = xmalloc(sizeof(*writing));
	char number[NUMBER_SIZE];
	const char *const params[] = {canary->topic, number};
	bool missing;

	*writing = (struct writing){canary, canary_trips_begin(&canary->trips, &missing)};
	if (missing)
		note_missing(canary);
	snprintf(number, sizeof(number), "%llu", (unsigned long long) writing->number);
	canary->next_event = uv_now(canary->app->loop) + EVERY_MS;
	db_query(consumer_db(consumer), &write_statement, params, on_written, writing);
}

/* The channel --------------------------------------------------------------------------------------- */

static void
set_joined(struct canary *canary, bool joined)
{
	canary->joined = joined;
	metric_set(canary->listens, joined);
	/* What was under way when it was not there nobody could hear. */
	canary_trips_clear(&canary->trips);
}

static void
on_joined(void *arg)
{
	struct canary *canary = arg;

	log_event(LOG_INFO, "the canary listens", NULL);
	set_joined(canary, true);
	canary->deaf[0] = '\0';
	canary->missing[0] = '\0';
	backoff_reset(&canary->backoff);
	canary->next_event = uv_now(canary->app->loop);
}

static void
on_ended(void *arg, const char *where, const char *why)
{
	struct canary *canary = arg;
	char deaf[sizeof(canary->deaf)];

	canary->channel = NULL;
	set_joined(canary, false);
	snprintf(deaf, sizeof(deaf), "the canary, a client of our own, cannot listen at %s: %s", where,
			 why);
	log_event(strcmp(deaf, canary->deaf) == 0 ? LOG_DEBUG : LOG_WARN, "the canary cannot listen",
			  "url", "%s", where, "error", "%s", why, NULL);
	strcpy(canary->deaf, deaf);
	canary->next_try = uv_now(canary->app->loop) + backoff_next(&canary->backoff, backoff_random());
}

static void
open_channel(struct canary *canary)
{
	static const struct canary_channel_handlers handlers = {on_joined, on_heard, on_ended};

	canary->channel =
		canary_channel_open(canary->app, canary->client, canary->topic, &handlers, canary);
}

static void
close_channel(struct canary *canary)
{
	if (canary->channel != NULL)
		canary_channel_close(canary->channel);
	canary->channel = NULL;
	set_joined(canary, false);
	canary->deaf[0] = canary->missing[0] = '\0';
	canary->next_try = 0;
}

/* Time ----------------------------------------------------------------------------------------------- */

static bool
delivers(const struct canary *canary, const struct consumer *consumer)
{
	return !canary->app->draining && consumer != NULL && consumer_connected(consumer) &&
		   consumer_leads(consumer);
}

static void
on_tick(uv_timer_t *timer)
{
	struct canary *canary = timer->data;
	struct consumer *consumer = consumer_of(canary);
	uint64_t now = uv_now(canary->app->loop);

	if (!delivers(canary, consumer))
		close_channel(canary);
	else if (canary->channel == NULL && now >= canary->next_try)
		open_channel(canary);
	else if (canary->joined && now >= canary->next_event)
		write_event(canary, consumer);
}

/* What others ask ------------------------------------------------------------------------------------- */

void
canary_reload(struct canary *canary)
{
	canary->next_try = 0;
	if (canary->channel != NULL)
		canary_channel_renew(canary->channel);
}

const char *
canary_trouble(const struct canary *canary)
{
	if (canary == NULL)
		return NULL;
	if (canary->deaf[0] != '\0')
		return canary->deaf;
	return canary->missing[0] != '\0' ? canary->missing : NULL;
}

static void
register_metrics(struct canary *canary, struct metrics *m)
{
	static const char *const labels[RESULTS] = {"result=\"arrived\"", "result=\"missing\""};

	canary->latency =
		metrics_histogram(m, "chat_realtime_message_latency_seconds", "",
						  "From an event's row to its arrival at a client, of the canary's.");
	for (int i = 0; i < RESULTS; i++)
		canary->results[i] = metrics_counter(m, "chat_realtime_canary_events_total", labels[i],
											 "Events of the canary's by what became of them.");
	canary->listens = metrics_gauge(m, "chat_realtime_canary_listens", "",
									"1: the canary is joined, and a connection of its own.");
}

struct canary *
canary_create(struct app *app)
{
	struct canary *canary = xcalloc(1, sizeof(*canary));

	canary->app = app;
	register_metrics(canary, app->metrics);
	if (!app->config->realtime_canary)
		return canary;
	canary->client = websocket_client_create(app);
	if (canary->client == NULL)
		return NULL; /* the process ends: nothing is taken apart */
	canary_topic(canary->topic);
	canary->backoff = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	uv_timer_init(app->loop, &canary->timer);
	canary->timer.data = canary;
	uv_timer_start(&canary->timer, on_tick, TICK_MS, TICK_MS);
	return canary;
}

void
canary_destroy(struct canary *canary)
{
	if (canary->client == NULL)
		return;
	close_channel(canary);
	uv_close((uv_handle_t *) &canary->timer, NULL);
	websocket_client_close(canary->client);
}

/* Until then answers of the database may come. */
void
canary_free(struct canary *canary)
{
	if (canary->client != NULL)
		websocket_client_free(canary->client);
	free(canary);
}
