/*
 * The statements of a read, and what their answers mean. By chat.read_log one statement does all of it: it lets go of the
 * doorbell, reads, and arms the doorbell where nothing came and looks once more. A function that answers rows does nothing
 * but read: the doorbell is seen to by statements before it.
 */
#include "consumer/consumer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define READ_BYTES 1000000 /* of one read, about; a read has at least one event */
#define ARM 1
#define PRIVATE 2
#define MICROSECONDS 1e6

static const struct db_statement arm_statement = {"arm", "SELECT chat.arm() AS armed", 0, "armed",
												  DB_ONE_ROW};
static const struct db_statement disarm_statement = {"disarm", "SELECT chat.disarm() AS disarmed",
													 0, "disarmed?", DB_ONE_ROW};

void
consumer_read_init(struct consumer *consumer)
{
	const struct sink *sink = consumer->sink;

	if (sink->rows_sql != NULL)
		consumer->read_statement =
			(struct db_statement){"read", sink->rows_sql, 3, sink->rows_columns, DB_HEAD_AND_ROWS};
	else
		consumer->read_statement = (struct db_statement){
			"read", "SELECT chat.read_log($1, $2, NULLIF($3, ''), $4, $5, $6, $7) AS piece", 7,
			"piece", DB_BINARY_ROWS};
}

/* By chat.read_log */

static void
send_log_read(struct consumer *consumer, bool arm, db_callback callback)
{
	const struct position *position = &consumer->position;
	char last_id[CONSUMER_NUMBER_SIZE], late_id[CONSUMER_NUMBER_SIZE],
		max_rows[CONSUMER_NUMBER_SIZE], max_bytes[CONSUMER_NUMBER_SIZE],
		flags[CONSUMER_NUMBER_SIZE];
	const char *target = position->target != NULL ? position->target : "";
	const char *const params[] = {last_id,  position->snapshot, target, late_id,
								  max_rows, max_bytes,          flags};

	snprintf(last_id, sizeof(last_id), "%" PRId64, position->last_id);
	snprintf(late_id, sizeof(late_id), "%" PRId64, position->late_id);
	snprintf(max_rows, sizeof(max_rows), "%d", consumer->sink->max_rows);
	snprintf(max_bytes, sizeof(max_bytes), "%d", READ_BYTES);
	snprintf(flags, sizeof(flags), "%d",
			 (arm ? ARM : 0) | (consumer->sink->private_messages ? PRIVATE : 0));
	db_query(consumer->db, &consumer->read_statement, params, callback, consumer);
}

static bool
take_log_answer(const PGresult *rows, struct found *found, const char **why)
{
	struct log_answer answer;

	if (!log_answer_read(&answer, rows, why))
		return false;
	*found = (struct found){
		.position = {answer.last_id, answer.snapshot, answer.target, answer.late_id},
		.now = (double) answer.now / MICROSECONDS,
		.more = answer.more,
		.armed = answer.armed,
		.events = answer.events,
		.nevents = answer.nevents,
	};
	return true;
}

/* By a function that answers rows */

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
}

static void
send_rows_read(struct consumer *consumer, bool arm, db_callback callback)
{
	char last_id[CONSUMER_NUMBER_SIZE], max_rows[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {last_id, consumer->position.snapshot, max_rows};

	if (consumer->armed)
		db_query(consumer->db, &disarm_statement, NULL, on_disarmed, consumer);
	if (arm)
		db_query(consumer->db, &arm_statement, NULL, on_armed, consumer);
	snprintf(last_id, sizeof(last_id), "%" PRId64, consumer->position.last_id);
	snprintf(max_rows, sizeof(max_rows), "%d", consumer->sink->max_rows);
	db_query(consumer->db, &consumer->read_statement, params, callback, consumer);
}

static void
take_rows(const struct consumer *consumer, const PGresult *rows, struct found *found)
{
	*found = (struct found){
		.position = {.last_id = strtoll(PQgetvalue(rows, 0, PQfnumber(rows, "id")), NULL, 10),
					 .snapshot = xstrdup(PQgetvalue(rows, 0, PQfnumber(rows, "payload")))},
		.now = strtod(PQgetvalue(rows, 0, PQfnumber(rows, "created_at")), NULL),
		.armed = consumer->armed,
		.nevents = PQntuples(rows) - 1,
	};
}

/* Either way */

void
consumer_read_send(struct consumer *consumer, bool arm, db_callback callback)
{
	if (consumer->sink->rows_sql != NULL)
		send_rows_read(consumer, arm, callback);
	else
		send_log_read(consumer, arm, callback);
	consumer->armed = false;
}

bool
consumer_read_take(const struct consumer *consumer, const PGresult *rows, struct found *found,
				   const char **why)
{
	if (consumer->sink->rows_sql == NULL)
		return take_log_answer(rows, found, why);
	take_rows(consumer, rows, found);
	return true;
}
