/*
 * Whose turn it is: order within a pair, turns of owners and endpoints, shares of slots, of a host and of memory, endpoints
 * that are fast, slow or failing, and that nothing is left behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/webhook/webhook_queue.h"
#include "require.h"

#define MANY 1000
#define FORGOTTEN 10000000

static struct webhook_queue *
create(int inflight, int per_host)
{
	return queue_create(
		&(struct webhook_limits){.inflight = inflight, .per_host = per_host, .bytes = 1000000});
}

/* A message for an endpoint: owner and endpoint are named by "owner/endpoint", and so is its host unless url says more. */
static struct message *
add_at(struct webhook_queue *queue, const char *name, const char *url, int conversation,
	   int64_t event_id)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));
	char owner[32], host[64], text[16];
	struct endpoint_terms terms = {.id = name, .owner = owner, .url = host, .secret = "secret"};
	struct message *message = message_make(parcel);

	snprintf(owner, sizeof(owner), "%.*s", (int) strcspn(name, "/"), name);
	snprintf(host, sizeof(host), "https://%s.example/", strchr(name, '/') + 1);
	if (url != NULL)
		terms.url = url;
	snprintf(text, sizeof(text), "%d", conversation);
	parcel->bytes = 100;
	parcel->event_id = event_id;
	queue_own(queue, queue_pair(queue, queue_endpoint(queue, &terms), text), message);
	queue_push(queue, message);
	return message;
}

static struct message *
add(struct webhook_queue *queue, const char *name, int conversation, int64_t event_id)
{
	return add_at(queue, name, NULL, conversation, event_id);
}

static int64_t
next_id(struct webhook_queue *queue, struct message **message, uint64_t now)
{
	*message = queue_next(queue, now);
	return *message != NULL ? (*message)->parcel->event_id : 0;
}

static void
finish_at(struct webhook_queue *queue, struct message *message, bool failed, uint64_t now)
{
	queue_finished(queue, message, failed, now);
	queue_release(queue, message, now);
}

static void
finish(struct webhook_queue *queue, struct message *message, bool failed)
{
	finish_at(queue, message, failed, 0);
}

/* Starts all that may be started; answers how many. */
static int
start_all(struct webhook_queue *queue, struct message **messages, uint64_t now)
{
	int count = 0;

	while ((messages[count] = queue_next(queue, now)) != NULL)
		count++;
	return count;
}

/* Starts all that may be started while none of it is answered, until nothing more may; answers how many. */
static int
start_growing(struct webhook_queue *queue, struct message **messages, uint64_t *now)
{
	int count = 0, before;

	do
	{
		before = count;
		count += start_all(queue, messages + count, *now);
		*now += SLOW_MS + 1;
		queue_tick(queue, *now);
	} while (count > before);
	return count;
}

/* An endpoint that has answered within so many ms. */
static void
acquaint(struct webhook_queue *queue, const char *name, const char *url, uint64_t took_ms)
{
	struct message *message = add_at(queue, name, url, 0, 1);

	require("its turn", queue_next(queue, 0) == message);
	finish_at(queue, message, false, took_ms);
}

/* What is under way outlives the queue. */
static void
destroy(struct webhook_queue *queue, struct message **messages, int count)
{
	queue_destroy(queue);
	for (int i = 0; i < count; i++)
		message_free(messages[i]);
}

static int
count_owner(struct message **messages, int count, const char *owner)
{
	int found = 0;

	for (int i = 0; i < count; i++)
		found += strcmp(messages[i]->visit->owner->entry.key, owner) == 0;
	return found;
}

static void
check_order(void)
{
	struct webhook_queue *queue = create(100, 32);
	struct message *a, *b, *none;

	add(queue, "o/a", 1, 1);
	add(queue, "o/a", 1, 2);
	add(queue, "o/a", 2, 3);
	require("first of the first conversation", next_id(queue, &a, 0) == 1);
	require("other conversation at the same time", next_id(queue, &b, 0) == 3);
	require("one of a conversation at a time", next_id(queue, &none, 0) == 0);
	finish(queue, b, false);
	require("still", next_id(queue, &none, 0) == 0);
	finish(queue, a, false);
	require("then the second", next_id(queue, &a, 0) == 2);
	finish(queue, a, false);
	require("nothing left",
			queue_messages(queue) == 0 && queue_find_pair(queue, "o/a", "1") == NULL);
	queue_sweep(queue, 1);
	require("an endpoint is remembered", queue_find_endpoint(queue, "o/a") != NULL);
	queue_sweep(queue, FORGOTTEN);
	require("and forgotten in the end", queue_find_endpoint(queue, "o/a") == NULL);
	queue_destroy(queue);
}

