/*
 * libpq on the event loop: one connection that keeps itself alive, and a queue of statements.
 *
 * Connects without blocking (names are resolved with uv_getaddrinfo), refuses transaction poolers (db_pooler.h),
 * reconnects for ever with back-off and jitter, prepares each statement once per connection, and hands NOTIFYs over.
 * Statements are sent in libpq's pipeline mode in the order they were queued. When the connection is lost, every
 * queued statement is answered with result NULL, then handlers.lost is called. So it is when an answer has another
 * shape than its statement names: a callback never sees such a one.
 */
#ifndef SIDECAR_DB_H
#define SIDECAR_DB_H

#include <libpq-fe.h>
#include "app.h"

struct db;

struct db_handlers
{
	void (*ready)(void *arg);                 /* connected; set-up statements have run */
	void (*lost)(void *arg, const char *why); /* no connection any more; a new one is being made */
	/* May be NULL. It may queue statements, but neither close nor reconnect. */
	void (*notify)(void *arg, const char *channel, const char *payload);
};

enum db_rows
{
	DB_ANY_ROWS,
	DB_ONE_ROW,
	DB_UP_TO_ONE_ROW,
	DB_BINARY_ROWS /* at least one, and their values are in binary form, not texts */
};

/* One SQL statement, prepared at first use on each connection, under its own name behind the connection's. Static storage. */
struct db_statement
{
	const char *name;
	const char *sql;
	int nparams;
	/* Its answer: names of all columns, apart by blanks. With ? one may be NULL. */
	const char *columns;
	enum db_rows rows;
};

/*
 * Called once per statement. result is NULL when the connection was lost before the answer; otherwise
 * PQresultStatus tells: an error, or PGRES_TUPLES_OK and rows as the statement names them. The result is freed by the
 * caller after the callback.
 */
typedef void (*db_callback)(void *arg, PGresult *result);

/*
 * From within a callback: its result belongs to the callback from now on, which frees it with PQclear.
 */
void db_keep_result(struct db *db);

/* name labels logs and application_name ("chat-sidecar realtime"). setup: SQL run first on each new connection (e.g. "LISTEN chat_realtime"), or NULL. */
struct db *db_open(struct app *app, const char *name, const char *setup,
				   const struct db_handlers *handlers, void *arg);

/* Queues one statement with text parameters (none is NULL), which are copied. */
void db_query(struct db *db, const struct db_statement *statement, const char *const *params,
			  db_callback callback, void *arg);

bool db_is_ready(const struct db *db);

/* What went wrong last, in one line; "" when nothing did, and since there is a connection. */
const char *db_trouble(const struct db *db);
/* What would mend the last trouble, static and without values of settings; "" when there is no advice. */
const char *db_hint(const struct db *db);

/* Drops the connection now and makes a new one (the lost handler is called). */
void db_reconnect(struct db *db, const char *why);

/* Closes for good; queued callbacks get NULL. Frees itself when its loop handles are closed. */
void db_close(struct db *db);

#endif
