/*
 * See presence_share.h. Changes wait in the order in which they came, one of each presence: the newest. What was sent is kept until the
 * database has it.
 */
#include "endpoint/presence_share.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"
#include "base/pgarray.h"
#include "endpoint/internal.h"
#include "endpoint/presence_channel.h"
#include "endpoint/presence_mirror.h"
#include "endpoint/relay_answer.h"
#include "io/db.h"

#define EVERY_MS 50
#define ROWS 128           /* of a call or an answer, as the database has it */
#define MOST_BYTES 1048576 /* of a call */
#define NAME_SIZE 37       /* of an uuid's text */
#define INSTANCE_BYTES 12
#define ID_SIZE 48
#define NUMBER_SIZE 24

struct change
{
	struct entry entry; /* key: id */
	struct change *next;
	struct buffer bytes; /* empty: it left */
};

struct changes
{
	struct table by_id;
	struct change *first, **tail;
};

struct presence_share
{
	struct embedded *embedded;
	struct db *db;          /* NULL: there is no connection */
	char *instance;         /* what this process's ids begin with */
	char name[NAME_SIZE];   /* "": it takes part no more */
	uint64_t joined_at;     /* loop time, under that name */
	uint64_t lost_at;       /* loop time; 0: it takes part */
	bool public;            /* there were others, under that name */
	struct changes waiting; /* to be sent */
	struct changes sent;    /* that the database has not answered yet */
	bool sending, reading;
	bool rung; /* while it read */
	uint64_t sent_at;
	uv_timer_t *flush;
	int64_t version; /* that was read */
	int64_t known;   /* the newest one when it joined: what is told of it is no news */
	bool news;       /* what is being read */
	struct presence_mirror mirror;
	struct log_pace failures;
	struct metric *mirrored;
};

/* One of another endpoint's. */
struct guest
{
	struct presence_place place;
	char *topic;
	struct presence_meta *meta;
	struct present *present;
};

static const struct db_statement put_statement = {
	"relay_presence_put",
	"SELECT chat.relay_presence_put($1::pg_catalog.uuid, $2::pg_catalog.text[], $3::pg_catalog.bytea[]) AS put",
	3, "put?", DB_ONE_ROW};
static const struct db_statement read_statement = {
	"relay_presence_read",
	"SELECT version, endpoint, id, presence FROM chat.relay_presence_read($1)", 1,
	"version endpoint id? presence?", DB_ANY_ROWS};

static uint64_t
now_of(const struct presence_share *share)
{
	return uv_now(share->embedded->app->loop);
}

/* Changes --------------------------------------------------------------------------------------- */

static void
changes_init(struct changes *changes)
{
	table_init(&changes->by_id);
	changes->first = NULL;
	changes->tail = &changes->first;
}

static void
free_change(struct entry *entry)
{
	buffer_free(&((struct change *) entry)->bytes);
	free(entry);
}

static void
changes_clear(struct changes *changes)
{
	table_clear(&changes->by_id, free_change);
	changes_init(changes);
}

static void
append(struct changes *changes, struct change *change, const char *id)
{
	table_add(&changes->by_id, &change->entry, id);
	change->next = NULL;
	*changes->tail = change;
	changes->tail = &change->next;
}

static struct change *
take_first(struct changes *changes)
{
	struct change *change = changes->first;

	changes->first = change->next;
	if (changes->first == NULL)
		changes->tail = &changes->first;
	return change;
}

/* Moves one to the end of others. */
static void
move_first(struct changes *from, struct changes *to)
{
	struct change *change = take_first(from);
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%s", change->entry.key);
	table_remove(&from->by_id, &change->entry);
	append(to, change, id);
}

/* Sending --------------------------------------------------------------------------------------- */

static void flush(struct presence_share *share);

static void
on_flush(uv_timer_t *timer)
{
	flush(timer->data);
}

/* What was not taken waits again, unless there is something newer. */
static void
keep_sent(struct presence_share *share)
{
	while (share->sent.first != NULL)
	{
		struct change *change = share->sent.first;

		if (table_find(&share->waiting.by_id, change->entry.key) == NULL)
			move_first(&share->sent, &share->waiting);
		else
		{
			(void) take_first(&share->sent);
			table_remove(&share->sent.by_id, &change->entry);
			free_change(&change->entry);
		}
	}
}

static void
on_sent(void *arg, PGresult *result)
{
	struct presence_share *share = arg;

	share->sending = false;
	if (!relay_answered(result, RELAY_PRESENCE, &share->failures, now_of(share)) ||
		PQgetisnull(result, 0, 0))
	{
		/* It is tried again when the endpoint says that it takes part the next time. */
		keep_sent(share);
		return;
	}
	if (strcmp(PQgetvalue(result, 0, 0), "t") != 0)
		presence_refused(share->embedded, "", "too many for other endpoints");
	changes_clear(&share->sent);
	flush(share);
}