static void
check_owners(void)
{
	struct webhook_queue *queue = create(256, MANY);
	struct message *running[MANY];
	char name[32];
	uint64_t now = 0;
	int count;

	for (int endpoint = 0; endpoint < 100; endpoint++)
	{
		snprintf(name, sizeof(name), "greedy/%d", endpoint);
		for (int conversation = 0; conversation < 10; conversation++)
			add(queue, name, conversation, 1);
	}
	count = start_all(queue, running, now);
	require("an owner whose endpoints have not answered has few at first", count == NEW_SLOTS / 2);
	queue_tick(queue, now += SLOW_MS + 1);
	count += start_growing(queue, running + count, &now);
	require("and half of what is not kept when they hang",
			count == 112 && queue_inflight(queue) == 112);
	require("whichever endpoints these are of",
			running[0]->pair->endpoint != running[1]->pair->endpoint);
	for (int owner = 0; owner < 3; owner++)
	{
		snprintf(name, sizeof(name), "late%d/a", owner);
		for (int conversation = 0; conversation < 200; conversation++)
			add(queue, name, conversation, 2);
	}
	count += start_all(queue, running + count, now);
	require("others get of what is left", count_owner(running, count, "late0") >= 7 &&
											  count_owner(running, count, "late1") >= 7 &&
											  count_owner(running, count, "late2") >= 7);
	require("in equal shares",
			count_owner(running, count, "late0") - count_owner(running, count, "late2") <= 1);
	add(queue, "last/a", 1, 3);
	require("and one is left for the next", next_id(queue, &running[count], now) == 3);
	destroy(queue, running, count + 1);
}

static void
check_fast(void)
{
	struct webhook_queue *queue = create(256, MANY);
	struct message *running[MANY];
	char name[32];
	uint64_t now = 10;
	int count, fast;

	acquaint(queue, "good/fast", NULL, 5);
	for (int owner = 0; owner < 300; owner++)
	{
		snprintf(name, sizeof(name), "bad%d/a", owner);
		add(queue, name, 1, 1);
	}
	count = start_growing(queue, running, &now);
	require("slots are kept for endpoints that answer fast", count == 224);
	for (int conversation = 0; conversation < 100; conversation++)
		add(queue, "good/fast", conversation, 2);
	fast = start_all(queue, running + count, now);
	require("which have these, and not more as long as they are fast", fast == FAST_SLOTS);
	require("no more than all", queue_inflight(queue) == 256);
	for (int i = 0; i < fast; i++)
		finish_at(queue, running[count + i], false, now + 5);
	fast = start_all(queue, running + count, now + 5);
	require("it goes on", fast == FAST_SLOTS);
	destroy(queue, running, count + fast);
}

static void
check_becoming_slow(void)
{
	struct webhook_queue *queue = create(256, MANY);
	struct message *running[MANY];
	int count;

	acquaint(queue, "o/a", NULL, 5);
	acquaint(queue, "p/b", NULL, 5);
	for (int conversation = 0; conversation < 200; conversation++)
		add(queue, "o/a", conversation, 1);
	count = start_all(queue, running, 10);
	require("32 while answers are fast", count == 32);
	add(queue, "p/b", 1, 2);
	require("which may all be one endpoint's", queue_next(queue, 20) == NULL);
	queue_tick(queue, 10 + SLOW_MS + 1);
	count += start_all(queue, running + count, 10 + SLOW_MS + 1);
	require("it grows when they are late", count > 64 && count < 200);
	require("and the other one has its turn at once", count_owner(running, count, "p") == 1);
	destroy(queue, running, count);
}

