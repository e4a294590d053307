/*
 * Endpoints and pairs in two hash tables. An endpoint is in the list of those that take turns exactly while
 * it has a pair that could send and fewer messages under way than its share; a pair is in its endpoint's
 * list exactly while it has messages waiting and none under way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "webhook/webhook_queue.h"
#include "base/memory.h"

#define FAILING 3         /* failures in a row from which an endpoint has one message at a time */
#define STORED_AT_ONCE 64 /* stored messages of a healthy endpoint in memory */

struct webhook_queue
{
	struct table endpoints;
	struct table pairs;
	struct endpoint *listed, **listed_tail;
	int max_inflight;
	int inflight;
	int messages;
};

static void *
allocate(size_t size)
{
	void *memory = xcalloc(1, size);

	return memory;
}

static char *
copy(const char *text)
{
	char *copied = text != NULL ? xstrdup(text) : NULL;

	return copied;
}

struct webhook_queue *
queue_create(int max_inflight)
{
	struct webhook_queue *queue = allocate(sizeof(*queue));

	queue->max_inflight = max_inflight;
	queue->listed_tail = &queue->listed;
	table_init(&queue->endpoints);
	table_init(&queue->pairs);
	return queue;
}

static void
free_endpoint(struct entry *entry)
{
	struct endpoint *endpoint = (struct endpoint *) entry;

	free(endpoint->url);
	free(endpoint->secret);
	free(endpoint->old_secret);
	free(endpoint);
}

/* Frees what waits in a pair; what is under way belongs to its request alone from now on. */
static void
abandon_pair(struct entry *entry)
{
	struct pair *pair = (struct pair *) entry;
	struct message *next;

	for (struct message *message = pair->queue; message != NULL; message = next)
	{
		next = message->next;
		free(message);
	}
	if (pair->active != NULL)
	{
		pair->active->pair = NULL;
		pair->active->load = NULL;
	}
	free(pair);
}

void
queue_destroy(struct webhook_queue *queue)
{
	table_clear(&queue->pairs, abandon_pair);
	table_clear(&queue->endpoints, free_endpoint);
	free(queue);
}

/* Replaces a text that changed. */
static void
refresh(char **kept, const char *now)
{
	if (*kept != NULL && now != NULL && strcmp(*kept, now) == 0)
		return;
	if (*kept == NULL && now == NULL)
		return;
	free(*kept);
	*kept = copy(now);
}

struct endpoint *
queue_endpoint(struct webhook_queue *queue, const char *id, const char *url, const char *secret,
			   const char *old_secret)
{
	struct endpoint *endpoint = (struct endpoint *) table_find(&queue->endpoints, id);

	if (endpoint == NULL)
	{
		endpoint = allocate(sizeof(*endpoint));
		endpoint->ready_tail = &endpoint->ready;
		table_add(&queue->endpoints, &endpoint->entry, id);
	}
	refresh(&endpoint->url, url);
	refresh(&endpoint->secret, secret);
	refresh(&endpoint->old_secret, old_secret);
	return endpoint;
}

const struct endpoint *
queue_find_endpoint(const struct webhook_queue *queue, const char *id)
{
	return (const struct endpoint *) table_find(&queue->endpoints, id);
}

static char *
pair_key(const char *id, const char *conversation)
{
	size_t id_len = strlen(id);
	char *key = allocate(id_len + strlen(conversation) + 2);

	memcpy(key, id, id_len);
	key[id_len] = ' ';
	strcpy(key + id_len + 1, conversation);
	return key;
}

struct pair *
queue_find_pair(const struct webhook_queue *queue, const char *id, const char *conversation)
{
	char *key = pair_key(id, conversation);
	struct pair *pair = (struct pair *) table_find(&queue->pairs, key);

	free(key);
	return pair;
}

struct pair *
queue_pair(struct webhook_queue *queue, struct endpoint *endpoint, const char *conversation)
{
	struct pair *pair = queue_find_pair(queue, endpoint->entry.key, conversation);
	char *key;

	if (pair != NULL)
		return pair;
	key = pair_key(endpoint->entry.key, conversation);
	pair = allocate(sizeof(*pair));
	pair->endpoint = endpoint;
	pair->queue_tail = &pair->queue;
	table_add(&queue->pairs, &pair->entry, key);
	free(key);
	return pair;
}

void
queue_own(struct webhook_queue *queue, struct pair *pair, struct message *message)
{
	message->pair = pair;
	pair->endpoint->stored += message->stored;
	queue_retain(queue, pair);
}

/* How many messages an endpoint may have under way: the others always have their share left. */
static int
share(const struct webhook_queue *queue, const struct endpoint *endpoint)
{
	if (endpoint->failures >= FAILING || queue->max_inflight < 8)
		return 1;
	return queue->max_inflight / 4;
}

static void
list_endpoint(struct webhook_queue *queue, struct endpoint *endpoint)
{
	if (endpoint->listed || endpoint->ready == NULL || endpoint->inflight >= share(queue, endpoint))
		return;
	endpoint->listed = true;
	endpoint->next_listed = NULL;
	*queue->listed_tail = endpoint;
	queue->listed_tail = &endpoint->next_listed;
}

