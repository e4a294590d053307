/*
 * See console_data.h.
 */
#include "console/console_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/db.h"
#include "io/db_error.h"

#define FRESH_MS 900 /* a page asks each 2 s */
#define REST 4       /* so many times as long as an answer took the database is left alone */
#define REST_MAX_MS 20000
#define LATE_MS 3000    /* what has not been answered for so long is worth a word */
#define SILENT_MS 15000 /* and then the connection is not worth keeping */
#define UNUSED_MS 60000 /* nobody looks any more */
#define TICK_MS 2000
#define MAX_TEXT (1024 * 1024)
#define WEBHOOKS "20" /* that are shown */
#define ATTEMPTS "5"  /* of each */

struct console_data
{
	struct app *app;
	void (*answered)(void *arg, uint64_t number);
	void (*sent)(void *arg, uint64_t number, enum console_again what);
	void *arg;
	uv_timer_t tick;
	struct db *db; /* NULL while nobody looks */
	uint64_t used_at;
	uint64_t number; /* of the question that was asked last */
	bool asking;     /* it has no answer yet */
	bool queued;     /* its statements are */
	bool failed;
	uint64_t asked_at;
	uint64_t queued_at;
	uint64_t answered_at;
	uint64_t rests_until;
	char *status, *webhooks, *failing;
	char error[DB_ERROR_SIZE]; /* of the last question; "" when it had an answer */
	uint64_t agains, agains_done;
};

static const struct db_statement status_statement = {"status", "SELECT chat.status() AS status", 0,
													 "status", DB_ONE_ROW};
static const struct db_statement webhooks_statement = {
	"failing", "SELECT total, webhooks FROM chat.webhook_failing(" WEBHOOKS ", " ATTEMPTS ")", 0,
	"total webhooks", DB_ONE_ROW};
static const struct db_statement again_statement = {
	"again", "SELECT message_id, type FROM chat.webhook_again($1::pg_catalog.int8)", 1,
	"message_id type", DB_UP_TO_ONE_ROW};

static void
finish(struct console_data *data)
{
	uint64_t now = uv_now(data->app->loop), rest = REST * (now - data->queued_at);

	if (rest < FRESH_MS)
		rest = FRESH_MS;
	data->asking = data->queued = false;
	data->rests_until = now + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
	if (!data->failed)
	{
		data->answered_at = now;
		data->error[0] = '\0';
	}
	if (data->arg != NULL)
		data->answered(data->arg, data->number);
}

static void
fail(struct console_data *data, const char *text)
{
	data->failed = true;
	snprintf(data->error, sizeof(data->error), "%s", text);
}

/* Whether there is an answer to be kept; else says what is wrong. */
static bool
is_answer(struct console_data *data, const PGresult *result)
{
	struct db_error error;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		fail(data, error.text);
		return false;
	}
	for (int column = 0; column < PQnfields(result); column++)
	{
		if (PQgetlength(result, 0, column) > MAX_TEXT)
		{
			fail(data, "the answer is too long to be shown");
			return false;
		}
	}
	return true;
}

static void
keep(char **text, const PGresult *result, int column)
{
	free(*text);
	*text = xstrdup(PQgetvalue(result, 0, column));
}

static void
on_status(void *arg, PGresult *result)
{
	struct console_data *data = arg;

	if (is_answer(data, result))
		keep(&data->status, result, 0);
}

static void
on_webhooks(void *arg, PGresult *result)
{
	struct console_data *data = arg;

	if (is_answer(data, result))
	{
		keep(&data->failing, result, 0);
		keep(&data->webhooks, result, 1);
	}
	finish(data);
}

static void
queue(struct console_data *data)
{
	data->queued = true;
	data->queued_at = uv_now(data->app->loop);
	db_query(data->db, &status_statement, NULL, on_status, data);
	db_query(data->db, &webhooks_statement, NULL, on_webhooks, data);
}

static void
on_ready(void *arg)
{
	struct console_data *data = arg;

	if (data->asking && !data->queued)
		queue(data);
}

