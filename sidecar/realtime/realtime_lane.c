/*
 * See realtime_lane.h.
 */
#include "realtime/realtime_lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define BATCH_BYTES 1000000

struct batch
{
	struct batch *next;
	uint64_t serial; /* of what confirms it, once it is accepted */
	int count, at;   /* events[at … count) are left */
	struct event events[];
};

/* Lists of batches */

static struct batch *
create_batch(const struct event *events, int count)
{
	struct batch *batch = xmalloc(sizeof(*batch) + (size_t) count * sizeof(*batch->events));

	*batch = (struct batch){.count = count};
	memcpy(batch->events, events, (size_t) count * sizeof(*events));
	return batch;
}

static void
append(struct batches *list, struct batch *batch)
{
	batch->next = NULL;
	if (list->first == NULL)
		list->first = batch;
	else
		list->last->next = batch;
	list->last = batch;
	list->events += batch->count - batch->at;
}

static struct batch *
take_first(struct batches *list)
{
	struct batch *batch = list->first;

	list->first = batch->next;
	list->events -= batch->count - batch->at;
	return batch;
}

/* Puts all of one list behind another. */
static void
move_all(struct batches *from, struct batches *to)
{
	while (from->first != NULL)
		append(to, take_first(from));
}

static void
free_all(struct batches *list)
{
	while (list->first != NULL)
		free(take_first(list));
}

/* The lane */

void
lane_init(struct lane *lane, const struct body_form *form, struct batch_size size,
		  void (*finish)(void *owner, struct event event, enum event_result result), void *owner)
{
	*lane = (struct lane){
		.owner = owner, .finish = finish, .form = form, .size = size, .part = size.most};
	lane->queue = realtime_queue_create();
}

void
lane_clear(struct lane *lane)
{
	realtime_queue_clear(lane->queue);
	free_all(&lane->pending);
	free_all(&lane->accepted);
	free_all(&lane->lost);
	lane->part = lane->size.most;
	lane->orphaned = lane->inflight;
	lane->probe = lane->probed = false;
}

void
lane_free(struct lane *lane)
{
	lane_clear(lane);
	realtime_queue_destroy(lane->queue);
	buffer_free(&lane->body.text);
}

void
lane_push(struct lane *lane, struct event event)
{
	struct event replaced = realtime_queue_push(lane->queue, event);

	if (replaced.row != NULL)
		lane->finish(lane->owner, replaced, EVENT_COALESCED);
}

int
lane_waiting(const struct lane *lane)
{
	return lane->pending.events + lane->lost.events + realtime_queue_count(lane->queue);
}

static bool
is_expired(struct event event, double now)
{
	return event.row->expires_at != 0 && (double) event.row->expires_at < now * MICROSECONDS;
}

/* Takes the next batch from the queue; all that is taken may have expired. */
static void
take_batch(struct lane *lane, double now)
{
	struct event events[BATCH_EVENTS], event;
	size_t bytes = 0;
	int count = 0;

	while (count < lane->size.now && (event = realtime_queue_peek(lane->queue)).row != NULL)
	{
		bytes += event.row->message_length;
		if (count > 0 && bytes > BATCH_BYTES)
			break;
		realtime_queue_pop(lane->queue);
		if (is_expired(event, now))
			lane->finish(lane->owner, event, EVENT_EXPIRED);
		else
			events[count++] = event;
	}
	if (count > 1 && lane->form->arrange != NULL)
		lane->form->arrange(events, count);
	if (count > 0)
		append(&lane->pending, create_batch(events, count));
}

int
lane_next(struct lane *lane, double now)
{
	const struct batch *batch;
	int most = lane->part < lane->size.now ? lane->part : lane->size.now, left;

	while (lane->pending.first == NULL && realtime_queue_count(lane->queue) > 0)
		take_batch(lane, now);
	batch = lane->pending.first;
	if (batch == NULL)
		return 0;
	left = batch->count - batch->at;
	return left < most ? left : most;
}

void
lane_begin(struct lane *lane, int count, bool repeated)
{
	const struct batch *batch = lane->pending.first;

	body_write(&lane->body, lane->form, batch != NULL ? batch->events + batch->at : NULL, count);
	lane->inflight = true;
	lane->orphaned = false;
	lane->repeated = repeated;
}

void
lane_answered(struct lane *lane, uint64_t ms, bool accepted)
{
	batch_size_note(&lane->size, lane->body.count, ms, accepted);
}

/* What was accepted in vain goes before what was not sent yet. */
static void
resend_lost(struct lane *lane)
{
	struct batches later = lane->pending;

	if (lane->lost.first == NULL)
		return;
	lane->pending = (struct batches){NULL, NULL, 0};
	move_all(&lane->lost, &lane->pending);
	move_all(&later, &lane->pending);
}

void
lane_end(struct lane *lane)
{
	lane->inflight = lane->orphaned = lane->repeated = lane->doubtful = false;
	resend_lost(lane);
}

bool
lane_carries(const struct lane *lane)
{
	const struct batch *batch = lane->pending.first;

	if (batch == NULL)
		return lane->body.count == 0;
	return body_carries(&lane->body, batch->events + batch->at, batch->count - batch->at);
}

struct event
lane_event(const struct lane *lane, int i)
{
	const struct batch *batch = lane->pending.first;

	return batch->events[batch->at + i];
}

/* So many events of the first batch are no longer pending. */
static void
advance(struct lane *lane, int count)
{
	struct batch *batch = lane->pending.first;

	batch->at += count;
	lane->pending.events -= count;
	if (batch->at == batch->count)
		free(take_first(&lane->pending));
}

void
lane_accept(struct lane *lane, uint64_t serial)
{
	int count = lane->body.count;
	struct batch *batch;

	lane->part = 2 * lane->part < lane->size.most ? 2 * lane->part : lane->size.most;
	if (serial == 0)
	{
		for (int i = 0; i < count; i++)
			lane->finish(lane->owner, lane_event(lane, i), EVENT_OK);
	}
	else
	{
		batch = create_batch(lane->pending.first->events + lane->pending.first->at, count);
		batch->serial = serial;
		/* Behind what went before it, wherever that is. */
		append(lane->doubtful || lane->lost.first != NULL ? &lane->lost : &lane->accepted, batch);
	}
	advance(lane, count);
}

void
lane_set_aside(struct lane *lane, const bool *flags)
{
	struct batch *batch = lane->pending.first;
	int first = batch->at, end = batch->at + lane->body.count, kept = end;

	for (int i = end - 1; i >= first; i--)
	{
		struct event event = batch->events[i];

		if (flags[i - first])
			lane->finish(lane->owner, event, EVENT_POISONED);
		else
			batch->events[--kept] = event;
	}
	advance(lane, kept - first);
}

void
lane_halve(struct lane *lane)
{
	lane->part = lane->body.count > 1 ? lane->body.count / 2 : 1;
}

bool
lane_split(struct lane *lane)
{
	if (lane->body.count > 1)
		lane_halve(lane);
	else if (lane->probed)
		return false;
	else
		lane->probe = true;
	return true;
}

void
lane_confirm(struct lane *lane, uint64_t serial)
{
	while (lane->accepted.first != NULL && lane->accepted.first->serial <= serial)
	{
		struct batch *batch = take_first(&lane->accepted);

		for (int i = 0; i < batch->count; i++)
			lane->finish(lane->owner, batch->events[i], EVENT_OK);
		free(batch);
	}
}

void
lane_lose(struct lane *lane)
{
	move_all(&lane->accepted, &lane->lost);
	lane->doubtful = lane->inflight;
	if (!lane->inflight)
		resend_lost(lane);
}
