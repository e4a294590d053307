/*
 * See realtime_body.h.
 */
#include "realtime/realtime_body.h"

#include <stdint.h>
#include <stdio.h>
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
	const char *topic = event_text(events[i], EVENT_TOPIC);
	int *bucket = &groups->buckets[hash_text(HASH_EMPTY, topic) % GROUP_BUCKETS];

	groups->next_event[i] = NONE;
	for (int first = *bucket; first != NONE; first = groups->next_topic[first])
	{
		if (strcmp(event_text(events[first], EVENT_TOPIC), topic) != 0)
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

void
body_group(struct event *events, int count)
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

#define ADD(body, literal) buffer_bytes(&(body)->text, (literal), sizeof(literal) - 1)

static void
add_message(struct body *body, struct event event, bool private)
{
	ADD(body, "{\"topic\":");
	buffer_json(&body->text, event_text(event, EVENT_TOPIC));
	ADD(body, ",\"event\":");
	buffer_json(&body->text, event_text(event, EVENT_NAME));
	ADD(body, ",\"payload\":");
	buffer_bytes(&body->text, event_text(event, EVENT_PAYLOAD),
				 (size_t) event_length(event, EVENT_PAYLOAD));
	if (private)
		ADD(body, ",\"private\":true,\"id\":\"");
	else
		ADD(body, ",\"private\":false,\"id\":\"");
	buffer_bytes(&body->text, event_text(event, EVENT_ID), (size_t) event_length(event, EVENT_ID));
	ADD(body, "\"}");
}

static int64_t
event_id(struct event event)
{
	return strtoll(event_text(event, EVENT_ID), NULL, 10);
}

void
body_write(struct body *body, const struct event *events, int count, bool private)
{
	body->text.len = 0;
	body->count = count;
	body->first_id = count > 0 ? event_id(events[0]) : 0;
	body->last_id = count > 0 ? event_id(events[count - 1]) : 0;
	ADD(body, "{\"messages\":[");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			ADD(body, ",");
		add_message(body, events[i], private);
	}
	ADD(body, "]}");
}

bool
body_carries(const struct body *body, const struct event *events, int count)
{
	if (body->count == 0)
		return true;
	return body->count <= count && body->first_id == event_id(events[0]) &&
		   body->last_id == event_id(events[body->count - 1]);
}
