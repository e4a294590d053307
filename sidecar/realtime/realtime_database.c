/*
 * The transport over the database: batches become rows of realtime.messages, which Realtime streams to its clients from a
 * replication slot. Statements go over a connection of its own: one that waits for a lock there keeps no lease waiting.
 *
 * What is inserted counts as accepted, and as delivered once the slot has confirmed it. While that is awaited, and while
 * nobody streams, the slots are looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "io/db.h"
#include "io/db_error.h"
#include "realtime/realtime_insertion.h"
#include "realtime/realtime_slots.h"
#include "realtime/realtime_transport.h"

#define LOOK_MIN_MS 2
#define LOOK_MAX_MS 100
#define LOOK_ABSENT_MS 500
#define PATIENCE_MS 60000 /* with a slot that confirms nothing */
#define TROUBLE_SIZE 256

struct database_transport
{
	struct app *app;
	struct transport_handlers handlers;
	void *arg;
	struct db *db;
	struct slots slots;
	bool looking;
	uint64_t looked_at; /* the serial that was the last one when it was asked */
	uint64_t look_ms;
	bool absent;        /* nobody streams, as was said last */
	bool blind;         /* the last look failed */
	uint64_t moved_at;  /* loop time: the last time that something was confirmed, or all was */
	uint64_t marked_at; /* and of the insertion whose confirmation is awaited */
	char partition[TROUBLE_SIZE];
	uv_timer_t timer;
	struct metric *streams, *confirmation;
};

/* A batch under way. */
struct insertion
{
	struct database_transport *database;
	void *batch;
};

static const struct db_statement insert_statement = {
	"insert", "SELECT slots, inserted FROM chat.realtime_insert($1, $2)", 2, "slots? inserted",
	DB_ONE_ROW};
static const struct db_statement look_statement = {
	"slots", "SELECT slots, confirmed, flushed FROM chat.realtime_slots()", 0,
	"slots? confirmed? flushed", DB_ONE_ROW};

static const char *
text_or_null(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? NULL : PQgetvalue(result, 0, column);
}

/* The slots -------------------------------------------------------------------------------------- */

static void on_look_timer(uv_timer_t *timer);

/* Looks at the slots before long, where something is awaited of them. */
static void
plan_look(struct database_transport *database)
{
	if (database->looking || !db_is_ready(database->db) ||
		!(database->absent || slots_has_unconfirmed(&database->slots)))
		return;
	uv_timer_start(&database->timer, on_look_timer,
				   database->absent ? LOOK_ABSENT_MS : database->look_ms, 0);
}

static void
note_streaming(struct database_transport *database, bool streams)
{
	metric_set(database->streams, streams);
	if (database->absent != streams)
		return;
	database->absent = !streams;
	log_event(
		streams ? LOG_INFO : LOG_WARN,
		streams
			? "Realtime streams realtime.messages again"
			: "nobody streams realtime.messages: events wait for Realtime to connect to the database",
		NULL);
}

/* Others stream than when it was inserted, or nobody does. */
static void
lose(struct database_transport *database)
{
	const struct verdict why = {
		.error =
			"lost the replication slot that had not confirmed what was inserted, which is inserted again"};

	slots_give_up(&database->slots);
	database->handlers.lost(database->arg, &why);
}

static void
confirm(struct database_transport *database, uint64_t serial)
{
	uint64_t now = uv_now(database->app->loop);

	metric_observe(database->confirmation, (double) (now - database->marked_at) / 1000);
	database->moved_at = database->marked_at = now;
	database->look_ms = LOOK_MIN_MS;
	database->handlers.confirmed(database->arg, serial);
}

