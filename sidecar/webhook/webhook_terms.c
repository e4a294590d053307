/*
 * One statement a read, however many events and owners it has. Its answers come in the order of the reads, as all of one
 * connection do, and so do the messages that are made of them.
 *
 * What the answer says is blocked was so when the database answered; what this process has stored since is in memory, where
 * its pair is parked until the database knows it.
 */
#include "webhook/webhook_terms.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/pgarray.h"
#include "base/table.h"
#include "consumer/consumer.h"
#include "io/db.h"
#include "io/db_error.h"
#include "webhook/webhook_internal.h"
#include "webhook/webhook_request.h"

enum column
{
	KIND,
	WEBHOOK,
	OWNER,
	URL,
	SECRET,
	OLD_SECRET,
	EVENTS,
	PAUSED,
	CONVERSATION,
	MESSAGE_ID,
	HEADERS,
	SIGNING_KEY,
	RATE_LIMIT,
	CHOSEN
};

static const struct db_statement terms_statement = {
	"webhook_terms",
	"SELECT kind, webhook, owner, url, secret, old_secret, events, paused, conversation, message_id, "
	"headers, signing_key, rate_limit, chosen FROM chat.webhook_terms($1, $2, $3)",
	3,
	"kind webhook? owner? url? secret? old_secret? events? paused? conversation? message_id? "
	"headers? signing_key? rate_limit? chosen?",
	DB_ANY_ROWS};
static const struct db_statement last_statement = {
	"webhook_last", "SELECT chat.webhook_last() AS last_id", 0, "last_id", DB_ONE_ROW};

struct hook
{
	struct hook *next;
	struct endpoint *endpoint;
	const char *events; /* between commas; of the answer */
	const char *chosen; /* conversations, between line feeds; NULL: all */
	bool paused;
};

struct hook_owner
{
	struct entry entry;
	struct hook *first, **tail;
};

/* A text found by another. */
struct word
{
	struct entry entry;
	char *text; /* NULL: it is enough to be there */
};

/* What an answer says. */
struct terms
{
	struct webhook *webhook;
	struct table owners;   /* struct hook_owner by their ids */
	struct table adopted;  /* struct word: the owner by the conversation */
	struct table known;    /* struct word by webhook and message */
	struct pair **blocked; /* kept while the answer is looked at */
	int nblocked;
};

/* --- asking --------------------------------------------------------------------------------------- */

static void
free_word(struct entry *entry)
{
	struct word *word = (struct word *) entry;

	free(word->text);
	free(word);
}

/* Notes a key; false: it is there. */
static bool
note_word(struct table *table, const char *key, const char *text)
{
	struct word *word;

	if (table_find(table, key) != NULL)
		return false;
	word = xcalloc(1, sizeof(*word));
	word->text = text != NULL ? xstrdup(text) : NULL;
	table_add(table, &word->entry, key);
	return true;
}

/* Adds the owner and conversation of an event, each pair once. */
static void
add_pair(struct table *seen, struct pgarray *owners, struct pgarray *conversations,
		 const struct log_event *event)
{
	char *owner = xstrndup(event->owner, event->owner_length);
	char *conversation = xstrndup(event->conversation, event->conversation_length);
	char *key = xasprintf("%s\n%s", owner, conversation);

	if (note_word(seen, key, NULL))
	{
		pgarray_text(owners, event->owner_length > 0 ? owner : NULL);
		pgarray_text(conversations, conversation);
	}
	free(owner);
	free(conversation);
	free(key);
}

static void on_terms(void *arg, PGresult *rows);

void
webhook_terms_ask(struct webhook *webhook, struct load *load)
{
	struct pgarray owners = {0}, conversations = {0}, again = {0};
	struct table seen;

	table_init(&seen);
	pgarray_begin(&owners);
	pgarray_begin(&conversations);
	pgarray_begin(&again);
	for (int i = 0; i < load->read->nevents; i++)
	{
		const struct log_event *event = &load->read->events[i];

		add_pair(&seen, &owners, &conversations, event);
		if (event->id <= webhook->known_up_to)
			pgarray_number(&again, event->id);
	}
	load->asked = true;
	db_query(
		consumer_db(webhook->consumer), &terms_statement,
		(const char *[]){pgarray_end(&owners), pgarray_end(&conversations), pgarray_end(&again)},
		on_terms, webhook_query(webhook, load));
	table_clear(&seen, free_word);
	buffer_free(&owners.text);
	buffer_free(&conversations.text);
	buffer_free(&again.text);
}