static void
check_host(void)
{
	static const char *const urls[] = {"https://Host.example/a", "https://me@host.example:8443/b",
									   "http://host.example.?c"};
	struct webhook_queue *queue = create(1000, 32);
	struct message *running[MANY];
	char name[32];
	int count;

	for (int endpoint = 0; endpoint < 3; endpoint++)
	{
		snprintf(name, sizeof(name), "o/%d", endpoint);
		acquaint(queue, name, urls[endpoint], 5);
	}
	acquaint(queue, "p/a", urls[0], 5);
	for (int i = 0; i < 1200; i++)
	{
		snprintf(name, sizeof(name), "o/%d", i % 3);
		add_at(queue, name, urls[i % 3], i / 3, 1);
	}
	count = start_all(queue, running, 10);
	require("all three are one host", count == 32);
	add(queue, "p/elsewhere", 1, 3);
	require("other hosts do not wait", next_id(queue, &running[count], 10) == 3);
	count++;
	for (int conversation = 0; conversation < 400; conversation++)
		add_at(queue, "p/a", urls[0], conversation, 2);
	for (int i = 0; i < count; i++)
		finish_at(queue, running[i], false, 15);
	for (int round = 0; round < 3; round++)
	{
		count = start_all(queue, running, 20);
		require("fast ones have all of a host", count == 32);
		require("owners in turn", abs(count_owner(running, count, "p") - 16) <= 1);
		for (int i = 0; i < count; i++)
			finish_at(queue, running[i], false, 25);
	}
	queue_destroy(queue);
}

/* Endpoints of many owners that hang, at the host of others. */
static void
check_hanging_host(void)
{
	static const char *const url = "https://host.example/";
	struct webhook_queue *queue = create(1000, 32);
	struct message *running[MANY], *message;
	uint64_t now = 10;
	char name[32];
	int count, kept;

	acquaint(queue, "good/fast", url, 5);
	acquaint(queue, "good/slow", url, 200);
	for (int owner = 0; owner < 100; owner++)
	{
		snprintf(name, sizeof(name), "bad%d/a", owner);
		for (int conversation = 0; conversation < 10; conversation++)
			add_at(queue, name, url, conversation, 1);
	}
	count = start_growing(queue, running, &now);
	require("some of a host are kept for endpoints that answer", count == 24);
	for (int round = 0; round < 3; round++)
	{
		message = add_at(queue, "good/fast", url, round, 2);
		require("which have them at once", queue_next(queue, now) == message);
		finish_at(queue, message, false, now + 5);
		now += 10;
		message = add_at(queue, "good/slow", url, round, 2);
		require("slow ones, too", queue_next(queue, now) == message);
		finish_at(queue, message, false, now += 200);
	}
	add_at(queue, "next/a", url, 1, 3);
	for (int timeouts = 0; queue_find_endpoint(queue, "next/a")->seat.inflight == 0; timeouts++)
	{
		require("one that has not answered yet has its turn before those that hang again",
				timeouts < 5);
		for (int i = 0; i < count; i++)
			finish_at(queue, running[i], true, now);
		count = start_growing(queue, running, &now);
	}
	kept = 32 - queue_inflight(queue);
	require("whatever hangs", kept >= 4);
	destroy(queue, running, count);
}

/* Those that wait for a host are found again, whatever became of the ones before them. */
static void
check_waiting(void)
{
	struct webhook_queue *queue = create(8, 1);
	struct message *first, *none, *second;
	int64_t sum = 0, id;
	char name[32];

	for (int owner = 0; owner < 5; owner++)
	{
		snprintf(name, sizeof(name), "o%d/a", owner);
		add_at(queue, name, "https://host.example/", 1, owner + 1);
	}
	require("one at a time", next_id(queue, &first, 0) == 1 && next_id(queue, &none, 0) == 0);
	second = queue_take(queue_find_pair(queue, "o1/a", "1"));
	queue_release(queue, second, 0);
	finish(queue, first, false);
	for (int owner = 2; owner < 5; owner++)
	{
		queue_tick(queue, 0);
		id = next_id(queue, &first, 0);
		require("another one", id > 2);
		sum += id;
		require("alone", next_id(queue, &none, 0) == 0);
		finish(queue, first, false);
	}
	require("each once", sum == 3 + 4 + 5);
	require("nothing left", queue_messages(queue) == 0 && queue_next(queue, 0) == NULL);
	queue_destroy(queue);
}

