/*
 * A consumer's place, for tests of sinks: it leads when it is told so, and counts what is done.
 */
#ifndef REGRESS_STAND_IN_H
#define REGRESS_STAND_IN_H

#include <time.h>

#include "../../sidecar/consumer/consumer.h"
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

#endif
