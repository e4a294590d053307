/*
 * What comes before goes to the database before what comes after it: where an event of a conversation has to be stored, those
 * of it that wait in memory are, too. After a crash what is stored is sent at once, and the log is read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/config.h"
#include "../../sidecar/webhook/webhook_internal.h"
#define db_query stand_in_query
#include "stand_in.h"
#undef db_query
#include "require.h"

void db_query(struct db *db, const struct db_statement *statement, const char *const *params,
			  db_callback callback, void *arg);

#define PARCEL_BYTES 100
#define HELD (sizeof(struct message) + PARCEL_BYTES) /* that a message has in memory */

/* The group of outcomes that is on its way to the database. */
static struct
{
	char *outcomes;
	db_callback callback;
	void *arg;
} saving;

void
db_query(struct db *db, const struct db_statement *statement, const char *const *params,
		 db_callback callback, void *arg)
{
	(void) db;
	if (strcmp(statement->name, "webhook_save") != 0 || saving.outcomes != NULL)
		abort();
	saving.outcomes = strdup(params[1]);
	saving.callback = callback;
	saving.arg = arg;
}

void
db_reconnect(struct db *db, const char *why)
{
	(void) db;
	(void) why;
}

void
consumer_release(struct read *read)
{
	(void) read;
}

void
consumer_advance(struct consumer *consumer)
{
	(void) consumer;
}

static void
on_saved(void *arg, struct message *message, enum message_action action)
{
	(void) arg;
	(void) message;
	(void) action;
}

static void
on_settled(void *arg, bool due)
{
	(void) arg;
	(void) due;
}

/* One conversation of one endpoint, and a read of the log. */
struct place
{
	struct app app;
	struct webhook webhook;
	struct load load;
	struct endpoint *endpoint;
	struct message *active;
};

static void
begin(struct place *place, uv_loop_t *loop, int rate_limit)
{
	static const struct config config = {.webhook_timeout_ms = 1000};
	static const struct store_handlers handlers = {on_saved, on_settled};
	static int database;
	const struct webhook_limits limits = {.inflight = 4, .per_host = 4, .bytes = 5 * HELD};
	const struct endpoint_terms terms = {
		.id = "hook", .owner = "owner", .url = "https://host.example/", .rate_limit = rate_limit};

	*place = (struct place){.app = {.loop = loop, .config = &config}};
	place->webhook.app = &place->app;
	place->webhook.queue = queue_create(&limits);
	place->webhook.store = store_create(&place->app, &handlers, &place->webhook);
	store_begin(place->webhook.store, (struct db *) &database, 1);
	place->endpoint = queue_endpoint(place->webhook.queue, &terms);
}

static void
end(struct place *place)
{
	store_reset(place->webhook.store);
	if (saving.outcomes != NULL)
		saving.callback(saving.arg, NULL);
	free(saving.outcomes);
	saving.outcomes = NULL;
	queue_destroy(place->webhook.queue);
	if (place->active != NULL)
		message_free(place->active);
	store_destroy(place->webhook.store);
	uv_run(place->app.loop, UV_RUN_DEFAULT);
}

/* The next event comes. paused: its endpoint is, by the database. */
static void
take(struct place *place, int event_id, bool paused)
{
	static char type[] = "message.received";
	struct parcel *parcel = calloc(1, sizeof(*parcel) + 32);

	parcel->bytes = PARCEL_BYTES;
	parcel->event_id = event_id;
	parcel->id = parcel->text;
	parcel->type = type;
	snprintf(parcel->id, 32, "evt_%d", event_id);
	webhook_take(&place->webhook, &place->load,
				 queue_pair(place->webhook.queue, place->endpoint, "1"), parcel, paused);
}

/* Whether these go to the database, in this order: "1 store,2 store,". */
static bool
saves(struct place *place, const char *expected)
{
	char found[256] = "", action[16];
	int id;

	store_flush(place->webhook.store);
	for (const char *at = saving.outcomes; at != NULL && (at = strstr(at, "evt_")) != NULL; at++)
	{
		size_t len = strlen(found);

		if (sscanf(at, "evt_%d%*[\\\",]%*[a-z.]%*[\\\",]%15[a-z]", &id, action) != 2)
			abort();
		snprintf(found + len, sizeof(found) - len, "%d %s,", id, action);
	}
	if (strcmp(found, expected) != 0)
		printf("# %s instead of %s\n", found, expected);
	return strcmp(found, expected) == 0;
}

/* An owner of a slow endpoint has as much in memory as it may: the third event has no room. */
static void
check_full(uv_loop_t *loop)
{
	struct place place;

	begin(&place, loop, 0);
	place.endpoint->seat.average_ms = SLOW_MS + 1;
	take(&place, 1, false);
	take(&place, 2, false);
	require("two wait in memory", saves(&place, ""));
	take(&place, 3, false);
	require("memory is full: both are stored before the third",
			saves(&place, "1 store,2 store,3 store,"));
	end(&place);
}

static void
check_under_way(uv_loop_t *loop)
{
	struct place place;

	begin(&place, loop, 0);
	place.endpoint->seat.average_ms = SLOW_MS + 1;
	take(&place, 1, false);
	place.active = queue_next(place.webhook.queue, 0);
	take(&place, 2, false);
	require("one is under way, and one waits", place.active != NULL && saves(&place, ""));
	take(&place, 3, false);
	require("what is under way is noted before both", saves(&place, "1 hold,2 store,3 store,"));
	end(&place);
}

static void
check_pauses(uv_loop_t *loop)
{
	struct place place;

	begin(&place, loop, 0);
	take(&place, 1, false);
	take(&place, 2, true);
	take(&place, 3, false);
	require("paused by the database", saves(&place, "1 store,2 store,3 store,"));
	end(&place);
	begin(&place, loop, 0);
	take(&place, 1, false);
	place.endpoint->paused_until = 1;
	take(&place, 2, false);
	require("paused by an answer", saves(&place, "1 store,2 store,"));
	end(&place);
}

static void
check_rate_limit(uv_loop_t *loop)
{
	struct place place;

	begin(&place, loop, 60);
	take(&place, 1, false);
	take(&place, 2, false);
	require("more than its rate limit lets out", saves(&place, "1 store,2 store,"));
	end(&place);
}

int
main(void)
{
	uv_loop_t loop;

	uv_loop_init(&loop);
	check_full(&loop);
	check_under_way(&loop);
	check_pauses(&loop);
	check_rate_limit(&loop);
	return uv_loop_close(&loop);
}
