/*
 * Wiring of the embedded endpoint: its tables, its database connection, its clock, its metrics.
 */
#include "endpoint/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/feed.h"
#include "endpoint/internal.h"
#include "endpoint/websockets.h"
#include "io/db.h"

#define CLOSE_RESTART 1012 /* service restart */

static void
tell_database(struct embedded *embedded, bool connected)
{
	metric_set(embedded->metrics.database, connected);
	if (embedded->feed != NULL)
		feed_tell_database(embedded->feed, connected);
}

static void
database_ready(void *arg)
{
	struct embedded *embedded = arg;

	tell_database(embedded, true);
}

static void
database_lost(void *arg, const char *why)
{
	struct embedded *embedded = arg;

	(void) why;
	tell_database(embedded, false);
}

static const struct db_handlers handlers = {.ready = database_ready, .lost = database_lost};

static void
check_socket(void *arg, struct entry *entry)
{
	(void) arg;
	socket_check((struct socket *) entry);
}

static void
tick(uv_timer_t *timer)
{
	struct embedded *embedded = timer->data;

	rights_tick(embedded);
	table_each(&embedded->sockets, check_socket, NULL);
	pressure_look(embedded);
	rates_sweep(&embedded->rates, uv_now(embedded->app->loop));
}

static const char *const refusal_names[] = {"unauthorized", "token",  "database", "limit",
											"topic",        "public", "memory"};

_Static_assert(sizeof(refusal_names) / sizeof(refusal_names[0]) == REFUSALS, "a name for each");

static void
register_metrics(struct embedded_metrics *of, struct metrics *metrics)
{
	of->database =
		metrics_gauge(metrics, "chat_realtime_endpoint_database_up", "",
					  "Whether the embedded endpoint can ask the database who may join.");
	of->connections = metrics_gauge(metrics, "chat_realtime_connections", "",
									"WebSocket connections to the embedded endpoint.");
	of->messages = metrics_counter(metrics, "chat_realtime_embedded_messages_total", "",
								   "Messages broadcast by the embedded endpoint.");
	of->deliveries = metrics_counter(metrics, "chat_realtime_embedded_deliveries_total", "",
									 "Messages handed to subscribers.");
	for (int i = 0; i < REFUSALS; i++)
	{
		char labels[40];

		snprintf(labels, sizeof(labels), "reason=\"%s\"", refusal_names[i]);
		of->refused_joins[i] =
			metrics_counter(metrics, "chat_realtime_embedded_refused_joins_total", labels,
							"Joins that the embedded endpoint refused.");
	}
	of->refused_broadcasts =
		metrics_counter(metrics, "chat_realtime_embedded_refused_broadcasts_total", "",
						"Messages of clients that they may not send, or too many at a time.");
	of->refused_sockets =
		metrics_counter(metrics, "chat_realtime_embedded_refused_sockets_total", "reason=\"limit\"",
						"WebSockets that the embedded endpoint refused.");
	of->refused_crowds =
		metrics_counter(metrics, "chat_realtime_embedded_refused_sockets_total", "reason=\"crowd\"",
						"WebSockets that the embedded endpoint refused.");
	of->refused_handshakes =
		metrics_counter(metrics, "chat_realtime_embedded_refused_sockets_total", "reason=\"token\"",
						"WebSockets that the embedded endpoint refused.");
	of->ended = metrics_counter(metrics, "chat_realtime_embedded_ended_rights_total", "",
								"Channels closed since their user may not read them any more.");
	of->floods = metrics_counter(metrics, "chat_realtime_embedded_refused_frames_total", "",
								 "Frames above what a WebSocket may send.");
	of->refused_memory =
		metrics_counter(metrics, "chat_realtime_embedded_refused_sockets_total",
						"reason=\"memory\"", "WebSockets that the embedded endpoint refused.");
	of->memory = metrics_gauge(metrics, "chat_realtime_endpoint_memory_bytes", "",
							   "Memory that the process of the embedded endpoint has in use.");
	of->slow_sockets = metrics_counter(metrics, "chat_realtime_embedded_slow_sockets_total", "",
									   "WebSockets closed because they did not read.");
}

void
embedded_register_metrics(struct metrics *metrics)
{
	struct embedded_metrics unused;
	struct presences presences;
	struct replays replays;

	register_metrics(&unused, metrics);
	presences_register(&presences, metrics);
	replays_register(&replays, metrics);
	relay_register_metrics(metrics);
	(void) listener_register_metrics(metrics, embedded_rules.name);
}

