/*
 * A consumer without a lease: every process reads all of the log, for clients of its own. It begins at the present and
 * goes on where it was when its connection comes back, since nobody else has told its clients meanwhile. Its place is in
 * no table: what it misses while the process is away, clients ask for when they come back.
 */
#include "consumer/consumer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

static const struct db_statement follow_statement = {
	"consumer_follow", "SELECT log, last_id, snapshot FROM chat.consumer_follow($1, $2, $3, $4)", 4,
	"log last_id snapshot", DB_ONE_ROW};
static const struct db_statement rest_statement = {
	"consumer_rest",
	"SELECT pg_catalog.current_setting('chat_realtime.notify', true) = 'off' AS quiet, "
	"chat.consumer_rest($1) IS NULL AS rests",
	1, "quiet? rests", DB_ONE_ROW};

static void
follow(struct consumer *consumer, const PGresult *result)
{
	const char *log = PQgetvalue(result, 0, 0);

	free(consumer->log);
	consumer->log = xstrdup(log);
	log_event(LOG_INFO, "reading without a lease", "consumer", "%s", consumer->sink->name,
			  "last_id", "%s", PQgetvalue(result, 0, 1), NULL);
	consumer_lead(consumer, PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
}

static void
on_followed(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	consumer->asking = false;
	if (result == NULL || consumer->draining)
		return;
	if (consumer_admit(consumer, result))
		follow(consumer, result);
}

void
consumer_follow(struct consumer *consumer)
{
	const struct position *done = &consumer->done;
	char last_id[CONSUMER_NUMBER_SIZE];
	const char *const params[] = {consumer->sink->name, consumer->log != NULL ? consumer->log : "",
								  last_id, done->snapshot != NULL ? done->snapshot : ""};

	snprintf(last_id, sizeof(last_id), "%" PRId64, done->last_id);
	consumer->asking = true;
	db_query(consumer->db, &follow_statement, params, on_followed, consumer);
}

static void
on_rests(void *arg, PGresult *result)
{
	struct consumer *consumer = arg;

	consumer->asking = false;
	if (result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		consumer_report_failure(consumer, result);
		return;
	}
	consumer->last_error[0] = '\0';
	consumer->quiet = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	consumer_advance(consumer);
}

void
consumer_follow_on(struct consumer *consumer)
{
	const char *const params[] = {consumer->sink->name};

	consumer->asking = true;
	db_query(consumer->db, &rest_statement, params, on_rests, consumer);
}
