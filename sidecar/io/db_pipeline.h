/*
 * The statements of one connection in libpq's pipeline mode: queued, sent and answered in order.
 *
 * Each statement is followed by a sync of its own, so that an error of one does not undo its neighbours, and
 * is answered when its sync comes back: what it did is committed then. Callbacks may add statements, and may
 * end the connection.
 */
#ifndef SIDECAR_DB_PIPELINE_H
#define SIDECAR_DB_PIPELINE_H

#include <stdbool.h>

#include "io/db.h"

struct pipeline
{
	struct statement *first, **tail;
	struct statement *unsent;             /* the first one that is not on its way */
	const struct db_statement **prepared; /* on this connection */
	int nprepared;
	bool kept;          /* the callback keeps its result */
	const char *prefix; /* of names on the server */
};

/* prefix: where sessions are shared after all, no two connections mean different statements by one name. */
void pipeline_init(struct pipeline *pipeline, const char *prefix);
/* Forgets what is still queued, without answering. */
void pipeline_free(struct pipeline *pipeline);

/* Queues a statement; parameters are copied. */
void pipeline_add(struct pipeline *pipeline, const struct db_statement *statement,
				  const char *const *params, db_callback callback, void *arg);

/* Puts what is unsent into the connection's output; false: the connection is broken. */
bool pipeline_send(struct pipeline *pipeline, PGconn *conn) __attribute__((warn_unused_result));

enum pipeline_taken
{
	PIPELINE_NOTHING,  /* the answer has not arrived, not all of it */
	PIPELINE_ANSWERED, /* the caller looks whether the connection is still there */
	PIPELINE_MISSHAPEN /* what arrived is no answer to the statement, and why says so: end the connection */
};

/* Answers the first statement if all of its answer has arrived. */
enum pipeline_taken pipeline_take(struct pipeline *pipeline, PGconn *conn, char *why, size_t size)
	__attribute__((warn_unused_result));

/*
 * The connection is gone: answers all that is queued now with NULL. What callbacks queue meanwhile stays.
 */
void pipeline_lost(struct pipeline *pipeline);

#endif