void
embedded_refused_join(struct embedded *embedded, enum refusal refusal, const char *topic)
{
	int times = log_pace_due(&embedded->refusals[refusal], uv_now(embedded->app->loop));

	metric_add(embedded->metrics.refused_joins[refusal], 1);
	if (times > 0)
		log_event(LOG_WARN, "join refused", "reason", "%s", refusal_names[refusal], "topic", "%s",
				  topic, "times", "%d", times, NULL);
}

void
embedded_refused_rate(struct embedded *embedded, const char *topic)
{
	int times = log_pace_due(&embedded->too_many, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.refused_broadcasts, 1);
	if (times > 0)
		log_event(LOG_WARN, "a user broadcasts more than 10 messages a second", "topic", "%s",
				  topic, "times", "%d", times, NULL);
}

struct embedded *
embedded_create(struct app *app)
{
	struct embedded *embedded = xcalloc(1, sizeof(*embedded));
	char error[128];

	embedded->app = app;
	embedded->websockets = websockets_create(app);
	if (embedded->websockets == NULL)
		return NULL;
	table_init(&embedded->channels);
	table_init(&embedded->sockets);
	table_init(&embedded->requests);
	rates_init(&embedded->rates);
	seats_init(&embedded->seats);
	tokens_init(&embedded->tokens);
	questions_init(&embedded->questions);
	refusals_init(&embedded->refused);
	embedded->proxies =
		address_rules_create(app->config->embedded_trusted_proxies, error, sizeof(error));
	if (embedded->proxies == NULL)
		return NULL;
	register_metrics(&embedded->metrics, app->metrics);
	presences_init(&embedded->presences);
	presences_register(&embedded->presences, app->metrics);
	replays_init(&embedded->replays);
	delays_init(&embedded->delays, app);
	replays_register(&embedded->replays, app->metrics);
	embedded->relay = relay_create(embedded);
	embedded->db = db_open(app, "embedded", NULL, &handlers, embedded);
	embedded->timer = xcalloc(1, sizeof(*embedded->timer));
	uv_timer_init(app->loop, embedded->timer);
	embedded->timer->data = embedded;
	uv_timer_start(embedded->timer, tick, 1000, 1000);
	uv_unref((uv_handle_t *) embedded->timer);
	embedded->writer = xcalloc(1, sizeof(*embedded->writer));
	uv_prepare_init(app->loop, embedded->writer);
	embedded->writer->data = embedded;
	pressure_start(embedded);
	return embedded;
}

static void
handle_closed(uv_handle_t *handle)
{
	free(handle);
}

/* The tables are empty by then: their members went with their connections. */
static void
forget(struct entry *entry)
{
	(void) entry;
}

static void
say_goodbye(void *arg, struct entry *entry)
{
	(void) arg;
	socket_close((struct socket *) entry, CLOSE_RESTART);
}

void
embedded_stop(struct embedded *embedded)
{
	struct db *db = embedded->db;

	uv_close((uv_handle_t *) embedded->timer, handle_closed);
	uv_close((uv_handle_t *) embedded->turn, handle_closed);
	embedded->db = NULL;
	db_close(db); /* answers what waits */
	relay_destroy(embedded->relay);
	embedded->relay = NULL;
	table_each(&embedded->sockets, say_goodbye, NULL);
	/* Sockets that close write what they have by themselves, and are sent nothing more. */
	uv_close((uv_handle_t *) embedded->writer, handle_closed);
	delays_stop(&embedded->delays);
	websockets_close(embedded->websockets);
}

void
embedded_destroy(struct embedded *embedded)
{
	table_clear(&embedded->channels, forget);
	table_clear(&embedded->sockets, forget);
	table_clear(&embedded->requests, forget);
	rates_clear(&embedded->rates);
	presences_clear(&embedded->presences);
	replays_clear(&embedded->replays);
	seats_clear(&embedded->seats);
	tokens_clear(&embedded->tokens);
	questions_clear(&embedded->questions);
	refusals_clear(&embedded->refused);
	address_rules_destroy(embedded->proxies);
	websockets_free(embedded->websockets);
	free(embedded);
}

int
embedded_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
				  size_t len)
{
	struct app *app = lws_context_user(lws_get_context(wsi));

	if (app == NULL || app->embedded == NULL || user == NULL)
		return 0;
	return socket_callback(app->embedded, wsi, reason, user, in, len);
}
