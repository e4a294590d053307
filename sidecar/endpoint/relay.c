/*
 * See relay.h. The connection is its own, so that nobody's join waits for it. Each endpoint says again and again that it takes part,
 * and hears which others do: where it is alone it sends nothing.
 */
#include "endpoint/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "endpoint/presence_share.h"
#include "endpoint/relay_answer.h"
#include "endpoint/relay_wire.h"
#include "io/db.h"

#define EVERY_MS 50
#define JOIN_MS 2000
#define LEAVE_MS 1000
#define MOST_BYTES 1048576 /* of a batch, as chat.relay_send has it */
#define ROWS 16            /* of an answer of chat.relay_read */
#define NUMBER_SIZE 24
#define NAME_SIZE 37 /* of an uuid's text */

struct relay
{
	struct embedded *embedded;
	struct db *db;
	struct presence_share *share;
	uv_timer_t flush, join;
	int handles;
	char name[NAME_SIZE]; /* under which it takes part; "": none yet */
	bool ending;
	struct buffer out; /* what is to be sent */
	uint64_t sent_at;  /* loop time */
	bool sending, reading, joining;
	bool rung; /* while it read */
	bool joined;
	int peers;
	int64_t last_id; /* that was read */
	struct log_pace dropped, failures;
	struct metric *out_total, *in_total, *dropped_total, *peers_now;
};

static const struct db_statement join_statement = {
	"relay_join",
	"SELECT endpoint, peers, pg_catalog.cardinality(peers) AS count, last_id, last_version"
	" FROM chat.relay_join(nullif($1, '')::pg_catalog.uuid)",
	1, "endpoint peers count last_id last_version", DB_ONE_ROW};
static const struct db_statement send_statement = {
	"relay_send", "SELECT chat.relay_send($1::pg_catalog.bytea) AS sent", 1, "sent", DB_ONE_ROW};
static const struct db_statement leave_statement = {
	"relay_leave", "SELECT chat.relay_leave($1::pg_catalog.uuid) AS there", 1, "there", DB_ONE_ROW};
static const struct db_statement read_statement = {
	"relay_read", "SELECT id, messages FROM chat.relay_read($1)", 1, "id messages", DB_ANY_ROWS};

static uint64_t
now_of(const struct relay *relay)
{
	return uv_now(relay->embedded->app->loop);
}

static void
drop(struct relay *relay, int count)
{
	int times = log_pace_due(&relay->dropped, now_of(relay));

	metric_add(relay->dropped_total, count);
	if (times > 0)
		log_event(LOG_WARN, "broadcasts did not reach other endpoints: there are too many", "times",
				  "%d", times, NULL);
}

/* Sending --------------------------------------------------------------------------------------- */

static void flush(struct relay *relay);

static void
on_flush(uv_timer_t *timer)
{
	flush(timer->data);
}

static void
on_sent(void *arg, PGresult *result)
{
	struct relay *relay = arg;

	relay->sending = false;
	if (relay_answered(result, RELAY_BROADCASTS, &relay->failures, now_of(relay)) &&
		strcmp(PQgetvalue(result, 0, 0), "t") != 0)
		drop(relay, 1);
	flush(relay);
}

static void
send_now(struct relay *relay)
{
	struct buffer text = {0};

	buffer_text(&text, "\\x");
	buffer_hex(&text, relay->out.data, relay->out.len);
	buffer_bytes(&text, "", 1);
	relay->sending = true;
	relay->sent_at = now_of(relay);
	db_query(relay->db, &send_statement, (const char *const[]){text.data}, on_sent, relay);
	buffer_free(&text);
	buffer_free(&relay->out);
}

/* What is there goes out, now or when the time has come. */
static void
flush(struct relay *relay)
{
	uint64_t now = now_of(relay);

	if (relay->out.len == 0 || relay->sending || uv_is_active((uv_handle_t *) &relay->flush))
		return;
	if (relay->sent_at != 0 && now - relay->sent_at < EVERY_MS)
		uv_timer_start(&relay->flush, on_flush, EVERY_MS - (now - relay->sent_at), 0);
	else
		send_now(relay);
}

void
relay_presence(struct relay *relay, uint64_t number, const struct shared_presence *presence)
{
	if (relay != NULL)
		presence_share_changed(relay->share, number, presence);
}

void
relay_send(struct relay *relay, bool is_private, const struct broadcast *broadcast)
{
	if (relay == NULL || relay->peers == 0)
		return;
	if (relay->out.len + relay_wire_length(broadcast) >= MOST_BYTES)
	{
		drop(relay, 1);
		return;
	}
	relay_wire_put(&relay->out, is_private, broadcast);
	metric_add(relay->out_total, 1);
	flush(relay);
}

/* Reading --------------------------------------------------------------------------------------- */

static void
hear(struct relay *relay, const char *bytes, size_t len)
{
	struct broadcast broadcast;
	bool is_private;

	/* Of an endpoint of another version it understands nothing. */
	if (!relay_wire_begin(&bytes, &len))
		return;
	while (relay_wire_take(&bytes, &len, &broadcast, &is_private))
	{
		metric_add(relay->in_total, 1);
		channel_broadcast(relay->embedded, is_private, &broadcast, NULL);
	}
}

static void read_on(struct relay *relay);

static void
on_read(void *arg, PGresult *result)
{
	struct relay *relay = arg;
	int rows;

	relay->reading = false;
	if (!relay_answered(result, RELAY_BROADCASTS, &relay->failures, now_of(relay)))
		return;
	rows = PQntuples(result);
	for (int row = 0; row < rows; row++)
	{
		size_t len;
		unsigned char *bytes =
			PQunescapeBytea((const unsigned char *) PQgetvalue(result, row, 1), &len);

		relay->last_id = strtoll(PQgetvalue(result, row, 0), NULL, 10);
		if (bytes == NULL)
			memory_gone("a relayed batch");
		hear(relay, (const char *) bytes, len);
		PQfreemem(bytes);
	}
	if (relay->rung || rows == ROWS)
		read_on(relay);
}

