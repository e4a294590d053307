/*
 * Which endpoint may start a request next: slots shared out by owner, then by endpoint, and at each host by owner. No I/O.
 *
 * A request is young for SLOW_MS. There are FAST_SLOTS for young requests of endpoints that answer fast, and these are
 * theirs alone. Endpoints that are slow or late have what is left up to the limit, and so have those that have not answered yet,
 * NEW_SLOTS young ones at a time: more at once would themselves be why answers are late. Of both an owner
 * may have one only while it has fewer than are free, so that one is always left for the next owner, and so has an
 * endpoint of what its owner may have. Owners take turns, then hosts of an owner, then endpoints.
 *
 * At a host fast endpoints may have any free slot. An eighth is theirs alone; a quarter theirs and those of slow ones, which do
 * answer; late ones have the rest of one half. So those that answer have room, whatever number of owners has endpoints there
 * that hang. An owner has at most three times as many slots as are free for any but fast endpoints.
 *
 * Bytes in memory are shared out in the same way: slow endpoints of an owner may have as many as they leave free. For fast
 * ones, what is delivered in a second is enough.
 */
#ifndef SIDECAR_WEBHOOK_SHARES_H
#define SIDECAR_WEBHOOK_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "base/turns.h"
#include "webhook/webhook_visits.h"

#define FAST_SLOTS 32
#define NEW_SLOTS 32
#define SLOW_MS 50
#define LATE_MS 1000

struct webhook_limits
{
	int inflight; /* requests at a time, at least 1 */
	int per_host; /* of them to one host name, at least 1 */
	size_t bytes; /* of what is held in memory */
};

/* What an endpoint takes its turns by. All zero before seat_take. */
struct seat
{
	struct turn turn;
	struct visit *visit;
	enum speed speed;
	int inflight;
	int most;          /* that it may have under way */
	bool waits;        /* for its rate limit */
	double average_ms; /* of its answers; negative: it has not answered */
	int messages;      /* of the endpoint, in memory */
};

/* A request that is under way. All zero before its first use. */
struct slot
{
	struct slots *list; /* of those of its age; NULL: it is late */
	struct slot *before, *after;
	struct seat *seat;
	struct visit *visit;
	enum speed speed; /* as it is counted */
	uint64_t since;   /* loop time */
};

/* In the order in which they began. */
struct slots
{
	struct slot *first, *last;
};

struct shares
{
	struct webhook_limits limits;
	struct table owners, hosts, visits;
	struct turn roots[SPEEDS];
	struct slots young, grown; /* for less than SLOW_MS; than LATE_MS */
	int inflight[SPEEDS];
	int due;
	size_t bytes;
	int quick;       /* messages in memory of fast endpoints */
	int ended;       /* requests, since the last tick */
	double a_second; /* that end, of late */
	uint64_t ticked_at;
};

void shares_init(struct shares *shares, const struct webhook_limits *limits);
/* Frees owners, hosts and visits; seats and slots are their users'. */
void shares_clear(struct shares *shares);

/* Puts a seat at a place; it keeps the place, and lets go of the one before. */
void seat_take(struct shares *shares, struct seat *seat, struct visit *visit);
/* It gives its place up. */
void seat_leave(struct shares *shares, struct seat *seat);
/* The endpoint could send something, unless it waits, or has as many under way as it may; or could not. */
void seat_ready(struct seat *seat);
void seat_not_ready(struct seat *seat);

/* Whose turn it is; NULL: nothing may be started. */
struct seat *shares_next(struct shares *shares, uint64_t now);
/* How many requests are under way. */
int shares_inflight(const struct shares *shares);
/* A request is started, and is over. */
void shares_begin(struct shares *shares, struct seat *seat, struct slot *slot, uint64_t now);
void shares_end(struct shares *shares, struct slot *slot, uint64_t now);
/* To be called now and then: notes who keeps us waiting, and asks again who waits for a host. */
void shares_tick(struct shares *shares, uint64_t now);

/* Counts bytes that an owner has in memory. */
void shares_hold(struct shares *shares, struct owner *owner, size_t bytes);
void shares_free(struct shares *shares, struct owner *owner, size_t bytes);
/* Counts messages of an endpoint that are in memory. */
void shares_count(struct shares *shares, struct seat *seat, int by);
/* There is enough in memory for all that are fast. */
bool shares_are_ahead(const struct shares *shares);
/* An endpoint is known to be slow, and its owner has as much in memory as it may. */
bool shares_is_full(const struct shares *shares, const struct seat *seat);
/* There is as much in memory as there may be. */
bool shares_are_full(const struct shares *shares);

#endif