/* What was asked has been told. */
static void
on_lost(void *arg, const char *why)
{
	(void) arg;
	(void) why;
}

static void
close_database(struct console_data *data)
{
	struct db *db = data->db;

	data->db = NULL;
	if (db != NULL)
		db_close(db);
	uv_timer_stop(&data->tick);
}

static void
on_tick(uv_timer_t *timer)
{
	struct console_data *data = timer->data;
	uint64_t now = uv_now(data->app->loop);

	if (now - data->used_at > UNUSED_MS)
		close_database(data);
	else if (data->queued && now - data->queued_at > SILENT_MS)
		db_reconnect(data->db, "no answer for 15 s");
}

static void
open_database(struct console_data *data)
{
	static const struct db_handlers handlers = {.ready = on_ready, .lost = on_lost};

	data->used_at = uv_now(data->app->loop);
	if (data->db != NULL)
		return;
	data->db = db_open(data->app, "console",
					   "SET statement_timeout = '5s'; SET lock_timeout = '1s'", &handlers, data);
	uv_timer_start(&data->tick, on_tick, TICK_MS, TICK_MS);
}

uint64_t
console_data_ask(struct console_data *data)
{
	uint64_t now = uv_now(data->app->loop);

	open_database(data);
	if (!data->asking && now < data->rests_until)
		return 0;
	if (data->asking)
		return data->number;
	data->asking = true;
	data->failed = false;
	data->asked_at = now;
	data->number++;
	if (db_is_ready(data->db))
		queue(data);
	return data->number;
}

struct console_answers
console_data_answers(const struct console_data *data)
{
	return (struct console_answers){data->status, data->webhooks, data->failing,
									(double) (uv_now(data->app->loop) - data->answered_at) / 1000};
}

bool
console_data_trouble(const struct console_data *data, char *out, size_t size)
{
	uint64_t waits = data->asking ? uv_now(data->app->loop) - data->asked_at : 0;

	if (data->db != NULL && !db_is_ready(data->db) && db_trouble(data->db)[0] != '\0')
		snprintf(out, size, "%s%s%s", db_trouble(data->db), *db_hint(data->db) != '\0' ? "; " : "",
				 db_hint(data->db));
	else if (waits > LATE_MS)
		snprintf(out, size, "no answer for %.0f s", (double) waits / 1000);
	else if (data->error[0] != '\0')
		snprintf(out, size, "%s", data->error);
	else
		return false;
	return true;
}

static void
on_again(void *arg, PGresult *result)
{
	struct console_data *data = arg;
	enum console_again what = PQresultStatus(result) != PGRES_TUPLES_OK ? AGAIN_FAILED
							  : PQntuples(result) == 0                  ? AGAIN_NOTHING
																		: AGAIN_QUEUED;

	/* Answers come in the order of the questions. */
	data->agains_done++;
	if (data->arg != NULL)
		data->sent(data->arg, data->agains_done, what);
}

uint64_t
console_data_again(struct console_data *data, const char *attempt)
{
	open_database(data);
	if (!db_is_ready(data->db))
		return 0;
	db_query(data->db, &again_statement, &attempt, on_again, data);
	return ++data->agains;
}

struct console_data *
console_data_create(struct app *app, void (*answered)(void *arg, uint64_t number),
					void (*sent)(void *arg, uint64_t number, enum console_again what), void *arg)
{
	struct console_data *data = xcalloc(1, sizeof(*data));

	data->app = app;
	data->answered = answered;
	data->sent = sent;
	data->arg = arg;
	uv_timer_init(app->loop, &data->tick);
	data->tick.data = data;
	return data;
}

static void
on_closed(uv_handle_t *timer)
{
	struct console_data *data = timer->data;

	free(data->status);
	free(data->webhooks);
	free(data->failing);
	free(data);
}

void
console_data_destroy(struct console_data *data)
{
	data->arg = NULL;
	close_database(data);
	uv_close((uv_handle_t *) &data->tick, on_closed);
}