static void
read_on(struct relay *relay)
{
	char last_id[NUMBER_SIZE];
	const char *const params[] = {last_id};

	relay->rung = relay->reading;
	if (!relay->joined || relay->reading)
		return;
	snprintf(last_id, sizeof(last_id), "%" PRId64, relay->last_id);
	relay->reading = true;
	db_query(relay->db, &read_statement, params, on_read, relay);
}

/* Taking part ----------------------------------------------------------------------------------- */

static void
set_peers(struct relay *relay, int peers)
{
	relay->peers = peers;
	metric_set(relay->peers_now, peers);
}

static void
on_joined(void *arg, PGresult *result)
{
	struct relay *relay = arg;

	relay->joining = false;
	if (!relay_answered(result, RELAY_BROADCASTS, &relay->failures, now_of(relay)) || relay->ending)
		return;
	snprintf(relay->name, sizeof(relay->name), "%s", PQgetvalue(result, 0, 0));
	set_peers(relay, atoi(PQgetvalue(result, 0, 2)));
	presence_share_joined(relay->share, relay->db, relay->name, PQgetvalue(result, 0, 1),
						  strtoll(PQgetvalue(result, 0, 4), NULL, 10));
	/* What came before is for others. */
	if (!relay->joined)
		relay->last_id = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
	relay->joined = true;
	read_on(relay);
}

static void
take_part(struct relay *relay)
{
	if (relay->ending || relay->joining || !db_is_ready(relay->db))
		return;
	relay->joining = true;
	db_query(relay->db, &join_statement, (const char *const[]){relay->name}, on_joined, relay);
}

static void
on_join(uv_timer_t *timer)
{
	struct relay *relay = timer->data;

	presence_share_tick(relay->share);
	take_part(relay);
}

static void
on_ready(void *arg)
{
	take_part(arg);
}

static void
on_lost(void *arg, const char *why)
{
	struct relay *relay = arg;

	(void) why;
	relay->joined = false;
	relay->name[0] = '\0';
	set_peers(relay, 0);
	buffer_free(&relay->out);
	presence_share_lost(relay->share);
}

/* A ring says that there is something, or that somebody takes part now; it may be anybody's. */
static void
on_notify(void *arg, const char *channel, const char *payload)
{
	struct relay *relay = arg;

	(void) channel;
	(void) payload;
	if (relay->peers == 0)
		take_part(relay);
	read_on(relay);
	presence_share_rung(relay->share);
}

/* Life ------------------------------------------------------------------------------------------ */

static void
register_metrics(struct relay *relay, struct metrics *metrics)
{
	relay->peers_now = metrics_gauge(metrics, "chat_realtime_relay_peers", "",
									 "Other endpoints that broadcasts are shared with.");
	relay->out_total = metrics_counter(metrics, "chat_realtime_relay_messages_total",
									   "direction=\"out\"", "Broadcasts shared between endpoints.");
	relay->in_total = metrics_counter(metrics, "chat_realtime_relay_messages_total",
									  "direction=\"in\"", "Broadcasts shared between endpoints.");
	relay->dropped_total =
		metrics_counter(metrics, "chat_realtime_relay_dropped_total", "",
						"Broadcasts, or batches of them, that were too many to be shared.");
}

void
relay_register_metrics(struct metrics *metrics)
{
	struct relay unused;

	register_metrics(&unused, metrics);
	presence_share_register_metrics(metrics);
}

struct relay *
relay_create(struct embedded *embedded)
{
	static const struct db_handlers handlers = {on_ready, on_lost, on_notify};
	struct relay *relay = xcalloc(1, sizeof(*relay));

	relay->embedded = embedded;
	register_metrics(relay, embedded->app->metrics);
	relay->share = presence_share_create(embedded);
	uv_timer_init(embedded->app->loop, &relay->flush);
	uv_timer_init(embedded->app->loop, &relay->join);
	relay->flush.data = relay->join.data = relay;
	relay->handles = 2;
	uv_timer_start(&relay->join, on_join, JOIN_MS, JOIN_MS);
	relay->db = db_open(embedded->app, "relay", "LISTEN chat_realtime_relay", &handlers, relay);
	return relay;
}

static void
on_closed(uv_handle_t *handle)
{
	struct relay *relay = handle->data;

	if (--relay->handles > 0)
		return;
	buffer_free(&relay->out);
	free(relay);
}

static void
close_all(struct relay *relay)
{
	struct db *db = relay->db;

	if (db == NULL)
		return;
	relay->db = NULL;
	db_close(db);
	presence_share_destroy(relay->share);
	uv_close((uv_handle_t *) &relay->flush, on_closed);
	uv_close((uv_handle_t *) &relay->join, on_closed);
}

static void
on_left(void *arg, PGresult *result)
{
	(void) result;
	close_all(arg);
}

static void
on_leave_timeout(uv_timer_t *timer)
{
	close_all(timer->data);
}

void
relay_destroy(struct relay *relay)
{
	relay->ending = true;
	relay->joined = false;
	relay->peers = 0;
	buffer_free(&relay->out);
	uv_timer_stop(&relay->flush);
	if (!db_is_ready(relay->db) || !presence_share_is_public(relay->share))
	{
		close_all(relay);
		return;
	}
	/* So that nobody has to wait until it is missed. */
	uv_timer_start(&relay->join, on_leave_timeout, LEAVE_MS, 0);
	db_query(relay->db, &leave_statement, (const char *const[]){relay->name}, on_left, relay);
}
