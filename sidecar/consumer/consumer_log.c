/*
 * Reading the log for a consumer. One request for it at most is under way. What it finds is appended to the list of
 * reads; they are done in any order and leave the list from its front, so that the position to save is always that of
 * the longest prefix of which everything is done.
 *
 * Where nothing is found the doorbell is armed and the log looked at once more: armed and empty, there is nothing until a
 * NOTIFY comes. Where arming fails, writers are committing, and it is read again shortly. While the list is full
 * nothing is read, and the doorbell is not armed, so nobody rings it.
 */
#include "consumer/consumer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

#define READS_MOST 256    /* that are not done */
#define SLOW_POLL_MS 5000 /* COMMIT PREPARED rings no doorbell */
#define QUIET_POLL_MS 1000
#define RETRY_MAX_MS 50
#define SAVE_BUSY_MS 200
#define SAVE_IDLE_MS 20
#define SKEW_SECONDS 1.0
#define MICROSECONDS 1e6

static const struct db_statement save_statement = {
	"consumer_save", "SELECT chat.consumer_save($1, $2, $3, $4) AS saved", 4, "saved", DB_ONE_ROW};

/* Positions and reads */

/* Takes the new one over. */
static void
set_position(struct position *position, struct position next)
{
	free(position->snapshot);
	free(position->target);
	*position = next;
}

void
consumer_release(struct read *read)
{
	read->consumer->held_bytes -= read->bytes;
	read->bytes = 0;
	PQclear(read->rows);
	free((void *) read->events);
	read->rows = NULL;
	read->events = NULL;
}

static void
pop_read(struct consumer *consumer)
{
	struct read *read = consumer->first;

	consumer->first = read->next;
	if (consumer->first == NULL)
		consumer->tail = &consumer->first;
	consumer->nreads--;
	consumer->held_events -= read->nevents;
	consumer_release(read);
	free(read->snapshot);
	free(read);
}

/* Takes the rows and the events over. */
static struct read *
append_read(struct consumer *consumer, PGresult *rows, const struct found *found)
{
	struct read *read = xcalloc(1, sizeof(*read));

	read->consumer = consumer;
	read->rows = rows;
	read->events = found->events;
	read->nevents = found->nevents;
	read->last_id = consumer->position.last_id;
	read->snapshot = xstrdup(consumer->position.snapshot);
	*consumer->tail = read;
	consumer->tail = &read->next;
	read->bytes = PQresultMemorySize(rows);
	consumer->nreads++;
	consumer->held_events += read->nevents;
	consumer->held_bytes += read->bytes;
	return read;
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

	if (consumer->done.snapshot == NULL || consumer->saving || consumer->sink->follows)
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

	if (consumer->state != LEADING || consumer->saving || consumer->done.snapshot == NULL ||
		consumer->sink->follows)
		return;
	snprintf(epoch, sizeof(epoch), "%" PRIu64, consumer->epoch);
	snprintf(last_id, sizeof(last_id), "%" PRId64, consumer->done.last_id);
	consumer->saving = true;
	consumer->saved_at = uv_now(consumer->app->loop);
	db_query(consumer->db, &save_statement, params, on_saved, consumer);
	free(consumer->done.snapshot);
	consumer->done.snapshot = NULL;
}

/* Moves the position to save past the reads at the front that are done. */
static void
collect_done(struct consumer *consumer)
{
	while (consumer->first != NULL && consumer->first->done)
	{
		struct read *read = consumer->first;

		set_position(&consumer->done,
					 (struct position){.last_id = read->last_id, .snapshot = read->snapshot});
		read->snapshot = NULL;
		pop_read(consumer);
	}
	plan_save(consumer);
}

uint64_t
consumer_unfinished(const struct consumer *consumer, double *since)
{
	uint64_t count = 0;

	*since = 0;
	for (const struct read *read = consumer->first; read != NULL; read = read->next)
	{
		if (!read->done)
			count += read->left;
		if (!read->done && *since == 0 && read->events != NULL)
			*since = (double) read->events[0].created_at / MICROSECONDS;
	}
	return count;
}

void
consumer_done(struct read *read)
{
	struct consumer *consumer = read->consumer;

	read->done = true;
	collect_done(consumer);
	consumer_advance(consumer);
	consumer_advance_drain(consumer);
}

/* Reading */

static void on_read(void *arg, PGresult *result);