static void
check_failing(void)
{
	struct webhook_queue *queue = create(64, 64);
	struct message *running[MANY];
	struct message *message;

	for (int i = 0; i < 10; i++)
		add(queue, "o/dead", i, i + 1);
	for (int i = 0; i < 3; i++)
		finish(queue, queue_next(queue, 0), true);
	message = queue_next(queue, 0);
	require("a failing endpoint has one at a time",
			message != NULL && queue_next(queue, 0) == NULL);
	finish(queue, message, false);
	require("a success opens it again", start_all(queue, running, 0) == 6);
	finish(queue, running[0], true);
	finish(queue, running[1], true);
	finish(queue, running[2], true);
	require("and failures close it", queue_next(queue, 0) == NULL);
	destroy(queue, running + 3, 3);
}

static void
check_few_slots(void)
{
	struct webhook_queue *queue = create(1, 1);
	struct message *message, *none;

	add(queue, "o/a", 1, 1);
	add(queue, "p/b", 1, 2);
	require("one slot", next_id(queue, &message, 0) == 1 && next_id(queue, &none, 0) == 0);
	finish(queue, message, false);
	require("is everybody's", next_id(queue, &message, 0) == 2);
	finish(queue, message, false);
	queue_destroy(queue);
}

static void
check_memory(void)
{
	struct webhook_queue *queue =
		queue_create(&(struct webhook_limits){.inflight = 10, .per_host = 10, .bytes = 100000});
	const struct endpoint *slow, *fast;
	struct message *first, *shared;

	acquaint(queue, "o/slow", NULL, 1000);
	acquaint(queue, "p/fast", NULL, 1);
	slow = queue_find_endpoint(queue, "o/slow");
	fast = queue_find_endpoint(queue, "p/fast");
	require("room", !queue_is_full(queue, slow) && !queue_has_no_room(queue));
	first = add(queue, "o/slow", 0, 1);
	for (int i = 1; i < 200; i++)
		add(queue, "o/slow", i, 1);
	require("a slow endpoint's owner has half at most", queue_is_full(queue, slow));
	require("that of others is no concern of it",
			!queue_is_full(queue, fast) && !queue_has_no_room(queue));
	for (int i = 0; i < 200; i++)
		add(queue, "p/fast", i, 1);
	require("all", queue_has_no_room(queue));
	shared = message_make(first->parcel);
	queue_own(queue, queue_find_pair(queue, "o/slow", "0"), shared);
	require("an event is there once", first->parcel->references == 2);
	require("taken", queue_take(first->pair) == first);
	queue_release(queue, first, 0);
	require("as long as one needs it", shared->parcel->references == 1);
	queue_release(queue, shared, 0);
	queue_destroy(queue);
}

/* What is read ahead for those that keep up. */
static void
check_ahead(void)
{
	struct webhook_queue *queue =
		queue_create(&(struct webhook_limits){.inflight = 10, .per_host = 10, .bytes = 100000000});

	acquaint(queue, "p/fast", NULL, 1);
	acquaint(queue, "o/slow", NULL, 1000);
	for (int i = 0; i < 5000; i++)
		add(queue, "o/slow", i, 1);
	require("what slow ones have keeps nobody from reading on", !queue_is_ahead(queue));
	for (int i = 0; i < 3000; i++)
		add(queue, "q/new", i, 1);
	require("nor what those have that were never asked", !queue_is_ahead(queue));
	for (int i = 0; i < 3000; i++)
		add(queue, "p/fast", i, 1);
	require("what fast ones have does", queue_is_ahead(queue));
	queue_tick(queue, 1000);
	for (int i = 0; i < 500; i++)
		finish_at(queue, queue_next(queue, 1000), false, 1000);
	require("it is by their number at first", queue_is_ahead(queue));
	queue_tick(queue, 1010);
	require("and by what is delivered in a second then", !queue_is_ahead(queue));
	queue_tick(queue, 3000);
	queue_tick(queue, 6000);
	queue_tick(queue, 9000);
	queue_tick(queue, 12000);
	queue_tick(queue, 15000);
	require("which changes", queue_is_ahead(queue));
	queue_destroy(queue);
}

/* A limit's number, changed as the next message for the endpoint says. */
static void
limit_to(struct webhook_queue *queue, const char *name, int per_minute)
{
	struct endpoint_terms terms = {.id = name, .owner = "o", .url = "https://a.example/"};

	terms.rate_limit = per_minute;
	queue_endpoint(queue, &terms);
}

