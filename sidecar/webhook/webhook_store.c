/*
 * Two lists: waiting (to be sent) and sent (the one group that is under way). A message is in waiting when
 * listed, in sent when saving, and never in both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/pgarray.h"
#include "io/db.h"
#include "io/db_error.h"
#include "webhook/webhook_store.h"
#include "base/memory.h"

#define GROUP_COST 250 /* of a group, a few ms: events that come meanwhile wait for it */
#define DONE_COST 1
#define WRITTEN_COST 3                         /* of what is a row afterwards */
#define GROUP_FULL (GROUP_COST / WRITTEN_COST) /* messages that need not wait for more */
#define GROUP_WAIT_MS 100
#define GAP_MS 1 /* between two groups, for events that came meanwhile */
#define FAILED_WAIT_MS 1000

struct list
{
	struct message *first, **tail;
	int count;
};

struct store
{
	struct store_handlers handlers;
	void *arg;
	struct db *db;
	uint64_t epoch;
	struct list waiting;
	struct list sent;
	bool saving;
	bool failed; /* the last group was not saved */
	bool urgent; /* somebody waits for the next group */
	unsigned generation;
	struct pgarray outcomes;
	struct pgarray outcome; /* one of them */
	uv_timer_t timer;
};

/* One statement under way; it may outlive what it was about. */
struct call
{
	struct store *store;
	unsigned generation;
};

static const struct db_statement save_statement = {
	"webhook_save", "SELECT saved, due FROM chat.webhook_save($1, $2)", 2, "saved due?",
	DB_ONE_ROW};

static void
list_init(struct list *list)
{
	list->first = NULL;
	list->tail = &list->first;
	list->count = 0;
}

static void
list_append(struct list *list, struct message *message)
{
	message->next_saved = NULL;
	*list->tail = message;
	list->tail = &message->next_saved;
	list->count++;
}

static struct message *
list_pop(struct list *list)
{
	struct message *message = list->first;

	if (message == NULL)
		return NULL;
	list->first = message->next_saved;
	if (list->first == NULL)
		list->tail = &list->first;
	list->count--;
	return message;
}

static void
on_timer(uv_timer_t *timer)
{
	store_flush(timer->data);
}

struct store *
store_create(struct app *app, const struct store_handlers *handlers, void *arg)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->handlers = *handlers;
	store->arg = arg;
	list_init(&store->waiting);
	list_init(&store->sent);
	uv_timer_init(app->loop, &store->timer);
	store->timer.data = store;
	return store;
}

static void
on_closed(uv_handle_t *timer)
{
	struct store *store = timer->data;

	buffer_free(&store->outcomes.text);
	buffer_free(&store->outcome.text);
	free(store);
}

void
store_destroy(struct store *store)
{
	uv_close((uv_handle_t *) &store->timer, on_closed);
}

void
store_begin(struct store *store, struct db *db, uint64_t epoch)
{
	store->db = db;
	store->epoch = epoch;
}

static void
free_outcome(struct outcome *outcome)
{
	free(outcome->error);
	free(outcome->response);
	memset(outcome, 0, sizeof(*outcome));
}

static void
reset_list(struct list *list)
{
	struct message *message;

	while ((message = list_pop(list)) != NULL)
	{
		free_outcome(&message->outcome);
		message->listed = message->saving = false;
		if (message->pair->active != message)
			message_free(message);
	}
}

void
store_reset(struct store *store)
{
	reset_list(&store->waiting);
	reset_list(&store->sent);
	store->generation++;
	store->saving = store->failed = store->urgent = false;
	store->db = NULL;
	uv_timer_stop(&store->timer);
}

static const char *
action_name(enum message_action action)
{
	switch (action)
	{
		case ACTION_RETRY:
			return "retry";
		case ACTION_HOLD:
			return "hold";
		case ACTION_STORE:
			return "store";
		default:
			return "done";
	}
}

static void
add_boolean(struct pgarray *row, bool value)
{
	pgarray_text(row, value ? "t" : "f");
}

/* In the order of chat.webhook_outcome. */
static void
add_attempt(struct pgarray *row, const struct message *message)
{
	const struct outcome *outcome = &message->outcome;

	pgarray_number(row, outcome->attempted ? message->attempts + 1 : 0);
	pgarray_number(row, outcome->status);
	pgarray_text(row, outcome->error);
	pgarray_text(row, outcome->response);
	pgarray_number(row, outcome->duration_ms);
	pgarray_number(row, outcome->delay_ms);
	add_boolean(row, outcome->counted);
	pgarray_text(row, outcome->disable);
	if (outcome->pause_ms > 0)
		pgarray_number(row, outcome->pause_ms);
	else
		pgarray_null(row);
}

