/*
 * Reading the log for a consumer. One read at most is under way. What it finds becomes a batch at the end of
 * the list; batches are done in any order and leave the list from its front, so that the position to save is
 * always that of the longest prefix of which everything is done.
 *
 * An empty read is followed by one that arms the doorbell first: armed and empty, there is nothing until a
 * NOTIFY comes. Where arming fails, writers are committing, and it is read again shortly. While the list is
 * full nothing is read, and the doorbell is not armed, so nobody rings it.
 */
#include "consumer/consumer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

#define SLOW_POLL_MS 5000 /* COMMIT PREPARED rings no doorbell */
#define QUIET_POLL_MS 1000
#define RETRY_MAX_MS 50
#define SAVE_BUSY_MS 200
#define SAVE_IDLE_MS 20
#define SKEW_SECONDS 1.0

static const struct db_statement save_statement = {
	"consumer_save", "SELECT chat.consumer_save($1, $2, $3, $4) AS saved", 4, "saved", DB_ONE_ROW};
static const struct db_statement arm_statement = {"arm", "SELECT chat.arm() AS armed", 0, "armed",
												  DB_ONE_ROW};
static const struct db_statement disarm_statement = {"disarm", "SELECT chat.disarm() AS disarmed",
													 0, "disarmed?", DB_ONE_ROW};

/* Positions and batches */

/* Takes the snapshot over. */
static void
set_position(struct position *position, int64_t last_id, char *snapshot)
{
	free(position->snapshot);
	position->last_id = last_id;
	position->snapshot = snapshot;
}

static void
pop_batch(struct consumer *consumer)
{
	struct batch *batch = consumer->first;

	consumer->first = batch->next;
	if (consumer->first == NULL)
		consumer->tail = &consumer->first;
	consumer->nbatches--;
	PQclear(batch->rows);
	free(batch->snapshot);
	free(batch);
}

static struct batch *
append_batch(struct consumer *consumer, PGresult *rows)
{
	struct batch *batch = xcalloc(1, sizeof(*batch));

	batch->consumer = consumer;
	batch->rows = rows;
	batch->nevents = PQntuples(rows) - 1;
	batch->epoch = consumer->epoch;
	batch->last_id = consumer->read.last_id;
	batch->snapshot = xstrdup(consumer->read.snapshot);
	*consumer->tail = batch;
	consumer->tail = &batch->next;
	consumer->nbatches++;
	return batch;
}

/* Saving */

static void
on_save_timer(uv_timer_t *timer)
{
	consumer_save(timer->data);
}

/* Saves soon after the last event is done, and now and then while there are more. */
static void
plan_save(struct consumer *consumer)
{
	uint64_t gap = consumer->first == NULL ? SAVE_IDLE_MS : SAVE_BUSY_MS;
	uint64_t now = uv_now(consumer->app->loop);

	if (consumer->done.snapshot == NULL || consumer->saving)
		return;
	if (consumer->saved_at + gap <= now)
		consumer_save(consumer);
	else
		uv_timer_start(&consumer->save, on_save_timer, consumer->saved_at + gap - now, 0);
}

static void
on_saved(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;
	struct db_error error;

	consumer->saving = false;
	if (result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		log_event(LOG_ERROR, "a position could not be saved", "consumer", "%s",
				  consumer->sink->name, "error", "%s", error.text, "hint", "%s", error.hint, NULL);
		consumer_restart(consumer, "a position could not be saved");
	}
	else if (strcmp(PQgetvalue(result, 0, 0), "t") != 0)
		consumer_restart(consumer, "another process took the lease");
	else
	{
		plan_save(consumer); /* of what was done meanwhile */
		consumer_advance_drain(consumer);
	}
}