static void
on_last(void *arg, PGresult *result)
{
	struct webhook *webhook = webhook_query_end(arg, NULL);

	if (webhook != NULL && result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK)
		webhook->known_up_to = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

void
webhook_terms_begin(struct webhook *webhook)
{
	/* Until the answer is there, which comes before that of the first read: all of them. */
	webhook->known_up_to = INT64_MAX;
	db_query(consumer_db(webhook->consumer), &last_statement, NULL, on_last,
			 webhook_query(webhook, NULL));
}

/* --- the answer ----------------------------------------------------------------------------------- */

static const char *
value(PGresult *rows, int row, enum column column)
{
	return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

static void
take_endpoint(struct terms *terms, PGresult *rows, int row)
{
	const struct endpoint_terms now = {
		.id = PQgetvalue(rows, row, WEBHOOK),
		.owner = PQgetvalue(rows, row, OWNER),
		.url = PQgetvalue(rows, row, URL),
		.secret = value(rows, row, SECRET),
		.old_secret = value(rows, row, OLD_SECRET),
		.headers = value(rows, row, HEADERS),
		.signing_key = value(rows, row, SIGNING_KEY),
		.rate_limit = atoi(PQgetvalue(rows, row, RATE_LIMIT)),
	};
	struct hook_owner *owner = (struct hook_owner *) table_find(&terms->owners, now.owner);
	struct hook *hook = xcalloc(1, sizeof(*hook));

	if (owner == NULL)
	{
		owner = xcalloc(1, sizeof(*owner));
		owner->tail = &owner->first;
		table_add(&terms->owners, &owner->entry, now.owner);
	}
	hook->endpoint = queue_endpoint(terms->webhook->queue, &now);
	hook->events = PQgetvalue(rows, row, EVENTS);
	hook->chosen = value(rows, row, CHOSEN);
	hook->paused = PQgetvalue(rows, row, PAUSED)[0] == 't';
	*owner->tail = hook;
	owner->tail = &hook->next;
}

/* The pair is kept, also where nothing comes for it now. */
static void
take_blocked(struct terms *terms, PGresult *rows, int row)
{
	struct webhook_queue *queue = terms->webhook->queue;
	struct endpoint *endpoint = queue_find_endpoint(queue, PQgetvalue(rows, row, WEBHOOK));
	struct pair *pair;

	if (endpoint == NULL)
		return;
	pair = queue_pair(queue, endpoint, PQgetvalue(rows, row, CONVERSATION));
	pair->parked = true;
	queue_retain(queue, pair);
	terms->blocked[terms->nblocked++] = pair;
}

static void
take_known(struct terms *terms, PGresult *rows, int row)
{
	char *key =
		xasprintf("%s %s", PQgetvalue(rows, row, WEBHOOK), PQgetvalue(rows, row, MESSAGE_ID));

	(void) note_word(&terms->known, key, NULL);
	free(key);
}

/* Whether a row has what its kind needs. */
static bool
is_whole(PGresult *rows, int row)
{
	const char *kind = PQgetvalue(rows, row, KIND);

	if (strcmp(kind, "endpoint") == 0)
		return value(rows, row, WEBHOOK) != NULL && value(rows, row, OWNER) != NULL &&
			   value(rows, row, URL) != NULL;
	if (strcmp(kind, "blocked") == 0)
		return value(rows, row, WEBHOOK) != NULL && value(rows, row, CONVERSATION) != NULL;
	if (strcmp(kind, "known") == 0)
		return value(rows, row, WEBHOOK) != NULL && value(rows, row, MESSAGE_ID) != NULL;
	return strcmp(kind, "owner") == 0 && value(rows, row, OWNER) != NULL &&
		   value(rows, row, CONVERSATION) != NULL;
}

static bool
are_whole(PGresult *rows)
{
	for (int row = 0; row < PQntuples(rows); row++)
	{
		if (!is_whole(rows, row))
			return false;
	}
	return true;
}

/* Endpoints come before what is blocked of them. */
static void
take_row(struct terms *terms, PGresult *rows, int row)
{
	const char *kind = PQgetvalue(rows, row, KIND);

	if (strcmp(kind, "endpoint") == 0)
		take_endpoint(terms, rows, row);
	else if (strcmp(kind, "blocked") == 0)
		take_blocked(terms, rows, row);
	else if (strcmp(kind, "known") == 0)
		take_known(terms, rows, row);
	else
		(void) note_word(&terms->adopted, PQgetvalue(rows, row, CONVERSATION),
						 PQgetvalue(rows, row, OWNER));
}

static void
free_owner(struct entry *entry)
{
	struct hook_owner *owner = (struct hook_owner *) entry;
	struct hook *next;

	for (struct hook *hook = owner->first; hook != NULL; hook = next)
	{
		next = hook->next;
		free(hook);
	}
	free(owner);
}

static void
terms_take(struct terms *terms, struct webhook *webhook, PGresult *rows)
{
	terms->webhook = webhook;
	terms->nblocked = 0;
	terms->blocked = xmalloc((size_t) PQntuples(rows) * sizeof(*terms->blocked));
	table_init(&terms->owners);
	table_init(&terms->adopted);
	table_init(&terms->known);
	for (int row = 0; row < PQntuples(rows); row++)
		take_row(terms, rows, row);
}

static void
terms_drop(struct terms *terms)
{
	for (int i = 0; i < terms->nblocked; i++)
		queue_drop(terms->webhook->queue, terms->blocked[i]);
	free(terms->blocked);
	table_clear(&terms->owners, free_owner);
	table_clear(&terms->adopted, free_word);
	table_clear(&terms->known, free_word);
}

/* --- the messages --------------------------------------------------------------------------------- */

/* Who gets an event, if it is wanted; NULL: nobody. */
static const struct hook *
hooks_of(const struct terms *terms, const struct log_event *event, const char *conversation)
{
	const struct hook_owner *owner;
	char *name;

	if (event->owner_length == 0)
	{
		const struct word *adopted = (struct word *) table_find(&terms->adopted, conversation);

		owner = adopted != NULL ? (struct hook_owner *) table_find(&terms->owners, adopted->text)
								: NULL;
	}
	else
	{
		name = xstrndup(event->owner, event->owner_length);
		owner = (struct hook_owner *) table_find(&terms->owners, name);
		free(name);
	}
	return owner != NULL ? owner->first : NULL;
}

/* type: between commas; place: the conversation, between line feeds. */
static bool
is_wanted(const struct hook *hook, const char *type, const char *place)
{
	if (hook->chosen != NULL && strstr(hook->chosen, place) == NULL)
		return false;
	return strstr(hook->events, type) != NULL || strstr(hook->events, ",*,") != NULL;
}

static bool
is_known(const struct terms *terms, const struct hook *hook, const char *message_id)
{
	char *key;
	bool known;

	if (terms->known.count == 0)
		return false;
	key = xasprintf("%s %s", hook->endpoint->entry.key, message_id);
	known = table_find(&terms->known, key) != NULL;
	free(key);
	return known;
}

static void
make_messages(const struct terms *terms, struct load *load, const struct log_event *event)
{
	char *conversation = xstrndup(event->conversation, event->conversation_length);
	const struct hook *hook = hooks_of(terms, event, conversation);
	char *type =
		hook != NULL ? xasprintf(",%.*s,", (int) event->name_length, log_body_type(event)) : NULL;
	char *place = hook != NULL ? xasprintf("\n%s\n", conversation) : NULL;
	struct parcel *parcel = NULL;

	for (; hook != NULL; hook = hook->next)
	{
		if (!is_wanted(hook, type, place))
			continue;
		if (parcel == NULL)
		{
			parcel = request_parcel(event);
			parcel->references++;
		}
		if (!is_known(terms, hook, parcel->id))
			webhook_take(terms->webhook, load,
						 queue_pair(terms->webhook->queue, hook->endpoint, conversation), parcel,
						 hook->paused);
	}
	if (parcel != NULL)
		parcel_let_go(parcel);
	free(conversation);
	free(type);
	free(place);
}

static void
on_terms(void *arg, PGresult *rows)
{
	struct load *load;
	struct webhook *webhook = webhook_query_end(arg, &load);
	struct db_error error;
	struct terms terms;

	if (webhook == NULL || rows == NULL)
		return;
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
	{
		db_error_of_result(rows, &error);
		log_event(LOG_ERROR, "who gets the events could not be read", "error", "%s", error.text,
				  "sqlstate", "%s", error.sqlstate, "hint", "%s", error.hint, NULL);
		db_reconnect(consumer_db(webhook->consumer), "who gets the events could not be read");
		return;
	}
	if (!are_whole(rows))
	{
		log_event(LOG_ERROR, "who gets the events could not be read", "error", "%s",
				  "webhook_terms: a row lacks what its kind needs", NULL);
		db_reconnect(consumer_db(webhook->consumer),
					 "webhook_terms: a row lacks what its kind needs");
		return;
	}
	terms_take(&terms, webhook, rows);
	for (int i = 0; i < load->read->nevents; i++)
		make_messages(&terms, load, &load->read->events[i]);
	terms_drop(&terms);
	webhook_loaded(webhook, load);
}