static void
send_now(struct presence_share *share)
{
	struct pgarray ids = {0}, presences = {0};
	size_t bytes = 0;

	pgarray_begin(&ids);
	pgarray_begin(&presences);
	for (int i = 0; i < ROWS && share->waiting.first != NULL && bytes < MOST_BYTES; i++)
	{
		const struct change *change = share->waiting.first;

		bytes += change->bytes.len;
		pgarray_text(&ids, change->entry.key);
		if (change->bytes.len > 0)
			pgarray_bytes(&presences, change->bytes.data, change->bytes.len);
		else
			pgarray_null(&presences);
		move_first(&share->waiting, &share->sent);
	}
	share->sending = true;
	share->sent_at = now_of(share);
	db_query(share->db, &put_statement,
			 (const char *const[]){share->name, pgarray_end(&ids), pgarray_end(&presences)},
			 on_sent, share);
	buffer_free(&ids.text);
	buffer_free(&presences.text);
}

static void
flush(struct presence_share *share)
{
	uint64_t now = now_of(share);

	if (share->waiting.first == NULL || share->db == NULL || share->sending ||
		uv_is_active((uv_handle_t *) share->flush))
		return;
	if (share->sent_at != 0 && now - share->sent_at < EVERY_MS)
		uv_timer_start(share->flush, on_flush, EVERY_MS - (now - share->sent_at), 0);
	else
		send_now(share);
}

static void
note(void *arg, uint64_t number, const struct shared_presence *presence)
{
	struct presence_share *share = arg;
	struct change *change;
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%s.%" PRIu64, share->instance, number);
	change = (struct change *) table_find(&share->waiting.by_id, id);
	if (change == NULL)
	{
		change = xcalloc(1, sizeof(*change));
		append(&share->waiting, change, id);
	}
	change->bytes.len = 0;
	if (presence != NULL)
		presence_wire_print(&change->bytes, presence);
}

void
presence_share_changed(struct presence_share *share, uint64_t number,
					   const struct shared_presence *presence)
{
	if (!share->public)
		return;
	note(share, number, presence);
	flush(share);
}

bool
presence_share_is_public(const struct presence_share *share)
{
	return share->public;
}

/* Reading --------------------------------------------------------------------------------------- */

static void
show_count(struct presence_share *share)
{
	metric_set(share->mirrored, share->mirror.presences.count);
}

static void
forget_guest(struct guest *guest)
{
	free(guest->topic);
	free(guest);
}

static void
leave(void *arg, void *there)
{
	struct presence_share *share = arg;
	struct guest *guest = there;

	presence_drop(share->embedded, &guest->place, guest->meta);
	if (guest->present != NULL)
		present_leave(share->embedded, guest->present, share->news);
	forget_guest(guest);
}

static void *
put(void *arg, void *there, const struct shared_presence *presence)
{
	struct presence_share *share = arg;
	struct guest *guest = there;
	bool is_new = guest == NULL;

	if (!is_new && strcmp(guest->meta->ref, presence->ref) == 0)
		return guest;
	if (is_new)
	{
		if (strlen(presence->topic) > MAX_TOPIC)
			return NULL;
		guest = xcalloc(1, sizeof(*guest));
		guest->topic = xstrdup(presence->topic);
		guest->place = (struct presence_place){guest->topic, presence->is_private};
	}
	if (!presence_fits(share->embedded, &guest->place, guest->meta, presence->key,
					   presence->members))
	{
		presence_refused(share->embedded, presence->topic, "too many at other endpoints");
		if (is_new)
			forget_guest(guest);
		else
			leave(share, guest);
		return NULL;
	}
	guest->meta = presence_put(share->embedded, &guest->place, guest->meta, presence->key,
							   presence->ref, xstrdup(presence->members));
	if (is_new)
		guest->present =
			present_join(share->embedded, presence->topic, presence->user, share->news);
	return guest;
}

static const struct mirror_handlers mirror_handlers = {put, leave};

/* Of an endpoint of another version it understands nothing. */
static void
hear(struct presence_share *share, const PGresult *result, int row)
{
	const char *endpoint = PQgetvalue(result, row, 1), *id = PQgetvalue(result, row, 2);
	struct shared_presence presence;
	unsigned char *bytes;
	size_t len;

	if (PQgetisnull(result, row, 2) || strncmp(id, share->instance, strlen(share->instance)) == 0)
		return; /* this endpoint's own, under whichever name */
	if (PQgetisnull(result, row, 3))
	{
		mirror_put(&share->mirror, endpoint, id, NULL);
		return;
	}
	bytes = PQunescapeBytea((const unsigned char *) PQgetvalue(result, row, 3), &len);
	if (bytes == NULL)
		memory_gone("a presence of another endpoint");
	if (presence_wire_read((const char *) bytes, len, &presence))
	{
		mirror_put(&share->mirror, endpoint, id, &presence);
		presence_wire_free(&presence);
	}
	PQfreemem(bytes);
}

