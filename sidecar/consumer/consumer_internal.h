/*
 * What the files of a consumer share: consumer.c holds its life and its lease, consumer_follow.c what stands for these
 * where there is none, consumer_log.c the reads that are under
 * way, the position and the doorbell, consumer_read.c the statement of a read and what its answer means.
 */
#ifndef SIDECAR_CONSUMER_INTERNAL_H
#define SIDECAR_CONSUMER_INTERNAL_H

#include "consumer/consumer.h"
#include "io/db.h"
#include "io/db_clock.h"
#include "io/db_error.h"
#include "sink.h"

#define CONSUMER_NUMBER_SIZE 24
#define CONSUMER_OWNER_SIZE 128
#define CONSUMER_READ_BYTES 1000000 /* of one read, about; a read has at least one event */

struct metric;

enum consumer_state
{
	OFFLINE, /* no connection */
	STANDBY, /* asks for the lease, or gave it back for good */
	LEADING
};

/* With a target late events are being told, of which those up to late_id were: as in struct log_answer. */
struct position
{
	int64_t last_id;
	char *snapshot;
	char *target;
	int64_t late_id;
};

struct consumer
{
	struct app *app;
	const struct sink *sink;
	void *sink_arg;
	struct db *db;
	struct db_statement read_statement;
	enum consumer_state state;
	bool draining;
	int handles; /* not closed yet */

	/* the lease */
	char owner[CONSUMER_OWNER_SIZE];
	char last_error[DB_ERROR_SIZE]; /* of asking for it */
	const char *refusal_hint;       /* of the same */
	uint64_t epoch;
	int64_t lease_from; /* when the last granted request for it was sent */
	int64_t asked_at;
	bool admitted; /* the database has answered: granted, or somebody else leads */
	bool asking;   /* for the lease, or for its renewal */
	bool releasing;
	uv_timer_t tick;

	/* reading */
	struct position position; /* after the last read */
	struct read *first, **tail;
	int nreads, held_events; /* that are not done */
	size_t held_bytes;       /* of their rows */
	bool reading;
	double asked_to_read; /* by the local clock */
	struct db_clock clock;
	bool skewed; /* this machine's clock is known to be wrong */
	bool armed;
	bool rung;  /* a NOTIFY came while reading */
	bool quiet; /* transactions ring no doorbell: chat_realtime.notify is off */
	uint64_t retry_ms;
	uv_timer_t poll;

	char *log; /* of one that follows: which log done is a place in; NULL: none yet */

	/* the position */
	struct position
		done; /* to be saved; snapshot NULL: all is. Of one that follows: where it goes on */
	bool saving;
	uint64_t saved_at;
	uv_timer_t save;

	struct metric *leader, *events, *reads, *notifications, *refused, *skew;
};

/* consumer.c */

/* Gives everything up and starts afresh on a new connection. */
void consumer_restart(struct consumer *consumer, const char *why);
/* Goes on with the drain, if there is one. */
void consumer_advance_drain(struct consumer *consumer);

/* It may deliver from now on, what is behind a position: texts of numbers and of a snapshot. */
void consumer_lead(struct consumer *consumer, const char *last_id, const char *snapshot);
/* Whether the database lets it start; says why not. */
bool consumer_admit(struct consumer *consumer, const PGresult *result);
/* One line for each new trouble. */
void consumer_report_failure(struct consumer *consumer, const PGresult *result);

/* consumer_follow.c */

/* Begins to read without a lease, where it was or at the present. */
void consumer_follow(struct consumer *consumer);
/* While it does so, now and then. */
void consumer_follow_on(struct consumer *consumer);

/* consumer_log.c */

/* Begins to read behind a position. */
void consumer_begin(struct consumer *consumer, int64_t last_id, const char *snapshot);
/* Frees every read and forgets what was under way. */
void consumer_forget(struct consumer *consumer);
/* A NOTIFY came. */
void consumer_rung(struct consumer *consumer);
/* Saves the position, if it is not. */
void consumer_save(struct consumer *consumer);

/* consumer_read.c */

/* What a read found. */
struct found
{
	struct position position; /* behind it */
	double now;               /* by the database's clock, Unix seconds */
	bool more;                /* there is more to read at once */
	bool armed;               /* the doorbell is */
	struct log_event *events; /* NULL where the rows from 1 on are the events */
	int nevents;
};

/* Makes the statement that reads for its sink. */
void consumer_read_init(struct consumer *consumer);
/* Sends a read from the position on, which arms the doorbell where nothing comes. */
void consumer_read_send(struct consumer *consumer, db_callback callback);
/* Whether an answer can be read; what was found is the caller's then. why: static. */
bool consumer_read_take(const struct consumer *consumer, const PGresult *rows, struct found *found,
						const char **why);

#endif