static void
take_slots(struct database_transport *database, const PGresult *result)
{
	const char *names = text_or_null(result, 0);
	bool was_absent = database->absent;
	uint64_t serial = 0;

	note_streaming(database, names != NULL);
	if (slots_has_lost(&database->slots, names))
		lose(database);
	else if (names != NULL)
		serial = slots_advance(&database->slots, database->looked_at,
							   strtoll(PQgetvalue(result, 0, 1), NULL, 10),
							   strtoll(PQgetvalue(result, 0, 2), NULL, 10));
	if (serial != 0)
		confirm(database, serial);
	if (was_absent && !database->absent)
		database->handlers.ready(database->arg);
}

/* Nothing can be confirmed then. */
static void
note_blind(struct database_transport *database, const PGresult *result)
{
	struct db_error error;

	db_error_of_result(result, &error);
	log_event(database->blind ? LOG_DEBUG : LOG_WARN,
			  "the replication slots of Realtime cannot be looked at", "error", "%s", error.text,
			  "sqlstate", "%s", error.sqlstate, "hint", "%s", error.hint, NULL);
	database->blind = true;
}

static void
on_slots(void *arg, PGresult *result)
{
	struct database_transport *database = arg;

	database->looking = false;
	if (result == NULL)
		return;
	database->look_ms = database->look_ms * 2 < LOOK_MAX_MS ? database->look_ms * 2 : LOOK_MAX_MS;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		database->blind = false;
		take_slots(database, result);
	}
	else
		note_blind(database, result);
	plan_look(database);
}

static void
on_look_timer(uv_timer_t *timer)
{
	struct database_transport *database = timer->data;

	if (database->looking || !db_is_ready(database->db))
		return;
	database->looking = true;
	database->looked_at = database->slots.inserted;
	db_query(database->db, &look_statement, NULL, on_slots, database);
}

/* Inserting -------------------------------------------------------------------------------------- */

/* Rows are for today in UTC, by the database's clock. */
static const char *
name_partition(struct database_transport *database)
{
	time_t now = (time_t) database->handlers.now(database->arg);
	struct tm day;
	char text[sizeof("messages_2026_01_31")] = "";

	gmtime_r(&now, &day);
	(void) strftime(text, sizeof(text), "messages_%Y_%m_%d", &day);
	snprintf(
		database->partition, sizeof(database->partition),
		"partition realtime.%s is missing: Realtime makes partitions for the next days when it connects to the database, and every few hours",
		text);
	return database->partition;
}

static struct verdict
judge_failure(struct database_transport *database, const PGresult *result, struct db_error *error)
{
	bool has_constraint =
		result != NULL && PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) != NULL;
	struct verdict verdict;

	db_error_of_result(result, error);
	verdict = (struct verdict){
		.kind = insertion_judge(error->sqlstate, has_constraint),
		.sqlstate = error->sqlstate[0] != '\0' ? error->sqlstate : "nothing",
		.error = error->text,
		.answer = error->sqlstate,
		.hint = insertion_hint(error->sqlstate, strstr(error->text, "realtime_insert") != NULL,
							   error->hint),
	};
	if (insertion_lacks_partition(error->sqlstate, has_constraint))
		verdict.hint = name_partition(database);
	return verdict;
}

/* What was inserted is awaited from now on. */
static uint64_t
take_inserted(struct database_transport *database, const char *names)
{
	if (!slots_has_unconfirmed(&database->slots))
	{
		database->moved_at = database->marked_at = uv_now(database->app->loop);
		database->look_ms = LOOK_MIN_MS;
	}
	return slots_insert(&database->slots, names);
}

/* Where somebody else streams than before, what is not confirmed goes first. */
static struct verdict
judge_answer(struct database_transport *database, const PGresult *result)
{
	const char *names = text_or_null(result, 0);
	bool inserted = strcmp(PQgetvalue(result, 0, 1), "t") == 0;

	note_streaming(database, names != NULL);
	if (slots_has_lost(&database->slots, names))
		lose(database);
	if (!inserted)
		return (struct verdict){.kind = VERDICT_WAIT};
	return (struct verdict){.kind = VERDICT_ACCEPTED, .serial = take_inserted(database, names)};
}