static void
on_read(void *arg, PGresult *result)
{
	struct presence_share *share = arg;
	int rows;

	share->reading = false;
	if (!relay_answered(result, RELAY_PRESENCE, &share->failures, now_of(share)))
		return;
	rows = PQntuples(result);
	for (int row = 0; row < rows; row++)
	{
		share->version = strtoll(PQgetvalue(result, row, 0), NULL, 10);
		share->news = share->version > share->known;
		hear(share, result, row);
	}
	show_count(share);
	if (share->rung || rows == ROWS)
		presence_share_rung(share);
}

void
presence_share_rung(struct presence_share *share)
{
	char version[NUMBER_SIZE];

	share->rung = share->reading;
	if (share->db == NULL || share->reading)
		return;
	snprintf(version, sizeof(version), "%" PRId64, share->version);
	share->reading = true;
	db_query(share->db, &read_statement, (const char *const[]){version}, on_read, share);
}

/* Taking part ----------------------------------------------------------------------------------- */

/* All of this endpoint's are to be told, and all of the others' to be read. */
static void
begin_anew(struct presence_share *share, const char *name, int64_t newest)
{
	snprintf(share->name, sizeof(share->name), "%s", name);
	share->joined_at = now_of(share);
	share->public = false;
	share->version = 0;
	share->known = newest;
	changes_clear(&share->waiting);
}

void
presence_share_joined(struct presence_share *share, struct db *db, const char *name,
					  const char *peers, int64_t newest)
{
	share->db = db;
	share->lost_at = 0;
	if (strcmp(name, share->name) != 0)
		begin_anew(share, name, newest);
	if (!share->public && strlen(peers) > strlen("{}"))
	{
		share->public = true;
		presence_each(share->embedded, note, share);
	}
	flush(share);
	/* At first those that were away, too, may not be back yet. */
	if (now_of(share) - share->joined_at >= ENDPOINT_GONE_MS)
	{
		share->news = true;
		mirror_keep(&share->mirror, peers);
		show_count(share);
	}
	presence_share_rung(share);
}

void
presence_share_lost(struct presence_share *share)
{
	share->db = NULL;
	share->name[0] = '\0';
	share->public = false;
	if (share->lost_at == 0)
		share->lost_at = now_of(share);
	uv_timer_stop(share->flush);
	changes_clear(&share->waiting);
	changes_clear(&share->sent);
}

void
presence_share_tick(struct presence_share *share)
{
	if (share->lost_at == 0 || now_of(share) - share->lost_at < ENDPOINT_GONE_MS)
		return;
	/* Nobody has heard that they left: backends are told by those who know. */
	share->news = false;
	mirror_keep(&share->mirror, NULL);
	show_count(share);
}

/* Life ------------------------------------------------------------------------------------------ */

static struct metric *
register_mirrored(struct metrics *metrics)
{
	return metrics_gauge(metrics, "chat_realtime_relay_presences", "",
						 "Presences of other endpoints' clients.");
}

void
presence_share_register_metrics(struct metrics *metrics)
{
	(void) register_mirrored(metrics);
}

struct presence_share *
presence_share_create(struct embedded *embedded)
{
	struct presence_share *share = xcalloc(1, sizeof(*share));
	unsigned char bytes[INSTANCE_BYTES];

	(void) RAND_bytes(bytes, sizeof(bytes));
	share->embedded = embedded;
	share->instance = base64_encode_url(bytes, sizeof(bytes));
	share->mirrored = register_mirrored(embedded->app->metrics);
	changes_init(&share->waiting);
	changes_init(&share->sent);
	mirror_init(&share->mirror, &mirror_handlers, share);
	share->flush = xcalloc(1, sizeof(*share->flush));
	uv_timer_init(embedded->app->loop, share->flush);
	share->flush->data = share;
	return share;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle);
}

/* Their metas are the channels' own, and go with these. */
static void
forget_only(void *arg, void *there)
{
	(void) arg;
	forget_guest(there);
}

void
presence_share_destroy(struct presence_share *share)
{
	static const struct mirror_handlers forgetting = {put, forget_only};

	presence_share_lost(share);
	share->mirror.handlers = &forgetting;
	mirror_clear(&share->mirror);
	table_clear(&share->waiting.by_id, NULL);
	table_clear(&share->sent.by_id, NULL);
	uv_close((uv_handle_t *) share->flush, on_closed);
	free(share->instance);
	free(share);
}
