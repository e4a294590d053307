/*
 * Whose turn it is: order within a pair, turns between endpoints, shares, failing endpoints, and that nothing
 * is left behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/webhook/webhook_queue.h"

static void
require(const char *name, bool holds)
{
	printf("%s %s\n", holds ? "ok" : "not ok", name);
	if (!holds)
		exit(1);
}

static struct message *
add(struct webhook_queue *queue, const char *id, const char *conversation, int64_t event_id)
{
	struct endpoint *endpoint = queue_endpoint(queue, id, "https://example.com/", "secret", NULL);
	struct pair *pair = queue_pair(queue, endpoint, conversation);
	struct message *message = calloc(1, sizeof(*message));

	message->event_id = event_id;
	queue_own(queue, pair, message);
	queue_push(queue, message);
	return message;
}

static int64_t
next_id(struct webhook_queue *queue, struct message **message)
{
	*message = queue_next(queue);
	return *message != NULL ? (*message)->event_id : 0;
}

static void
finish(struct webhook_queue *queue, struct message *message, bool failed)
{
	queue_finished(queue, message, failed);
	queue_release(queue, message, 0);
}

static void
check_order(void)
{
	struct webhook_queue *queue = queue_create(100);
	struct message *a, *b, *none;

	add(queue, "a", "1", 1);
	add(queue, "a", "1", 2);
	add(queue, "a", "2", 3);
	require("first of the first conversation", next_id(queue, &a) == 1);
	require("other conversation at the same time", next_id(queue, &b) == 3);
	require("one of a conversation at a time", next_id(queue, &none) == 0);
	finish(queue, b, false);
	require("still", next_id(queue, &none) == 0);
	finish(queue, a, false);
	require("then the second", next_id(queue, &a) == 2);
	finish(queue, a, false);
	require("nothing left", queue_messages(queue) == 0 && queue_find_endpoint(queue, "a") == NULL &&
								queue_find_pair(queue, "a", "1") == NULL);
	queue_destroy(queue);
}

static void
check_turns(void)
{
	struct webhook_queue *queue = queue_create(16);
	struct message *running[16];
	char conversation[16];
	int64_t sum = 0;

	for (int i = 0; i < 20; i++)
	{
		snprintf(conversation, sizeof(conversation), "%d", i);
		add(queue, "many", conversation, 1);
	}
	add(queue, "few", "1", 100);
	for (int i = 0; i < 5; i++)
		sum += next_id(queue, &running[i]);
	require("an endpoint has a quarter at most, and others their turn", sum == 104);
	require("the share is used up", queue_next(queue) == NULL && queue_inflight(queue) == 5);
	for (int i = 0; i < 5; i++)
		finish(queue, running[i], false);
	require("it goes on", next_id(queue, &running[0]) == 1);
	queue_destroy(queue);
	free(running[0]);
}

static void
check_failing(void)
{
	struct webhook_queue *queue = queue_create(64);
	struct message *message, *other = NULL;
	char conversation[16];

	for (int i = 0; i < 10; i++)
	{
		snprintf(conversation, sizeof(conversation), "%d", i);
		add(queue, "dead", conversation, i + 1);
	}
	for (int i = 0; i < 3; i++)
	{
		message = queue_next(queue);
		finish(queue, message, true);
	}
	message = queue_next(queue);
	require("a failing endpoint has one at a time", message != NULL && queue_next(queue) == NULL);
	finish(queue, message, false);
	require("a success opens it again",
			(message = queue_next(queue)) != NULL && (other = queue_next(queue)) != NULL);
	queue_destroy(queue);
	free(message);
	free(other);
}

static void
check_total(void)
{
	struct webhook_queue *queue = queue_create(3);
	struct message *first, *second, *message;

	add(queue, "a", "1", 1);
	add(queue, "a", "2", 2);
	add(queue, "b", "1", 3);
	add(queue, "c", "1", 4);
	add(queue, "d", "1", 5);
	require("a", next_id(queue, &first) == 1);
	require("b", next_id(queue, &second) == 3);
	require("c", next_id(queue, &message) == 4);
	require("no more than all", queue_next(queue) == NULL);
	finish(queue, message, false);
	require("room again", next_id(queue, &message) == 5);
	queue_destroy(queue);
	free(first);
	free(second);
	free(message);
}

static void
check_take(void)
{
	struct webhook_queue *queue = queue_create(8);
	struct message *first = add(queue, "a", "1", 1);
	struct message *second = add(queue, "a", "1", 2);
	struct pair *pair = queue_find_pair(queue, "a", "1");

	require("taken in order", queue_take(pair) == first && queue_take(pair) == second);
	require("nothing more", queue_take(pair) == NULL && queue_next(queue) == NULL);
	queue_retain(queue, pair);
	queue_release(queue, first, 0);
	queue_release(queue, second, 0);
	require("kept", queue_find_pair(queue, "a", "1") == pair);
	queue_drop(queue, pair, 0);
	require("let go", queue_find_pair(queue, "a", "1") == NULL);
	queue_destroy(queue);
}

static void
check_orphan(void)
{
	struct webhook_queue *queue = queue_create(8);
	struct message *message = add(queue, "a", "1", 1);

	add(queue, "a", "1", 2);
	(void) queue_next(queue);
	queue_destroy(queue);
	require("what is under way outlives the queue", message->pair == NULL);
	free(message);
}

int
main(void)
{
	check_order();
	check_turns();
	check_failing();
	check_total();
	check_take();
	check_orphan();
	return 0;
}
