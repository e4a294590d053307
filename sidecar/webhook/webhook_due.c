/*
 * What the webhooks sink asks of the database beside the log: stored deliveries that are due, how many there
 * are, and clearing up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/pgarray.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/db.h"
#include "io/db_error.h"
#include "webhook/webhook_internal.h"
#include "webhook/webhook_request.h"

#define POLL_MS 1000
#define POLL_GAP_MS 20      /* between questions for few deliveries */
#define DUE_BYTES "1048576" /* of payloads in one answer */

/* A statement whose answer is of no use after the lease was lost. */
struct query
{
	struct webhook *webhook;
	struct load *load;
	unsigned generation;
};

static const struct db_statement due_statement = {
	"webhook_due",
	"SELECT id, type, body, created_at, webhook, owner, url, secret, old_secret, conversation, "
	"delivery, attempts, headers, signing_key, rate_limit "
	"FROM chat.webhook_due($1, $2, $3, $4)",
	4,
	"id type body created_at webhook owner url? secret? old_secret? conversation delivery attempts "
	"headers? signing_key? rate_limit?",
	DB_ANY_ROWS};
static const struct db_statement count_statement = {
	"webhook_pending", "SELECT chat.webhook_pending() AS pending", 0, "pending", DB_ONE_ROW};

void *
webhook_query(struct webhook *webhook, struct load *load)
{
	struct query *query = xcalloc(1, sizeof(*query));

	query->webhook = webhook;
	query->load = load;
	query->generation = webhook->generation;
	return query;
}

struct webhook *
webhook_query_end(void *arg, struct load **load)
{
	struct query *query = arg;
	struct webhook *webhook = query->webhook;
	bool current = query->generation == webhook->generation;

	if (load != NULL)
		*load = query->load;
	free(query);
	return current ? webhook : NULL;
}

static const char *
value_or_null(PGresult *rows, int row, int column)
{
	return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

/*
 * Finds or makes the pair of a row, with the endpoint as the row says it is; NULL: as many of the endpoint's are in memory as
 * it may get now.
 */
static struct pair *
row_pair(struct webhook *webhook, PGresult *rows, int row)
{
	const struct endpoint_terms terms = {
		.id = PQgetvalue(rows, row, ROW_WEBHOOK),
		.owner = PQgetvalue(rows, row, ROW_OWNER),
		.url = PQgetvalue(rows, row, ROW_URL),
		.secret = value_or_null(rows, row, ROW_SECRET),
		.old_secret = value_or_null(rows, row, ROW_OLD_SECRET),
		.headers = value_or_null(rows, row, ROW_HEADERS),
		.signing_key = value_or_null(rows, row, ROW_SIGNING_KEY),
		.rate_limit = atoi(PQgetvalue(rows, row, ROW_RATE_LIMIT)),
	};
	struct endpoint *endpoint = queue_endpoint(webhook->queue, &terms);

	if (queue_is_paced(endpoint))
		return NULL;
	return queue_pair(webhook->queue, endpoint, PQgetvalue(rows, row, ROW_CONVERSATION));
}

static void
add_busy(void *arg, struct entry *entry)
{
	void **both = arg;

	if (queue_busy(both[0], (struct endpoint *) entry))
		pgarray_text(both[1], entry->key);
}

/* It stays where it is, and is found due again and again. */
static void
note_misshapen(struct webhook *webhook)
{
	int times = log_pace_due(&webhook->misshapen, uv_now(webhook->app->loop));

	if (times > 0)
		log_event(LOG_ERROR, "reading due webhook deliveries failed", "error", "%s",
				  "webhook_due: a body is misshapen", "times", "%d", times, NULL);
}

/*
 * What waits behind the first of a pair comes with it; a pair that had something before gets no more until it is done. False: it
 * is no message.
 */
static bool
add_due_row(struct webhook *webhook, PGresult *rows, int row)
{
	struct pair *pair = queue_find_pair(webhook->queue, PQgetvalue(rows, row, ROW_WEBHOOK),
										PQgetvalue(rows, row, ROW_CONVERSATION));
	struct message *message;

	if (pair != NULL && (pair->active != NULL || pair->queue != NULL) &&
		pair->due != webhook->due_polls)
		return true;
	message = request_message(rows, row);
	if (message == NULL)
	{
		note_misshapen(webhook);
		return false;
	}
	pair = row_pair(webhook, rows, row);
	if (pair == NULL)
	{
		message_free(message);
		return true;
	}
	pair->due = webhook->due_polls;
	queue_own(webhook->queue, pair, message);
	webhook_link(&webhook->due, message);
	queue_push(webhook->queue, message);
	return true;
}

static void
on_due(void *arg, PGresult *rows)
{
	struct webhook *webhook = webhook_query_end(arg, NULL);
	struct db_error error;

	if (webhook == NULL)
		return;
	webhook->polling = false;
	webhook->more_due = false;
	if (rows == NULL)
		return;
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
	{
		db_error_of_result(rows, &error);
		log_event(LOG_ERROR, "reading due webhook deliveries failed", "error", "%s", error.text,
				  "sqlstate", "%s", error.sqlstate, "hint", "%s", error.hint, NULL);
		return;
	}
	webhook->due_polls++;
	for (int row = 0; row < PQntuples(rows); row++)
		webhook->more_due |= add_due_row(webhook, rows, row);
	webhook_dispatch(webhook);
}

/* Asks for so many stored deliveries. taken: those in memory. */
static void
ask_for_due(struct webhook *webhook, int room, const char *taken)
{
	struct pgarray busy = {0};
	void *both[] = {webhook->queue, &busy};
	char room_text[16];

	pgarray_begin(&busy);
	queue_each_endpoint(webhook->queue, add_busy, both);
	snprintf(room_text, sizeof(room_text), "%d", room);
	webhook->polling = true;
	webhook->polled_at = uv_now(webhook->app->loop);
	db_query(consumer_db(webhook->consumer), &due_statement,
			 (const char *[]){room_text, DUE_BYTES, taken, pgarray_end(&busy)}, on_due,
			 webhook_query(webhook, NULL));
	buffer_free(&busy.text);
}

/* Asks for as many as there is room for; not for few again and again, since the question looks at each webhook. */
void
webhook_poll(struct webhook *webhook)
{
	struct pgarray taken = {0};
	int most = queue_due_most(webhook->queue), room = most;
	uint64_t now = uv_now(webhook->app->loop);

	pgarray_begin(&taken);
	for (struct message *message = webhook->due; message != NULL; message = message->load_next)
	{
		pgarray_number(&taken, message->delivery);
		room--;
	}
	if (room < most / 2 && now < webhook->polled_at + POLL_GAP_MS)
		webhook->next_poll = webhook->polled_at + POLL_GAP_MS;
	else
	{
		webhook->next_poll = now + POLL_MS;
		if (room > 0 && !queue_has_no_room(webhook->queue))
			ask_for_due(webhook, room, pgarray_end(&taken));
	}
	buffer_free(&taken.text);
}

static void
on_count(void *arg, PGresult *result)
{
	struct webhook *webhook = webhook_query_end(arg, NULL);

	if (webhook != NULL && result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK)
		metric_set(webhook->pending, atof(PQgetvalue(result, 0, 0)));
}

void
webhook_count(struct webhook *webhook)
{
	db_query(consumer_db(webhook->consumer), &count_statement, NULL, on_count,
			 webhook_query(webhook, NULL));
}
