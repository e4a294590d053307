/*
 * See consumer.h. The life of a consumer and its lease: it asks for the lease every 2 s while it has none,
 * and renews it as often while it has.
 *
 * A lost lease is treated as a lost connection: the connection is dropped, every answer that was awaited comes
 * back as NULL, the sink stops, and all starts afresh. So no answer can belong to an older lease.
 */
#include "consumer/consumer_internal.h"
#include "consumer/consumer_protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

#define TICK_MS 2000
#define LEASE_MS 6000
#define LEASE_MARGIN_MS 1000 /* for a request that is decided now and arrives later */
#define DOORBELL "chat_realtime"

static const struct db_statement acquire_statement = {
	"consumer_acquire", "SELECT epoch, last_id, snapshot FROM chat.consumer_acquire($1, $2, $3)", 3,
	"epoch last_id snapshot", DB_UP_TO_ONE_ROW};
static const struct db_statement renew_statement = {
	"consumer_renew",
	"SELECT chat.consumer_renew($1, $2, $3) AS renewed, "
	"pg_catalog.current_setting('chat_realtime.notify', true) = 'off' AS quiet",
	3, "renewed quiet?", DB_ONE_ROW};
static const struct db_statement release_statement = {
	"consumer_release", "SELECT chat.consumer_release($1, $2) AS released", 2, "released?",
	DB_ONE_ROW};

/* The sink */

const struct sink *
consumer_sink(const struct consumer *consumer)
{
	return consumer->sink;
}

void
consumer_reload(struct consumer *consumer)
{
	if (consumer->sink->reload != NULL)
		consumer->sink->reload(consumer->sink_arg);
}

const char *
consumer_trouble(const struct consumer *consumer)
{
	return consumer->sink->trouble != NULL ? consumer->sink->trouble(consumer->sink_arg) : NULL;
}

const char *
consumer_note(const struct consumer *consumer)
{
	return consumer->sink->note != NULL ? consumer->sink->note(consumer->sink_arg) : NULL;
}

uint64_t
consumer_refresh_metrics(struct consumer *consumer)
{
	return consumer->sink->refresh_metrics != NULL
			   ? consumer->sink->refresh_metrics(consumer->sink_arg)
			   : 0;
}

/* What it is */

struct db *
consumer_db(struct consumer *consumer)
{
	return consumer->db;
}

uint64_t
consumer_epoch(const struct consumer *consumer)
{
	return consumer->epoch;
}

bool
consumer_connected(const struct consumer *consumer)
{
	return consumer->admitted;
}

const char *
consumer_hint(const struct consumer *consumer)
{
	return consumer->last_error[0] != '\0' ? consumer->refusal_hint : db_hint(consumer->db);
}

double
consumer_now(const struct consumer *consumer)
{
	return db_clock_now(&consumer->clock);
}

bool
consumer_idle(const struct consumer *consumer)
{
	return consumer->first == NULL;
}

bool
consumer_drained(const struct consumer *consumer)
{
	return consumer->draining && consumer->state != LEADING;
}

bool
consumer_follows(const struct consumer *consumer)
{
	return consumer->sink->follows;
}

/* By a clock that goes on while the machine sleeps. */
static int64_t
boottime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool
consumer_leads(const struct consumer *consumer)
{
	return consumer->state == LEADING &&
		   (consumer->sink->follows ||
			boottime_ms() - consumer->lease_from < LEASE_MS - LEASE_MARGIN_MS);
}

void
consumer_restart(struct consumer *consumer, const char *why)
{
	db_reconnect(consumer->db, why);
}

/* Taking the lease */

void
consumer_lead(struct consumer *consumer, const char *last_id, const char *snapshot)
{
	consumer->state = LEADING;
	metric_set(consumer->leader, 1);
	if (consumer->sink->start != NULL)
		consumer->sink->start(consumer->sink_arg);
	consumer_begin(consumer, strtoll(last_id, NULL, 10), snapshot);
}

