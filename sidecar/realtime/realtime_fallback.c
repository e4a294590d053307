/*
 * See realtime_fallback.h.
 */
#include "realtime/realtime_fallback.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/db.h"
#include "realtime/realtime_health.h"

#define EVERY_MS 1000

struct realtime_fallback
{
	struct app *app;
	struct consumer *consumer;
	const char *(*trouble)(const void *arg);
	const void *arg;
	uint64_t epoch; /* that what follows is of; 0: of none */
	struct realtime_health health;
	enum realtime_state told; /* to the database */
	enum realtime_state telling;
	bool asking;
	uv_timer_t timer;
	struct metric *fallbacks;
};

static const struct db_statement statement = {"set_realtime_health",
											  "SELECT chat.set_realtime_health($1, $2) AS news", 2,
											  "news", DB_ONE_ROW};

static uint64_t
now(const struct realtime_fallback *fallback)
{
	return uv_now(fallback->app->loop);
}

static void
log_news(struct realtime_fallback *fallback)
{
	if (fallback->telling == REALTIME_WORKS)
		log_event(LOG_INFO, "Realtime has recovered: users go back to it", NULL);
	else
	{
		metric_add(fallback->fallbacks, 1);
		log_event(LOG_WARN, "Realtime fails: users who are on it alone fall back to Socket.IO",
				  NULL);
	}
}

static void
on_answer(void *arg, PGresult *result)
{
	struct realtime_fallback *fallback = arg;

	fallback->asking = false;
	/* Such as while the rollout is being changed: said again. */
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return;
	fallback->told = fallback->telling;
	if (strcmp(PQgetvalue(result, 0, 0), "t") == 0)
		log_news(fallback);
}

static void
tell(struct realtime_fallback *fallback, enum realtime_state state)
{
	char epoch[24];
	const char *const params[] = {state == REALTIME_WORKS ? "true" : "false", epoch};

	snprintf(epoch, sizeof(epoch), "%" PRIu64, fallback->epoch);
	fallback->telling = state;
	fallback->asking = true;
	db_query(consumer_db(fallback->consumer), &statement, params, on_answer, fallback);
}

/* Begins anew with each lease. False: it is not held. */
static bool
follow_lease(struct realtime_fallback *fallback)
{
	uint64_t epoch = consumer_leads(fallback->consumer) ? consumer_epoch(fallback->consumer) : 0;

	if (epoch != fallback->epoch)
	{
		fallback->epoch = epoch;
		fallback->told = REALTIME_UNKNOWN;
		realtime_health_init(&fallback->health,
							 (uint64_t) fallback->app->config->realtime_fallback_seconds * 1000,
							 now(fallback));
	}
	return epoch != 0;
}

static void
on_timer(uv_timer_t *timer)
{
	struct realtime_fallback *fallback = timer->data;
	enum realtime_state state;

	if (!follow_lease(fallback))
		return;
	if (fallback->trouble(fallback->arg) != NULL)
		realtime_health_failed(&fallback->health, now(fallback));
	state = realtime_health_now(&fallback->health, now(fallback));
	if (state != REALTIME_UNKNOWN && state != fallback->told && !fallback->asking)
		tell(fallback, state);
}

void
realtime_fallback_accepted(struct realtime_fallback *fallback)
{
	realtime_health_accepted(&fallback->health, now(fallback));
}

void
realtime_fallback_worked(struct realtime_fallback *fallback)
{
	realtime_health_worked(&fallback->health);
}

void
realtime_fallback_failed(struct realtime_fallback *fallback)
{
	realtime_health_failed(&fallback->health, now(fallback));
}

struct realtime_fallback *
realtime_fallback_create(struct app *app, struct consumer *consumer,
						 const char *(*trouble)(const void *arg), const void *arg)
{
	struct realtime_fallback *fallback = xcalloc(1, sizeof(*fallback));

	fallback->app = app;
	fallback->consumer = consumer;
	fallback->trouble = trouble;
	fallback->arg = arg;
	realtime_health_init(&fallback->health, 0, now(fallback));
	fallback->fallbacks = metrics_counter(
		app->metrics, "chat_realtime_fallbacks_total", "",
		"Times users who were on Realtime alone fell back to Socket.IO, for it failed.");
	uv_timer_init(app->loop, &fallback->timer);
	fallback->timer.data = fallback;
	uv_timer_start(&fallback->timer, on_timer, EVERY_MS, EVERY_MS);
	uv_unref((uv_handle_t *) &fallback->timer); /* nothing waits for it */
	return fallback;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
realtime_fallback_destroy(struct realtime_fallback *fallback)
{
	uv_close((uv_handle_t *) &fallback->timer, on_closed);
}
