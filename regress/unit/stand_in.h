/*
 * A consumer's place, for tests of sinks: it leads when it is told so, and counts what is done.
 */
#ifndef REGRESS_STAND_IN_H
#define REGRESS_STAND_IN_H

#include <time.h>

#include "../../sidecar/consumer/consumer.h"
#include "../../sidecar/io/db.h"
#include "../../sidecar/sink.h"

struct consumer
{
	void *sink; /* the one that is tested */
	bool leads;
	int done; /* reads */
};

static struct consumer stand_in;

void
consumer_done(struct read *read)
{
	(void) read;
	stand_in.done++;
}

double
consumer_now(const struct consumer *consumer)
{
	(void) consumer;
	return (double) time(NULL);
}

bool
consumer_leads(const struct consumer *consumer)
{
	return consumer->leads;
}

uint64_t
consumer_epoch(const struct consumer *consumer)
{
	(void) consumer;
	return 1;
}

/* It has no database: what is asked of it is never answered. */
struct db *
consumer_db(struct consumer *consumer)
{
	(void) consumer;
	return NULL;
}

void
db_query(struct db *db, const struct db_statement *statement, const char *const *params,
		 db_callback callback, void *arg)
{
	(void) db;
	(void) statement;
	(void) params;
	(void) callback;
	(void) arg;
}

struct db *
db_open(struct app *app, const char *name, const char *setup, const struct db_handlers *handlers,
		void *arg)
{
	(void) app;
	(void) name;
	(void) setup;
	(void) handlers;
	(void) arg;
	return NULL;
}

bool
db_is_ready(const struct db *db)
{
	(void) db;
	return false;
}

void
db_close(struct db *db)
{
	(void) db;
}

#endif
