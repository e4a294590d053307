/*
 * See db_pooler.h. One step after the other, each a statement on one of the two connections; the order matters: that
 * the first one's backend changes is found out before it listens, so that nothing stays in a session of others.
 */
#include "io/db_pooler.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/memory.h"
#include "io/db_error.h"

#define PATIENCE_MS 2000 /* for each answer, and for the NOTIFY */
#define SQL_SIZE 160
#define PID_SIZE 16
#define QUEUE_IS_FULL "54000" /* nothing can be said of NOTIFY then */

static const char through[] = "DATABASE_URL leads through a transaction pooler: ";

enum who
{
	FIRST,
	SECOND
};

struct step
{
	enum who who;
	const char *sql; /* %s: the channel */
};

enum
{
	PID,
	BEGIN,
	PID_AGAIN,
	LISTEN,
	NOTIFY,
	HEAR, /* no statement */
	UNLISTEN,
	STEPS
};

static const struct step steps[STEPS] = {
	[PID] = {FIRST, "SELECT pg_catalog.pg_backend_pid()"},
	[BEGIN] = {SECOND, "BEGIN"},
	[PID_AGAIN] = {FIRST, "SELECT pg_catalog.pg_backend_pid()"},
	[LISTEN] = {FIRST, "LISTEN %s"},
	[NOTIFY] = {SECOND, "NOTIFY %s; COMMIT"},
	[HEAR] = {FIRST, NULL},
	[UNLISTEN] = {FIRST, "UNLISTEN %s"},
};

struct side
{
	struct db_pooler *pooler;
	PGconn *conn;
	uv_poll_t *poll;
	int events;
};

struct db_pooler
{
	uv_loop_t *loop;
	db_pooler_done done;
	void *arg;
	struct side sides[2];
	bool connected; /* the second one is */
	int step;
	bool heard;
	char channel[32];
	char pid[PID_SIZE];
	uv_timer_t *timer;
};

static void take_step(struct db_pooler *pooler, int step);
static void on_poll(uv_poll_t *poll, int status, int events);

static void
on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

static void
unwatch(struct side *side)
{
	if (side->poll != NULL)
		uv_close((uv_handle_t *) side->poll, on_handle_closed);
	side->poll = NULL;
	side->events = 0;
}

static void
watch(struct side *side, int events)
{
	if (side->poll == NULL)
	{
		side->poll = xcalloc(1, sizeof(*side->poll));
		if (uv_poll_init(side->pooler->loop, side->poll, PQsocket(side->conn)) != 0)
			memory_gone("a poll handle");
		side->poll->data = side;
	}
	if (side->events != events)
		uv_poll_start(side->poll, events, on_poll);
	side->events = events;
}

void
db_pooler_stop(struct db_pooler *pooler)
{
	unwatch(&pooler->sides[FIRST]);
	unwatch(&pooler->sides[SECOND]);
	PQfinish(pooler->sides[SECOND].conn);
	uv_close((uv_handle_t *) pooler->timer, on_handle_closed);
	free(pooler);
}

static void
finish(struct db_pooler *pooler, const char *why)
{
	db_pooler_done done = pooler->done;
	void *arg = pooler->arg;
	char text[512];

	/* libpq's message goes with its connection. */
	snprintf(text, sizeof(text), "%s", why != NULL ? why : "");
	db_pooler_stop(pooler);
	done(arg, why != NULL ? text : NULL);
}

static void
find_pooler(struct db_pooler *pooler, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", through, what);
	finish(pooler, text);
}

static void
on_timer(uv_timer_t *timer)
{
	struct db_pooler *pooler = timer->data;

	if (pooler->step == PID_AGAIN)
		find_pooler(pooler,
					"it answers nothing while a second connection holds a transaction open");
	else if (pooler->step == HEAR)
		find_pooler(pooler, "a NOTIFY of a second connection does not arrive");
	else
		find_pooler(pooler, "two connections at a time are not answered within 2 s");
}

/* An error of the server, or of the connection. */
static void
fail(struct db_pooler *pooler, PGconn *conn)
{
	const char *message = PQerrorMessage(conn);

	/* PgBouncer's words for a pool that allows no transactions at all. */
	if (strstr(message, "statement pooling") != NULL)
		find_pooler(pooler, "it is in statement mode");
	else
		finish(pooler, message);
}

