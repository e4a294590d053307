/*
 * See db.h. Life of a connection: WAITING (for its time) -> RESOLVING -> CONNECTING -> EXAMINED (is it a session
 * of its own?) -> SETUP -> READY, and from anywhere back to WAITING; CLOSED is the end.
 *
 * Statements that were queued during one turn of the loop are sent at its end. Callbacks may do anything,
 * db_close included: after each one the connection is looked at again. The struct outlives db_close until its
 * handles are closed.
 */
#include "io/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "io/db_error.h"
#include "io/db_pipeline.h"
#include "io/db_pooler.h"
#include "io/db_target.h"

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 5000
#define CONNECT_TIMEOUT_MS 10000
#define STABLE_MS 10000
#define NAME_SIZE 64

/* Results are read in a known form, and a position need not be on disk before the next read. */
#define SESSION_SETUP                                                                              \
	"SELECT pg_catalog.set_config('search_path', '', false);"                                      \
	"SET synchronous_commit = off; SET DateStyle = ISO; SET TimeZone = 'UTC';"                     \
	"SET extra_float_digits = 1; SET bytea_output = hex; SET standard_conforming_strings = on;"

enum state
{
	WAITING,
	RESOLVING,
	CONNECTING,
	EXAMINED,
	SETUP,
	READY,
	CLOSED
};

struct db
{
	struct app *app;
	char name[NAME_SIZE];
	const char *setup;
	struct db_handlers handlers;
	void *arg;
	struct db_target *target;
	enum state state;
	PGconn *conn;
	struct db_pooler *pooler; /* NULL unless EXAMINED */
	uv_poll_t *poll;          /* on the connection's socket */
	int events;               /* that it waits for */
	uv_timer_t timer;
	uv_prepare_t prepare; /* sends at the end of a turn */
	uv_getaddrinfo_t resolve;
	int references; /* handles and look-ups that still point here */
	struct backoff backoff;
	uint64_t ready_since;
	struct pipeline pipeline;
	char last_error[DB_ERROR_SIZE];
	const char *hint; /* static */
};

static void start_connecting(struct db *db);
static void lose(struct db *db, const char *message);
static void on_poll(uv_poll_t *poll, int status, int events);

void
db_keep_result(struct db *db)
{
	db->pipeline.kept = true;
}

bool
db_is_ready(const struct db *db)
{
	return db->state == READY;
}

const char *
db_trouble(const struct db *db)
{
	return db->last_error;
}

const char *
db_hint(const struct db *db)
{
	return db->hint;
}

/* The socket */

static void
on_poll_closed(uv_handle_t *poll)
{
	free(poll);
}

static void
unwatch(struct db *db)
{
	if (db->poll == NULL)
		return;
	uv_close((uv_handle_t *) db->poll, on_poll_closed);
	db->poll = NULL;
	db->events = 0;
}

static void
watch(struct db *db, int events)
{
	if (db->poll == NULL)
	{
		db->poll = xcalloc(1, sizeof(*db->poll));
		if (uv_poll_init(db->app->loop, db->poll, PQsocket(db->conn)) != 0)
			memory_gone("a poll handle");
		db->poll->data = db;
	}
	if (db->events != events)
		uv_poll_start(db->poll, events, on_poll);
	db->events = events;
}

/* Statements */

