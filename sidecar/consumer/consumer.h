/*
 * A consumer of the event log: lease, position and doorbell. It owns one database connection, reads
 * what is new, hands it to its sink, and saves the position when the sink is done. One that follows has neither lease
 * nor stored position (consumer_follow.c).
 *
 * Invariant: a position (last_id, snapshot) is saved only after every event it covers was taken over by
 * the sink for good (accepted, or stored for retry), and only under the lease's current epoch.
 */
#ifndef SIDECAR_CONSUMER_H
#define SIDECAR_CONSUMER_H

#include <stdint.h>
#include <libpq-fe.h>
#include "app.h"
#include "consumer/log_answer.h"

struct consumer;
struct db;
struct sink;

/*
 * One read of the log. The sink gets it in read order and must call consumer_done(read) exactly once, when nothing of
 * it needs to be delivered any more. The read, its events and its rows live until then.
 */
struct read
{
	struct consumer *consumer;
	PGresult *rows;                 /* the database's answer */
	const struct log_event *events; /* they point into it */
	int nevents;
	size_t bytes;      /* that its rows hold */
	int left;          /* the sink's own count of what is not finished */
	struct read *next; /* consumer's own list */
	/* position after this read */
	int64_t last_id;
	char *snapshot;
	bool done;
};

/* Makes the sink as well. NULL: the sink cannot work, and has said why. */
struct consumer *consumer_create(struct app *app, const struct sink *sink);
/* And destroys it; while the loop still runs, handles close. */
void consumer_destroy(struct consumer *consumer);

void consumer_done(struct read *read);
/* Frees the events and rows of a read that is not done yet: the sink has what it needs of them. */
void consumer_release(struct read *read);

/* What it delivers to. */
const struct sink *consumer_sink(const struct consumer *consumer);
void consumer_reload(struct consumer *consumer);
/* As the sink says: see sink.h. */
const char *consumer_trouble(const struct consumer *consumer);
const char *consumer_note(const struct consumer *consumer);
uint64_t consumer_refresh_metrics(struct consumer *consumer);

/* Reads if there may be something and room for it: where the sink was full, it is to say so when it is not any more. */
void consumer_advance(struct consumer *consumer);

/* The consumer's own connection, for the sink's statements (webhook attempts). */
struct db *consumer_db(struct consumer *consumer);

/* True while the lease is surely held now, judged by CLOCK_BOOTTIME; to be asked before each request. */
bool consumer_leads(const struct consumer *consumer);
/* Whether it reads without a lease: then it always leads, while it is connected. */
bool consumer_follows(const struct consumer *consumer);
uint64_t consumer_epoch(const struct consumer *consumer);

/* The database's time now, Unix seconds: what the times of rows are compared with. */
double consumer_now(const struct consumer *consumer);

/* For /readyz and /metrics. */
bool consumer_connected(const struct consumer *consumer);
/* While it is not: what would mend that, static; "" when there is no advice. */
const char *consumer_hint(const struct consumer *consumer);
bool consumer_idle(const struct consumer *consumer); /* nothing unfinished */
/* How many events were read and are not done, and since when the oldest of them is in the log, Unix seconds; 0: there is none. */
uint64_t consumer_unfinished(const struct consumer *consumer, double *since);

/*
 * Stops reading; once every read is done (at once with abandon: then the others are dropped, to be delivered
 * again by the next leader), saves the position and gives the lease back. There is no way back. To be called
 * again now and then, since a sink does not tell when it is not busy any more.
 */
void consumer_drain(struct consumer *consumer, bool abandon);
bool consumer_drained(const struct consumer *consumer);

#endif