static void
read_log(struct consumer *consumer)
{
	uv_timer_stop(&consumer->poll);
	consumer->reading = true;
	consumer->asked_to_read = db_clock_local();
	consumer->rung = false;
	metric_add(consumer->reads, 1);
	consumer_read_send(consumer, on_read);
}

/*
 * Reads are small where writers commit one by one, and a sink may take its time to say that they are done, as one that waits for
 * a confirmation: so it is what they hold that counts.
 */
static bool
has_room(const struct consumer *consumer)
{
	const struct sink *sink = consumer->sink;

	return consumer->nreads < READS_MOST &&
		   consumer->held_events < sink->max_reads * sink->max_rows &&
		   consumer->held_bytes < (size_t) sink->max_reads * CONSUMER_READ_BYTES;
}

static bool
may_read(const struct consumer *consumer)
{
	const struct sink *sink = consumer->sink;

	return consumer->state == LEADING && !consumer->draining && !consumer->reading &&
		   has_room(consumer) && consumer_leads(consumer) &&
		   (sink->full == NULL || !sink->full(consumer->sink_arg));
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
		read_log(consumer);
}

static void
on_poll_timer(uv_timer_t *timer)
{
	struct consumer *consumer = timer->data;

	/* Armed, this is the safety net; else writers were committing just now. */
	if (may_read(consumer))
		read_log(consumer);
}

void
consumer_rung(struct consumer *consumer)
{
	metric_add(consumer->notifications, 1);
	consumer->rung = true;
	if (consumer->armed && may_read(consumer))
		read_log(consumer);
}

/* Nothing was found: arms, tries to arm again, or sleeps. */
static void
rest(struct consumer *consumer)
{
	if (consumer->rung)
	{
		read_log(consumer);
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

/* Hands over what was read. What has no event of its own still moves the position. */
static void
deliver(struct consumer *consumer, PGresult *rows, const struct found *found)
{
	struct read *read = append_read(consumer, rows, found);

	db_keep_result(consumer->db);
	consumer->retry_ms = 0;
	metric_add(consumer->events, read->nevents);
	if (read->nevents == 0)
		consumer_done(read);
	else
		consumer->sink->deliver(consumer->sink_arg, read);
}

/* Each read brings the database's time. A wrong clock of this machine is told once. */
static void
compare_clocks(struct consumer *consumer, double said)
{
	double skew;

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
take_found(struct consumer *consumer, PGresult *rows, const struct found *found)
{
	bool moved =
		found->position.last_id != consumer->position.last_id || found->nevents > 0 || found->more;

	compare_clocks(consumer, found->now);
	consumer->armed = found->armed;
	set_position(&consumer->position, found->position);
	if (moved)
	{
		deliver(consumer, rows, found);
		consumer_advance(consumer);
		return;
	}
	free(found->events);
	if (!consumer->armed)
		metric_add(consumer->refused, 1);
	if (may_read(consumer))
		rest(consumer);
}

static void
on_read(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;
	struct found found;
	struct db_error error;
	const char *why;

	consumer->reading = false;
	if (result == NULL || consumer->draining)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		log_event(LOG_ERROR, "the event log could not be read", "consumer", "%s",
				  consumer->sink->name, "error", "%s", error.text, "sqlstate", "%s", error.sqlstate,
				  "hint", "%s", error.hint, NULL);
		consumer_restart(consumer, "the event log could not be read");
	}
	else if (consumer_read_take(consumer, result, &found, &why))
		take_found(consumer, result, &found);
	else
		consumer_restart(consumer, why);
}

void
consumer_begin(struct consumer *consumer, int64_t last_id, const char *snapshot)
{
	set_position(&consumer->position,
				 (struct position){.last_id = last_id, .snapshot = xstrdup(snapshot)});
	if (consumer->sink->follows)
		set_position(&consumer->done,
					 (struct position){.last_id = last_id, .snapshot = xstrdup(snapshot)});
	consumer_advance(consumer);
}

void
consumer_forget(struct consumer *consumer)
{
	while (consumer->first != NULL)
		pop_read(consumer);
	set_position(&consumer->position, (struct position){.snapshot = NULL});
	if (!consumer->sink->follows)
		set_position(&consumer->done, (struct position){.snapshot = NULL});
	consumer->reading = consumer->armed = consumer->rung = false;
	consumer->saving = false;
	consumer->retry_ms = 0;
	uv_timer_stop(&consumer->poll);
	uv_timer_stop(&consumer->save);
}