static void
add_message(struct store *store, const struct message *message)
{
	struct pgarray *row = &store->outcome;

	pgarray_begin_row(row);
	pgarray_text(row, message->pair->endpoint->entry.key);
	pgarray_number(row, message->parcel->event_id);
	pgarray_text(row, message->parcel->id);
	pgarray_text(row, message->parcel->type);
	pgarray_text(row, action_name(message->outcome.action));
	add_boolean(row, message->stored);
	add_attempt(row, message);
	pgarray_text(&store->outcomes, pgarray_end(row));
}

static int
cost_of(const struct message *message)
{
	return message->outcome.action == ACTION_DONE ? DONE_COST : WRITTEN_COST;
}

/* Moves the next group from waiting to sent, and writes it down. */
static void
take_group(struct store *store)
{
	struct message *message;
	int cost = 0;

	pgarray_begin(&store->outcomes);
	while (cost < GROUP_COST && (message = list_pop(&store->waiting)) != NULL)
	{
		cost += cost_of(message);
		message->listed = false;
		message->saving = true;
		message->sent = message->outcome.action;
		add_message(store, message);
		list_append(&store->sent, message);
	}
}

/* Puts a group that was not saved before what waits. */
static void
take_back(struct store *store)
{
	struct list later = store->waiting;
	struct message *message;

	if (later.first == NULL)
		later.tail = &later.first;
	list_init(&store->waiting);
	while ((message = list_pop(&store->sent)) != NULL)
	{
		message->saving = false;
		message->listed = true;
		list_append(&store->waiting, message);
	}
	while ((message = list_pop(&later)) != NULL)
		list_append(&store->waiting, message);
}

static void
finish_message(struct store *store, struct message *message)
{
	enum message_action action = message->sent;

	message->saving = false;
	message->sent = ACTION_NONE;
	if (action == ACTION_HOLD)
	{
		if (!message->stored)
			queue_now_stored(message);
		if (message->outcome.action != ACTION_HOLD)
			store_add(store, message, true);
	}
	else
		free_outcome(&message->outcome);
	store->handlers.saved(store->arg, message, action);
}

static void
finish_group(struct store *store, bool due)
{
	struct message *message;

	store->failed = false;
	while ((message = list_pop(&store->sent)) != NULL)
		finish_message(store, message);
	store->handlers.settled(store->arg, due);
	if (store->urgent)
		store_flush(store);
	else if (store->waiting.count >= GROUP_FULL)
		uv_timer_start(&store->timer, on_timer, GAP_MS, 0);
	else if (store->waiting.count > 0 && !uv_is_active((uv_handle_t *) &store->timer))
		uv_timer_start(&store->timer, on_timer, GROUP_WAIT_MS, 0);
}

static void
fail_group(struct store *store, PGresult *result)
{
	struct db_error error;

	take_back(store);
	store->failed = true;
	if (result != NULL && PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		log_event(LOG_ERROR, "saving webhook deliveries failed, will be tried again", "error", "%s",
				  error.text, "sqlstate", "%s", error.sqlstate, NULL);
	}
	uv_timer_start(&store->timer, on_timer, FAILED_WAIT_MS, 0);
}

static bool
says_true(PGresult *result, int column)
{
	return PQntuples(result) == 1 && PQgetvalue(result, 0, column)[0] == 't';
}

/* Without a connection or the lease all of this is about to be reset. */
static void
on_saved(void *arg, PGresult *result)
{
	struct call *call = arg;
	struct store *store = call->store;
	bool current = call->generation == store->generation;

	free(call);
	if (!current)
		return;
	store->saving = false;
	if (result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && says_true(result, 0))
		finish_group(store, says_true(result, 1));
	else
		fail_group(store, result);
}

void
store_flush(struct store *store)
{
	const char *params[2];
	struct call *call;
	char epoch[24];

	if (store->saving || store->db == NULL || store->waiting.count == 0)
		return;
	uv_timer_stop(&store->timer);
	store->urgent = false;
	take_group(store);
	snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long) store->epoch);
	params[0] = epoch;
	params[1] = pgarray_end(&store->outcomes);
	call = xcalloc(1, sizeof(*call));
	call->store = store;
	call->generation = store->generation;
	store->saving = true;
	db_query(store->db, &save_statement, params, on_saved, call);
}

void
store_add(struct store *store, struct message *message, bool urgent)
{
	/* One that is on its way is looked at again when it has arrived. */
	if (message->saving)
		return;
	if (!message->listed)
	{
		message->listed = true;
		list_append(&store->waiting, message);
	}
	store->urgent |= urgent;
	if (store->saving || store->failed)
		return;
	if (urgent ||
		store->waiting.count == GROUP_FULL) /* more of them came in a gap, which goes on */
		uv_timer_start(&store->timer, on_timer, 0, 0);
	else if (!uv_is_active((uv_handle_t *) &store->timer))
		uv_timer_start(&store->timer, on_timer, GROUP_WAIT_MS, 0);
}
