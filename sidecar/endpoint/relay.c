/*
 * See relay.h. The connection is its own, so that nobody's join waits for it. Each endpoint holds a lock while it takes
 * part, by which the others know how many there are: where it is alone it sends nothing.
 */
#include "endpoint/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "endpoint/relay_wire.h"
#include "io/db.h"
#include "io/db_error.h"

#define EVERY_MS 50
#define JOIN_MS 5000
#define MOST_BYTES 1048576 /* of a batch, as chat.relay_send has it */
#define ROWS 16            /* of an answer of chat.relay_read */
#define NUMBER_SIZE 24

struct relay
{
	struct embedded *embedded;
	struct db *db;
	uv_timer_t flush, join;
	int handles;
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
	"relay_join", "SELECT peers, last_id FROM chat.relay_join()", 0, "peers last_id", DB_ONE_ROW};
static const struct db_statement send_statement = {
	"relay_send", "SELECT chat.relay_send($1::pg_catalog.bytea) AS sent", 1, "sent", DB_ONE_ROW};
static const struct db_statement read_statement = {
	"relay_read", "SELECT id, messages FROM chat.relay_read($1)", 1, "id messages", DB_ANY_ROWS};

static uint64_t
now_of(const struct relay *relay)
{
	return uv_now(relay->embedded->app->loop);
}

static bool
succeeded(struct relay *relay, const PGresult *result)
{
	struct db_error error;

	if (result == NULL)
		return false;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return true;
	db_error_of_result(result, &error);
	if (log_pace_due(&relay->failures, now_of(relay)) > 0)
		log_event(LOG_ERROR, "what clients broadcast cannot be shared with other endpoints",
				  "error", "%s", error.text, "sqlstate", "%s", error.sqlstate, "hint", "%s",
				  error.hint, NULL);
	return false;
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
	if (succeeded(relay, result) && strcmp(PQgetvalue(result, 0, 0), "t") != 0)
		drop(relay, 1);
	flush(relay);
}

/* bytea as a text: \\x and hexadecimal digits; malloc'ed. */
static char *
as_text(const struct buffer *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = xmalloc(2 * bytes->len + 3);

	text[0] = '\\';
	text[1] = 'x';
	for (size_t i = 0; i < bytes->len; i++)
	{
		text[2 * i + 2] = digits[(unsigned char) bytes->data[i] >> 4];
		text[2 * i + 3] = digits[(unsigned char) bytes->data[i] & 15];
	}
	text[2 * bytes->len + 2] = '\0';
	return text;
}

static void
send_now(struct relay *relay)
{
	char *text = as_text(&relay->out);
	const char *const params[] = {text};

	relay->sending = true;
	relay->sent_at = now_of(relay);
	db_query(relay->db, &send_statement, params, on_sent, relay);
	free(text);
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
	if (!succeeded(relay, result))
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
	if (!succeeded(relay, result))
		return;
	set_peers(relay, atoi(PQgetvalue(result, 0, 0)));
	/* What came before is for others. */
	if (!relay->joined)
		relay->last_id = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
	relay->joined = true;
	read_on(relay);
}

static void
take_part(struct relay *relay)
{
	if (relay->joining || !db_is_ready(relay->db))
		return;
	relay->joining = true;
	db_query(relay->db, &join_statement, NULL, on_joined, relay);
}

static void
on_join(uv_timer_t *timer)
{
	take_part(timer->data);
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
	set_peers(relay, 0);
	buffer_free(&relay->out);
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
}

struct relay *
relay_create(struct embedded *embedded)
{
	static const struct db_handlers handlers = {on_ready, on_lost, on_notify};
	struct relay *relay = xcalloc(1, sizeof(*relay));

	relay->embedded = embedded;
	register_metrics(relay, embedded->app->metrics);
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

void
relay_destroy(struct relay *relay)
{
	relay->peers = 0;
	relay->joined = false;
	buffer_free(&relay->out);
	db_close(relay->db);
	uv_close((uv_handle_t *) &relay->flush, on_closed);
	uv_close((uv_handle_t *) &relay->join, on_closed);
}
