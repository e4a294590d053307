/*
 * Endpoints and pairs in two hash tables. A pair is in its endpoint's list exactly while it has messages waiting and none
 * under way; the endpoint wants its turns exactly while that list has any.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/table.h"
#include "webhook/webhook_queue.h"

#define FAILING 3         /* failures in a row from which an endpoint has one message at a time */
#define STORED_AT_ONCE 64 /* stored messages of a healthy endpoint in memory */
#define DUE_MOST 512      /* found due, of all endpoints */

struct webhook_queue
{
	struct table endpoints;
	struct table pairs;
	struct shares shares;
	struct endpoint *waiting; /* for their rate limits */
	int messages;
};

/* --- messages ------------------------------------------------------------------------------------- */

struct message *
message_make(struct parcel *parcel)
{
	struct message *message = xcalloc(1, sizeof(*message));

	message->parcel = parcel;
	parcel->references++;
	return message;
}

void
parcel_let_go(struct parcel *parcel)
{
	if (--parcel->references == 0)
		free(parcel);
}

void
message_free(struct message *message)
{
	parcel_let_go(message->parcel);
	free(message);
}

/* --- endpoints and pairs -------------------------------------------------------------------------- */

static void *
allocate(size_t size)
{
	return xcalloc(1, size);
}

struct webhook_queue *
queue_create(const struct webhook_limits *limits)
{
	struct webhook_queue *queue = allocate(sizeof(*queue));

	shares_init(&queue->shares, limits);
	table_init(&queue->endpoints);
	table_init(&queue->pairs);
	return queue;
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
		message_free(message);
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
	table_clear(&queue->endpoints, endpoint_free);
	shares_clear(&queue->shares);
	free(queue);
}

struct endpoint *
queue_endpoint(struct webhook_queue *queue, const struct endpoint_terms *terms)
{
	return endpoint_find(&queue->endpoints, &queue->shares, terms);
}

struct endpoint *
queue_find_endpoint(const struct webhook_queue *queue, const char *id)
{
	return (struct endpoint *) table_find(&queue->endpoints, id);
}

/* What a pair is found by. */
static char *
pair_key(const char *id, const char *conversation)
{
	size_t id_len = strlen(id), size = strlen(conversation) + 1;
	char *key = xmalloc(id_len + 1 + size);

	memcpy(key, id, id_len);
	key[id_len] = ' ';
	memcpy(key + id_len + 1, conversation, size);
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
	char *key = pair_key(endpoint->entry.key, conversation);
	struct pair *pair = (struct pair *) table_find(&queue->pairs, key);

	if (pair == NULL)
	{
		pair = allocate(sizeof(*pair));
		pair->endpoint = endpoint;
		pair->queue_tail = &pair->queue;
		table_add(&queue->pairs, &pair->entry, key);
	}
	free(key);
	return pair;
}

/* --- what is in memory ---------------------------------------------------------------------------- */

static void
hold(struct webhook_queue *queue, struct message *message)
{
	struct owner *owner = message->visit->owner;

	owner->messages++;
	shares_hold(&queue->shares, owner, sizeof(*message));
	if (message->parcel->held)
		return;
	message->parcel->held = true;
	shares_hold(&queue->shares, owner, message->parcel->bytes);
}

static void
stop_holding(struct webhook_queue *queue, struct message *message)
{
	struct owner *owner = message->visit->owner;

	owner->messages--;
	shares_free(&queue->shares, owner, sizeof(*message));
	if (message->parcel->references == 1)
		shares_free(&queue->shares, owner, message->parcel->bytes);
}

/* What was found due; a message that is noted while it is under way is none of these. */
static void
count_due(struct webhook_queue *queue, const struct message *message, int by)
{
	message->visit->owner->due += by;
	queue->shares.due += by;
}

void
queue_own(struct webhook_queue *queue, struct pair *pair, struct message *message)
{
	message->pair = pair;
	message->visit = pair->endpoint->seat.visit;
	visit_keep(message->visit);
	hold(queue, message);
	pair->endpoint->stored += message->stored;
	count_due(queue, message, message->delivery != 0);
	queue_retain(queue, pair);
}

void
queue_now_stored(struct message *message)
{
	message->stored = true;
	message->pair->endpoint->stored++;
}

void
queue_retain(struct webhook_queue *queue, struct pair *pair)
{
	pair->messages++;
	shares_count(&queue->shares, &pair->endpoint->seat, 1);
	queue->messages++;
}

void
queue_drop(struct webhook_queue *queue, struct pair *pair)
{
	shares_count(&queue->shares, &pair->endpoint->seat, -1);
	queue->messages--;
	if (--pair->messages > 0)
		return;
	table_remove(&queue->pairs, &pair->entry);
	free(pair);
}

void
queue_release(struct webhook_queue *queue, struct message *message, uint64_t now)
{
	struct endpoint *endpoint = message->pair->endpoint;

	endpoint->used_at = now;
	endpoint->stored -= message->stored;
	count_due(queue, message, -(message->delivery != 0));
	stop_holding(queue, message);
	visit_let_go(&queue->shares, message->visit);
	queue_drop(queue, message->pair);
	message_free(message);
}

