/*
 * What the two files of a consumer share: consumer.c holds its life and its lease, consumer_log.c the reading
 * of the log, the batches, the position and the doorbell.
 */
#ifndef SIDECAR_CONSUMER_INTERNAL_H
#define SIDECAR_CONSUMER_INTERNAL_H

#include "consumer/consumer.h"
#include "io/db.h"
#include "io/db_clock.h"
#include "io/db_error.h"

#define CONSUMER_NUMBER_SIZE 24
#define CONSUMER_OWNER_SIZE 128

struct metric;

enum consumer_state
{
	OFFLINE, /* no connection */
	STANDBY, /* asks for the lease, or gave it back for good */
	LEADING
};

struct position
{
	int64_t last_id;
	char *snapshot;
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
	struct position read; /* after the last read */
	struct batch *first, **tail;
	int nbatches;
	bool reading;
	double asked_to_read; /* by the local clock */
	struct db_clock clock;
	bool skewed; /* this machine's clock is known to be wrong */
	bool arming; /* the read under way was preceded by arming */
	bool armed;
	bool rung;  /* a NOTIFY came while reading */
	bool quiet; /* transactions ring no doorbell: chat_realtime.notify is off */
	uint64_t retry_ms;
	uv_timer_t poll;

	/* the position */
	struct position done; /* to be saved; snapshot NULL: all is */
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

/* consumer_log.c */

/* Begins to read behind a position. */
void consumer_begin(struct consumer *consumer, int64_t last_id, const char *snapshot);
/* Frees every batch and forgets what was under way. */
void consumer_forget(struct consumer *consumer);
/* Reads if there may be something and room for it. */
void consumer_advance(struct consumer *consumer);
/* A NOTIFY came. */
void consumer_rung(struct consumer *consumer);
/* Saves the position, if it is not. */
void consumer_save(struct consumer *consumer);

#endif