/* Sends what is in libpq's buffer, as far as the socket takes it. */
static bool
flush(struct db *db)
{
	int left = PQflush(db->conn);

	if (left < 0)
		return false;
	/* With both sides' buffers full, only reading gets things going again. */
	watch(db, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
	return true;
}

static void
on_prepare(uv_prepare_t *prepare)
{
	struct db *db = prepare->data;

	uv_prepare_stop(prepare);
	if (db->state != READY)
		pipeline_lost(&db->pipeline);
	else if (!pipeline_send(&db->pipeline, db->conn) || !flush(db))
		lose(db, PQerrorMessage(db->conn));
}

void
db_query(struct db *db, const struct db_statement *statement, const char *const *params,
		 db_callback callback, void *arg)
{
	pipeline_add(&db->pipeline, statement, params, callback, arg);
	if (db->state != CLOSED)
		uv_prepare_start(&db->prepare, on_prepare);
}

static void
take_notifies(struct db *db)
{
	PGnotify *notify;

	while ((notify = PQnotifies(db->conn)) != NULL)
	{
		if (db->handlers.notify != NULL)
			db->handlers.notify(db->arg, notify->relname, notify->extra);
		PQfreemem(notify);
	}
}

/* Connecting */

static void
become_ready(struct db *db)
{
	if (!PQenterPipelineMode(db->conn))
	{
		lose(db, PQerrorMessage(db->conn));
		return;
	}
	uv_timer_stop(&db->timer);
	db->ready_since = uv_now(db->app->loop);
	db->state = READY;
	log_event(db->last_error[0] != '\0' ? LOG_INFO : LOG_DEBUG, "connected to the database",
			  "connection", "%s", db->name, NULL);
	db->last_error[0] = '\0';
	db->hint = "";
	db->handlers.ready(db->arg);
}

static void
continue_setup(struct db *db)
{
	while (!PQisBusy(db->conn))
	{
		PGresult *result = PQgetResult(db->conn);
		bool failed = result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR;

		PQclear(result);
		if (failed)
		{
			lose(db, PQerrorMessage(db->conn));
			return;
		}
		if (result == NULL)
		{
			become_ready(db);
			return;
		}
	}
}

static void
begin_setup(struct db *db)
{
	char sql[1024];

	snprintf(sql, sizeof(sql), "%s%s", SESSION_SETUP, db->setup != NULL ? db->setup : "");
	db->state = SETUP;
	if (!PQsendQuery(db->conn, sql) || !flush(db))
		lose(db, PQerrorMessage(db->conn));
}

static void
on_examined(void *arg, const char *why)
{
	struct db *db = arg;

	db->pooler = NULL;
	if (why != NULL)
		lose(db, why);
	else
		begin_setup(db);
}

/* Nothing is set before it is known whose session it is. */
static void
begin_examining(struct db *db)
{
	db->state = EXAMINED;
	if (PQsetnonblocking(db->conn, 1) != 0)
		lose(db, PQerrorMessage(db->conn));
	else
		db->pooler = db_pooler_start(db->app->loop, db->target, db->conn, on_examined, db);
}

/* Takes the next step of connecting. The socket may be another one, under the same number, after each. */
static void
continue_connecting(struct db *db)
{
	unwatch(db);
	switch (PQconnectPoll(db->conn))
	{
		case PGRES_POLLING_READING:
			watch(db, UV_READABLE);
			break;
		case PGRES_POLLING_WRITING:
			watch(db, UV_WRITABLE);
			break;
		case PGRES_POLLING_OK:
			begin_examining(db);
			break;
		default:
			lose(db, PQerrorMessage(db->conn));
			break;
	}
}

/* Notices would go to stderr, in between the lines of the log. */
static void
on_notice(void *arg, const PGresult *notice)
{
	const struct db *db = arg;

	log_event(LOG_DEBUG, "notice of the database", "connection", "%s", db->name, "notice", "%s",
			  PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY), NULL);
}

static void
begin_connecting(struct db *db, const struct addrinfo *addresses)
{
	db->conn = db_target_connect(db->target, addresses);
	db->state = CONNECTING;
	if (PQstatus(db->conn) == CONNECTION_BAD)
	{
		lose(db, PQerrorMessage(db->conn));
		return;
	}
	/* So that messages hold the SQLSTATE. */
	PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(db->conn, on_notice, db);
	watch(db, UV_WRITABLE);
}

static void
release(struct db *db)
{
	if (--db->references > 0)
		return;
	pipeline_free(&db->pipeline);
	db_target_destroy(db->target);
	free(db);
}

static void
on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
	struct db *db = resolve->data;
	char message[DB_ERROR_SIZE];

	if (db->state == RESOLVING && status == 0)
		begin_connecting(db, addresses);
	else if (db->state == RESOLVING)
	{
		snprintf(message, sizeof(message), "the host name in DATABASE_URL cannot be resolved: %s",
				 uv_strerror(status));
		lose(db, message);
	}
	uv_freeaddrinfo(addresses);
	release(db);
}

static void
begin_resolving(struct db *db)
{
	const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	db->state = RESOLVING;
	db->resolve.data = db;
	if (uv_getaddrinfo(db->app->loop, &db->resolve, on_resolved, db_target_name(db->target), NULL,
					   &wanted) != 0)
		memory_gone("a look-up");
	db->references++;
}

static void
on_timer(uv_timer_t *timer)
{
	struct db *db = timer->data;

	if (db->state == WAITING)
		start_connecting(db);
	else if (db->state == CONNECTING || db->state == EXAMINED || db->state == SETUP)
		lose(db, "the server does not answer");
}

static void
start_connecting(struct db *db)
{
	uv_timer_start(&db->timer, on_timer, CONNECT_TIMEOUT_MS, 0);
	if (db_target_name(db->target) != NULL)
		begin_resolving(db);
	else
		begin_connecting(db, NULL);
}

