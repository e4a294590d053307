/*
 * See realtime_queue.h. The events stand in a ring, numbered for ever from 0. Those that may be replaced are
 * found through a table of the newest number by hash, and from there through older numbers of the same hash;
 * what is lower than the first number in the ring is not there any more, so nothing is ever taken out.
 */
#include "realtime/realtime_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

#define BUCKETS 4096
#define NOTHING UINT64_MAX
#define RING_MIN 1024

struct slot
{
	struct event event; /* row NULL: replaced */
	uint64_t older;     /* the number before it with the same hash */
};

struct realtime_queue
{
	struct slot *ring;
	uint64_t size; /* a power of two */
	uint64_t first, end;
	int count; /* without those that were replaced */
	uint64_t newest[BUCKETS];
};

struct realtime_queue *
realtime_queue_create(void)
{
	struct realtime_queue *queue = xcalloc(1, sizeof(*queue));

	queue->size = RING_MIN;
	queue->ring = xmalloc(queue->size * sizeof(*queue->ring));
	memset(queue->newest, 0xff, sizeof(queue->newest));
	return queue;
}

void
realtime_queue_clear(struct realtime_queue *queue)
{
	queue->first = queue->end;
	queue->count = 0;
}

void
realtime_queue_destroy(struct realtime_queue *queue)
{
	realtime_queue_clear(queue);
	free(queue->ring);
	free(queue);
}

static struct slot *
slot_at(const struct realtime_queue *queue, uint64_t number)
{
	return &queue->ring[number & (queue->size - 1)];
}

static void
grow(struct realtime_queue *queue)
{
	struct realtime_queue larger = *queue;

	larger.size *= 2;
	larger.ring = xmalloc(larger.size * sizeof(*larger.ring));
	for (uint64_t number = queue->first; number < queue->end; number++)
		*slot_at(&larger, number) = *slot_at(queue, number);
	free(queue->ring);
	queue->ring = larger.ring;
	queue->size = larger.size;
}

static bool
same_bytes(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

static bool
same_state(const struct log_event *a, const struct log_event *b)
{
	return same_bytes(log_event_topic(a), a->topic_length, log_event_topic(b), b->topic_length) &&
		   same_bytes(a->conversation, a->conversation_length, b->conversation,
					  b->conversation_length);
}

static uint32_t
hash_state(const struct log_event *row)
{
	uint32_t hash = hash_bytes(HASH_EMPTY, log_event_topic(row), row->topic_length);

	return hash_bytes(hash, row->conversation, row->conversation_length);
}

/* Takes out the waiting event of the same state, if there is one. The new one is the last in the ring. */
static struct event
replace_older(struct realtime_queue *queue, struct event event)
{
	uint64_t *newest = &queue->newest[hash_state(event.row) % BUCKETS];
	uint64_t number = *newest;

	slot_at(queue, queue->end - 1)->older = number;
	*newest = queue->end - 1;
	for (; number != NOTHING && number >= queue->first; number = slot_at(queue, number)->older)
	{
		struct slot *slot = slot_at(queue, number);
		struct event older = slot->event;

		if (older.row == NULL || !same_state(older.row, event.row))
			continue;
		slot->event.row = NULL;
		queue->count--;
		return older;
	}
	return (struct event){NULL, NULL};
}

struct event
realtime_queue_push(struct realtime_queue *queue, struct event event)
{
	if (queue->end - queue->first == queue->size)
		grow(queue);
	*slot_at(queue, queue->end) = (struct slot){event, NOTHING};
	queue->end++;
	queue->count++;
	return event.row->state ? replace_older(queue, event) : (struct event){NULL, NULL};
}

struct event
realtime_queue_peek(struct realtime_queue *queue)
{
	while (queue->first < queue->end && slot_at(queue, queue->first)->event.row == NULL)
		queue->first++;
	return queue->first < queue->end ? slot_at(queue, queue->first)->event
									 : (struct event){NULL, NULL};
}

void
realtime_queue_pop(struct realtime_queue *queue)
{
	queue->first++;
	queue->count--;
}

int
realtime_queue_count(const struct realtime_queue *queue)
{
	return queue->count;
}