static void
on_inserted(void *arg, PGresult *result)
{
	struct insertion insertion = *(struct insertion *) arg;
	struct database_transport *database = insertion.database;
	struct db_error error;
	struct verdict verdict = PQresultStatus(result) == PGRES_TUPLES_OK
								 ? judge_answer(database, result)
								 : judge_failure(database, result, &error);

	free(arg);
	database->handlers.answered(database->arg, insertion.batch, &verdict);
	plan_look(database);
}

static void
send_body(void *transport, const struct body *body, void *batch)
{
	struct database_transport *database = transport;
	struct insertion *insertion = xmalloc(sizeof(*insertion));
	char *text = xstrndup(body->text.data, body->text.len);
	const char *const params[] = {text, slots_expected(&database->slots)};

	*insertion = (struct insertion){database, batch};
	db_query(database->db, &insert_statement, params, on_inserted, insertion);
	free(text);
}

/* The transport ---------------------------------------------------------------------------------- */

static bool
is_ready(const void *transport)
{
	const struct database_transport *database = transport;

	return db_is_ready(database->db) && !database->absent;
}

static const char *
trouble(const void *transport)
{
	const struct database_transport *database = transport;

	if (database->absent)
		return "nobody streams realtime.messages: Realtime is not connected to the database, as before its first client joins, or wal_level is not logical";
	if (database->blind)
		return "the replication slots of Realtime cannot be looked at: the log says why";
	if (slots_has_unconfirmed(&database->slots) &&
		uv_now(database->app->loop) - database->moved_at > PATIENCE_MS)
		return "Realtime's replication slot confirms nothing of what is inserted into realtime.messages";
	return NULL;
}

static bool
is_deserted(const void *transport)
{
	const struct database_transport *database = transport;

	return database->absent;
}

static void
reload(void *transport)
{
	struct database_transport *database = transport;

	plan_look(database);
}

static const char *
where(const void *transport)
{
	(void) transport;
	return "realtime.messages";
}

static void
on_connected(void *arg)
{
	struct database_transport *database = arg;

	plan_look(database);
	database->handlers.ready(database->arg);
}

static void
on_disconnected(void *arg, const char *why)
{
	struct database_transport *database = arg;

	(void) why;
	uv_timer_stop(&database->timer);
}

static void *
create(struct app *app, int most, struct pace *pace, const struct transport_handlers *handlers,
	   void *arg)
{
	static const struct db_handlers db_handlers = {on_connected, on_disconnected, NULL};
	struct database_transport *database = xcalloc(1, sizeof(*database));

	(void) most;
	(void) pace;
	database->app = app;
	database->handlers = *handlers;
	database->arg = arg;
	database->look_ms = LOOK_MIN_MS;
	database->streams = metrics_gauge(app->metrics, "chat_realtime_slot_active", "",
									  "Whether Realtime streamed realtime.messages, as seen last.");
	database->confirmation = metrics_histogram(
		app->metrics, "chat_realtime_slot_confirmation_seconds", "",
		"From an insertion into realtime.messages to its confirmation by Realtime.");
	uv_timer_init(app->loop, &database->timer);
	database->timer.data = database;
	database->db = db_open(app, "realtime_insert", NULL, &db_handlers, database);
	return database;
}

static void
on_closed(uv_handle_t *timer)
{
	struct database_transport *database = timer->data;

	slots_free(&database->slots);
	free(database);
}

static void
destroy(void *transport)
{
	struct database_transport *database = transport;

	db_close(database->db);
	uv_close((uv_handle_t *) &database->timer, on_closed);
}

const struct transport database_transport = {
	.name = "database",
	.create = create,
	.destroy = destroy,
	.send = send_body,
	.is_ready = is_ready,
	.trouble = trouble,
	.is_deserted = is_deserted,
	.reload = reload,
	.where = where,
};
