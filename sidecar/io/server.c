/*
 * See server.h.
 *
 * The loop belongs to us: libwebsockets only adds its handles, and takes them off again some turns after
 * lws_context_destroy, so the loop must run on until then. WebSockets are told 1012 before that.
 */
#include "io/server.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/embedded.h"
#include "io/listener.h"

#define GOODBYE_MS 100
#define MOST_FILES 16384 /* as many as are asked of the system */
#define PIECE 2048
#define WRITTEN_AT_ONCE 65536 /* bytes, by libwebsockets itself */
#define OWN_FILES 128         /* the process's own, deliveries to webhooks left out */
#define HEALTH_MOST 64        /* connections */
#define ENDPOINT_MOST 512     /* connections that are no WebSockets (yet) */

struct server
{
	struct app *app;
	server_page page;
	struct lws_context *context;
	struct lws_vhost *websockets;
	struct listener *http;
	struct listener *embedded;
	int most_connections; /* of the endpoint */
	int most_sockets;
	uv_timer_t goodbye;
};

/* --- health and metrics --------------------------------------------------------------------------- */

static struct reply
begin_page(void *arg, struct exchange *exchange)
{
	struct server *server = arg;
	enum request_method method = exchange->head.method;
	struct reply reply = {0};
	char *path;

	if (method != METHOD_GET && method != METHOD_HEAD)
		return reply_text(405, "text/plain; charset=utf-8", "GET or HEAD\n");
	path = slice_text(exchange->head.path);
	reply.status = server->page(server->app, path, &reply.body, &reply.body_len, &reply.type);
	free(path);
	return reply;
}

static const struct listener_rules health = {.name = "health", .headers = "", .begin = begin_page};

/* --- WebSockets ----------------------------------------------------------------------------------- */

static void
log_line(int level, const char *line)
{
	char text[256];

	(void) level;
	snprintf(text, sizeof(text), "%.*s", (int) strcspn(line, "\n"), line);
	log_event(LOG_DEBUG, "libwebsockets", "text", "%s", text, NULL);
}

/* Listens on nothing: gets its connections from server_upgrade. */
static bool
create_websockets(struct server *server)
{
	static struct lws_protocols realtime[] = {
		/* Frames are put together from pieces of this size, for which each socket has memory of its own. */
		{"realtime", embedded_callback, sizeof(void *), PIECE, 0, NULL, WRITTEN_AT_ONCE},
		{0}};
	struct lws_context_creation_info info = {0};
	void *loops[1] = {server->app->loop};

	lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.foreign_loops = loops;
	info.user = server->app;
	info.pcontext = &server->context;
	info.max_http_header_data = 1024; /* of the handshake that server_upgrade writes */
	info.max_http_header_pool = 16;
	info.pt_serv_buf_size = 65536;
	server->context = lws_create_context(&info);
	if (server->context == NULL)
		return false;
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = realtime;
	info.vhost_name = "websockets";
	info.timeout_secs = 20;
	server->websockets = lws_create_vhost(server->context, &info);
	return server->websockets != NULL;
}

void
server_upgrade(struct server *server, int fd, struct slice key)
{
	char handshake[256];
	int len = snprintf(handshake, sizeof(handshake),
					   "GET / HTTP/1.1\r\nHost: realtime\r\nUpgrade: websocket\r\n"
					   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
					   "Sec-WebSocket-Key: %.*s\r\n\r\n",
					   (int) key.len, key.start);

	/* What strangers wrote was read by listener.c: nothing but their key is read again. */
	lws_adopt_socket_vhost_readbuf(server->websockets, fd, handshake, len);
}

/* --- limits --------------------------------------------------------------------------------------- */

/* As many descriptors as the system lets us have, up to a number. */
static int
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < MOST_FILES)
	{
		limit.rlim_cur = limit.rlim_max < MOST_FILES ? limit.rlim_max : MOST_FILES;
		(void) setrlimit(RLIMIT_NOFILE, &limit);
		(void) getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < MOST_FILES ? (int) limit.rlim_cur : MOST_FILES;
}

/* Descriptors for clients are what deliveries, database and health leave. */
static void
share_files(struct server *server, int files)
{
	int own = OWN_FILES + HEALTH_MOST + server->app->config->webhook_max_inflight;
	int clients = files - own > files / 4 ? files - own : files / 4;

	server->most_connections = clients / 4 < ENDPOINT_MOST ? clients / 4 : ENDPOINT_MOST;
	server->most_sockets = clients - server->most_connections;
	log_event(LOG_INFO, "limits by the number of descriptors", "descriptors", "%d", files,
			  "websockets", "%d", server->most_sockets, "connections", "%d",
			  server->most_connections, NULL);
}

/* --- the whole ------------------------------------------------------------------------------------ */

struct server *
server_create(struct app *app, server_page page)
{
	struct server *server = xcalloc(1, sizeof(*server));
	bool embedded = app->config->realtime_url == NULL;

	server->app = app;
	server->page = page;
	share_files(server, raise_file_limit());
	if (embedded && !create_websockets(server))
	{
		fputs(
			"chat-sidecar: libwebsockets has no libuv support here; install libwebsockets-evlib-uv\n",
			stderr);
		return NULL; /* the process ends: nothing is taken apart */
	}
	uv_timer_init(app->loop, &server->goodbye);
	server->goodbye.data = server;
	server->http =
		listener_open(app, "HTTP_LISTEN", app->config->http_listen, HEALTH_MOST, &health, server);
	if (server->http != NULL && embedded)
		server->embedded = listener_open(app, "EMBEDDED_LISTEN", app->config->embedded_listen,
										 server->most_connections, &embedded_rules, app);
	return server->http != NULL && (!embedded || server->embedded != NULL) ? server : NULL;
}

static void
goodbye(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (server->context != NULL)
		lws_context_destroy(server->context);
	uv_close((uv_handle_t *) timer, NULL);
}

void
server_destroy(struct server *server)
{
	listener_close(server->http);
	if (server->embedded == NULL)
		goodbye(&server->goodbye);
	else
	{
		listener_close(server->embedded);
		uv_timer_start(&server->goodbye, goodbye, GOODBYE_MS, 0);
	}
}

void
server_free(struct server *server)
{
	/* Versions differ in who frees a context whose handles are gone; the pointer is NULL if the library did. */
	if (server->context != NULL)
		lws_context_destroy(server->context);
	free(server);
}

int
server_most_sockets(const struct server *server)
{
	return server->most_sockets;
}

int
server_embedded_port(const struct server *server)
{
	return server->embedded ? listener_port(server->embedded) : 0;
}

int
server_http_port(const struct server *server)
{
	return listener_port(server->http);
}