static void
lead(struct consumer *consumer, PGresult *result)
{
	consumer->epoch = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
	consumer->lease_from = consumer->asked_at;
	log_event(LOG_INFO, "leading", "consumer", "%s", consumer->sink->name, "epoch", "%lld",
			  (long long) consumer->epoch, "last_id", "%s", PQgetvalue(result, 0, 1), NULL);
	consumer_lead(consumer, PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
}

/* One line for each new trouble, however often it comes back. */
static void
report_refusal(struct consumer *consumer, const struct db_error *error)
{
	log_event(strcmp(error->text, consumer->last_error) == 0 ? LOG_DEBUG : LOG_ERROR,
			  "the database does not let this consumer start", "consumer", "%s",
			  consumer->sink->name, "error", "%s", error->text, "sqlstate", "%s", error->sqlstate,
			  "hint", "%s", error->hint, NULL);
	strcpy(consumer->last_error, error->text);
	consumer->refusal_hint = error->hint;
}

void
consumer_report_failure(struct consumer *consumer, const PGresult *result)
{
	struct db_error error;

	db_error_of_result(result, &error);
	report_refusal(consumer, &error);
}

bool
consumer_admit(struct consumer *consumer, const PGresult *result)
{
	consumer->admitted = PQresultStatus(result) == PGRES_TUPLES_OK;
	if (consumer->admitted)
		consumer->last_error[0] = '\0';
	else
		consumer_report_failure(consumer, result);
	return consumer->admitted;
}

static void
on_acquired(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	consumer->asking = false;
	if (result == NULL || consumer->draining)
		return;
	if (consumer_admit(consumer, result) && PQntuples(result) == 1)
		lead(consumer, result);
}

static void
ask_for_lease(struct consumer *consumer)
{
	char lease[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {consumer->sink->name, consumer->owner, lease};

	snprintf(lease, sizeof(lease), "%d", LEASE_MS);
	consumer->asking = true;
	consumer->asked_at = boottime_ms();
	db_query(consumer->db, &acquire_statement, params, on_acquired, consumer);
}

static void
on_protocol(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;
	struct db_error error;

	consumer->asking = false;
	if (result == NULL || consumer->draining)
		return;
	if (!consumer_protocol_fits(result, &error))
	{
		consumer->admitted = false;
		report_refusal(consumer, &error);
	}
	else if (consumer->sink->follows)
		consumer_follow(consumer);
	else
		ask_for_lease(consumer);
}

/* Whoever answers may be another version each time: it is asked what it speaks before it is asked for the lease. */
static void
acquire(struct consumer *consumer)
{
	consumer->asking = true;
	db_query(consumer->db, &consumer_protocol_statement, NULL, on_protocol, consumer);
}

/* Keeping the lease */

static void
on_renewed(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	consumer->asking = false;
	if (result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		consumer_report_failure(consumer, result);
		consumer->last_error[0] = '\0';
		consumer_restart(consumer, "the lease could not be renewed");
	}
	else if (strcmp(PQgetvalue(result, 0, 0), "t") != 0)
		consumer_restart(consumer, "another process took the lease");
	else
	{
		consumer->last_error[0] = '\0';
		consumer->lease_from = consumer->asked_at;
		consumer->quiet = strcmp(PQgetvalue(result, 0, 1), "t") == 0;
		/* While the lease was in doubt, nothing was read. */
		consumer_advance(consumer);
	}
}

static void
renew(struct consumer *consumer)
{
	char epoch[CONSUMER_NUMBER_SIZE], lease[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {consumer->sink->name, epoch, lease};

	snprintf(epoch, sizeof(epoch), "%" PRIu64, consumer->epoch);
	snprintf(lease, sizeof(lease), "%d", LEASE_MS);
	consumer->asking = true;
	consumer->asked_at = boottime_ms();
	db_query(consumer->db, &renew_statement, params, on_renewed, consumer);
}

static void
on_tick(uv_timer_t *tick)
{
	struct consumer *consumer = tick->data;

	if (consumer->state == LEADING && !consumer_leads(consumer))
		consumer_restart(consumer, "the lease ran out");
	else if (consumer->asking || consumer->releasing)
		return;
	else if (consumer->state == LEADING && consumer->sink->follows)
		consumer_follow_on(consumer);
	else if (consumer->state == LEADING)
		renew(consumer);
	else if (consumer->state == STANDBY && !consumer->draining)
		acquire(consumer);
}

/* Giving it back */

static void
stand_back(struct consumer *consumer)
{
	consumer->releasing = false;
	consumer->state = STANDBY;
	metric_set(consumer->leader, 0);
	consumer->sink->stop(consumer->sink_arg);
	consumer_forget(consumer);
}

static void
on_released(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	if (result != NULL && consumer->state == LEADING)
		stand_back(consumer);
}

static void
release(struct consumer *consumer)
{
	char epoch[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {consumer->sink->name, epoch};

	snprintf(epoch, sizeof(epoch), "%" PRIu64, consumer->epoch);
	consumer->releasing = true;
	db_query(consumer->db, &release_statement, params, on_released, consumer);
}

static bool
has_delivered(const struct consumer *consumer)
{
	const struct sink *sink = consumer->sink;

	return consumer->first == NULL && (sink->busy == NULL || !sink->busy(consumer->sink_arg));
}

void
consumer_advance_drain(struct consumer *consumer)
{
	if (!consumer->draining || consumer->state != LEADING || consumer->sink->follows ||
		consumer->releasing || !has_delivered(consumer))
		return;
	consumer_save(consumer);
	if (!consumer->saving)
		release(consumer);
}

static void
abandon_all(struct consumer *consumer)
{
	consumer->sink->stop(consumer->sink_arg);
	consumer_save(consumer);
	release(consumer);
}

void
consumer_drain(struct consumer *consumer, bool abandon)
{
	consumer->draining = true;
	if (consumer->state != LEADING || consumer->releasing)
		return;
	/* There is nothing to be given back. */
	if (consumer->sink->follows && (abandon || has_delivered(consumer)))
		stand_back(consumer);
	else if (abandon && !consumer->sink->follows)
		abandon_all(consumer);
	consumer_advance_drain(consumer);
}

/* The connection */

static void
on_ready(void *arg)
{
	struct consumer *consumer = arg;

	consumer->state = STANDBY;
	if (!consumer->draining)
		acquire(consumer);
}

static void
stop_leading(struct consumer *consumer)
{
	metric_set(consumer->leader, 0);
	if (consumer->state == LEADING)
		consumer->sink->stop(consumer->sink_arg);
	consumer_forget(consumer);
	consumer->asking = consumer->releasing = consumer->admitted = false;
	consumer->state = OFFLINE;
}

static void
on_lost(void *arg, const char *why)
{
	struct consumer *consumer = arg;

	if (consumer->state == LEADING)
		log_event(LOG_WARN,
				  consumer->sink->follows ? "not reading any more" : "not leading any more",
				  "consumer", "%s", consumer->sink->name, "reason", "%s", why, NULL);
	stop_leading(consumer);
}

static void
on_notify(void *arg, const char *channel, const char *payload)
{
	struct consumer *consumer = arg;

	/* Anyone may send one: of the doorbell it is a hint and nothing more. */
	if (strcmp(channel, DOORBELL) == 0)
		consumer_rung(consumer);
	else if (consumer->sink->heard != NULL)
		consumer->sink->heard(consumer->sink_arg, channel, payload);
}

/* Makes a text that no other process has. */
static void
make_owner(struct consumer *consumer)
{
	char host[64] = "";

	(void) gethostname(host, sizeof(host) - 1);
	snprintf(consumer->owner, sizeof(consumer->owner), "%s:%ld:%08x%08x", host, (long) getpid(),
			 backoff_random(), backoff_random());
}

static void
register_metrics(struct consumer *consumer, struct metrics *m)
{
	char labels[80];

	snprintf(labels, sizeof(labels), "consumer=\"%s\"", consumer->sink->name);
	consumer->leader = metrics_gauge(m, "chat_realtime_leader", labels,
									 "Whether this process delivers for the consumer.");
	consumer->events =
		metrics_counter(m, "chat_realtime_events_read_total", labels, "Events read from the log.");
	consumer->reads =
		metrics_counter(m, "chat_realtime_log_reads_total", labels, "Reads of the log.");
	consumer->notifications = metrics_counter(m, "chat_realtime_notifications_total", labels,
											  "NOTIFYs received: the doorbell was rung.");
	consumer->skew = metrics_gauge(m, "chat_realtime_clock_skew_seconds", labels,
								   "How far this machine's clock is ahead of the database's.");
	consumer->refused =
		metrics_counter(m, "chat_realtime_doorbell_refused_total", labels,
						"Times the doorbell could not be armed, for writers were committing.");
}

static void
init_timer(struct consumer *consumer, uv_timer_t *timer)
{
	uv_timer_init(consumer->app->loop, timer);
	timer->data = consumer;
	consumer->handles++;
}

struct consumer *
consumer_create(struct app *app, const struct sink *sink)
{
	static const struct db_handlers handlers = {on_ready, on_lost, on_notify};
	struct consumer *consumer = xcalloc(1, sizeof(*consumer));

	consumer->app = app;
	consumer->sink = sink;
	consumer->sink_arg = sink->create(app, consumer);
	if (consumer->sink_arg == NULL)
	{
		free(consumer);
		return NULL;
	}
	consumer_read_init(consumer);
	consumer->tail = &consumer->first;
	make_owner(consumer);
	register_metrics(consumer, app->metrics);
	init_timer(consumer, &consumer->tick);
	init_timer(consumer, &consumer->poll);
	init_timer(consumer, &consumer->save);
	uv_timer_start(&consumer->tick, on_tick, TICK_MS, TICK_MS);
	consumer->db = db_open(app, sink->name, "LISTEN " DOORBELL, &handlers, consumer);
	return consumer;
}

static void
on_closed(uv_handle_t *timer)
{
	struct consumer *consumer = timer->data;

	if (--consumer->handles > 0)
		return;
	free(consumer->log);
	free(consumer->done.snapshot);
	free(consumer);
}

void
consumer_destroy(struct consumer *consumer)
{
	consumer->draining = true;
	db_close(consumer->db);
	stop_leading(consumer);
	consumer->sink->destroy(consumer->sink_arg);
	uv_close((uv_handle_t *) &consumer->tick, on_closed);
	uv_close((uv_handle_t *) &consumer->poll, on_closed);
	uv_close((uv_handle_t *) &consumer->save, on_closed);
}