/* Losing */

/* One line for each new trouble, however often it comes back. */
static void
report(struct db *db, const struct db_error *error, bool was_ready)
{
	bool known = strcmp(db->last_error, error->text) == 0;

	strcpy(db->last_error, error->text);
	db->hint = error->hint;
	log_event(known && !was_ready ? LOG_DEBUG : LOG_WARN,
			  was_ready ? "the database connection was lost" : "cannot connect to the database",
			  "connection", "%s", db->name, "error", "%s", error->text, "sqlstate", "%s",
			  error->sqlstate, "hint", "%s", error->hint, NULL);
}

static void
disconnect(struct db *db)
{
	unwatch(db);
	if (db->pooler != NULL)
		db_pooler_stop(db->pooler);
	db->pooler = NULL;
	PQfinish(db->conn);
	db->conn = NULL;
}

static void
lose(struct db *db, const char *message)
{
	bool was_ready = db->state == READY;
	struct db_error error;

	db_error_of_connection(message, &error);
	disconnect(db);
	/* A connection that breaks again and again must not keep the server busy. */
	if (was_ready && uv_now(db->app->loop) - db->ready_since >= STABLE_MS)
		backoff_reset(&db->backoff);
	db->state = WAITING;
	report(db, &error, was_ready);
	uv_timer_start(&db->timer, on_timer, backoff_next(&db->backoff, backoff_random()), 0);
	pipeline_lost(&db->pipeline);
	if (was_ready && db->state != CLOSED)
		db->handlers.lost(db->arg, error.text);
}

static void
serve(struct db *db)
{
	PGconn *conn = db->conn;
	char why[DB_ERROR_SIZE];
	enum pipeline_taken taken;

	if (!PQconsumeInput(conn) || !flush(db))
	{
		lose(db, PQerrorMessage(conn));
		return;
	}
	take_notifies(db);
	while ((taken = pipeline_take(&db->pipeline, conn, why, sizeof(why))) == PIPELINE_ANSWERED)
	{
		if (db->conn != conn)
			return;
		take_notifies(db);
	}
	if (taken == PIPELINE_MISSHAPEN)
		lose(db, why);
	else if (PQstatus(conn) == CONNECTION_BAD)
		lose(db, PQerrorMessage(conn));
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct db *db = poll->data;

	(void) events;
	if (db->state == CONNECTING)
		continue_connecting(db);
	else if (status < 0) /* libpq finds the reason, where libuv has but "bad file descriptor" */
		lose(db, PQconsumeInput(db->conn) ? DB_CONNECTION_CLOSED : PQerrorMessage(db->conn));
	else if (db->state == SETUP && PQconsumeInput(db->conn) && flush(db))
		continue_setup(db);
	else if (db->state == SETUP)
		lose(db, PQerrorMessage(db->conn));
	else
		serve(db);
}

void
db_reconnect(struct db *db, const char *why)
{
	if (db->state == READY || db->state == SETUP || db->state == EXAMINED ||
		db->state == CONNECTING)
		lose(db, why);
}

struct db *
db_open(struct app *app, const char *name, const char *setup, const struct db_handlers *handlers,
		void *arg)
{
	struct db *db = xcalloc(1, sizeof(*db));
	char application_name[NAME_SIZE + 16];

	db->app = app;
	snprintf(db->name, sizeof(db->name), "%s", name);
	snprintf(application_name, sizeof(application_name), "chat-sidecar %s", db->name);
	db->setup = setup;
	db->hint = "";
	db->handlers = *handlers;
	db->arg = arg;
	db->target = db_target_create(app->config->database_url,
								  application_name); /* config_load has parsed it before */
	pipeline_init(&db->pipeline, db->name);
	db->backoff = (struct backoff){RETRY_MIN_MS, RETRY_MAX_MS, 0};
	uv_timer_init(app->loop, &db->timer);
	uv_prepare_init(app->loop, &db->prepare);
	db->timer.data = db->prepare.data = db;
	db->references = 2;
	/* Not from here: the caller has no struct db yet. */
	uv_timer_start(&db->timer, on_timer, 0, 0);
	return db;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void
db_close(struct db *db)
{
	if (db->state == CLOSED)
		return;
	if (db->state == RESOLVING)
		uv_cancel((uv_req_t *) &db->resolve);
	disconnect(db);
	db->state = CLOSED;
	uv_close((uv_handle_t *) &db->timer, on_handle_closed);
	uv_close((uv_handle_t *) &db->prepare, on_handle_closed);
	pipeline_lost(&db->pipeline);
}
