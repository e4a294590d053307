/*
 * Finds out whether a connection is one session of the server, or comes through a pooler that gives each transaction
 * to another session: locks, LISTEN, settings and prepared statements are lost there, and mixed up with others'.
 *
 * A second connection to the same server does what the first must notice, or must not: while it holds a transaction
 * open, the first one's backend must stay the same, and its NOTIFY must reach the first while that is idle. What
 * looks simpler fails: behind a session pool PQbackendPID is not the session's, and on a transaction pool that is
 * quiet one connection hears itself. Nothing is left behind in a session that turns out to be shared.
 */
#ifndef SIDECAR_DB_POOLER_H
#define SIDECAR_DB_POOLER_H

#include <libpq-fe.h>
#include <uv.h>

#include "io/db_target.h"

struct db_pooler;

/*
 * Called once, at the end. why: NULL, the session is the connection's own; else what was found, or libpq's message.
 * Stops by itself before it calls.
 */
typedef void (*db_pooler_done)(void *arg, const char *why);

/*
 * first: connected, non-blocking, idle, and watched by nobody else until the end. How long the second one may take
 * to connect is the caller's matter.
 */
struct db_pooler *db_pooler_start(uv_loop_t *loop, const struct db_target *target, PGconn *first,
								  db_pooler_done done, void *arg);
/* Gives up without an answer. */
void db_pooler_stop(struct db_pooler *pooler);

#endif
