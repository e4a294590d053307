/*
 * A consumer of the event log: lease, position and doorbell. It owns one database connection, reads
 * what is new, hands it to its sink, and saves the position when the sink is done.
 *
 * Invariant: a position (last_id, snapshot) is saved only after every event it covers was taken over by
 * the sink for good (accepted, or stored for retry), and only under the lease's current epoch.
 */
#ifndef SIDECAR_CONSUMER_H
#define SIDECAR_CONSUMER_H

#include <stdint.h>
#include <libpq-fe.h>
#include "app.h"

struct consumer;
struct db;

/*
 * One read of the log. The sink gets it in read order and must call consumer_done(batch) exactly once,
 * when nothing of it needs to be delivered any more. rows is the answer of the read function: row 0 is the
 * header (position after this read), rows 1 … are events; the columns are documented at the SQL function.
 * The batch and its PGresult live until consumer_done.
 */
struct batch
{
	struct consumer *consumer;
	PGresult *rows;
	int nevents; /* PQntuples - 1 */
	uint64_t epoch;
	struct batch *next; /* consumer's own list */
	/* position after this batch */
	int64_t last_id;
	char *snapshot;
	bool done;
};

struct sink
{
	const char *name; /* consumer's name: "realtime", "webhooks" */
	/*
	 * SELECT … FROM chat.…_read($1 last_id, $2 snapshot, $3 max_rows). Of the header the consumer takes id, payload
	 * (the snapshot) and created_at (the database's clock, as Unix seconds).
	 */
	const char *read_sql;
	const char *read_columns; /* of its answer, as in struct db_statement */
	int max_rows;
	int max_batches; /* read ahead at most so many unfinished batches */
	/* The lease was obtained (again): forget everything undelivered, start afresh. */
	void (*start)(void *arg);
	/* Events to deliver. */
	void (*deliver)(void *arg, struct batch *batch);
	/* The lease or the connection is gone: drop what is not in flight; batches are freed by the consumer after this returns, so forget them. Late callbacks of requests in flight must not touch them. */
	void (*stop)(void *arg);
	/* Whether something is under way that no batch stands for any more; a drain waits for it. NULL: never. */
	bool (*busy)(void *arg);
};

struct consumer *consumer_create(struct app *app, const struct sink *sink, void *sink_arg);
void consumer_destroy(struct consumer *consumer);

void consumer_done(struct batch *batch);

/* The consumer's own connection, for the sink's statements (webhook attempts). */
struct db *consumer_db(struct consumer *consumer);

/* True while the lease is surely held now, judged by CLOCK_BOOTTIME; to be asked before each request. */
bool consumer_leads(const struct consumer *consumer);
uint64_t consumer_epoch(const struct consumer *consumer);

/* The database's time now, Unix seconds: what the times of rows are compared with. */
double consumer_now(const struct consumer *consumer);

/* For /readyz and /metrics. */
bool consumer_connected(const struct consumer *consumer);
/* While it is not: what would mend that, static; "" when there is no advice. */
const char *consumer_hint(const struct consumer *consumer);
bool consumer_idle(const struct consumer *consumer); /* nothing unfinished */

/*
 * Stops reading; once every batch is done (at once with abandon: then the others are dropped, to be delivered
 * again by the next leader), saves the position and gives the lease back. There is no way back. To be called
 * again now and then, since a sink does not tell when it is not busy any more.
 */
void consumer_drain(struct consumer *consumer, bool abandon);
bool consumer_drained(const struct consumer *consumer);

#endif
