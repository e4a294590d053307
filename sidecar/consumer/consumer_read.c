/*
 * The statement of a read, and what its answer means: chat.read_log lets go of the doorbell, reads, and arms the doorbell
 * where nothing came and looks once more.
 */
#include "consumer/consumer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config.h"

#define ARM 1
#define PRIVATE 2
#define WEBHOOKS 4
#define PACKETS 8
#define MICROSECONDS 1e6

void
consumer_read_init(struct consumer *consumer)
{
	consumer->read_statement = (struct db_statement){
		"read", "SELECT chat.read_log($1, $2, NULLIF($3, ''), $4, $5, $6, $7) AS piece", 7, "piece",
		DB_BINARY_ROWS};
}

static int
form_flags(const struct consumer *consumer)
{
	if (consumer->sink->form == LOG_BODIES)
		return WEBHOOKS;
	if (consumer->sink->form == LOG_PACKETS)
		return PACKETS;
	return consumer->app->config->realtime_private ? PRIVATE : 0;
}

void
consumer_read_send(struct consumer *consumer, db_callback callback)
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
	snprintf(max_bytes, sizeof(max_bytes), "%d", CONSUMER_READ_BYTES);
	snprintf(flags, sizeof(flags), "%d", ARM | form_flags(consumer));
	db_query(consumer->db, &consumer->read_statement, params, callback, consumer);
	consumer->armed = false;
}

bool
consumer_read_take(const struct consumer *consumer, const PGresult *rows, struct found *found,
				   const char **why)
{
	struct log_answer answer;

	if (!log_answer_read(&answer, consumer->sink->form, rows, why))
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