/* Starts what may start within so many ms from a time on, looking ten times a second, as the sidecar does. */
static int
start_within(struct webhook_queue *queue, struct message **messages, uint64_t from, uint64_t ms)
{
	int count = 0;

	for (uint64_t now = from; now <= from + ms; now += 100)
	{
		queue_tick(queue, now);
		count += start_all(queue, messages + count, now);
	}
	return count;
}

static void
check_rate_limit(void)
{
	struct webhook_queue *queue = create(MANY, MANY);
	struct message *running[MANY], *message = NULL;
	int left = 400, count;

	limit_to(queue, "o/a", 120);
	for (int i = 0; i < 400; i++)
	{
		message = add_at(queue, "o/a", "https://a.example/", i, i + 1);
		limit_to(queue, "o/a", 120);
	}
	require("more than a second's worth is better stored",
			queue_is_full(queue, message->pair->endpoint));
	add_at(queue, "o/b", "https://a.example/", 1, 1000);
	count = start_within(queue, running, 1000, 59999) - 1; /* without the other one's */
	require("a minute has no more than the limit, and little less", count <= 120 && count >= 118);
	left -= count;
	for (int i = 0; i <= count; i++)
		finish_at(queue, running[i], false, 62000);
	count = start_within(queue, running, 62000, 59999);
	require("so has the next", count <= 120 && count >= 118);
	left -= count;
	for (int i = 0; i < count; i++)
		finish_at(queue, running[i], false, 122000);
	limit_to(queue, "o/a", 1);
	require("changed while it waits", start_within(queue, running, 123000, 59999) == 1);
	finish_at(queue, running[0], false, 183000);
	limit_to(queue, "o/a", 0);
	require("taken away: the rest goes", start_within(queue, running, 183000, 100) == --left);
	for (int i = 0; i < left; i++)
		finish_at(queue, running[i], false, 184000);
	require("nothing is left", queue_messages(queue) == 0);
	queue_destroy(queue);
}

/* An endpoint that gets another URL or owner while it has something under way. */
static void
check_moves(void)
{
	struct webhook_queue *queue = create(10, 1);
	struct message *message, *none;

	add_at(queue, "o/a", "https://one.example/", 1, 1);
	require("at the first", next_id(queue, &message, 0) == 1);
	add_at(queue, "o/a", "https://two.example/", 2, 2);
	require("the other host is free", next_id(queue, &none, 0) == 2);
	finish(queue, message, false);
	finish(queue, none, false);
	queue_sweep(queue, FORGOTTEN);
	require("nothing left", queue_find_endpoint(queue, "o/a") == NULL);
	queue_destroy(queue);
}

static void
check_take(void)
{
	struct webhook_queue *queue = create(8, 8);
	struct message *first = add(queue, "o/a", 1, 1);
	struct message *second = add(queue, "o/a", 1, 2);
	struct pair *pair = queue_find_pair(queue, "o/a", "1");

	require("taken in order", queue_take(pair) == first && queue_take(pair) == second);
	require("nothing more", queue_take(pair) == NULL && queue_next(queue, 0) == NULL);
	queue_retain(queue, pair);
	queue_release(queue, first, 0);
	queue_release(queue, second, 0);
	require("kept", queue_find_pair(queue, "o/a", "1") == pair);
	queue_drop(queue, pair);
	require("let go", queue_find_pair(queue, "o/a", "1") == NULL);
	queue_destroy(queue);
}

static void
check_orphan(void)
{
	struct webhook_queue *queue = create(8, 8);
	struct message *message = add(queue, "o/a", 1, 1);

	add(queue, "o/a", 1, 2);
	(void) queue_next(queue, 0);
	queue_destroy(queue);
	require("what is under way outlives the queue", message->pair == NULL);
	message_free(message);
}

int
main(void)
{
	check_order();
	check_owners();
	check_fast();
	check_becoming_slow();
	check_host();
	check_hanging_host();
	check_waiting();
	check_failing();
	check_few_slots();
	check_memory();
	check_ahead();
	check_rate_limit();
	check_moves();
	check_take();
	check_orphan();
	return 0;
}
