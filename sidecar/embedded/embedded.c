/*
 * Wiring of the embedded endpoint: its tables, its database connection, its clock, and the way of libwebsockets'
 * callbacks into socket.c and request.c.
 */
#include "embedded/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "db.h"
#include "embedded/internal.h"

#define TOKEN_SECONDS 3600
#define CLOSE_RESTART 1012 /* service restart */

struct session
{
	struct socket *socket;
	struct request *request;
};

_Static_assert(sizeof(struct session) == 2 * sizeof(void *), "as server.c tells libwebsockets");

static void
database_ready(void *arg)
{
	(void) arg;
}

static void
database_lost(void *arg, const char *why)
{
	(void) arg;
	(void) why;
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

	table_each(&embedded->sockets, check_socket, NULL);
}

struct embedded *
embedded_create(struct app *app)
{
	struct embedded *embedded = calloc(1, sizeof(*embedded));

	embedded->app = app;
	table_init(&embedded->channels);
	table_init(&embedded->sockets);
	table_init(&embedded->requests);
	embedded->connections = metrics_gauge(app->metrics, "chat_realtime_connections", "",
										  "WebSocket connections to the embedded endpoint.");
	embedded->messages = metrics_counter(app->metrics, "chat_realtime_embedded_messages_total", "",
										 "Messages broadcast by the embedded endpoint.");
	embedded->deliveries = metrics_counter(app->metrics, "chat_realtime_embedded_deliveries_total",
										   "", "Messages handed to subscribers.");
	embedded->db = db_open(app, "embedded", NULL, &handlers, embedded);
	embedded->timer = calloc(1, sizeof(*embedded->timer));
	uv_timer_init(app->loop, embedded->timer);
	embedded->timer->data = embedded;
	uv_timer_start(embedded->timer, tick, 1000, 1000);
	uv_unref((uv_handle_t *) embedded->timer);
	return embedded;
}

static void
timer_closed(uv_handle_t *handle)
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

	uv_close((uv_handle_t *) embedded->timer, timer_closed);
	embedded->db = NULL;
	db_close(db); /* answers what waits */
	table_each(&embedded->sockets, say_goodbye, NULL);
}

void
embedded_destroy(struct embedded *embedded)
{
	table_clear(&embedded->channels, forget);
	table_clear(&embedded->sockets, forget);
	table_clear(&embedded->requests, forget);
	free(embedded);
}

char *
embedded_service_token(struct embedded *embedded)
{
	char claims[160];
	long long now = time(NULL);

	snprintf(claims, sizeof(claims),
			 "{\"role\":\"service_role\",\"iss\":\"chat_realtime\",\"iat\":%lld,\"exp\":%lld}", now,
			 now + TOKEN_SECONDS);
	return jwt_mint(claims, embedded->app->config->embedded_jwt_secret);
}

int
embedded_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
				  size_t len)
{
	struct app *app = lws_context_user(lws_get_context(wsi));
	struct session *session = user;

	if (app == NULL || app->embedded == NULL || session == NULL)
		return 0;
	switch (reason)
	{
		case LWS_CALLBACK_HTTP:
		case LWS_CALLBACK_HTTP_BODY:
		case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		case LWS_CALLBACK_HTTP_WRITEABLE:
		case LWS_CALLBACK_CLOSED_HTTP:
			return request_callback(app->embedded, wsi, reason, &session->request, in, len);
		case LWS_CALLBACK_WSI_DESTROY:
			(void) request_callback(app->embedded, wsi, reason, &session->request, in, len);
			return socket_callback(app->embedded, wsi, reason, &session->socket, in, len);
		default:
			return socket_callback(app->embedded, wsi, reason, &session->socket, in, len);
	}
}
