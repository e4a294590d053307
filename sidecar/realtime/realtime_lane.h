/*
 * A lane to Realtime: the events of some topics, of which one request at a time is under way, so that those of a topic
 * stay in order. It has the queue of its topics, the batches that are taken from it, and its own halving where something
 * in a batch is refused. No I/O.
 *
 * A batch is what was taken from the queue together. It is sent in one request or, while answers say that something in it
 * is refused, in smaller ones from its front: halved until the refused message stands alone, and doubled with each
 * success. A message that is refused alone is set aside only after an empty request was not: otherwise it is not the
 * message that is wrong, and nothing gets lost.
 *
 * An event is finished when it is accepted or, where acceptance has to be confirmed, when it was; what is accepted and
 * then lost goes out again before all else.
 */
#ifndef SIDECAR_REALTIME_LANE_H
#define SIDECAR_REALTIME_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "realtime/realtime_body.h"
#include "realtime/realtime_queue.h"
#include "realtime/realtime_size.h"

#define BATCH_EVENTS 500

struct batch;

struct batches
{
	struct batch *first, *last;
	int events; /* of all */
};

struct lane
{
	void *owner;
	void (*finish)(void *owner, struct event event, enum event_result result);
	const struct body_form *form;
	struct realtime_queue *queue;
	struct batches pending;  /* the first one is being sent */
	struct batches accepted; /* and not confirmed */
	struct batches lost; /* accepted in vain: they are pending again when no request is under way */
	struct batch_size size; /* of a batch */
	int part;               /* events of the next request, at most */
	uint64_t sent_at;       /* when the request went out, by the sender's clock in milliseconds */
	struct body body;       /* what a request carries, and nothing else is finished by its answer */
	bool inflight;
	bool
		doubtful; /* what is under way may be lost like that which is known to be, whatever its answer says */
	bool orphaned; /* the events of the request under way are forgotten */
	bool repeated; /* it was sent once more, for its connection had been closed */
	bool probe;    /* the next request is to be empty; until its answer */
	bool probed;   /* an empty request was not refused; until the next answer */
};

/* form: of its requests; static. size: of a batch, up to BATCH_EVENTS. finish is told of each event what became of it, once. */
void
lane_init(struct lane *lane, const struct body_form *form, struct batch_size size,
		  void (*finish)(void *owner, struct event event, enum event_result result), void *owner);
/* Forgets all events, without finishing them, and who waits for the answer under way. */
void lane_clear(struct lane *lane);
void lane_free(struct lane *lane);

void lane_push(struct lane *lane, struct event event);
/* Events that are to be sent, those of the next request included. */
int lane_waiting(const struct lane *lane);

/* How many events the next request may carry, at least one if there is any. now: the database's time, Unix seconds. */
int lane_next(struct lane *lane, double now);
/* A request with the next so many events is under way from now on; none: an empty one. Its bytes are in body. */
void lane_begin(struct lane *lane, int count, bool repeated);
/* Its answer took so many milliseconds: sizes the batches to come. accepted: it is a good one. To be told before what it means. */
void lane_answered(struct lane *lane, uint64_t ms, bool accepted);
/* Its answer has come. */
void lane_end(struct lane *lane);
/* Whether the body has the bytes of the events that an answer to it would finish. */
bool lane_carries(const struct lane *lane);
/* Event i of the request. */
struct event lane_event(const struct lane *lane, int i);

/* What was sent is accepted. serial: what confirms it, in growing order; 0: nothing need. */
void lane_accept(struct lane *lane, uint64_t serial);
/* Sets the flagged events of the request aside; the others are sent again. */
void lane_set_aside(struct lane *lane, const bool *flags);
/*
 * Something in the request is refused: halves it or, where it is one event, asks for an empty one first. False: that was
 * not refused, so the event is to be set aside.
 */
bool lane_split(struct lane *lane);
/* Sends half as much, at least one. */
void lane_halve(struct lane *lane);

/* What was accepted up to a serial went through. */
void lane_confirm(struct lane *lane, uint64_t serial);
/* It did not: all that is not confirmed goes out again, in order. */
void lane_lose(struct lane *lane);

#endif