void
consumer_save(struct consumer *consumer)
{
	char epoch[CONSUMER_NUMBER_SIZE], last_id[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {consumer->sink->name, epoch, last_id, consumer->done.snapshot};

	if (consumer->state != LEADING || consumer->saving || consumer->done.snapshot == NULL)
		return;
	snprintf(epoch, sizeof(epoch), "%" PRIu64, consumer->epoch);
	snprintf(last_id, sizeof(last_id), "%" PRId64, consumer->done.last_id);
	consumer->saving = true;
	consumer->saved_at = uv_now(consumer->app->loop);
	db_query(consumer->db, &save_statement, params, on_saved, consumer);
	free(consumer->done.snapshot);
	consumer->done.snapshot = NULL;
}

/* Moves the position to save past the batches at the front that are done. */
static void
collect_done(struct consumer *consumer)
{
	while (consumer->first != NULL && consumer->first->done)
	{
		struct batch *batch = consumer->first;

		set_position(&consumer->done, batch->last_id, batch->snapshot);
		batch->snapshot = NULL;
		pop_batch(consumer);
	}
	plan_save(consumer);
}

void
consumer_done(struct batch *batch)
{
	struct consumer *consumer = batch->consumer;

	batch->done = true;
	collect_done(consumer);
	consumer_advance(consumer);
	consumer_advance_drain(consumer);
}

/* Reading */

static void
on_disarmed(void *arg, PGresult *result)
{
	(void) arg;
	(void) result;
}

/* The answer to the read that follows decides what to do. */
static void
on_armed(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	consumer->armed =
		PQresultStatus(result) == PGRES_TUPLES_OK && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	if (!consumer->armed)
		metric_add(consumer->refused, 1);
}

static void on_read(void *arg, PGresult *result);

static void
read_log(struct consumer *consumer, bool arm)
{
	char last_id[CONSUMER_NUMBER_SIZE], max_rows[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {last_id, consumer->read.snapshot, max_rows};

	uv_timer_stop(&consumer->poll);
	if (consumer->armed)
		db_query(consumer->db, &disarm_statement, NULL, on_disarmed, consumer);
	consumer->armed = false;
	if (arm)
		db_query(consumer->db, &arm_statement, NULL, on_armed, consumer);
	snprintf(last_id, sizeof(last_id), "%" PRId64, consumer->read.last_id);
	snprintf(max_rows, sizeof(max_rows), "%d", consumer->sink->max_rows);
	consumer->reading = true;
	consumer->asked_to_read = db_clock_local();
	consumer->arming = arm;
	consumer->rung = false;
	metric_add(consumer->reads, 1);
	db_query(consumer->db, &consumer->read_statement, params, on_read, consumer);
}

static bool
may_read(const struct consumer *consumer)
{
	return consumer->state == LEADING && !consumer->draining && !consumer->reading &&
		   consumer->nbatches < consumer->sink->max_batches && consumer_leads(consumer);
}

/* Asleep, or between two tries to arm. A ring wakes it, also one that came while the lease was in doubt. */
static bool
resting(const struct consumer *consumer)
{
	return uv_is_active((const uv_handle_t *) &consumer->poll) &&
		   !(consumer->armed && consumer->rung);
}

/* Reads on, unless it rests. */
void
consumer_advance(struct consumer *consumer)
{
	if (may_read(consumer) && !resting(consumer))
		read_log(consumer, false);
}

static void
on_poll_timer(uv_timer_t *timer)
{
	struct consumer *consumer = timer->data;

	/* Armed, this is the safety net; else writers were committing just now. */
	if (may_read(consumer))
		read_log(consumer, !consumer->armed);
}

void
consumer_rung(struct consumer *consumer)
{
	metric_add(consumer->notifications, 1);
	consumer->rung = true;
	if (consumer->armed && may_read(consumer))
		read_log(consumer, false);
}

/* Nothing was found: arms, tries to arm again, or sleeps. */
static void
rest(struct consumer *consumer)
{
	if (!consumer->arming || consumer->rung)
	{
		read_log(consumer, !consumer->rung);
		return;
	}
	if (consumer->armed)
	{
		consumer->retry_ms = 0;
		uv_timer_start(&consumer->poll, on_poll_timer,
					   consumer->quiet ? QUIET_POLL_MS : SLOW_POLL_MS, 0);
		return;
	}
	consumer->retry_ms = consumer->retry_ms == 0 ? 1 : consumer->retry_ms * 2;
	if (consumer->retry_ms > RETRY_MAX_MS)
		consumer->retry_ms = RETRY_MAX_MS;
	uv_timer_start(&consumer->poll, on_poll_timer, consumer->retry_ms, 0);
}

/* Hands over what was read. Events that are not for this consumer still move the position. */
static void
deliver(struct consumer *consumer, PGresult *rows)
{
	struct batch *batch = append_batch(consumer, rows);

	db_keep_result(consumer->db);
	consumer->retry_ms = 0;
	metric_add(consumer->events, batch->nevents);
	if (batch->nevents == 0)
		consumer_done(batch);
	else
		consumer->sink->deliver(consumer->sink_arg, batch);
}

/* Each read brings the database's time. A wrong clock of this machine is told once. */
static void
compare_clocks(struct consumer *consumer, const PGresult *rows)
{
	double said = strtod(PQgetvalue(rows, 0, PQfnumber(rows, "created_at")), NULL), skew;

	db_clock_learn(&consumer->clock, consumer->asked_to_read, db_clock_local(), said);
	skew = db_clock_skew(&consumer->clock);
	metric_set(consumer->skew, skew);
	if (consumer->skewed == (skew > SKEW_SECONDS || skew < -SKEW_SECONDS))
		return;
	consumer->skewed = !consumer->skewed;
	log_event(consumer->skewed ? LOG_WARN : LOG_INFO,
			  consumer->skewed
				  ? "this machine's clock and the database's differ; ages are by the database's"
				  : "this machine's clock and the database's agree again",
			  "consumer", "%s", consumer->sink->name, "seconds_ahead", "%.3f", skew, NULL);
}

static void
take_rows(struct consumer *consumer, PGresult *rows)
{
	int64_t last_id = strtoll(PQgetvalue(rows, 0, PQfnumber(rows, "id")), NULL, 10);
	const char *snapshot = PQgetvalue(rows, 0, PQfnumber(rows, "payload"));
	bool moved = last_id != consumer->read.last_id || PQntuples(rows) > 1;

	compare_clocks(consumer, rows);
	set_position(&consumer->read, last_id, xstrdup(snapshot));
	if (moved)
	{
		deliver(consumer, rows);
		consumer_advance(consumer);
	}
	else if (may_read(consumer))
		rest(consumer);
}

static void
on_read(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;
	struct db_error error;

	consumer->reading = false;
	if (result == NULL || consumer->draining)
		return;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		take_rows(consumer, result);
		return;
	}
	db_error_of_result(result, &error);
	log_event(LOG_ERROR, "the event log could not be read", "consumer", "%s", consumer->sink->name,
			  "error", "%s", error.text, "sqlstate", "%s", error.sqlstate, "hint", "%s", error.hint,
			  NULL);
	consumer_restart(consumer, "the event log could not be read");
}

void
consumer_begin(struct consumer *consumer, int64_t last_id, const char *snapshot)
{
	set_position(&consumer->read, last_id, xstrdup(snapshot));
	consumer_advance(consumer);
}

void
consumer_forget(struct consumer *consumer)
{
	while (consumer->first != NULL)
		pop_batch(consumer);
	free(consumer->read.snapshot);
	free(consumer->done.snapshot);
	consumer->read.snapshot = consumer->done.snapshot = NULL;
	consumer->reading = consumer->arming = consumer->armed = consumer->rung = false;
	consumer->saving = false;
	consumer->retry_ms = 0;
	uv_timer_stop(&consumer->poll);
	uv_timer_stop(&consumer->save);
}