static bool
flush(struct side *side)
{
	int left = PQflush(side->conn);

	if (left >= 0)
		watch(side, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
	return left >= 0;
}

/* The statement of the step is done. */
static void
end_step(struct db_pooler *pooler)
{
	switch (pooler->step)
	{
		case NOTIFY:
			take_step(pooler, pooler->heard ? UNLISTEN : HEAR);
			break;
		case UNLISTEN:
			finish(pooler, NULL);
			break;
		default:
			take_step(pooler, pooler->step + 1);
			break;
	}
}

/* Looks at one result; false: it was the end of all. */
static bool
take_result(struct db_pooler *pooler, PGconn *conn, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	ExecStatusType status = PQresultStatus(result);
	const char *pid;

	if (pooler->step == NOTIFY && sqlstate != NULL && strcmp(sqlstate, QUEUE_IS_FULL) == 0)
	{
		pooler->heard = true;
		return true;
	}
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
	{
		fail(pooler, conn);
		return false;
	}
	if (pooler->step != PID && pooler->step != PID_AGAIN)
		return true;
	pid = PQntuples(result) == 1 && PQnfields(result) == 1 ? PQgetvalue(result, 0, 0) : "";
	if (pooler->step == PID)
		snprintf(pooler->pid, sizeof(pooler->pid), "%s", pid);
	else if (strcmp(pooler->pid, pid) != 0)
	{
		find_pooler(pooler,
					"its session changes while a second connection holds a transaction open");
		return false;
	}
	return true;
}

static void
take_results(struct side *side)
{
	struct db_pooler *pooler = side->pooler;
	PGconn *conn = side->conn;

	while (!PQisBusy(conn))
	{
		PGresult *result = PQgetResult(conn);
		bool over = result == NULL;
		bool going = over || take_result(pooler, conn, result);

		PQclear(result);
		if (over)
			end_step(pooler);
		if (over || !going)
			return;
	}
}

/* Its channel is known to nobody else. */
static void
take_notifies(struct db_pooler *pooler)
{
	PGnotify *notify;

	while ((notify = PQnotifies(pooler->sides[FIRST].conn)) != NULL)
	{
		pooler->heard |= strcmp(notify->relname, pooler->channel) == 0;
		PQfreemem(notify);
	}
}

static void
serve(struct side *side)
{
	struct db_pooler *pooler = side->pooler;

	if (!PQconsumeInput(side->conn) || !flush(side) || PQstatus(side->conn) == CONNECTION_BAD)
	{
		finish(pooler, PQerrorMessage(side->conn));
		return;
	}
	take_notifies(pooler);
	if (pooler->step == HEAR && pooler->heard)
		take_step(pooler, UNLISTEN);
	else if (pooler->step != HEAR && side == &pooler->sides[steps[pooler->step].who])
		take_results(side);
}

static void
take_step(struct db_pooler *pooler, int step)
{
	struct side *side = &pooler->sides[steps[step].who];
	char sql[SQL_SIZE];

	pooler->step = step;
	uv_timer_start(pooler->timer, on_timer, PATIENCE_MS, 0);
	if (step == HEAR)
		return;
	snprintf(sql, sizeof(sql), steps[step].sql, pooler->channel);
	if (!PQsendQuery(side->conn, sql) || !flush(side))
		finish(pooler, PQerrorMessage(side->conn));
}

/* Both are there. */
static void
begin(struct db_pooler *pooler)
{
	struct side *second = &pooler->sides[SECOND];

	pooler->connected = true;
	if (PQsetnonblocking(second->conn, 1) != 0)
	{
		finish(pooler, PQerrorMessage(second->conn));
		return;
	}
	watch(&pooler->sides[FIRST], UV_READABLE);
	take_step(pooler, PID);
}

/* The socket may be another one, under the same number, after each step. */
static void
continue_connecting(struct side *second)
{
	unwatch(second);
	switch (PQconnectPoll(second->conn))
	{
		case PGRES_POLLING_READING:
			watch(second, UV_READABLE);
			break;
		case PGRES_POLLING_WRITING:
			watch(second, UV_WRITABLE);
			break;
		case PGRES_POLLING_OK:
			begin(second->pooler);
			break;
		default:
			finish(second->pooler, PQerrorMessage(second->conn));
			break;
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct side *side = poll->data;
	struct db_pooler *pooler = side->pooler;

	(void) events;
	if (!pooler->connected && side == &pooler->sides[SECOND])
		continue_connecting(side);
	else if (status < 0)
		finish(pooler,
			   PQconsumeInput(side->conn) ? DB_CONNECTION_CLOSED : PQerrorMessage(side->conn));
	else
		serve(side);
}

/* Their texts are of no interest to anyone. */
static void
on_notice(void *arg, const PGresult *notice)
{
	(void) arg;
	(void) notice;
}

struct db_pooler *
db_pooler_start(uv_loop_t *loop, const struct db_target *target, PGconn *first, db_pooler_done done,
				void *arg)
{
	struct db_pooler *pooler = xcalloc(1, sizeof(*pooler));
	struct side *second;

	pooler->timer = xcalloc(1, sizeof(*pooler->timer));
	pooler->loop = loop;
	pooler->done = done;
	pooler->arg = arg;
	snprintf(pooler->channel, sizeof(pooler->channel), "chat_realtime_%08x%08x", backoff_random(),
			 backoff_random());
	uv_timer_init(loop, pooler->timer);
	pooler->timer->data = pooler;
	pooler->sides[FIRST] = (struct side){.pooler = pooler, .conn = first};
	second = &pooler->sides[SECOND];
	*second = (struct side){.pooler = pooler, .conn = db_target_connect_beside(target, first)};
	PQsetErrorVerbosity(second->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(second->conn, on_notice, NULL);
	/* A connection that cannot be begun says so at its first step. */
	watch(second, UV_WRITABLE);
	return pooler;
}