static struct endpoint *
unlist_first(struct webhook_queue *queue)
{
	struct endpoint *endpoint = queue->listed;

	if (endpoint == NULL)
		return NULL;
	queue->listed = endpoint->next_listed;
	if (queue->listed == NULL)
		queue->listed_tail = &queue->listed;
	endpoint->listed = false;
	return endpoint;
}

static void
make_ready(struct webhook_queue *queue, struct pair *pair)
{
	struct endpoint *endpoint = pair->endpoint;

	pair->next_ready = NULL;
	*endpoint->ready_tail = pair;
	endpoint->ready_tail = &pair->next_ready;
	list_endpoint(queue, endpoint);
}

static void
unmake_ready(struct pair *pair)
{
	struct endpoint *endpoint = pair->endpoint;
	struct pair **link = &endpoint->ready;

	while (*link != pair)
		link = &(*link)->next_ready;
	*link = pair->next_ready;
	if (*link == NULL)
		endpoint->ready_tail = link;
}

void
queue_push(struct webhook_queue *queue, struct message *message)
{
	struct pair *pair = message->pair;
	bool was_empty = pair->queue == NULL;

	message->next = NULL;
	*pair->queue_tail = message;
	pair->queue_tail = &message->next;
	if (was_empty && pair->active == NULL)
		make_ready(queue, pair);
}

static struct message *
pop(struct pair *pair)
{
	struct message *message = pair->queue;

	pair->queue = message->next;
	if (pair->queue == NULL)
		pair->queue_tail = &pair->queue;
	message->next = NULL;
	return message;
}

struct message *
queue_take(struct pair *pair)
{
	if (pair->queue == NULL)
		return NULL;
	if (pair->queue->next == NULL && pair->active == NULL)
		unmake_ready(pair);
	return pop(pair);
}

/* Takes the next pair of an endpoint and puts its first message under way. */
static struct message *
start_first(struct webhook_queue *queue, struct endpoint *endpoint)
{
	struct pair *pair = endpoint->ready;

	unmake_ready(pair);
	pair->active = pop(pair);
	endpoint->inflight++;
	queue->inflight++;
	return pair->active;
}

struct message *
queue_next(struct webhook_queue *queue)
{
	struct endpoint *endpoint;
	struct message *message;

	if (queue->inflight >= queue->max_inflight)
		return NULL;
	/* One that was listed may have lost its pairs, or become slower, since. */
	do
	{
		endpoint = unlist_first(queue);
		if (endpoint == NULL)
			return NULL;
	} while (endpoint->ready == NULL || endpoint->inflight >= share(queue, endpoint));
	message = start_first(queue, endpoint);
	list_endpoint(queue, endpoint);
	return message;
}

void
queue_finished(struct webhook_queue *queue, struct message *message, bool failed)
{
	struct pair *pair = message->pair;

	pair->active = NULL;
	pair->endpoint->inflight--;
	queue->inflight--;
	pair->endpoint->failures = failed ? pair->endpoint->failures + 1 : 0;
	if (pair->queue != NULL)
		make_ready(queue, pair);
	else
		list_endpoint(queue, pair->endpoint);
}

static void
unlist(struct webhook_queue *queue, struct endpoint *endpoint)
{
	struct endpoint **link = &queue->listed;

	if (!endpoint->listed)
		return;
	while (*link != endpoint)
		link = &(*link)->next_listed;
	*link = endpoint->next_listed;
	if (*link == NULL)
		queue->listed_tail = link;
}

/*
 * An endpoint that fails or is paused is remembered, or the next message would find it healthy; so is one that the log
 * has just told of, or it would do so again.
 */
static bool
forgettable(const struct endpoint *endpoint, uint64_t now)
{
	return endpoint->messages == 0 && endpoint->failures == 0 && endpoint->paused_until <= now &&
		   endpoint->next_report <= now;
}

void
queue_retain(struct webhook_queue *queue, struct pair *pair)
{
	pair->messages++;
	pair->endpoint->messages++;
	queue->messages++;
}

void
queue_drop(struct webhook_queue *queue, struct pair *pair, uint64_t now)
{
	struct endpoint *endpoint = pair->endpoint;

	endpoint->messages--;
	queue->messages--;
	if (--pair->messages == 0)
	{
		table_remove(&queue->pairs, &pair->entry);
		free(pair);
	}
	if (forgettable(endpoint, now))
	{
		unlist(queue, endpoint);
		table_remove(&queue->endpoints, &endpoint->entry);
		free_endpoint(&endpoint->entry);
	}
}

void
queue_release(struct webhook_queue *queue, struct message *message, uint64_t now)
{
	message->pair->endpoint->stored -= message->stored;
	queue_drop(queue, message->pair, now);
	free(message);
}

bool
queue_busy(const struct webhook_queue *queue, const struct endpoint *endpoint)
{
	int most = share(queue, endpoint);

	return endpoint->stored >= (most < STORED_AT_ONCE ? most : STORED_AT_ONCE);
}

void
queue_each_endpoint(struct webhook_queue *queue, void (*visit)(void *arg, struct entry *endpoint),
					void *arg)
{
	table_each(&queue->endpoints, visit, arg);
}

int
queue_inflight(const struct webhook_queue *queue)
{
	return queue->inflight;
}

int
queue_messages(const struct webhook_queue *queue)
{
	return queue->messages;
}

void
queue_now_stored(struct message *message)
{
	message->stored = true;
	message->pair->endpoint->stored++;
}
