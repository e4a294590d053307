/*
 * Who shares slots, by name: owners, hosts, and the visits of an owner to a host. They are there while somebody keeps a visit.
 * No I/O.
 */
#ifndef SIDECAR_WEBHOOK_VISITS_H
#define SIDECAR_WEBHOOK_VISITS_H

#include <stddef.h>

#include "base/table.h"
#include "base/turns.h"

struct shares;

/* In the order in which they have their turns. */
enum speed
{
	FAST,
	NEW, /* it has not answered yet */
	SLOW,
	LATE, /* as good as never */
	SPEEDS
};

struct owner
{
	struct entry entry; /* by its id */
	struct turn turns[SPEEDS];
	int slow;     /* requests under way that are no young ones of fast endpoints */
	int fresh;    /* of them, young ones of endpoints that have not answered yet */
	int due;      /* stored messages that were found due, in memory */
	int messages; /* in memory */
	size_t bytes; /* of them */
	int visits;
};

struct host
{
	struct entry entry; /* by its name */
	struct turn waiting[SPEEDS];
	int inflight;
	int visits;
};

/* An owner at a host. */
struct visit
{
	struct entry entry; /* by both */
	struct owner *owner;
	struct host *host;
	struct turn turns[SPEEDS];
	int inflight;
	int references;
};

/* Finds or makes the place of an owner at the host of a URL, and keeps it until it is let go of. */
struct visit *visit_find(struct shares *shares, const char *owner, const char *url);
void visit_keep(struct visit *visit);
void visit_let_go(struct shares *shares, struct visit *visit);

#endif