/* --- sending -------------------------------------------------------------------------------------- */

static void
make_ready(struct pair *pair)
{
	struct endpoint *endpoint = pair->endpoint;

	pair->next_ready = NULL;
	*endpoint->ready_tail = pair;
	endpoint->ready_tail = &pair->next_ready;
	seat_ready(&endpoint->seat);
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
	if (endpoint->ready == NULL)
		seat_not_ready(&endpoint->seat);
}

void
queue_push(struct webhook_queue *queue, struct message *message)
{
	struct pair *pair = message->pair;
	bool was_empty = pair->queue == NULL;

	(void) queue;
	message->next = NULL;
	*pair->queue_tail = message;
	pair->queue_tail = &message->next;
	if (was_empty && pair->active == NULL)
		make_ready(pair);
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

/* A request begins: where that was the last one for now, the endpoint waits. */
static void
count_against_limit(struct webhook_queue *queue, struct endpoint *endpoint, uint64_t now)
{
	limit_take(&endpoint->limit, now);
	if (limit_allows(&endpoint->limit, now))
		return;
	endpoint->seat.waits = true;
	seat_not_ready(&endpoint->seat);
	endpoint->next_waiting = queue->waiting;
	queue->waiting = endpoint;
}

/* Lets go on whose rate limit allows it. */
static void
end_waiting(struct webhook_queue *queue, uint64_t now)
{
	struct endpoint **link = &queue->waiting, *endpoint;

	while ((endpoint = *link) != NULL)
	{
		if (!limit_allows(&endpoint->limit, now))
		{
			link = &endpoint->next_waiting;
			continue;
		}
		*link = endpoint->next_waiting;
		endpoint->seat.waits = false;
		if (endpoint->ready != NULL)
			seat_ready(&endpoint->seat);
	}
}

struct message *
queue_next(struct webhook_queue *queue, uint64_t now)
{
	struct seat *seat = shares_next(&queue->shares, now);
	struct endpoint *endpoint;
	struct message *message;
	struct pair *pair;

	if (seat == NULL)
		return NULL;
	endpoint = (struct endpoint *) (void *) ((char *) seat - offsetof(struct endpoint, seat));
	pair = endpoint->ready;
	message = pair->active = pop(pair);
	message->started = now;
	shares_begin(&queue->shares, seat, &message->slot, now);
	unmake_ready(pair);
	count_against_limit(queue, endpoint, now);
	return message;
}

void
queue_finished(struct webhook_queue *queue, struct message *message, bool failed, uint64_t now)
{
	struct pair *pair = message->pair;
	struct endpoint *endpoint = pair->endpoint;

	pair->active = NULL;
	shares_end(&queue->shares, &message->slot, now);
	endpoint->failures = failed ? endpoint->failures + 1 : 0;
	endpoint->seat.most = endpoint->failures >= FAILING ? 1 : INT_MAX;
	if (pair->queue != NULL)
		make_ready(pair);
	if (endpoint->ready != NULL && endpoint->seat.inflight < endpoint->seat.most)
		seat_ready(&endpoint->seat);
	else
		seat_not_ready(&endpoint->seat);
}

/* --- keeping house -------------------------------------------------------------------------------- */

void
queue_sweep(struct webhook_queue *queue, uint64_t now)
{
	endpoints_sweep(&queue->endpoints, &queue->shares, now);
}

void
queue_tick(struct webhook_queue *queue, uint64_t now)
{
	shares_tick(&queue->shares, now);
	end_waiting(queue, now);
}

int
queue_due_most(const struct webhook_queue *queue)
{
	int twice = 2 * queue->shares.limits.inflight;

	return twice < DUE_MOST ? twice : DUE_MOST;
}

/* Of what may be in memory, an owner has fewer than are free, so that one is always left for the next. */
bool
queue_busy(const struct webhook_queue *queue, const struct endpoint *endpoint)
{
	int most = endpoint->seat.most < STORED_AT_ONCE ? endpoint->seat.most : STORED_AT_ONCE;

	return endpoint->stored >= most || queue_is_paced(endpoint) ||
		   endpoint->seat.visit->owner->due >= queue_due_most(queue) - queue->shares.due;
}

bool
queue_is_paced(const struct endpoint *endpoint)
{
	return endpoint->limit.per_minute > 0 &&
		   (endpoint->seat.waits || endpoint->stored >= limit_per_second(&endpoint->limit));
}

bool
queue_is_full(const struct webhook_queue *queue, const struct endpoint *endpoint)
{
	if (endpoint->limit.per_minute > 0 &&
		endpoint->seat.messages > limit_per_second(&endpoint->limit))
		return true;
	return shares_is_full(&queue->shares, &endpoint->seat);
}

bool
queue_has_no_room(const struct webhook_queue *queue)
{
	return shares_are_full(&queue->shares);
}

bool
queue_is_ahead(const struct webhook_queue *queue)
{
	return shares_are_ahead(&queue->shares);
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
	return shares_inflight(&queue->shares);
}

int
queue_messages(const struct webhook_queue *queue)
{
	return queue->messages;
}
