/*
 * See realtime_body.h.
 */
#include "realtime/realtime_body.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/memory.h"

#define GROUP_BUCKETS 1024 /* more than a request has events */
#define NONE (-1)

/* Events by topic: each topic has a chain of events, and buckets have chains of topics' first events. */
struct groups
{
	int buckets[GROUP_BUCKETS];
	int *next_topic; /* by first event: the next topic's first event in the same bucket */
	int *next_event; /* by event: the next one of its topic */
	int *last_event; /* by first event */
};

/* Adds an event to its topic's chain; answers whether it is the first one. */
static bool
add_to_group(struct groups *groups, const struct event *events, int i)
{
	const char *topic = log_event_topic(events[i].row);
	uint32_t length = events[i].row->topic_length;
	int *bucket = &groups->buckets[hash_bytes(HASH_EMPTY, topic, length) % GROUP_BUCKETS];

	groups->next_event[i] = NONE;
	for (int first = *bucket; first != NONE; first = groups->next_topic[first])
	{
		const struct log_event *row = events[first].row;

		if (row->topic_length != length || memcmp(log_event_topic(row), topic, length) != 0)
			continue;
		groups->next_event[groups->last_event[first]] = i;
		groups->last_event[first] = i;
		return false;
	}
	groups->next_topic[i] = *bucket;
	groups->last_event[i] = i;
	*bucket = i;
	return true;
}

/*
 * Brings events of one topic together, in the order they have, topics in the order they first occur: for each
 * private topic of a batch Realtime asks its database anew.
 */
static void
group(struct event *events, int count)
{
	size_t n = (size_t) count;
	int *links = xmalloc(4 * n * sizeof(*links)), *firsts = links + 3 * n;
	struct event *ordered = xmalloc(n * sizeof(*ordered));
	struct groups groups = {
		.next_topic = links, .next_event = links + n, .last_event = links + 2 * n};
	int topics = 0, at = 0;

	memset(groups.buckets, 0xff, sizeof(groups.buckets));
	for (int i = 0; i < count; i++)
	{
		if (add_to_group(&groups, events, i))
			firsts[topics++] = i;
	}
	for (int topic = 0; topic < topics; topic++)
	{
		for (int i = firsts[topic]; i != NONE; i = groups.next_event[i])
			ordered[at++] = events[i];
	}
	memcpy(events, ordered, n * sizeof(*events));
	free(ordered);
	free(links);
}

#define ADD(text, literal) buffer_bytes((text), (literal), sizeof(literal) - 1)

static void
write_broadcast(struct buffer *text, const struct event *events, int count)
{
	ADD(text, "{\"messages\":[");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			ADD(text, ",");
		buffer_bytes(text, events[i].row->message, events[i].row->message_length);
	}
	ADD(text, "]}");
}

const struct body_form body_broadcast = {group, write_broadcast};

void
body_write(struct body *body, const struct body_form *form, const struct event *events, int count)
{
	body->text.len = 0;
	body->count = count;
	body->first_id = count > 0 ? events[0].row->id : 0;
	body->last_id = count > 0 ? events[count - 1].row->id : 0;
	form->write(&body->text, events, count);
}

bool
body_carries(const struct body *body, const struct event *events, int count)
{
	if (body->count == 0)
		return true;
	return body->count <= count && body->first_id == events[0].row->id &&
		   body->last_id == events[body->count - 1].row->id;
}
