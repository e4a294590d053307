/*
 * Endpoints by their ids, each with what is known of it now, how it answered, and its seat. No I/O.
 */
#ifndef SIDECAR_WEBHOOK_ENDPOINTS_H
#define SIDECAR_WEBHOOK_ENDPOINTS_H

#include <stdint.h>

#include "base/table.h"
#include "webhook/webhook_limit.h"
#include "webhook/webhook_shares.h"

struct pair;

struct endpoint
{
	struct entry entry; /* by the webhook's id */
	char *url;
	char *secret;     /* NULL: nothing is signed */
	char *old_secret; /* NULL: none is valid any more */
	char *headers;    /* lines; NULL: none */
	char *signing_key;
	struct limit limit;
	struct endpoint *next_waiting;
	struct seat seat;
	int stored;                       /* messages in memory that the database has */
	int failures;                     /* in a row */
	uint64_t paused_until;            /* loop time */
	uint64_t succeeded_at;            /* loop time */
	uint64_t next_report;             /* loop time: no line in the log about failures before */
	uint64_t report_gap;              /* ms between the last line and that; 0: there was none */
	int unreported;                   /* failures since the last line */
	uint64_t used_at;                 /* loop time */
	struct pair *ready, **ready_tail; /* pairs that could send */
	struct endpoint *next_gone;
};

/* What is known of an endpoint now. */
struct endpoint_terms
{
	const char *id;
	const char *owner;
	const char *url;
	const char *secret;      /* NULL: nothing is signed */
	const char *old_secret;  /* NULL: none is valid any more */
	const char *headers;     /* lines; NULL: none */
	const char *signing_key; /* base64; NULL: no message is signed with it */
	int rate_limit;          /* requests a minute; 0: no limit */
};

/* Finds or makes an endpoint, with what is known of it now. */
struct endpoint *
endpoint_find(struct table *endpoints, struct shares *shares, const struct endpoint_terms *terms);
/* Frees one that is in no table; its seat is given up, or its shares are gone. */
void endpoint_free(struct entry *endpoint);
/* Forgets those that had nothing to do for a while. */
void endpoints_sweep(struct table *endpoints, struct shares *shares, uint64_t now);

#endif
